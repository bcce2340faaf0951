"""The bundle that ships: it opens, generates, and its graphs keep the rules of the runtime."""

import numpy as np
import pytest

from streamgen_engines.bundle import Bundle, bundled
from streamgen_engines.families import Condition, PocketDecoder, PocketGenerator
from streamgen_engines.runtimes import OnnxRuntimeCpu
from streamgen_engines.text import TextEncoder


@pytest.fixture(scope="module")
def shipped() -> Bundle:
    return bundled()


def test_the_ring_in_place_changes_nothing(shipped: Bundle) -> None:
    """A node that reads the ring too late would show as a difference."""
    text = TextEncoder(shipped, OnnxRuntimeCpu())
    prompts = [text.encode("a red ball bounces on the sand"), text.encode("rain over a city at night")]
    made = []
    for runtime in (OnnxRuntimeCpu(), OnnxRuntimeCpu(in_place=False)):
        generator = PocketGenerator(shipped, runtime, seed=3)
        made.append([generator.step(Condition(prompts[i // 6])) for i in range(12)])
    for ours, reference in zip(*made, strict=True):
        assert ours.video.std() > 0.1
        np.testing.assert_array_equal(ours.video, reference.video)
        np.testing.assert_array_equal(ours.audio, reference.audio)


def test_it_makes_pictures_and_sound(shipped: Bundle) -> None:
    runtime = OnnxRuntimeCpu()
    prompt = TextEncoder(shipped, runtime).encode("waves break on a beach in the evening")
    generator, decoder = PocketGenerator(shipped, runtime), PocketDecoder(shipped, runtime)
    chunks = [decoder.decode(generator.step(Condition(prompt))) for _ in range(6)]
    assert chunks[-1].video.std() > 5
    assert 1e-4 < np.abs(chunks[-1].audio).max() <= 1
