from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from bench import gpu
from streamgen_engines.bundle import bundled
from streamgen_engines.manifest import State
from streamgen_engines.runtimes import OnnxRuntimeCpu
from streamgen_engines.runtimes.interface import Array, Engine, Signature
from streamgen_engines.tensorrt.cuda import gpu_count
from streamgen_engines.tensorrt.device import Gpu
from streamgen_engines.tensorrt.inspection import EngineReport


class StandIn:
    """ONNX Runtime with what a plan says beside, to see that figures are gathered; no time of it is a GPU's."""

    recorded = True
    in_place: frozenset[str] = frozenset({"k_0"})

    def __init__(self, inner: Engine) -> None:
        self.inner = inner
        self.runs = 0

    @property
    def signature(self) -> Signature:
        return self.inner.signature

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        self.runs += 1
        return self.inner.run(inputs)

    def hold(self, arrays: Mapping[str, Array]) -> None:
        self.inner.hold(arrays)

    def state(self, name: str) -> Array:
        return self.inner.state(name)

    def reset(self) -> None:
        self.inner.reset()

    def report(self) -> EngineReport:
        return EngineReport(5, {}, 1, 100)


class StandInRuntime:
    name = "stand-in"

    class gpu:  # noqa: N801
        gpu = Gpu("Fake 9000", "9.0", 1)

    def __init__(self) -> None:
        self.engines: list[StandIn] = []

    def load(
        self,
        path: Path,
        states: Sequence[State] = (),
        *,
        threads: int = 1,
        in_place: bool = False,
        held: Sequence[str] = (),
    ) -> StandIn:
        self.engines.append(StandIn(OnnxRuntimeCpu().load(path, states)))
        return self.engines[-1]


def test_every_graph_is_run_and_told() -> None:
    runtime: Any = StandInRuntime()
    bundle = bundled("testcard")
    figures = gpu.measure(bundle, runtime, runs=3, chunks=2, tell=lambda line: None)
    assert figures["graphs"].keys() == bundle.manifest.graphs.keys()
    for graph in figures["graphs"].values():
        assert graph["ms"].count == 3
        assert (graph["recorded"], graph["in_place"], graph["layers"], graph["attentions"]) == (True, 1, 5, 1)
    assert [engine.runs for engine in runtime.engines[:4]] == [gpu.WARM_UP + 3] * 4
    assert figures["realtime_ratio"] > 0
    assert figures["decode_ms"].count == 2
    assert figures["planes"] is None  # the stand-in makes none
    assert figures["gpu"] == "Fake 9000"
    assert all(graph["bytes"] > 0 and graph["floor_ms"] is None for graph in figures["graphs"].values())
    assert figures["chunk_ms"].count == 2
    assert figures["chunk_ms"].most == figures["chunk_p99_ms"] > 0
    assert figures["python_ms"].count == 2


def test_a_rehearsal_prints_all_and_records_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    results = tmp_path / "results.jsonl"
    options = ["--runs", "1", "--chunks", "2", "--channels", "1", "--trial-s", "1", "--results", str(results)]
    monkeypatch.setattr("sys.argv", ["gpu", "--bundle", "testcard", "--runtime", gpu.REHEARSAL, *options])
    assert gpu.main() == 0
    told = capsys.readouterr().out
    for words in ("denoise: ", " MB", "times real time", "(p99)", "channels at real time", "Python per chunk"):
        assert words in told
    assert "a rehearsal on a CPU: nothing is recorded" in told
    assert not results.exists()


@pytest.mark.skipif(gpu_count() > 0, reason="this machine has a GPU")
def test_without_a_gpu_nothing_is_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    results = tmp_path / "results.jsonl"
    monkeypatch.setattr("sys.argv", ["gpu", "--bundle", "testcard", "--results", str(results)])
    assert gpu.main() == 1
    assert capsys.readouterr().err.startswith("error: ")
    assert not results.exists()
