"""The graphs of a bundle as torch modules: one chunk per call, with every state an input and an output."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from streamgen_export.onnx_export import ring_write
from streamgen_export.pocket.audio_autoencoder import REACH, WIDTH, unscaled
from streamgen_export.pocket.config import PocketConfig
from streamgen_export.pocket.encoders import Encoders
from streamgen_export.pocket.synth import Synthesiser
from streamgen_export.pocket.transformer import MASKED, JointTransformer, Text, attention, rotate
from streamgen_export.pocket.video_autoencoder import faded, shrunk


class RingAttention:
    """Attention of one chunk over the ring; every call writes the chunk's own keys and values first."""

    def __init__(self, model: JointTransformer, age: Tensor, index: Tensor, rings: tuple[Tensor, ...]) -> None:
        n = model.config.tokens
        self.index = index
        self.rings = list(rings)
        self.now = model.rotation(torch.zeros(1))
        self.then = model.rotation(age)
        seen = (age < 0).to(torch.float32) * MASKED
        self.bias = seen[:, None].expand(-1, n).reshape(1, 1, 1, -1)

    def __call__(self, layer: int, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """See `transformer.Attend`."""
        rings = self.rings
        rings[2 * layer] = ring_write(rings[2 * layer], key[:, 0], self.index)
        rings[2 * layer + 1] = ring_write(rings[2 * layer + 1], value[:, 0], self.index)
        k = rotate(rings[2 * layer], *self.then)
        return attention(rotate(query[:, 0], *self.now), k, rings[2 * layer + 1], self.bias)[:, None]


class Denoise(nn.Module):
    """`denoise.onnx`: the velocity of one chunk at one noise level, and the ring with this chunk written."""

    def __init__(self, model: JointTransformer) -> None:
        super().__init__()
        self.model = model

    def forward(
        self,
        video: Tensor,
        audio: Tensor,
        sigma: Tensor,
        context: Tensor,
        context_bias: Tensor,
        pooled: Tensor,
        age: Tensor,
        write_index: Tensor,
        *rings: Tensor,
    ) -> tuple[Tensor, ...]:
        """Shapes as in docs/architecture.md; `rings` is k_0, v_0, k_1, v_1, ..."""
        attend = RingAttention(self.model, age, write_index, rings)
        x = self.model.tokens(video, audio)[:, None]
        out = self.model.run(x, sigma[:, None], Text(context, context_bias, pooled), attend)
        made_video, made_audio = self.model.latents(out[:, 0])
        return (made_video, made_audio, *attend.rings)

    def states(self) -> dict[str, tuple[int, ...]]:
        """Names and shapes of the rings, in the order of `forward`."""
        c = self.model.config
        shape = (1, c.heads, c.slots * c.tokens, c.head_dim)
        return {f"{kind}_{layer}": shape for layer in range(c.layers) for kind in "kv"}


class DecodeVideo(nn.Module):
    """`decode_video.onnx`: one latent to four pictures, faded in from the last picture before."""

    def __init__(self, encoders: Encoders) -> None:
        super().__init__()
        self.decoder = encoders.video_decoder
        self.register_buffer("mean", encoders.video_mean[None, :, None, None].clone())
        self.register_buffer("scale", encoders.video_scale[None, :, None, None].clone())

    def forward(
        self, latent: Tensor, z_before: Tensor, features: Tensor, last: Tensor, begun: Tensor
    ) -> tuple[Tensor, ...]:
        """latent float32 [1, Z, h, w] -> pictures uint8 [4, H, W, 3] and the new states."""
        z = latent * self.get_buffer("scale") + self.get_buffer("mean")
        pictures, features = self.decoder(z, z_before, features)
        pictures = faded(pictures, last, begun)
        rgb = pictures[0].unflatten(0, (4, 3)).permute(0, 2, 3, 1)
        shown = ((rgb.clamp(-1, 1) + 1.0) * 127.5 + 0.5).to(torch.uint8)
        return shown, z, features, pictures[:, -3:], torch.ones_like(begun)

    @staticmethod
    def states(config: PocketConfig) -> dict[str, tuple[int, ...]]:
        """Names and shapes of the states, in the order of `forward`."""
        rows, columns = config.rows, config.columns
        return {
            "z_before": (1, config.video_channels, rows, columns),
            "features": (1, config.decoder_widths[2], 4 * rows, 4 * columns),
            "last": (1, 3, config.height, config.width),
            "begun": (1,),
        }


class DecodeAudio(nn.Module):
    """`decode_audio.onnx`: one latent to the samples of one chunk."""

    def __init__(self, encoders: Encoders, config: PocketConfig) -> None:
        super().__init__()
        self.decoder = encoders.audio_decoder
        self.synthesiser = Synthesiser(config)
        self.register_buffer("mean", encoders.audio_mean[None, :, None].clone())
        self.register_buffer("scale", encoders.audio_scale[None, :, None].clone())

    def forward(
        self, latent: Tensor, noise: Tensor, outer: Tensor, inner: Tensor, phase: Tensor, level: Tensor, tail: Tensor
    ) -> tuple[Tensor, ...]:
        """latent float32 [1, 16, L], noise float32 [2, S] -> samples float32 [2, S] and the new states."""
        z = latent * self.get_buffer("scale") + self.get_buffer("mean")
        controls, outer, inner = self.decoder(z, outer, inner)
        samples, phase, level, tail = self.synthesiser(unscaled(controls[0]), noise, phase, level, tail)
        return samples, outer, inner, phase, level, tail

    @staticmethod
    def states(config: PocketConfig) -> dict[str, tuple[int, ...]]:
        """Names and shapes of the states, in the order of `forward`."""
        return {"outer": (1, REACH, config.audio_channels), "inner": (1, REACH, WIDTH), **Synthesiser.states(config)}


class EncodeVideo(nn.Module):
    """`encode_video.onnx`: the pictures of a chunk to its latent."""

    def __init__(self, encoders: Encoders, upscale: int) -> None:
        super().__init__()
        self.encoder, self.upscale = encoders.video, upscale
        self.register_buffer("mean", encoders.video_mean[None, :, None, None].clone())
        self.register_buffer("scale", encoders.video_scale[None, :, None, None].clone())

    def forward(self, pictures: Tensor) -> tuple[Tensor]:
        """pictures uint8 [4, H, W, 3] -> latent float32 [1, Z, h, w]."""
        stacked = (pictures.float() / 127.5 - 1.0).permute(0, 3, 1, 2).flatten(0, 1)[None]
        stacked = shrunk(stacked, self.upscale)
        return ((self.encoder(stacked) - self.get_buffer("mean")) / self.get_buffer("scale"),)


class EncodePicture(nn.Module):
    """`encode_picture.onnx`: a picture to the latent of a chunk in which it stands still."""

    def __init__(self, encoders: Encoders, upscale: int) -> None:
        super().__init__()
        self.encoder, self.upscale = encoders.video, upscale
        self.register_buffer("mean", encoders.video_mean[None, :, None, None].clone())
        self.register_buffer("scale", encoders.video_scale[None, :, None, None].clone())

    def forward(self, picture: Tensor) -> tuple[Tensor]:
        """picture uint8 [H, W, 3] -> latent float32 [1, Z, h, w]."""
        still = (picture.float() / 127.5 - 1.0).permute(2, 0, 1).repeat(4, 1, 1)[None]
        still = shrunk(still, self.upscale)
        return ((self.encoder(still) - self.get_buffer("mean")) / self.get_buffer("scale"),)
