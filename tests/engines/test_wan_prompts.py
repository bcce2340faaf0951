"""Prompts of a text graph that gives contexts alone."""

import numpy as np
import pytest

from streamgen_engines.bundle import Bundle
from streamgen_engines.errors import PromptError
from streamgen_engines.families.wan import WanPrompts
from streamgen_engines.families.wan_text import WanTextEncoder
from streamgen_engines.prompt import MAX_BLENDED, blend
from streamgen_engines.runtimes import OnnxRuntimeCpu
from tests.tiny_wan_bundle import TEXT_TOKENS, TEXT_WIDTH, write_tiny_wan_bundle


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> WanPrompts:
    bundle = Bundle.open(write_tiny_wan_bundle(tmp_path_factory.mktemp("wan") / "tiny"))
    return WanPrompts(WanTextEncoder(bundle, OnnxRuntimeCpu()))


def test_nothing_is_masked_and_places_without_a_token_are_zero(encoder: WanPrompts) -> None:
    prompt = encoder.encode("rain")
    assert prompt.context.shape == (1, TEXT_TOKENS, TEXT_WIDTH)
    assert prompt.pooled.shape == (1, 0)
    assert not prompt.context_bias.any()
    filled = np.abs(prompt.context[0]).sum(axis=1) > 0
    assert 0 < filled.sum() < TEXT_TOKENS


def test_a_blank_text_is_encoded_like_any_other(encoder: WanPrompts) -> None:
    blank = encoder.encode("  ")
    assert blank.text == ""
    assert blank.context.any()
    np.testing.assert_array_equal(encoder.encode("").context, blank.context)


def test_a_blend_has_its_texts_and_mixes_no_hidden_states(encoder: WanPrompts) -> None:
    rain, sea = encoder.encode("rain"), encoder.encode("a calm sea at night")
    half = blend([(rain, 1), (sea, 1)])
    assert half.context.shape == (1, 0, TEXT_WIDTH)
    assert [part for part, _ in half.alone] == [rain, sea]
    assert half.shares == (("rain", 0.5), ("a calm sea at night", 0.5))
    assert half.pooled.shape == (1, 0)


def test_one_text_alone_is_the_text_itself(encoder: WanPrompts) -> None:
    alone = encoder.blend([("rain", 2.0), ("sun", 0.0)])
    np.testing.assert_array_equal(alone.context, encoder.encode("rain").context)
    assert alone.shares == (("rain", 1.0),)


def test_a_blend_of_too_many_texts_is_refused(encoder: WanPrompts) -> None:
    with pytest.raises(PromptError, match="at most 8 fit"):
        encoder.blend([(f"text {n}", 1.0) for n in range(MAX_BLENDED + 1)])
