"""A session as an executable: addresses, records and threads, on a fake GPU that is strict about all three."""

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from streamgen_engines.errors import DeviceLostError, GraphLoadError, GraphRunError
from streamgen_engines.runtimes import bound_session as module
from streamgen_engines.runtimes.bound_session import BoundSession
from streamgen_engines.runtimes.capture_gate import CaptureGate
from streamgen_engines.runtimes.onnxruntime_cuda import CudaSessions
from tests.device.fakes import FakeDevice
from tests.engines.fake_cuda_ort import FakeCudaOrt
from tests.engines.graphs import ring_graph

SHAPES: dict[str, tuple[tuple[int, ...], Any]] = {
    "new": ((1, 1, 2, 2), np.float32),
    "index": ((1,), np.int64),
    "ring": ((1, 1, 6, 2), np.float32),
    "total": ((), np.float32),
    "ring_out": ((1, 1, 6, 2), np.float32),
}


class Ring:
    """The ring's graph in a session, with places for its tensors."""

    def __init__(self, folder: Path, ort: FakeCudaOrt | None = None, *, records: bool = True) -> None:
        self.ort = ort or FakeCudaOrt()
        self.gate = CaptureGate()
        sessions = CudaSessions(self.ort, 0, exact=True, open_device=self.ort.open_device)
        self.device: FakeDevice = self.ort.open_device(0)
        path = ring_graph(folder)
        self.real = sessions.open(path.read_bytes(), folder, self.device, threads=1, records=records)
        self.session = BoundSession(
            self.real,
            self.device,
            path,
            memory=sessions.memory,
            options=sessions.options,
            shared={"ring_out": "ring"},
            records=records,
            gate=self.gate,
        )
        self.places = {name: self.place(name) for name in SHAPES if name != "ring_out"}
        self.places["ring_out"] = self.places["ring"]
        for name, address in self.places.items():
            self.session.bind(name, address)

    def place(self, name: str) -> int:
        shape, kind = SHAPES[name]
        address = self.device.allocate(int(np.prod(shape)) * np.dtype(kind).itemsize)
        self.device.synchronise()
        return address

    def at(self, name: str) -> NDArray[Any]:
        shape, kind = SHAPES[name]
        size = int(np.prod(shape)) * np.dtype(kind).itemsize
        found: NDArray[Any] = self.device.at(self.places[name], size).view(kind).reshape(shape)
        return found

    def run(self, value: float, index: int) -> float:
        self.at("new")[...] = value
        self.at("index")[...] = index
        self.session.enqueue(self.device.stream)
        self.device.synchronise()
        return float(self.at("total"))

    def use(self, name: str, address: int) -> None:
        self.places[name] = address
        self.session.bind(name, address)

    @property
    def runs(self) -> dict[str, int]:
        return dict(self.real.runs)


def test_the_first_run_is_plain_the_second_recorded_and_later_ones_play(tmp_path: Path) -> None:
    ring = Ring(tmp_path)
    assert [ring.run(value, index) for value, index in ((1, 0), (2, 4), (3, 0), (4, 2))] == [4, 12, 20, 36]
    assert ring.runs == {"plain": 1, "recorded": 1, "played": 2}
    assert (ring.session.recorded, ring.session.known) == (1, 1)
    assert ring.ort.calls["binding"] == 1


def test_nothing_is_done_before_somebody_waits(tmp_path: Path) -> None:
    ring = Ring(tmp_path)
    ring.at("new")[...] = 1
    ring.session.enqueue(ring.device.stream)
    assert not ring.at("ring").any()
    ring.device.synchronise()
    assert ring.at("ring").sum() == 4


def test_each_set_of_addresses_has_a_record_of_its_own(tmp_path: Path) -> None:
    ring = Ring(tmp_path)
    first, other = ring.places["total"], ring.place("total")
    for _ in range(4):
        for address in (first, other):
            ring.use("total", address)
            assert ring.run(1, 2) == 4
    assert ring.runs == {"plain": 2, "recorded": 2, "played": 4}
    assert ring.session.known == ring.ort.calls["binding"] == 2


def test_without_graphs_every_run_is_plain_on_the_same_binding(tmp_path: Path) -> None:
    ring = Ring(tmp_path, records=False)
    assert [ring.run(1, 0) for _ in range(3)] == [4, 4, 4]
    assert ring.runs == {"plain": 3}
    assert (ring.ort.calls["binding"], ring.real.settings["enable_cuda_graph"]) == (1, "0")


def test_sets_beyond_the_room_are_bound_anew_and_plain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "CAPACITY", 2)
    ring = Ring(tmp_path)
    places = [ring.place("total") for _ in range(4)]
    for _ in range(3):
        for address in places:
            ring.use("total", address)
            assert ring.run(1, 2) == 4
    assert (ring.session.known, ring.session.recorded) == (2, 2)
    assert ring.runs == {"plain": 2 + 2 * 3, "recorded": 2, "played": 2}
    assert ring.ort.calls["binding"] == 3  # one more for all others
    assert caplog.text.count("runs on 2 sets of addresses") == 1


def test_a_thread_makes_records_of_its_own(tmp_path: Path) -> None:
    ring = Ring(tmp_path)
    for _ in range(3):
        ring.run(1, 0)
    found: list[float] = []
    thread = threading.Thread(target=lambda: found.extend(ring.run(1, 2) for _ in range(3)))
    thread.start()
    thread.join()
    assert found == [8, 8, 8]
    assert ring.run(1, 4) == 12
    assert ring.runs == {"plain": 2, "recorded": 2, "played": 3}


