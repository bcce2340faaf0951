"""The bench of the loop on an empty device: what it counts. How long anything takes is for a quiet machine."""

import itertools
import json
import sys
from pathlib import Path

import pytest

from bench import loop_overhead
from streamgen_engines.bundle import bundled


def test_a_chunk_that_is_played_takes_six_calls_and_a_prompt_two_more() -> None:
    ticks = itertools.count()
    found = loop_overhead.measure(bundled("pocket-small"), chunks=4, now=lambda: next(ticks) / 1000)
    # Two records, a copy into the buffer and one to the host, the event and waiting for it.
    assert found["played"]["device_calls"] == 6
    assert found["moving"]["device_calls"] == 6 + 2  # the text as it is shown, and as it is remembered
    steps = bundled("pocket-small").manifest.sampler
    enqueued = 1 + steps.passes + steps.steps + 1  # the block, the passes, an Euler step each, the end
    assert found["step_by_step"]["device_calls"] == 6 - 2 + enqueued
    assert found["sessions"]["device_calls"] == found["step_by_step"]["device_calls"]  # a run for each call of a plan
    assert found["played"]["ms"].count == found["sessions"]["ms"].count == 4
    assert found["played"]["ms"].p50 == pytest.approx(1.0)


def test_the_command_prints_and_records(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    results = tmp_path / "results.jsonl"
    command = ["loop_overhead", "--bundle", "testcard", "--chunks", "2", "--results", str(results)]
    monkeypatch.setattr(sys, "argv", command)
    assert loop_overhead.main() == 0
    told = capsys.readouterr().out
    assert "played: p50" in told
    assert "sessions: p50" in told
    (line,) = results.read_text().splitlines()
    assert json.loads(line)["bench"] == "loop_overhead"
