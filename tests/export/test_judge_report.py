"""From JSON to the page for people."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from pydantic import ValidationError

from streamgen_export.pocket.judge.drift import MEASURES, Drift, Trend
from streamgen_export.pocket.judge.impacts import Detection, Sync
from streamgen_export.pocket.judge.joints import Joints
from streamgen_export.pocket.judge.provenance import Provenance
from streamgen_export.pocket.judge.recognition import Accuracy, Following
from streamgen_export.pocket.judge.report import Report, read_report
from streamgen_export.pocket.judge.tables import markdown

TREND = Trend(0.5, 0.4, -0.05, -1.25)
STREAM = Drift(
    "a red ball over the sea",
    60.0,
    (dict.fromkeys(MEASURES, 0.5), dict.fromkeys(MEASURES, 0.4)),
    dict.fromkeys(MEASURES, TREND),
)
NOTHING = Accuracy(None, None, None, 0, 12)
REPORT = Report(
    command="python -m streamgen_export.pocket.judge",
    provenance=Provenance(
        bundle="pocket-nano",
        sha256={"denoise": "ab" * 32},
        training={"steps": 5000, "parity": {"deep": 1}},
        commit=None,
        hardware="a processor, 2 cores",
        software={"torch": "2.13"},
    ),
    settings={"samples": 96},
    recognition={
        "generated": {"scene": Accuracy(0.62, 0.041, 0.083, 480, 12), "mood": NOTHING},
        "renders": {"scene": Accuracy(0.97, None, 0.084, 480, 12), "mood": NOTHING},
    },
    following={
        "generated": {"scene": Following(24, 0.5, 0.75, 0.64, 0.1)},
        "renders": {"scene": Following(24, 1.0, 1.0, 0.32, 0.0)},
    },
    detectors={"picture": Detection(70, 0.9, 0.95, 0.012)},
    sync={
        "generated": Sync(60, 50, 0.6, 0.5, 0.8, 0.0214, 0.2, -0.004),
        "renders": Sync(0, 0, 0, 0, None, None, None, None),
    },
    joints={"generated": Joints(100, 1.234, None, 1.0), "renders": Joints(100, 1.0, 1.0, 1.0)},
    drift={"generated": [STREAM], "renders": [STREAM]},
    seconds={"instruments": 90.0, "generating": 30.0},
)


def test_json_holds_all_of_the_report() -> None:
    assert read_report(REPORT.to_json()) == REPORT
    with pytest.raises(ValidationError):
        read_report('{"command": "x"}')


def rows(page: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if line.startswith("|")]


def test_the_page_says_what_the_json_says() -> None:
    page = markdown(read_report(REPORT.to_json()), pictures="../bench/judge/")
    table = rows(page)
    assert ["scene", "pictures, 1 chunk", "62 % ± 4 of 480", "8 %", "97 % of 480", "8 %", "12"] in table
    assert ["mood", "sound, 6 chunks", "none of 0", "none", "none of 0", "none", "12"] in table
    assert ["scene", "generated", "24", "50 %", "75 %", "0.64 s", "10 %"] in table
    assert ["picture", "70", "90 %", "95 %", "12 ms"] in table
    assert ["generated", "60 (0.60/s)", "50 (0.50/s)", "80 %", "21 ms", "200 ms", "-4 ms"] in table
    assert ["renders", "0 (0.00/s)", "0 (0.00/s)", "none", "none", "none", "none"] in table
    assert ["generated", "100", "1.23", "none", "1.00"] in table
    assert ["luminance", "0.500", "0.400", "-0.0500", "-1.25"] in table
    assert ["training: steps", "5000"] in table
    assert ["graph denoise", f"SHA-256 `{'ab' * 32}`"] in table
    assert not any("parity" in cell for row in table for cell in row)
    assert "`python -m streamgen_export.pocket.judge` in 2.0 minutes on a processor, 2 cores, commit unknown" in page
    assert "(../bench/judge/samples.png)" in page
    assert "(../bench/judge/sound.png)" in page


def test_every_row_has_as_many_cells_as_its_head() -> None:
    lines = markdown(REPORT).splitlines()
    for first, second in pairwise(lines):
        if first.startswith("|") and second.startswith("|"):
            assert first.count("|") == second.count("|")


def test_a_long_stream_gets_a_column_for_every_section() -> None:
    long = replace(STREAM, duration_s=300.0, sections=(dict.fromkeys(MEASURES, 0.5),) * 10)
    page = markdown(replace(REPORT, drift={"generated": [long], "renders": [long]}))
    assert "drift in 5.0 minutes" in page
    heads = [row for row in rows(page) if "270 s" in row]
    assert len(heads) == 2
    assert heads[0] == ["", *(f"{30 * section} s" for section in range(10)), "per minute", "moved"]
