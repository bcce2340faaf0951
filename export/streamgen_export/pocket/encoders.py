"""The trained autoencoders together, with the statistics of their latents."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from streamgen_export.pocket import checkpoint
from streamgen_export.pocket.audio_autoencoder import AudioDecoder, AudioEncoder, scaled
from streamgen_export.pocket.config import PocketConfig
from streamgen_export.pocket.video_autoencoder import VideoDecoder, VideoEncoder, pictures_to_float, shrunk

if TYPE_CHECKING:
    from streamgen_export.pocket.clips import ClipArrays


class Encoders(nn.Module):
    """Both trained encoders and decoders, and the statistics of their latents."""

    video_mean: Tensor
    video_scale: Tensor
    audio_mean: Tensor
    audio_scale: Tensor
    video_weight: Tensor

    def __init__(self, config: PocketConfig) -> None:
        super().__init__()
        self.config = config
        self.video, self.audio = VideoEncoder(config), AudioEncoder(config)
        self.video_decoder, self.audio_decoder = VideoDecoder(config), AudioDecoder(config)
        for name, channels in (("video", config.video_channels), ("audio", config.audio_channels)):
            self.register_buffer(f"{name}_mean", torch.zeros(channels))
            self.register_buffer(f"{name}_scale", torch.ones(channels))
        self.register_buffer("video_weight", torch.ones(config.video_channels))
        self.audio_latents = config.audio_latents
        self.seen_width = config.seen[0]

    def encode_video(self, rgb: Tensor) -> Tensor:
        """uint8 [T * 4, H, W, 3], at full size or as the encoder sees them -> normalised latents [T, Z, h, w]."""
        device = self.video_mean.device
        pictures = shrunk(pictures_to_float(rgb.to(device)), rgb.shape[-2] // self.seen_width)
        pictures = pictures.contiguous(memory_format=torch.channels_last)
        z: Tensor = self.video(pictures)
        return (z - self.video_mean[:, None, None]) / self.video_scale[:, None, None]

    def encode_audio(self, controls: Tensor) -> Tensor:
        """Controls [F, K] -> normalised latents [T, 16, L], L of a chunk."""
        z = (
            self.audio(scaled(controls.to(self.audio_mean.device))[None])[0] - self.audio_mean[:, None]
        ) / self.audio_scale[:, None]
        split: Tensor = z.unflatten(1, (-1, self.audio_latents))
        return split.transpose(0, 1)

    def measure(self, clips: list[ClipArrays]) -> None:
        """Set the statistics from these clips, and from the decoder how much each video channel matters.

        Sound gets unit variance; channels of the picture already are as loud as they should be.

        `video_weight` is the change of the decoded picture when one channel is perturbed, relative to the mean over
        channels and kept within a factor of four: the flow loss spends its effort where pictures change.
        """
        with torch.no_grad():
            self.video_mean.zero_()
            self.video_scale.fill_(1)
            self.audio_mean.zero_()
            self.audio_scale.fill_(1)
            video = torch.cat([self.encode_video(torch.from_numpy(clip.rgb)) for clip in clips])
            audio = torch.cat([self.encode_audio(torch.from_numpy(clip.controls)) for clip in clips])
            self.video_mean.copy_(video.mean((0, 2, 3)))
            self.audio_mean.copy_(audio.mean((0, 2)))
            self.audio_scale.copy_(audio.std((0, 2)).clamp(min=1e-3))
            sample = video[:: max(len(video) // 8, 1)][:8][:, None]
            plain = self.video_decoder.clips(sample)
            effect = []
            for channel in range(video.shape[1]):
                moved = sample.clone()
                moved[:, :, channel] += 0.5
                effect.append((self.video_decoder.clips(moved) - plain).abs().mean())
            weight = torch.stack(effect)
            self.video_weight.copy_((weight / weight.mean()).clamp(0.25, 4.0))


def load_encoders(config: PocketConfig, folder: Path) -> Encoders:
    """The trained autoencoders of a run.

    Raises:
        FileNotFoundError: the autoencoders are not trained yet.
    """
    state = checkpoint.load(folder / "encoders.pt")
    if state is None:
        raise FileNotFoundError(f"{folder}/encoders.pt is missing; train with: python -m streamgen_export.pocket.train")
    encoders = Encoders(config)
    encoders.load_state_dict(state)
    return encoders.eval()
