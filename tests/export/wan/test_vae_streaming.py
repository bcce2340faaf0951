"""What is carried, and how bytes are made."""

import pytest
import torch
from torch import nn

from streamgen_export.wan.vae_graphs import graphs_of
from streamgen_export.wan.vae_parity import REACH, changes, still
from streamgen_export.wan.vae_streaming import FIRST, STEADY, Carried, as_bytes, cells
from tests.export.wan.tiny_vae import COLUMNS, ROWS, VAE, Name, random_latents, tiny, tiny_vae

DOUBLING = ("carried_11", "carried_18")
"""States of the two convolutions that double the number of pictures."""


def test_the_first_latent_leaves_what_the_reference_leaves() -> None:
    graph = graphs_of(tiny_vae())[FIRST]
    (latent,) = random_latents(tiny_vae(), 1, ROWS, COLUMNS, seed=1)
    zeros = graph.zeros(ROWS, COLUMNS)
    with torch.no_grad():
        frames, *left = graph(latent, *zeros.values())
    assert frames.shape == (1, 8 * ROWS, 8 * COLUMNS, 3)
    for name, state in zip(zeros, left, strict=True):
        assert state.shape == VAE.carried_shapes(ROWS, COLUMNS)[name]
        assert state[:, :, 0].count_nonzero() == 0
        assert bool(state[:, :, 1].any()) == (name not in DOUBLING)


def test_the_second_latent_fills_every_state() -> None:
    graphs = graphs_of(tiny_vae())
    first, second = random_latents(tiny_vae(), 2, ROWS, COLUMNS, seed=1)
    with torch.no_grad():
        _, *left = graphs[FIRST](first, *graphs[FIRST].zeros(ROWS, COLUMNS).values())
        frames, *later = graphs[STEADY](second, *left)
    assert frames.shape == (4, 8 * ROWS, 8 * COLUMNS, 3)
    names = list(VAE.carried_shapes(ROWS, COLUMNS))
    for name, before, after in zip(names, left, later, strict=True):
        single = after.shape[-1] == COLUMNS  # one picture for a latent up to the first doubling
        assert bool(after[:, :, 1].any())
        if single:
            assert torch.equal(after[:, :, 0], before[:, :, 1])
        assert bool(after[:, :, 0].any()) == (name != DOUBLING[0])


def test_a_state_is_the_last_two_pictures() -> None:
    carried = Carried([torch.tensor([1.0, 2.0]).reshape(1, 1, 2, 1, 1)] * 2, first=False)
    assert carried.before(torch.tensor([3.0]).reshape(1, 1, 1, 1, 1)).flatten().tolist() == [1.0, 2.0, 3.0]
    carried.before(torch.tensor([3.0, 4.0, 5.0]).reshape(1, 1, 3, 1, 1))
    assert [state.flatten().tolist() for state in carried.left] == [[2.0, 3.0], [4.0, 5.0]]


def test_bytes_are_the_nearest_ones_and_stay_in_range() -> None:
    values = torch.tensor([-1.0, 0.0, 0.6 / 255, 127.4 / 255, 127.6 / 255, 1.0, 7.0])
    made = as_bytes(values.reshape(1, 1, 1, 7).expand(1, 3, 1, 7))
    assert made.shape == (1, 1, 7, 3)
    assert made[0, 0, :, 0].tolist() == [0, 0, 1, 127, 128, 255, 255]


def test_channels_are_red_green_blue() -> None:
    colour = torch.tensor([1.0, 0.5, 0.0]).reshape(1, 3, 1, 1).expand(2, 3, 4, 4)
    assert as_bytes(colour)[1, 2, 3].tolist() == [255, 128, 0]


def test_only_whole_cells_are_decoded() -> None:
    assert cells(832, 480) == (60, 104)
    for width, height in ((830, 480), (832, 4), (0, 8)):
        with pytest.raises(ValueError, match="multiples of 8"):
            cells(width, height)


@pytest.mark.parametrize("name", ["wan", "taehv"])
def test_nothing_moves_where_nothing_changes(name: Name) -> None:
    """The same latent for ever, and weights that make equal pictures of one: a joint would show as a change."""
    decoder = tiny(name)
    for part in (part for name, part in decoder.named_modules() if name.endswith(".time")):
        assert isinstance(part, nn.Conv2d | nn.Conv3d)
        if part.out_channels == 2 * part.in_channels:
            for tensor in part.parameters():
                tensor[part.in_channels :] = tensor[: part.in_channels]
    (latent,) = random_latents(decoder, 1, ROWS, COLUMNS, seed=2)
    kept = still(decoder, latent, REACH)
    assert max(kept.joint, kept.inside) < 1e-6
    early = still(decoder, latent, 1)
    assert early.joint > 1e-3  # the beginning is not forgotten yet
    steady = graphs_of(decoder)[STEADY]
    lost = [steady.decoded(latent, list(steady.zeros(ROWS, COLUMNS).values()))[0] for _ in range(2)]
    assert changes(torch.cat(lost)).joint > 1e-2


def test_changes_at_joints_are_told_from_those_inside() -> None:
    pictures = torch.tensor([0.0, 0.1, 0.2, 0.3, 0.8, 0.9, 1.0, 1.1]).reshape(8, 1, 1, 1).expand(8, 3, 2, 2)
    found = changes(pictures)
    assert found.joint == pytest.approx(0.5)
    assert found.inside == pytest.approx(0.1)
