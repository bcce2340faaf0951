"""The CUDA runtime's order of calls and its errors, on a device that is only told of; nothing here runs on a GPU.

Its numbers, with real graphs on the host's memory, are in `test_runtime_contract.py`.
"""

import logging
import sys
from pathlib import Path
from typing import Any

import onnxruntime
import pytest
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from streamgen_engines.bundle import bundled
from streamgen_engines.errors import (
    DeviceLostError,
    GraphLoadError,
    GraphRunError,
    OutOfMemoryError,
    RuntimeUnavailableError,
)
from streamgen_engines.planes import PlaneRequest, PlanesRuntime
from streamgen_engines.runtimes.onnxruntime_cuda import OnnxRuntimeCuda
from tests.engines.fake_ort import FakeOrt, Node, Part, Session
from tests.engines.graphs import RING, feed

GRAPH = Path("ring.onnx")


@pytest.mark.parametrize(("in_place", "buffers"), [(True, 1), (False, 2)])
def test_everything_is_allocated_and_bound_once_and_only_inputs_and_results_are_copied(
    in_place: bool, buffers: int
) -> None:
    ort = FakeOrt()
    engine = OnnxRuntimeCuda(ort=ort).load(GRAPH, [RING], in_place=in_place)
    assert ort.calls["allocate"] == 2 + 1 + buffers  # inputs, output, state
    assert ort.calls["bind"] == 5 * buffers  # every tensor of the graph in each binding
    ort.calls.clear()
    totals = [float(engine.run(feed(value, index))["total"]) for value, index in ((1, 0), (2, 4), (3, 0), (4, 2))]
    assert totals == [4, 12, 20, 36]
    assert ort.calls == {"update_inplace": 2 * 4, "synchronize": 2 * 4, "run": 4, "numpy": 4}
    assert ort.graph_ids == (["1"] * 4 if in_place else ["1", "2", "1", "2"])


@pytest.mark.parametrize("in_place", [True, False])
def test_a_state_is_fetched_once_and_written_back_before_the_next_run(in_place: bool) -> None:
    ort = FakeOrt()
    engine = OnnxRuntimeCuda(ort=ort).load(GRAPH, [RING], in_place=in_place)
    engine.run(feed(1, 0))
    ort.calls.clear()
    engine.state("ring")[:, :, 4:6] = engine.state("ring")[:, :, 0:2]
    assert ort.calls == {"numpy": 1}
    assert engine.run(feed(0, 0))["total"] == 4
    assert ort.calls["update_inplace"] == 2 + 1
    assert engine.run(feed(0, 4))["total"] == 0
    assert ort.calls["update_inplace"] == 2 * 2 + 1  # what was lent is taken back once


@pytest.mark.parametrize("in_place", [True, False])
def test_states_of_an_engine_on_the_same_device_are_copied_there(in_place: bool) -> None:
    ort = FakeOrt()
    first, then = (OnnxRuntimeCuda(ort=ort).load(GRAPH, [RING], in_place=in_place) for _ in range(2))
    for number in range(3):
        first.run(feed(1, 2 * number))
    first.state("ring").fill(2)
    then.run(feed(5, 0))
    then.state("ring").fill(7)
    ort.calls.clear()
    then.take_states(first)
    assert ort.calls == {"copy_tensors": 1, "update_inplace": 1}  # once, and what was lent of the first goes back
    assert then.run(feed(0, 0))["total"] == 16
    assert first.run(feed(1, 0))["total"] == 20


def test_states_go_over_the_host_where_onnx_runtime_has_no_copier(caplog: pytest.LogCaptureFixture) -> None:
    ort = FakeOrt(fails={"copy_tensors": RuntimeError("Data transfer implementation was not found.")})
    first, then = (OnnxRuntimeCuda(ort=ort).load(GRAPH, [RING]) for _ in range(2))
    first.run(feed(1, 0))
    then.take_states(first)
    assert then.run(feed(1, 2))["total"] == 8
    assert "states go over the host" in caplog.text


def test_states_start_at_zero_and_a_reset_forgets_what_was_lent() -> None:
    engine = OnnxRuntimeCuda(ort=FakeOrt()).load(GRAPH, [RING])
    assert not engine.state("ring").any()
    engine.run(feed(1, 0))
    engine.state("ring").fill(5)
    engine.reset()
    assert engine.run(feed(1, 2))["total"] == 4


def test_device_and_cuda_graph_are_asked_for() -> None:
    ort = FakeOrt()
    OnnxRuntimeCuda(device_id=1, cuda_graph=True, ort=ort).load(GRAPH, [RING])
    assert ort.settings == {"device_id": "1", "enable_cuda_graph": "1"}
    OnnxRuntimeCuda(ort=ort).load(GRAPH, [RING])
    assert ort.settings == {"device_id": "0", "enable_cuda_graph": "0"}


def test_a_build_without_cuda_names_the_command() -> None:
    with pytest.raises(RuntimeUnavailableError, match=r"no CUDAExecutionProvider; .*streamgen\[cuda\].*-gpu"):
        OnnxRuntimeCuda(ort=FakeOrt(providers=("CPUExecutionProvider",)))


def test_a_session_that_fell_back_to_the_cpu_is_no_gpu() -> None:
    runtime = OnnxRuntimeCuda(ort=FakeOrt(usable=("CPUExecutionProvider",)))
    with pytest.raises(RuntimeUnavailableError, match=r"finds no GPU 0 .*nvidia-smi.*cudnn.*onnxruntime-cpu works"):
        runtime.load(GRAPH, [RING])


