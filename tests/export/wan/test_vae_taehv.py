"""TAEHV's decoder latent by latent against a whole clip, layer by layer in the order of the published file."""

import torch
import torch.nn.functional as F
from torch import Tensor

from streamgen_export.wan.taehv import LEAD, DecodeTaehv
from streamgen_export.wan.vae_streaming import LatentStream
from streamgen_export.wan.vae_weights import published, taehv_names
from tests.export.wan.tiny_vae import COLUMNS, LATENTS, ROWS, TAEHV, random_latents, tiny_taehv

STAGES = (((3, 4, 5), 7, 8), ((9, 10, 11), 13, 14), ((15, 16, 17), 19, 20))
"""Numbers in the published file of the blocks with memory, of what makes more pictures, and of what follows it."""


def whole_clip(tensors: dict[str, Tensor], latents: Tensor) -> Tensor:
    """Latents [T, Z, h, w] -> [4 T, 3, 8 h, 8 w]: all moments at once, each block's memory shifted by one."""

    def layer(number: str, x: Tensor) -> Tensor:
        weight = tensors[f"decoder.{number}.weight"]
        return F.conv2d(x, weight, tensors.get(f"decoder.{number}.bias"), padding=weight.shape[-1] // 2)

    x = F.relu(layer("1", torch.tanh(latents / 3) * 3))
    for memories, grow, after in STAGES:
        for number in memories:
            y = torch.cat((x, torch.cat((torch.zeros_like(x[:1]), x[:-1]))), dim=1)
            for part in (0, 2, 4):
                y = layer(f"{number}.conv.{part}", y if part == 0 else F.relu(y))
            x = F.relu(y + x)
        x = x.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
        x = layer(f"{grow}.conv", x).reshape(-1, *x.shape[1:])
        x = layer(str(after), x)
    return layer("22", F.relu(x))


def test_a_stream_is_the_clip_decoded_at_once() -> None:
    decoder = tiny_taehv()
    names = taehv_names(TAEHV)
    tensors = {published(own, names): tensor for own, tensor in decoder.state_dict().items()}
    latents = list(random_latents(decoder, LATENTS, ROWS, COLUMNS, seed=7))
    stream = LatentStream({"decode_video": DecodeTaehv(decoder)})
    made = torch.cat([stream.decode(latent) for latent in latents])
    right = whole_clip(tensors, torch.cat(latents, dim=2)[0].transpose(0, 1))
    assert made.shape == right.shape == (4 * LATENTS, 3, 8 * ROWS, 8 * COLUMNS)
    assert float(right.std()) > 0.1
    torch.testing.assert_close(made, right, rtol=0.0, atol=1e-5)


def test_what_is_left_out_makes_one_picture_of_the_first_latent() -> None:
    """The published recipe trims one picture less than a latent makes, once: as long as Wan's 4 T - 3."""
    assert LEAD == 3
    assert 4 * LATENTS - LEAD == 4 * (LATENTS - 1) + 1
