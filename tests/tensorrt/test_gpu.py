"""All of it for real, on a GPU: `pytest -m gpu`. Left out where CUDA finds none."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streamgen.generation.encode_stage import wanted_planes
from streamgen.media.scaler import Scaler
from streamgen_engines.bundle import bundled
from streamgen_engines.chunk import LatentChunk
from streamgen_engines.device.cuda import CudaDevice, gpu_count
from streamgen_engines.device.device_sampler import DeviceSampler
from streamgen_engines.errors import OutOfMemoryError
from streamgen_engines.families import Condition, PocketDecoder, PocketGenerator
from streamgen_engines.manifest import State, pocket_manifest
from streamgen_engines.planes import PlaneRequest
from streamgen_engines.runtimes import Engine, OnnxRuntimeCpu
from streamgen_engines.tensorrt.compile import Compiler
from streamgen_engines.tensorrt.flavour import FLAVOURS, FlavourName, load_flavour
from streamgen_engines.tensorrt.footprint import CHUNK_LOOP, LOOPED
from streamgen_engines.tensorrt.plans import Plan, PlanCache, PlanKey
from streamgen_engines.tensorrt.runtime import TensorRt
from streamgen_engines.text import TextEncoder

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not gpu_count(), reason="CUDA finds no GPU here")]


@pytest.fixture(params=FLAVOURS)
def runtime(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[TensorRt]:
    name: FlavourName = request.param
    pytest.importorskip({"tensorrt": "tensorrt", "tensorrt-rtx": "tensorrt_rtx"}[name])
    opened = TensorRt(name, plans=PlanCache(tmp_path / "plans"))
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> PlanCache:
    """Plans for tests of what is made with them: each is built once, for time on a GPU is dear."""
    return PlanCache(tmp_path_factory.mktemp("made") / "plans")


@pytest.fixture(params=FLAVOURS)
def ready(request: pytest.FixtureRequest, made: PlanCache) -> Iterator[TensorRt]:
    name: FlavourName = request.param
    pytest.importorskip({"tensorrt": "tensorrt", "tensorrt-rtx": "tensorrt_rtx"}[name])
    opened = TensorRt(name, plans=made)
    yield opened
    opened.close()


def test_copies_there_and_back_and_a_record_that_is_played() -> None:
    device = CudaDevice(0)
    address, memory, back = device.allocate(1024), device.staging(1024), device.staging(1024)
    device.upload(address, memory)
    device.synchronise()  # the stream is warm
    device.begin_capture()
    device.upload(address, memory)
    device.download(back, address)
    record = device.end_capture()
    memory[:] = np.arange(1024) % 251
    device.play(record)
    device.synchronise()
    np.testing.assert_array_equal(back, memory)
    device.forget(record)
    device.free(address)
    device.free_staging(memory)
    device.free_staging(back)
    device.close()


@pytest.mark.parametrize("bundle", ["testcard", "pocket-small", "pocket"])
def test_every_plan_agrees_with_onnx_runtime(runtime: TensorRt, bundle: str, tmp_path: Path) -> None:
    compiler = Compiler(
        bundled(bundle),
        load_flavour("tensorrt" if runtime.name == "tensorrt" else "tensorrt-rtx"),
        gpu=runtime.gpu.gpu,
        plans=PlanCache(tmp_path / "checked"),
        load=runtime.load_plan,
        reference=OnnxRuntimeCpu(),
    )
    outcomes = list(compiler.run())
    assert [outcome.failure for outcome in outcomes] == [None] * len(outcomes)
    assert all(outcome.installed and outcome.errors and outcome.engine for outcome in outcomes)


def test_a_stream_is_made_with_caches_in_place_and_recorded_runs(ready: TensorRt) -> None:
    opened = bundled("pocket-small")
    prompt = TextEncoder(opened, ready).encode("waves break on a beach in the evening")
    generator, decoder = PocketGenerator(opened, ready, seed=3), PocketDecoder(opened, ready, seed=3)
    chunks = [decoder.decode(generator.step(Condition(prompt))) for _ in range(12)]  # the ring wraps, the sink moves
    denoise = ready.load(opened.path("denoise"), opened.manifest.graphs["denoise"].states)
    assert denoise.in_place == {state.name for state in opened.manifest.graphs["denoise"].states}
    assert chunks[-1].video.std() > 5
    assert 1e-4 < np.abs(chunks[-1].audio).max() <= 1


def test_the_second_load_takes_the_plan_of_the_first(runtime: TensorRt, tmp_path: Path) -> None:
    opened = bundled("testcard")
    runtime.load(opened.path("text"))
    (stored,) = (tmp_path / "plans").glob("*.plan")
    written = stored.stat().st_mtime_ns
    runtime.load(opened.path("text"))
    assert stored.stat().st_mtime_ns == written


def test_a_plan_that_tensorrt_refuses_is_built_again(runtime: TensorRt, tmp_path: Path) -> None:
    """Its hash is right and its content is not: as if another build of the same version had written it."""
    opened, plans = bundled("testcard"), PlanCache(tmp_path / "plans")
    runtime.load(opened.path("text"))
    (stored,) = plans.folder.glob("*.plan")
    key = _key(stored)
    plans.install(Plan(key, b"nonsense" * 1000))
    runtime.load(opened.path("text"))
    found = plans.find(key)
    assert found is not None
    assert found.data[:8] != b"nonsense"


def test_a_plan_without_room_is_kept_and_says_so(runtime: TensorRt, tmp_path: Path) -> None:
    """All memory but 16 MiB is taken; `denoise` has 37 MiB of weights."""
    opened, plans = bundled("pocket"), PlanCache(tmp_path / "plans")
    states = opened.manifest.graphs["denoise"].states
    runtime.load(opened.path("denoise"), states).close()
    (stored,) = plans.folder.glob("*.plan")
    written = stored.stat().st_mtime_ns
    taken = runtime.gpu.allocate(runtime.gpu.free_bytes() - 16 * 2**20)
    try:
        with pytest.raises(OutOfMemoryError):
            runtime.load(opened.path("denoise"), states)
        with pytest.raises(OutOfMemoryError, match="pocket needs"):
            runtime.admit(opened)
    finally:
        runtime.gpu.free(taken)
    runtime.load(opened.path("denoise"), states)
    assert stored.stat().st_mtime_ns == written


def test_closing_gives_the_memory_of_a_plan_back(runtime: TensorRt) -> None:
    opened = bundled("pocket-small")
    states = opened.manifest.graphs["denoise"].states
    runtime.load(opened.path("denoise"), states).close()  # what TensorRT allocates once
    before = runtime.gpu.free_bytes()
    for _ in range(3):
        runtime.load(opened.path("denoise"), states).close()
    assert before - runtime.gpu.free_bytes() < 8 * 2**20


def test_the_plan_of_memory_is_near_what_loading_takes(runtime: TensorRt) -> None:
    opened = bundled("pocket")
    for name, graph in opened.manifest.graphs.items():
        runtime.load(opened.path(name), graph.states).close()
    runtime.chunk_sampler(opened).close()
    before = runtime.gpu.free_bytes()
    plan = runtime.admit(opened).plan
    assert not plan.estimated
    runtime.chunk_sampler(opened)
    for part in plan.graphs:
        if part.graph not in {LOOPED, CHUNK_LOOP}:
            runtime.load(opened.path(part.graph), opened.manifest.graphs[part.graph].states)
    assert before - runtime.gpu.free_bytes() == pytest.approx(plan.loaded, rel=0.2, abs=64 * 2**20)


def test_kernels_are_compiled_once(tmp_path: Path) -> None:
    pytest.importorskip("tensorrt_rtx")
    opened, plans = bundled("testcard"), PlanCache(tmp_path / "plans")
    for _ in range(2):
        runtime = TensorRt("tensorrt-rtx", plans=plans)
        decoder = PocketDecoder(opened, runtime, seed=1)
        prompt = TextEncoder(opened, runtime).encode("a red sun")
        decoder.decode(PocketGenerator(opened, runtime, seed=1).step(Condition(prompt)))
        runtime.keep()
        assert len(list(plans.folder.glob("*.kernels"))) == 7  # four graphs, and three plans of the chunk loop
        runtime.close()


def _key(stored: Path) -> PlanKey:
    """What a plan says that it is for."""
    found = json.loads(stored.read_bytes().partition(b"\n")[0])
    return PlanKey(found["graph"], found["runtime"], found["tensorrt"], found["gpu"], found["capability"])


def test_one_stream_waits_for_an_event_of_another() -> None:
    first, second = CudaDevice(0), CudaDevice(0)
    size = 64 * 2**20
    source, target, back = first.allocate(size), first.allocate(size), second.staging(size)
    filled = first.staging(size)
    filled.fill(7)
    first.synchronise()
    event = first.event()
    first.upload(source, filled)
    first.copy(target, source, size)
    first.record_event(event)
    second.wait_event(event)
    second.download(back, target)
    second.synchronise()
    assert (back == 7).all()
    first.free_event(event)
    for address in (source, target):
        first.free(address)
    first.free_staging(filled)
    second.free_staging(back)
    first.close()
    second.close()


def test_planes_are_those_of_libswscale(ready: TensorRt) -> None:
    opened = bundled("pocket")
    request = PlaneRequest(wanted_planes(opened.manifest, 2).sizes, rgb=True)
    decoder = PocketDecoder(opened, ready, planes=request)
    random = np.random.default_rng(1)
    video, audio = (1, *opened.manifest.video.latent), (1, *pocket_manifest(opened.manifest).audio.latent)
    scalers = {
        size: Scaler((opened.manifest.video.width, opened.manifest.video.height), size) for size in request.sizes
    }
    for index in range(8):
        chunk = decoder.decode(
            LatentChunk(index, random.standard_normal(video, np.float32), random.standard_normal(audio, np.float32))
        )
        for size, scaler in scalers.items():
            right = np.stack([scaler.planes(picture) for picture in chunk.video])
            off = np.abs(chunk.planes[size].astype(int) - right)
            assert off.max() <= 3
            assert off.mean() < 0.3


def test_rows_and_events_are_in_the_order_of_two_streams() -> None:
    writes, reads = CudaDevice(0), CudaDevice(0)
    rows, width, copied = 8, 512, 128
    address, other = writes.allocate(rows * width), reads.allocate(rows * width)
    memory, back = writes.staging(rows * width), reads.staging(rows * width)
    memory[:] = np.arange(rows * width) % 251
    event = writes.event()
    writes.synchronise()
    reads.synchronise()
    writes.upload(address, memory)
    writes.copy_rows(address + 256, address, width=copied, pitch=width, count=rows)
    writes.record_event(event)
    reads.wait_event(event)
    reads.copy(other, address, rows * width)
    reads.download(back, other)
    reads.record_event(event)
    writes.synchronise_event(event)
    right = memory.reshape(rows, width).copy()
    right[:, 256 : 256 + copied] = right[:, :copied]
    np.testing.assert_array_equal(back.reshape(rows, width), right)
    writes.free_event(event)
    for device, kept in ((writes, address), (reads, other)):
        device.free(kept)
    writes.free_staging(memory)
    reads.free_staging(back)
    writes.close()
    reads.close()


LOOPS: dict[str, dict[str, Any]] = {
    "guided": {"guidance": 2.0},
    "unguided": {"guidance": 1.0},
    "split": {"split": True},
    "exact": {"exact": True},
    "exact and split": {"exact": True, "split": True},
    "alone, two steps": {"alone_above": 0.6, "steps": 2},
}


@pytest.mark.parametrize("kind", LOOPS)
def test_chunks_of_the_device_are_those_of_its_own_passes_on_the_host(ready: TensorRt, kind: str) -> None:
    """The same plan of the denoise graph on both sides, so that what is compared is the loop around it."""
    opened = bundled("pocket-small")
    text = TextEncoder(opened, OnnxRuntimeCpu())
    one, other = text.encode("waves break on a beach"), text.encode("a red ball bounces")
    chosen = dict(LOOPS[kind])
    prompt = text.blend([("waves break on a beach", 1), ("rain", 2)]) if chosen.get("exact") else one
    sound = other if chosen.pop("split", False) else None
    first = Condition(prompt, sound=sound, **chosen)
    log = [first] * 4 + [replace(first, prompt=other)] * 3 + [replace(first, cut=True)] + [first] * 4
    tested = PocketGenerator(opened, ready, seed=3)
    sampler = tested._chunks
    assert isinstance(sampler, DeviceSampler)
    host = PocketGenerator(opened, Plain(ready), seed=3)
    found, right = [tested.step(each) for each in log], [host.step(each) for each in log]
    assert sampler.recorded >= 2
    for a, b in zip(found[:2], right[:2], strict=True):  # later chunks carry on the rounding of earlier ones
        for x, y in ((a.video, b.video), (a.audio, b.audio)):
            assert np.linalg.norm(x - y) < 1e-3 * np.linalg.norm(y)
    for a, b in zip(found, right, strict=True):
        assert np.linalg.norm(a.video - b.video) < 0.1 * np.linalg.norm(b.video)


def test_a_decoder_takes_latents_from_the_gpu(ready: TensorRt) -> None:
    opened = bundled("pocket-small")
    prompt = TextEncoder(opened, OnnxRuntimeCpu()).encode("waves break on a beach")
    generator = PocketGenerator(opened, ready, seed=3)
    decoders = [PocketDecoder(opened, ready, seed=3) for _ in range(2)]
    chunks = [generator.step(Condition(prompt)) for _ in range(2)]
    for chunk in chunks:
        assert chunk.resident is not None
        lent, plain = decoders[0].decode(chunk), decoders[1].decode(replace(chunk, resident=None))
        np.testing.assert_array_equal(lent.video, plain.video)
        np.testing.assert_array_equal(lent.audio, plain.audio)


class Plain:
    """The same runtime, without the loop on the device."""

    def __init__(self, inner: TensorRt) -> None:
        self._inner = inner
        self.name = inner.name

    def load(
        self,
        path: Path,
        states: Sequence[State] = (),
        *,
        threads: int = 1,
        in_place: bool = False,
        held: Sequence[str] = (),
    ) -> Engine:
        return self._inner.load(path, states, threads=threads, in_place=in_place, held=held)