def test_operators_without_a_kernel_for_the_gpu_are_told(caplog: pytest.LogCaptureFixture) -> None:
    on_gpu = Part("CUDAExecutionProvider", [Node("MatMul")] * 5)
    on_cpu = [Part("CPUExecutionProvider", [Node(name)]) for name in ("DynamicQuantizeLinear",) * 2 + ("Gather",)]
    with caplog.at_level(logging.WARNING):
        OnnxRuntimeCuda(ort=FakeOrt(assignment=[on_gpu])).load(GRAPH, [RING])
        assert not caplog.records
        OnnxRuntimeCuda(ort=FakeOrt(assignment=[on_gpu, *on_cpu])).load(GRAPH, [RING])
    (record,) = caplog.records
    assert "3 of 8 operators" in record.getMessage()
    assert "2 DynamicQuantizeLinear, 1 Gather" in record.getMessage()


@pytest.mark.parametrize(
    ("call", "words", "kind", "advice"),
    [
        ("session", "CUDA failure 2: out of memory ; GPU=0", OutOfMemoryError, "smaller bundle"),
        ("allocate", "Failed to allocate memory for requested buffer of size 9", OutOfMemoryError, "smaller bundle"),
        ("session", "CUDA failure 100: no CUDA-capable device is detected", DeviceLostError, "nvidia-smi"),
        ("session", "Non-standard operator Det", GraphLoadError, "pip install --upgrade"),
    ],
)
def test_what_fails_while_loading_says_what_to_do(call: str, words: str, kind: type[Exception], advice: str) -> None:
    ort = FakeOrt(fails={call: ort_errors.RuntimeException(words)})
    with pytest.raises(kind, match=f"ring.onnx.*{words[:12]}.*{advice}"):
        OnnxRuntimeCuda(ort=ort).load(GRAPH, [RING])


def test_a_graph_that_cannot_be_captured_says_so() -> None:
    words = "This session cannot use the graph capture feature as requested by the user"
    ort = FakeOrt(fails={"session": ort_errors.Fail(words)})
    with pytest.raises(GraphLoadError, match="load it without cuda_graph"):
        OnnxRuntimeCuda(cuda_graph=True, ort=ort).load(GRAPH, [RING])


@pytest.mark.parametrize(
    ("call", "words", "kind", "advice"),
    [
        ("run", "CUDA failure 719: unspecified launch failure", DeviceLostError, "nvidia-smi"),
        ("numpy", "CUDA error cudaErrorUnknown: driver shutting down", DeviceLostError, "onnxruntime-cpu"),
        ("run", "CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED", GraphRunError, "want of memory"),
        ("update_inplace", "CUDA failure 2: out of memory", GraphRunError, "want of memory"),
        ("run", "Non-zero status code returned", GraphRunError, "failed"),
    ],
)
def test_what_fails_in_the_middle_of_a_stream_is_named_and_can_be_reset(
    call: str, words: str, kind: type[Exception], advice: str
) -> None:
    ort = FakeOrt()
    engine = OnnxRuntimeCuda(ort=ort).load(GRAPH, [RING])
    engine.run(feed(1, 0))
    ort.fails[call] = RuntimeError(words)
    with pytest.raises(kind, match=advice):
        engine.run(feed(1, 2))
    ort.fails.clear()
    engine.reset()
    assert engine.run(feed(1, 0))["total"] == 4


def test_a_device_that_is_gone_fails_every_call_in_the_same_way() -> None:
    ort = FakeOrt()
    engine = OnnxRuntimeCuda(ort=ort).load(GRAPH, [RING])
    lost = RuntimeError("CUDA failure 999: unknown error")
    ort.fails.update(run=lost, numpy=lost, update_inplace=lost)
    for call in (lambda: engine.run(feed(1, 0)), lambda: engine.state("ring"), engine.reset):
        with pytest.raises(DeviceLostError, match="start again"):
            call()


class NotingOrt(FakeOrt):
    """Notes what a session is made of."""

    def __init__(self) -> None:
        super().__init__()
        self.sources: list[str | bytes] = []

    def InferenceSession(  # noqa: N802 - the library's name
        self, path: str, *, sess_options: Any, providers: list[Any], enable_fallback: int
    ) -> Session:
        self.sources.append(path)
        return super().InferenceSession(
            path, sess_options=sess_options, providers=providers, enable_fallback=enable_fallback
        )


def test_planes_are_made_by_the_graph_that_the_session_gets() -> None:
    ort = NotingOrt()
    runtime = OnnxRuntimeCuda(ort=ort)
    assert isinstance(runtime, PlanesRuntime)
    bundle = bundled("pocket-small")
    request = PlaneRequest(((320, 192),))
    engine = runtime.load_planes(bundle.path("decode_video"), [RING], request)
    assert engine.run(feed(1, 0))["total"] == 4
    (source,) = ort.sources
    assert isinstance(source, bytes)
    session = onnxruntime.InferenceSession(source, providers=["CPUExecutionProvider"])
    outputs = {each.name: (each.type, each.shape) for each in session.get_outputs()}
    assert outputs["planes_320x192"] == ("tensor(uint8)", [bundle.manifest.video.frames_per_chunk, 288, 320])
    assert "frames" not in outputs
    runtime.load(bundle.path("decode_video"), [RING])
    assert ort.sources[1] == str(bundle.path("decode_video"))


def test_without_onnx_the_command_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "streamgen_engines.planes.model", None)
    with pytest.raises(RuntimeUnavailableError, match="pip install onnx"):
        OnnxRuntimeCuda(ort=FakeOrt()).load_planes(GRAPH, [RING], PlaneRequest(((320, 192),)))
