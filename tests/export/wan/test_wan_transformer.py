"""The transformer against diffusers, with random weights: one clip in which all latent frames see one another."""

import copy
import math

import pytest
import torch

from streamgen_export.wan import parity
from streamgen_export.wan.config import TINY, RingShape
from streamgen_export.wan.feeds import sinusoid
from streamgen_export.wan.names import diffusers
from streamgen_export.wan.parity import DIFFUSERS_TOLERANCE, diffusers_error
from streamgen_export.wan.rotary import spatial_table, temporal_table
from streamgen_export.wan.transformer import CausalWan, randomise
from tests.export.wan.tiny import tiny

pytest.importorskip("diffusers", reason="pip install 'streamgen[dev]'")


@pytest.mark.parametrize(("height", "width", "frames", "sigma"), [(4, 6, 3, 1.0), (6, 4, 1, 0.625), (4, 4, 5, 0.0)])
def test_a_clip_is_that_of_diffusers(height: int, width: int, frames: int, sigma: float) -> None:
    assert diffusers_error(tiny(), height, width, frames, sigma) < DIFFUSERS_TOLERANCE


@pytest.mark.parametrize(
    "name",
    ["blocks.1.norm3.weight", "blocks.0.self_attn.norm_q.weight", "blocks.1.modulation", "head.modulation"],
)
def test_the_comparison_sees_every_part(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    ours, theirs = tiny(), copy.deepcopy(tiny())
    with torch.no_grad():
        theirs.get_parameter(name).mul_(1.5)
    make = parity._theirs
    monkeypatch.setattr(parity, "_theirs", lambda model: make(theirs))
    assert diffusers_error(ours, 4, 6) > 3 * DIFFUSERS_TOLERANCE


def test_every_tensor_has_a_name_in_diffusers() -> None:
    names = [name for name, _ in tiny().named_parameters()]
    assert len({diffusers(name) for name in names}) == len(names)


def test_rotary_tables_tell_rows_columns_and_frames_apart() -> None:
    shape = RingShape(1, 0, 0, 6, 8)
    cos, sin = spatial_table(TINY, shape)
    assert cos.shape == sin.shape == (12, 2 * TINY.spatial_pairs)
    assert len({tuple(row) for row in cos.round(6)}) == 12
    cos, sin = temporal_table(TINY, range(21))
    assert cos.shape == (21, TINY.temporal_pairs)
    assert sin[1, 0] == pytest.approx(0.841471)  # the fastest pair turns by one radian a frame


def test_the_sinusoid_is_that_of_the_time_step() -> None:
    wave = sinusoid([0.0, 0.9375], 256)
    assert wave.shape == (2, 256)
    assert wave[0].tolist() == [1.0] * 128 + [0.0] * 128
    assert wave[1, [0, 128]] == pytest.approx([math.cos(937.5), math.sin(937.5)], abs=1e-6)


def test_random_weights_are_nowhere_zero_and_depend_on_the_seed() -> None:
    model = randomise(CausalWan(TINY), 1)
    assert all(parameter.abs().max() > 0 for parameter in model.parameters())
    assert not torch.equal(model.head.head.weight, randomise(CausalWan(TINY), 2).head.head.weight)
