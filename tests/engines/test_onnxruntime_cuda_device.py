"""The CUDA runtime on a real GPU. Left out where there is none; has not been run yet."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from streamgen_engines.bundle import Bundle
from streamgen_engines.families import Condition, load
from streamgen_engines.runtimes.onnxruntime_cuda import OnnxRuntimeCuda
from streamgen_engines.runtimes.report import cuda_report
from tests.engines.graphs import LAST, RING, feed, last_graph, ring_graph

REPORT = cuda_report(onnxruntime.get_available_providers())
pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not REPORT.usable, reason=REPORT.detail)]
CHUNKS = 20


@pytest.fixture(params=[False, True], ids=["plain", "cuda graph"])
def runtime(request: pytest.FixtureRequest) -> OnnxRuntimeCuda:
    return OnnxRuntimeCuda(cuda_graph=request.param)


@pytest.mark.parametrize("in_place", [True, False])
def test_a_ring_lives_on_the_device(runtime: OnnxRuntimeCuda, tmp_path: Path, in_place: bool) -> None:
    engine = runtime.load(ring_graph(tmp_path), [RING], in_place=in_place)
    assert [float(engine.run(feed(value, index))["total"]) for value, index in ((1, 0), (2, 4), (3, 0))] == [4, 12, 20]
    engine.state("ring")[:, :, 2:4] = 1
    assert engine.run(feed(3, 0))["total"] == 24
    engine.reset()
    assert engine.run(feed(1, 2))["total"] == 4


def test_two_buffers_take_turns(runtime: OnnxRuntimeCuda, tmp_path: Path) -> None:
    engine = runtime.load(last_graph(tmp_path), [LAST])
    values = [1.0, 5.0, 6.0, 2.0, 7.0, 7.0, 1.0, 0.0]
    changes = [float(engine.run({"new": np.full((1, 4), value, np.float32)})["change"][0, 0]) for value in values]
    assert changes == [1, 6, 11, 8, 9, 14, 8, 1]


def test_twenty_chunks_are_those_of_the_reference(tiny: Bundle) -> None:
    reference, other = load(tiny), load(tiny, runtime=OnnxRuntimeCuda)
    prompts = [reference.text.encode(text) for text in ("a red ball bounces", "calm sea at night")]
    for chunk in range(CHUNKS):
        condition = Condition(prompts[chunk >= CHUNKS // 2])
        ours, theirs = reference.generator.step(condition), other.generator.step(condition)
        np.testing.assert_allclose(theirs.video, ours.video, atol=1e-3)
        shown, expected = other.decoder.decode(theirs), reference.decoder.decode(ours)
        assert np.abs(shown.video.astype(int) - expected.video).max() <= 2
        np.testing.assert_allclose(shown.audio, expected.audio, atol=1e-2)
