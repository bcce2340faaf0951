"""Chunk after chunk over the ring, against the plain attention over whole clips, for longer than the window."""

import numpy as np
import pytest
import torch
from torch import Tensor

from streamgen_export.wan.blockwise import clip_velocity
from streamgen_export.wan.config import TINY, RingShape
from streamgen_export.wan.feeds import pass_inputs, random_context, sinusoid
from streamgen_export.wan.streaming import Denoise, PromptKv
from streamgen_export.wan.transformer import CausalWan
from tests.export.wan.tiny import SHAPES, tiny

CHUNKS = 9
"""Every ring of these tests has gone round at least once by then."""


class Stream:
    """A ring that chunks are denoised over."""

    def __init__(self, model: CausalWan, shape: RingShape, context: Tensor) -> None:
        self.shape, self.module = shape, Denoise(model, shape)
        self.prompt = PromptKv(model)(context)
        self.rings = [torch.zeros(size) for size in self.module.states().values()]

    def denoise(self, chunk: int, latent: Tensor, sigma: float) -> Tensor:
        inputs = pass_inputs(TINY, self.shape, chunk, latent.numpy(), sigma)
        with torch.no_grad():
            velocity, *self.rings = self.module(
                *(torch.from_numpy(np.asarray(each)) for each in inputs.values()), *self.prompt, *self.rings
            )
        out: Tensor = velocity
        return out


def chunk_of(latents: Tensor, shape: RingShape, chunk: int) -> Tensor:
    return latents[:, :, chunk * shape.chunk : (chunk + 1) * shape.chunk]


def clip(shape: RingShape, chunks: int, seed: int) -> Tensor:
    size = (1, TINY.channels, chunks * shape.chunk, shape.height, shape.width)
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(size).astype(np.float32))


def waves(sigmas: list[float]) -> Tensor:
    return torch.from_numpy(sinusoid(sigmas, TINY.time_width))


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_a_stream_is_the_clip(shape: RingShape) -> None:
    model, context = tiny(), torch.from_numpy(random_context(TINY))
    latents = clip(shape, CHUNKS, 0)
    assert CHUNKS * shape.chunk > shape.frames
    expected = clip_velocity(model, shape, latents, waves([0.0] * latents.shape[2]), context)
    stream = Stream(model, shape, context)
    for chunk in range(CHUNKS):
        made = stream.denoise(chunk, chunk_of(latents, shape, chunk), 0.0)
        torch.testing.assert_close(made, chunk_of(expected, shape, chunk), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_passes_with_noise_leave_no_trace_once_the_clean_pass_has_written(shape: RingShape) -> None:
    model, context = tiny(), torch.from_numpy(random_context(TINY))
    clean, noisy = clip(shape, CHUNKS, 0), clip(shape, CHUNKS, 1)
    stream = Stream(model, shape, context)
    for chunk in range(CHUNKS):
        for sigma in (1.0, 0.625):
            made = stream.denoise(chunk, chunk_of(noisy, shape, chunk), sigma)
            # The clip: clean chunks, and this one with its noise at the end.
            past = clean[:, :, : chunk * shape.chunk]
            latents = torch.cat((past, chunk_of(noisy, shape, chunk)), dim=2)
            levels = [0.0] * past.shape[2] + [sigma] * shape.chunk
            expected = clip_velocity(model, shape, latents, waves(levels), context)
            torch.testing.assert_close(made, chunk_of(expected, shape, chunk), rtol=1e-4, atol=1e-4)
        stream.denoise(chunk, chunk_of(clean, shape, chunk), 0.0)


def test_what_was_dropped_is_not_seen_again() -> None:
    """A cut begins to count anew over rings that are full of the past."""
    shape = SHAPES["three frames, sink"]
    model, context = tiny(), torch.from_numpy(random_context(TINY))
    latents = clip(shape, CHUNKS, 2)
    fresh, used = Stream(model, shape, context), Stream(model, shape, context)
    for chunk in range(CHUNKS):
        used.denoise(chunk, chunk_of(clip(shape, CHUNKS, 3), shape, chunk), 0.0)
    for chunk in range(CHUNKS):
        piece = chunk_of(latents, shape, chunk)
        torch.testing.assert_close(used.denoise(chunk, piece, 0.0), fresh.denoise(chunk, piece, 0.0))


def test_every_token_of_the_text_counts_padding_too() -> None:
    model = tiny()
    shape = SHAPES["no window"]
    latent = clip(shape, 1, 0)
    context = torch.from_numpy(random_context(TINY, length=5))
    other = context.clone()
    other[:, -1] = 1.0
    streams = [Stream(model, shape, each) for each in (context, other)]
    one, two = (stream.denoise(0, latent, 1.0) for stream in streams)
    assert (one - two).abs().max() > 1e-4
