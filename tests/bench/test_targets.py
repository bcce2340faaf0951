from typing import Any

import pytest

from bench.targets import TARGETS, details, figure, rows, table
from tests.bench.records import run, served, summary


def test_every_target_is_met_by_figures_that_meet_it() -> None:
    found = rows(run("serve", served()))
    assert len(found) == len(TARGETS)
    assert [met for *_, met in found] == ["yes"] * len(TARGETS)


@pytest.mark.parametrize(
    ("worse", "name"),
    [
        ({"realtime_ratio": summary(1.29)}, "generation"),
        ({"sampler_steps": {"count": 9, "p50": 4.0, "p95": 4.0, "least": 3.0, "most": 4.0}}, "steps left out"),
        ({"first_picture_ms": summary(1401)}, "first picture"),
        ({"prompt_to_photon_ms": summary(1401)}, "prompt to photon"),
        ({"playout_skew_abs_ms": summary(0)}, "against sound"),
        ({"memory_mib": {"both": {"slope_per_min": 0.5}}}, "memory"),
        ({"underruns": 1}, "underruns"),
    ],
)
def test_each_target_can_be_missed(worse: dict[str, Any], name: str) -> None:
    missed = [row for row in rows(run("serve", served() | worse)) if row[3] == "NO"]
    assert len(missed) == 1
    assert name in missed[0][0]


def test_what_was_not_measured_is_neither_met_nor_missed() -> None:
    found = rows(run("serve", {}))
    assert {(value, met) for _, value, _, met in found} == {("not measured", "-")}
    assert details(run("serve", {})) == []


def test_a_figure_is_found_by_its_path() -> None:
    record = run("serve", {"a": {"b": 3.5, "none": None}, "word": "x"})
    assert figure("a", "b")(record) == 3.5
    assert figure("a", "none")(record) is None
    assert figure("a", "b", "c")(record) is None
    assert figure("word")(record) is None


def test_the_table_tells_what_failed() -> None:
    lines = table(run("serve", served(), failures=["joining alone: TimeoutError: "]))
    assert any("joining alone: TimeoutError" in line for line in lines)
    assert not any("could not be measured" in line for line in table(run("serve", served())))