def test_nobody_else_is_inside_while_it_records(tmp_path: Path) -> None:
    seen: list[bool] = []
    ring = Ring(tmp_path)
    ring.ort.watch = lambda: seen.append(ring.gate._recording)
    for _ in range(3):
        ring.run(1, 0)
    assert seen == [True]
    assert not ring.gate._recording


def test_what_cannot_be_recorded_runs_plainly_for_good(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    ring = Ring(tmp_path)
    ended: list[bool] = []
    ring.device.abort_capture = lambda: ended.append(True)  # type: ignore[method-assign]
    ring.ort.fails["record"] = RuntimeError("CUDA failure 900: operation not permitted when stream is capturing")
    with caplog.at_level(logging.WARNING):
        assert [ring.run(1, index) for index in (0, 2, 4)] == [4, 8, 12]
    assert ring.runs == {"plain": 3}
    assert (ring.session.recorded, ended) == (0, [True])
    assert caplog.text.count("cannot be recorded, and runs kernel by kernel") == 1


def test_a_gpu_that_is_lost_while_it_records_is_said_to_be(tmp_path: Path) -> None:
    ring = Ring(tmp_path)
    ring.run(1, 0)
    ring.ort.fails["record"] = RuntimeError("CUDA failure 719: unspecified launch failure")
    with pytest.raises(DeviceLostError, match="nvidia-smi"):
        ring.run(1, 0)


@pytest.mark.parametrize(
    ("error", "kind", "advice"),
    [
        (RuntimeError("CUDA failure 719: unspecified launch failure"), DeviceLostError, "nvidia-smi"),
        (ort_errors.Fail("CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED"), GraphRunError, "want of memory"),
        (ort_errors.RuntimeException("Non-zero status code returned"), GraphRunError, r"ring\.onnx failed"),
    ],
)
def test_what_fails_is_named(tmp_path: Path, error: Exception, kind: type[Exception], advice: str) -> None:
    ring = Ring(tmp_path)
    ring.run(1, 0)
    ring.ort.fails["run"] = error
    with pytest.raises(kind, match=advice):
        ring.run(1, 0)
    ring.ort.fails.clear()
    assert ring.run(1, 2) == 8


def test_misuse_is_named(tmp_path: Path) -> None:
    ring = Ring(tmp_path)
    with pytest.raises(GraphRunError, match="on no other"):
        ring.session.enqueue(ring.device.stream + 1)
    with pytest.raises(GraphLoadError, match="no tensor other to bind"):
        ring.session.bind("other", 4096)
    assert not ring.session.capturable(ring.device.stream)
    assert (ring.session.aliased("ring_out"), ring.session.aliased("total")) == ("ring", None)
    ring.session.close()
    ring.session.close()
    with pytest.raises(GraphRunError, match="closed"):
        ring.session.bind("new", 1)
    with pytest.raises(GraphRunError, match="closed"):
        ring.session.enqueue(ring.device.stream)


def test_a_tensor_that_lies_nowhere_is_named(tmp_path: Path) -> None:
    ort = FakeCudaOrt()
    device = ort.open_device(0)
    sessions = CudaSessions(ort, 0, exact=True, open_device=ort.open_device)
    path = ring_graph(tmp_path)
    real = sessions.open(path.read_bytes(), tmp_path, device, threads=1, records=False)
    session = BoundSession(real, device, path, memory="cuda", options=sessions.options)
    with pytest.raises(GraphRunError, match="index lies nowhere"):
        session.enqueue(device.stream)


# The fake is strict: what a GPU would do wrongly in silence is a fault of the test ------------------------------------


def fault(ring: Ring, change: Callable[[], None], words: str) -> None:
    for _ in range(3):
        ring.run(1, 0)
    change()
    with pytest.raises(AssertionError, match=words):
        ring.run(1, 0)


def test_another_address_under_the_same_number_is_a_fault(tmp_path: Path) -> None:
    ring = Ring(tmp_path)

    def change() -> None:
        known = next(iter(ring.session._known.values()))
        known.binding.bind_output("total", "cuda", 0, np.float32, (), ring.place("total"))

    fault(ring, change, "addresses of its time")


def test_another_shape_is_a_fault(tmp_path: Path) -> None:
    ring = Ring(tmp_path)
    binding = ring.real.io_binding()
    with pytest.raises(AssertionError, match="another shape"):
        binding.bind_input("new", "cuda", 0, np.float32, (1, 1, 1, 4), ring.places["new"])


def test_memory_that_was_freed_is_a_fault(tmp_path: Path) -> None:
    ring = Ring(tmp_path)
    fault(ring, lambda: ring.device.free(ring.places["total"]), "not of one allocation|never allocated")


def test_a_record_without_a_plain_run_before_is_a_fault(tmp_path: Path) -> None:
    ring = Ring(tmp_path)
    number = ring.session._found()
    assert number is not None
    with pytest.raises(AssertionError, match="may not be recorded"):
        ring.session._record(number)


def test_memory_of_the_host_is_a_fault(tmp_path: Path) -> None:
    ring = Ring(tmp_path)
    outside = np.zeros(4, np.float32)
    with pytest.raises(AssertionError, match=r"never allocated|not of one allocation"):
        ring.real.io_binding().bind_input("new", "cuda", 0, np.float32, (1, 1, 2, 2), outside.ctypes.data)
