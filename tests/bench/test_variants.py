import json

import pytest

from bench import record, variants
from streamgen_export.variants.finding import to_document
from tests.export.variants.material import finding


def run(*findings: dict[str, object], bundle: str = "pocket", at: str = "2026-01-02T03:04:05+00:00") -> record.Record:
    made: record.Record = {
        "bench": "variants",
        "at": at,
        "commit": "0123456789ab",
        "provenance": {"bundle": bundle, "hardware": "Test CPU, 2 cores", "software": {"onnxruntime": "1.32.0"}},
        "load_average_1m": 0.1,
        "load_average_1m_after": 1.5,
        "settings": {"prompts": 2, "chunks": 20, "rounds": 10},
        "figures": {"variants": json.loads(json.dumps(findings))},
    }
    return made


def test_the_page_shows_the_newest_results() -> None:
    page = variants.PAGE.read_text(encoding="utf-8")
    assert variants.replaced(page, record.read(variants.RESULTS)) == page, "run `python -m bench.variants`"


def test_a_variant_has_its_row() -> None:
    lost = to_document(finding("fp8", gain=-0.1))
    made = variants.block([run(to_document(finding()), {**lost, "speed": None, "distance": None, "judged": None})])
    row = "| `int8-static` | CPU | 36.0 | 0.061 / 0.031 | 0.1 / 0.4 | 1.62 (1.50 to 1.70) | 50.0 ± 4.0 % | +0.0 ± 2.0 |"
    assert f"{row} holds |" in made
    assert "| `fp8` | GPU | 36.0 | 0.061 / 0.031 | - | - | - | - | lost |" in made
    assert "| denoise: states | 0.04 | 0.04 |" in made
    assert "48 takes of 8 chunks were judged" in made


def test_the_last_run_of_each_bundle_is_shown() -> None:
    old, new = run(to_document(finding()), at="2026-01-01"), run(to_document(finding()), at="2026-01-03")
    other = run(to_document(finding()), bundle="pocket-small", at="2026-01-02")
    made = variants.block([old, other, new])
    assert "2026-01-01" not in made
    assert made.index("2026-01-03") < made.index("2026-01-02")


def test_what_is_not_finite_is_told() -> None:
    found = to_document(finding())
    broken = {**found, "errors": {"denoise": {"video_velocity": None, "audio_velocity": 0.0}}}
    made = variants.block([run(found, broken)])
    assert "| not finite / 0 |" in made


def test_without_a_run_there_are_no_figures() -> None:
    assert "No run has been recorded yet" in variants.block([])


@pytest.mark.parametrize("page", ["", variants.BEGIN, variants.END])
def test_a_page_without_marks_is_refused(page: str) -> None:
    with pytest.raises(ValueError, match="marks"):
        variants.replaced(page, [])
