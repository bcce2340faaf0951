"""All of it for real, on a GPU: `pytest -m gpu`. Left out where CUDA finds none."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from streamgen_engines.bundle import bundled
from streamgen_engines.families import Condition, PocketDecoder, PocketGenerator
from streamgen_engines.runtimes import OnnxRuntimeCpu
from streamgen_engines.tensorrt.compile import Compiler
from streamgen_engines.tensorrt.cuda import CudaDevice, gpu_count
from streamgen_engines.tensorrt.flavour import FLAVOURS, FlavourName, load_flavour
from streamgen_engines.tensorrt.plans import PlanCache
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


def test_a_stream_is_made_with_caches_in_place_and_recorded_runs(runtime: TensorRt) -> None:
    opened = bundled("pocket-small")
    prompt = TextEncoder(opened, runtime).encode("waves break on a beach in the evening")
    generator, decoder = PocketGenerator(opened, runtime, seed=3), PocketDecoder(opened, runtime, seed=3)
    chunks = [decoder.decode(generator.step(Condition(prompt))) for _ in range(12)]  # the ring wraps, the sink moves
    denoise = runtime.load(opened.path("denoise"), opened.manifest.graphs["denoise"].states)
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
    import hashlib
    import json

    opened = bundled("testcard")
    runtime.load(opened.path("text"))
    (stored,), (record,) = ((tmp_path / "plans").glob(f"*.{kind}") for kind in ("plan", "json"))
    stored.write_bytes(b"nonsense" * 1000)
    document = json.loads(record.read_text())
    digest = hashlib.sha256(stored.read_bytes()).hexdigest()
    record.write_text(json.dumps({**document, "sha256": digest}))
    runtime.load(opened.path("text"))
    assert stored.read_bytes()[:8] != b"nonsense"
