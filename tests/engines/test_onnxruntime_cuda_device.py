"""The CUDA runtime on a real GPU. Left out where there is none; has not been run yet."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from streamgen_engines.bundle import Bundle, bundled
from streamgen_engines.device.cuda import gpu_count
from streamgen_engines.families import Condition, PocketDecoder, PocketGenerator, load
from streamgen_engines.planes import PlaneRequest
from streamgen_engines.runtimes import OnnxRuntimeCpu
from streamgen_engines.runtimes.onnxruntime_cuda import OnnxRuntimeCuda
from streamgen_engines.runtimes.report import cuda_report
from streamgen_engines.text import TextEncoder
from tests.engines.graphs import LAST, RING, feed, last_graph, ring_graph

REPORT = cuda_report(onnxruntime.get_available_providers())
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not REPORT.usable, reason=REPORT.detail),
    pytest.mark.skipif(not gpu_count(), reason="CUDA finds no GPU, or cuda-bindings is not installed"),
]
CHUNKS = 20


@pytest.fixture(params=[False, True], ids=["plain", "cuda graph"])
def runtime(request: pytest.FixtureRequest) -> Iterator[OnnxRuntimeCuda]:
    made = OnnxRuntimeCuda(cuda_graph=request.param, precision="fp32")
    yield made
    made.close()


@pytest.mark.parametrize("in_place", [True, False])
def test_a_ring_lives_on_the_device(runtime: OnnxRuntimeCuda, tmp_path: Path, in_place: bool) -> None:
    engine = runtime.load(ring_graph(tmp_path), [RING], in_place=in_place)
    found = [float(engine.run(feed(value, index))["total"]) for value, index in ((1, 0), (2, 4), (3, 0), (3, 0))]
    assert found == [4, 12, 20, 20]
    engine.state("ring")[:, :, 2:4] = 1
    assert engine.run(feed(3, 0))["total"] == 24
    engine.reset()
    assert engine.run(feed(1, 2))["total"] == 4


def test_a_state_with_two_buffers_goes_on_once_with_each_run(runtime: OnnxRuntimeCuda, tmp_path: Path) -> None:
    engine = runtime.load(last_graph(tmp_path), [LAST])
    values = [1.0, 5.0, 6.0, 2.0, 7.0, 7.0, 1.0, 0.0]
    changes = [float(engine.run({"new": np.full((1, 4), value, np.float32)})["change"][0, 0]) for value in values]
    assert changes == [1, 6, 11, 8, 9, 14, 8, 1]


def test_twenty_chunks_are_those_of_the_reference(tiny: Bundle, runtime: OnnxRuntimeCuda) -> None:
    reference, other = load(tiny), load(tiny, runtime=lambda: runtime)
    prompts = [reference.text.encode(text) for text in ("a red ball bounces", "calm sea at night")]
    for chunk in range(CHUNKS):
        condition = Condition(prompts[chunk >= CHUNKS // 2])
        ours, theirs = reference.generator.step(condition), other.generator.step(condition)
        assert theirs.resident is not None
        np.testing.assert_allclose(theirs.video, ours.video, atol=1e-3)
        shown, expected = other.decoder.decode(theirs), reference.decoder.decode(ours)
        assert np.abs(shown.video.astype(int) - expected.video).max() <= 2
        np.testing.assert_allclose(shown.audio, expected.audio, atol=1e-2)


def test_latents_that_are_lent_make_the_same_pictures(tiny: Bundle, runtime: OnnxRuntimeCuda) -> None:
    prompt = TextEncoder(tiny, OnnxRuntimeCpu()).encode("rain")
    generator = PocketGenerator(tiny, runtime)
    decoders = [PocketDecoder(tiny, runtime) for _ in range(2)]
    for _ in range(6):
        chunk = generator.step(Condition(prompt))
        lent, plain = decoders[0].decode(chunk), decoders[1].decode(replace(chunk, resident=None))
        np.testing.assert_array_equal(lent.video, plain.video)
        np.testing.assert_array_equal(lent.audio, plain.audio)


@pytest.mark.parametrize("graphs", [False, True], ids=["plain", "cuda graph"])
def test_a_bundled_model_runs_whole_on_the_gpu(graphs: bool, caplog: pytest.LogCaptureFixture) -> None:
    """In float16, with planes, and with graphs nothing is launched kernel by kernel."""
    bundle = bundled("pocket-small")
    runtime = OnnxRuntimeCuda(cuda_graph=graphs)
    video: Any = bundle.manifest.video
    prompt = TextEncoder(bundle, OnnxRuntimeCpu()).encode("waves break on a beach")
    reference = PocketGenerator(bundle, OnnxRuntimeCpu(), seed=1)
    generator = PocketGenerator(bundle, runtime, seed=1)
    decoder = PocketDecoder(bundle, runtime, planes=PlaneRequest(((video.width, video.height),)))
    first = generator.step(Condition(prompt, steps=1, guidance=1.0))
    right = reference.step(Condition(prompt, steps=1, guidance=1.0))
    off = np.linalg.norm(first.video - right.video) / np.linalg.norm(right.video)
    assert off < 0.2  # the reference rounds activations to int8
    decoder.decode(first)
    for _ in range(4):
        shown = decoder.decode(generator.step(Condition(prompt)))
    assert shown.planes[video.width, video.height].std() > 1
    assert "without CUDA graphs" not in caplog.text
    assert "run on the CPU" not in caplog.text
    assert (runtime.recorded > 0) is graphs
    runtime.close()
