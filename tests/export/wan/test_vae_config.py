"""Sizes of Wan's decoder, and that they are those of the published one."""

import math

import pytest

from streamgen_export.wan.taehv import TAEW2_1, TaehvConfig
from streamgen_export.wan.vae_config import WAN_VAE, VaeConfig

STATES_AT_480P = 1_888_573_440
"""Bytes in float16 at 832x480, by hand: 2 pictures of 6,240 cells with 75,664 numbers for each cell."""


def test_the_published_decoder_carries_32_states_of_two_pictures() -> None:
    shapes = WAN_VAE.carried_shapes(60, 104)
    assert list(shapes) == [f"carried_{place}" for place in range(32)]
    assert {shape[2] for shape in shapes.values()} == {2}
    assert shapes["carried_0"] == (1, 16, 2, 60, 104)
    assert shapes["carried_11"] == (1, 384, 2, 60, 104)  # doubles the number of pictures
    assert shapes["carried_12"] == (1, 192, 2, 120, 208)
    assert shapes["carried_31"] == (1, 96, 2, 480, 832)
    assert sum(math.prod(shape) for shape in shapes.values()) * 2 == STATES_AT_480P


def test_taehv_remembers_nine_pictures() -> None:
    shapes = list(TAEW2_1.memory_shapes(60, 104).values())
    assert shapes == [(1, 256, 60, 104)] * 3 + [(1, 128, 120, 208)] * 3 + [(1, 64, 240, 416)] * 3
    assert sum(math.prod(shape) for shape in shapes) * 2 == 67_092_480


@pytest.mark.parametrize(
    "wrong",
    [
        {"latent_mean": (0.0,)},
        {"multipliers": (1, 2, 4)},
        {"doubles_time": (True, False, False)},
        {"doubles_time": (True, True, False, False)},
        {"base": 7},
    ],
)
def test_sizes_that_make_no_wan_decoder_are_refused(wrong: dict[str, tuple[float, ...]]) -> None:
    with pytest.raises(ValueError, match=r"latent|divide"):
        VaeConfig(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", [{"repeats": (2, 2, 2)}, {"widths": (8, 8)}])
def test_sizes_that_make_no_taehv_are_refused(wrong: dict[str, tuple[int, ...]]) -> None:
    with pytest.raises(ValueError, match="make"):
        TaehvConfig(**wrong)  # type: ignore[arg-type]
