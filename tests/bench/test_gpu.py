from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from bench import gpu, record
from streamgen_engines.bundle import bundled
from streamgen_engines.device.cuda import gpu_count
from streamgen_engines.device.interface import Gpu
from streamgen_engines.manifest import State
from streamgen_engines.runtimes import OnnxRuntimeCpu
from streamgen_engines.runtimes.interface import Array, Engine, Signature
from streamgen_engines.runtimes.onnxruntime_cuda import OnnxRuntimeCuda
from streamgen_engines.tensorrt import runtime as module
from streamgen_engines.tensorrt.inspection import EngineReport
from tests.engines.fake_cuda_ort import FakeCudaOrt
from tests.tensorrt.stand_in import fail, install


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

    def take_states(self, other: Engine) -> None:
        self.inner.take_states(other)

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
    assert figures["denoise_ms"].count == figures["decode_ms"].count == 2
    assert figures["planes"] is None  # the stand-in makes none
    assert figures["gpu"] == "Fake 9000"
    assert all(graph["bytes"] > 0 and graph["floor_ms"] is None for graph in figures["graphs"].values())
    assert figures["chunk_ms"].count == 2
    assert figures["chunk_ms"].most == figures["chunk_p99_ms"] > 0
    assert figures["python_ms"].count == 2
    assert (figures["loop"], figures["cuda_graphs"]) == ("host", None)  # the stand-in makes no chunks either


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


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    for name in ("build", "CudaDevice", "TensorRtExecutable", "load_flavour"):
        monkeypatch.setattr(module, name, getattr(module, name))  # put back at the end
    install(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


def command(monkeypatch: pytest.MonkeyPatch, results: Path) -> int:
    few = ["--bundle", "testcard", "--runs", "2", "--chunks", "2", "--results", str(results)]
    monkeypatch.setattr("sys.argv", ["gpu", *few])
    return gpu.main()


def test_the_whole_command_runs_with_the_loop_and_the_planes_of_a_gpu(
    stand_in: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Through the real runtime, which makes whole chunks and planes; what computes is a stand-in."""
    assert command(monkeypatch, stand_in / "results.jsonl") == 0
    (made,) = record.read(stand_in / "results.jsonl")
    assert made["figures"]["planes"].startswith("i420 640x360")
    assert made["figures"]["denoise_ms"]["count"] == 2
    assert made["figures"]["loop"] == "device"
    assert "times real time on Fake 9000, the chunk loop on the device" in capsys.readouterr().out
    assert "sampler step" in (stand_in / "builds").read_text()


def test_what_goes_wrong_on_the_gpu_is_said_and_nothing_is_recorded(
    stand_in: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fail(stand_in, "text.onnx", "it gave no reason")
    assert command(monkeypatch, stand_in / "results.jsonl") == 1
    assert "error: text.onnx failed" in capsys.readouterr().err
    assert not (stand_in / "results.jsonl").exists()


def test_onnx_runtime_is_measured_with_its_loop_on_the_device() -> None:
    """Its own code, on the fake GPU: graphs are recorded, the ring is written in place, planes come back."""
    ort = FakeCudaOrt()
    runtime = OnnxRuntimeCuda(ort=ort, open_device=ort.open_device)
    figures = gpu.measure(bundled("testcard"), runtime, runs=2, chunks=2, tell=lambda line: None)
    assert (figures["loop"], figures["planes"][:12]) == ("device", "i420 640x360")
    assert figures["cuda_graphs"] > len(figures["graphs"])
    states = {name: len(graph.states) for name, graph in bundled("testcard").manifest.graphs.items()}
    for name, graph in figures["graphs"].items():
        assert graph["recorded"] is True
        assert graph["in_place"] == (states[name] if name == "denoise" else 0)
    assert figures["python_ms"].count == 2
    runtime.close()
