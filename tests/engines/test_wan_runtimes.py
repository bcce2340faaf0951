"""A stream of the wan family on every runtime that is here: ring in place, held prompts, and states handed over."""

from collections.abc import Callable

import numpy as np
import pytest

from streamgen_engines.bundle import Bundle
from streamgen_engines.families import Condition, load
from streamgen_engines.runtimes import OnnxRuntimeCpu, Runtime
from tests.engines.test_runtime_contract import RUNTIMES
from tests.tiny_wan_bundle import write_tiny_wan_bundle

CHUNKS = 12


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return Bundle.open(write_tiny_wan_bundle(tmp_path_factory.mktemp("wan") / "tiny"))


@pytest.mark.parametrize("make", RUNTIMES.values(), ids=list(RUNTIMES))
def test_a_stream_is_that_of_the_reference(bundle: Bundle, make: Callable[[], Runtime]) -> None:
    reference = load(bundle, runtime=lambda: OnnxRuntimeCpu(in_place=False))
    other = load(bundle, runtime=make)
    prompts = [reference.text.encode(text) for text in ("a red ball bounces", "calm sea at night")]
    for chunk in range(CHUNKS):
        condition = Condition(
            prompts[chunk >= 5], recache=True if chunk == 5 else None, cut=chunk == 9, keep=1 if chunk == 7 else None
        )
        ours, theirs = reference.generator.step(condition), other.generator.step(condition)
        np.testing.assert_allclose(theirs.video, ours.video, atol=2e-3)
        shown, expected = other.decoder.decode(theirs), reference.decoder.decode(ours)
        assert np.abs(shown.video.astype(int) - expected.video).max() <= 2


def test_a_reset_makes_another_one_begin_alike(bundle: Bundle) -> None:
    model = load(bundle, seed=4)
    prompt = model.text.encode("snow")

    def stream() -> list[bytes]:
        latents = [model.generator.step(Condition(prompt)) for _ in range(4)]
        return [model.decoder.decode(each).video.tobytes() for each in latents]

    first = stream()
    model.generator.reset()
    model.decoder.reset()
    assert stream() == first
