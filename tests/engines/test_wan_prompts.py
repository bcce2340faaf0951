"""Prompts of a text graph that gives contexts alone."""

from pathlib import Path

import numpy as np
import pytest

from streamgen_engines.bundle import Bundle
from streamgen_engines.prompt import blend
from streamgen_engines.runtimes import OnnxRuntimeCpu
from streamgen_engines.text import CACHED_BYTES, TextEncoder
from tests.tiny_wan_bundle import TEXT_TOKENS, TEXT_WIDTH, write_tiny_wan_bundle


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> TextEncoder:
    bundle = Bundle.open(write_tiny_wan_bundle(tmp_path_factory.mktemp("wan") / "tiny"))
    return TextEncoder(bundle, OnnxRuntimeCpu())


def test_nothing_is_masked_and_places_without_a_token_are_zero(encoder: TextEncoder) -> None:
    prompt = encoder.encode("rain")
    assert prompt.context.shape == (1, TEXT_TOKENS, TEXT_WIDTH)
    assert prompt.pooled.shape == (1, 0)
    assert not prompt.context_bias.any()
    filled = np.abs(prompt.context[0]).sum(axis=1) > 0
    assert 0 < filled.sum() < TEXT_TOKENS


def test_a_blank_text_is_encoded_like_any_other(encoder: TextEncoder) -> None:
    blank = encoder.encode("  ")
    assert blank.text == ""
    assert blank.context.any()
    assert encoder.encode("") is blank


def test_a_blend_has_its_texts_and_mixes_no_hidden_states(encoder: TextEncoder) -> None:
    rain, sea = encoder.encode("rain"), encoder.encode("a calm sea at night")
    half = blend([(rain, 1), (sea, 1)])
    assert half.context.shape == (1, 0, TEXT_WIDTH)
    assert [part for part, _ in half.alone] == [rain, sea]
    assert half.shares == (("rain", 0.5), ("a calm sea at night", 0.5))
    assert half.pooled.shape == (1, 0)


def test_large_contexts_are_remembered_by_their_size(tmp_path: Path) -> None:
    bundle = Bundle.open(write_tiny_wan_bundle(tmp_path / "tiny"))
    assert TextEncoder(bundle, OnnxRuntimeCpu())._cached == 128
    text = bundle.manifest.text.model_copy(update={"max_tokens": 512, "width": 4096})
    assert CACHED_BYTES // (4 * text.max_tokens * text.width) == 16
