"""The whole bench at tiny size on the CPU; what it prints about time is nobody's figure."""

import json
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from bench import record, wan
from bench.cards import CARDS
from bench.wan_report import Report, graph_chunks
from bench.wan_torch import work_of
from streamgen_export.wan.config import TINY, RingShape

QUICK = ["--device", "cpu", "--tiny", "--rings", "6", "--runs", "1", "--backend", "eager", "--decoders", "taehv"]


def test_a_rehearsal_runs_everything_and_records_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    finished: list[dict[str, Any]] = []
    finish = record.finish

    def keeping(*given: Any) -> dict[str, Any]:
        finished.append(finish(*given))
        return finished[-1]

    monkeypatch.setattr(record, "finish", keeping)
    results = tmp_path / "results.jsonl"
    runtimes = ["--runtimes", "torch", "onnxruntime-cpu", "no-such-runtime"]
    assert wan.main([*QUICK, *runtimes, "--graphs", str(tmp_path / "graphs"), "--results", str(results)]) == 0
    assert not results.exists()
    (run,) = finished
    json.dumps(run, allow_nan=False)
    figures = run["figures"]
    stages = {(row["runtime"], row["stage"]) for row in figures["stages"]}
    assert stages == {
        ("torch", "planes of a latent"),
        ("torch", "latent"),
        ("torch", "first latent"),
        ("torch", "pass"),
        ("torch", "cache write"),
        ("onnxruntime-cpu", "taehv: a latent to RGB"),
        ("onnxruntime-cpu", "prompt_kv"),
        ("onnxruntime-cpu", "hold another text"),
        ("onnxruntime-cpu", "denoise, ring 6"),
    }
    assert {(row["way"], row["ring"], row["decoder"]) for row in figures["chunks"]} == {
        ("compiled", 6, "taehv"),
        ("eager", 6, "taehv"),
    }
    assert {row["switch"] for row in figures["switches"]} == {"keep", "blend", "recache", "cut"}
    (failure,) = run["failures"]
    assert "no-such-runtime" in failure
    assert "a rehearsal: nothing is recorded" in capsys.readouterr().out


def test_a_part_that_fails_takes_no_other_with_it_and_none_begins_too_late() -> None:
    clock = iter([0.0, 1.0, 2.0, 11.0])
    parts = wan.Parts(10.0, now=lambda: next(clock))
    done: list[str] = []

    def fails() -> None:
        raise MemoryError("no room\nand a second line")

    assert not parts.run("first", fails)
    assert parts.run("second", lambda: done.append("second"))
    assert not parts.run("third", lambda: done.append("third"))
    assert done == ["second"]
    assert parts.failures == ["first: MemoryError: no room", "third: the time was up"]


def test_a_bench_that_is_told_to_end_finishes_with_what_it_has(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stops(*_: object, **__: object) -> None:
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(wan, "build_decoder", stops)
    assert wan.main([*QUICK, "--runtimes", "torch"]) == 0
    told = capsys.readouterr().out
    assert "planes of a latent" in told
    assert "left out: the rest: the process was told to end" in told
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_a_gpu_s_rows_have_floors(capsys: pytest.CaptureFixture[str]) -> None:
    report = Report(CARDS[0])
    where = {"runtime": "torch", "ring": 21}
    report.stage(where, "pass", [2.0], work_of(TINY, RingShape(3, 18, 0, 8, 12), "bf16"))
    (row,) = report.stages
    assert row["floor_ms"] > 0
    assert "torch ring 21 pass" in capsys.readouterr().out


def test_floors_are_arithmetic_and_need_no_gpu(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--floors", "--tiny", "--rings", "6", "--precisions", "bf16", "--decoders", "taehv"]
    assert wan.main(options) == 0
    told = capsys.readouterr().out
    assert "tiny bf16 ring 6 taehv: H200 " in told
    assert all(card.name.removeprefix("NVIDIA ") in told for card in CARDS)


def test_a_chunk_of_graphs_is_the_sum_of_its_calls() -> None:
    stages = [
        {"runtime": "tensorrt-rtx", "stage": "denoise, ring 21", "ms": {"p50": 10.0}},
        {"runtime": "tensorrt-rtx", "stage": "taehv: a latent to planes", "ms": {"p50": 2.0}},
        {"runtime": "torch", "stage": "pass", "ms": {"p50": 1.0}},
    ]
    (line,) = graph_chunks(stages)
    assert line.startswith("  tensorrt-rtx denoise, ring 21, taehv: a latent to planes: 56.0 ms a chunk")


@pytest.mark.parametrize("wrong", [["--rings", "7"], ["--width", "830"]])
def test_sizes_that_cannot_be_are_refused(wrong: list[str]) -> None:
    with pytest.raises(SystemExit):
        wan.parse(wrong)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_without_a_gpu_nothing_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    assert wan.main([]) == 1
    assert "--device cpu --tiny" in capsys.readouterr().err


def test_every_precision_of_the_graphs_is_measured_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    finished: list[dict[str, Any]] = []
    finish = record.finish

    def keeping(*given: Any) -> dict[str, Any]:
        finished.append(finish(*given))
        return finished[-1]

    monkeypatch.setattr(record, "finish", keeping)
    options = ["--runtimes", "onnxruntime-cpu", "--graph-precisions", "int8", "fp8"]
    assert wan.main([*QUICK, *options, "--graphs", str(tmp_path / "graphs")]) == 0
    (run,) = finished
    assert run["failures"] == []
    stages = {(row["precision"], row["stage"]) for row in run["figures"]["stages"]}
    assert {("int8", "denoise, ring 6"), ("fp8", "denoise, ring 6"), ("fp8", "prompt_kv")} <= stages
    told = capsys.readouterr().out
    assert "denoise, ring 6 in int8, taehv" in told
    assert "denoise, ring 6 in fp8, taehv" in told
