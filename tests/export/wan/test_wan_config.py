"""Sizes and variants: the published figures, and what cannot be."""

import dataclasses

import pytest
import torch

from streamgen_export.wan.config import SIZES, WAN_1_3B, WAN_14B, RingShape, WanConfig
from streamgen_export.wan.transformer import CausalWan
from streamgen_export.wan.variants import KREA, LONGLIVE, SELF_FORCING, STREAMDIFFUSIONV2, VARIANTS


def parameters(config: WanConfig) -> int:
    with torch.device("meta"):
        return sum(each.numel() for each in CausalWan(config).parameters())


def test_sizes_have_the_published_number_of_weights() -> None:
    assert parameters(WAN_1_3B) == 1_418_996_800
    assert parameters(WAN_14B) == 14_288_491_584


def test_a_head_of_128_has_22_temporal_pairs() -> None:
    for config in SIZES.values():
        assert config.head_dim == 128
        assert (config.temporal_pairs, config.spatial_pairs) == (22, 21)


def test_shifted_steps_are_those_of_the_models_own_code() -> None:
    assert SELF_FORCING.sigmas == pytest.approx((1.0, 0.9375, 0.8333333, 0.625))
    assert VARIANTS["causvid"].sigmas == pytest.approx((1.0, 0.757, 0.522))


def test_rings_have_the_models_own_sizes() -> None:
    frames = {name: each.ring(60, 104).frames for name, each in VARIANTS.items()}
    assert frames == {"causvid": 21, "self-forcing": 21, "longlive": 12, "streamdiffusionv2": 21, "krea": 6}
    assert SELF_FORCING.ring(60, 104).slots == 32_760
    assert SELF_FORCING.ring(60, 104).chunk_tokens == 4_680
    one_frame = RingShape(1, 0, 0, 60, 104).bytes(WAN_1_3B, 2)
    assert one_frame == 287_539_200  # 287.5 MB for a latent frame in 16 bits
    assert LONGLIVE.ring(60, 104).bytes(WAN_1_3B, 2) == 12 * one_frame


def test_streamdiffusionv2_is_its_recipe_for_text() -> None:
    told = STREAMDIFFUSIONV2
    assert (told.chunk, told.window, told.sink, told.clean_pass) == (3, 18, 0, True)
    assert told.sigmas == (1.0, 0.75, 0.5, 0.25)


def test_all_recipes_for_text_end_with_a_clean_pass() -> None:
    assert all(each.clean_pass for each in VARIANTS.values())
    assert KREA.config is WAN_14B


@pytest.mark.parametrize(
    ("shape", "fault"),
    [
        ((3, 4, 0, 8, 8), "whole chunks"),
        ((3, 3, 1, 8, 8), "whole chunks"),
        ((0, 0, 0, 8, 8), "needs a chunk"),
        ((1, 0, 0, 7, 8), "multiples of 16"),
        ((1, 0, 0, 8, 0), "multiples of 16"),
    ],
)
def test_impossible_rings_are_refused(shape: tuple[int, int, int, int, int], fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        RingShape(*shape)


def test_impossible_transformers_and_variants_are_refused() -> None:
    with pytest.raises(ValueError, match="heads"):
        WanConfig("odd", layers=1, width=90, heads=4, feed_forward=8)
    with pytest.raises(ValueError, match="even"):
        WanConfig("odd", layers=1, width=96, heads=2, feed_forward=8, time_width=33)
    with pytest.raises(ValueError, match="must fall"):
        dataclasses.replace(SELF_FORCING, steps=(1.0, 0.5, 0.75))
    with pytest.raises(ValueError, match="begins as noise"):
        dataclasses.replace(SELF_FORCING, steps=(0.7, 0.5))
