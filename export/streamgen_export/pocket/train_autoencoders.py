"""Trains the picture and the sound autoencoder on rendered clips."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from streamgen_export.pocket import checkpoint
from streamgen_export.pocket.audio_autoencoder import AudioDecoder, AudioEncoder, control_loss, scaled
from streamgen_export.pocket.budget import Budget
from streamgen_export.pocket.clips import ClipArrays
from streamgen_export.pocket.config import PocketConfig
from streamgen_export.pocket.encoders import Encoders
from streamgen_export.pocket.video_autoencoder import (
    VideoDecoder,
    VideoEncoder,
    least_squares,
    pictures_to_float,
    principal_components,
    reconstruction_loss,
    shrunk,
)

SUBJECT_WEIGHT = 4.0
FORGIVEN = 0.1
"""Highest noise in latents of unit variance with which the decoder trains."""
LINEAR_CLIPS = 384
"""From which the linear reconstruction is taken."""
LINEAR_SHARE = 0.1
"""Of the rate, for the decoder's linear branch."""
IMPACT_WEIGHT = 3.0
SEEN_EVERY = 3
"""Every so manieth step takes clips drawn at the size that the encoder sees, as the transformer's clips are."""
SAVE_EVERY = 200
LOG_EVERY = 20


def cosine(step: int, share: float, warmup: int = 50) -> float:
    """Learning rate factor: a linear rise, then half a cosine over the shares of the budget, down to 2 %."""
    if step < warmup:
        return (step + 1) / warmup
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * share))


class VideoTraining:
    """The picture decoder in training, for an encoder in closed form; `run` resumes where the last run stopped."""

    def __init__(
        self, config: PocketConfig, folder: Path, seed: int, device: str = "cpu", *, known: Encoders | None = None
    ) -> None:
        """With `known`, the latents are those of another training, and so is the decoder to begin with if it fits."""
        torch.manual_seed(seed)
        self.config, self.folder, self.seed, self.device = config, folder, seed, torch.device(device)
        self.encoder, self.decoder = VideoEncoder(config).to(device), VideoDecoder(config).to(device)
        self.encoder.requires_grad_(requires_grad=False)
        self.step = 0
        self.known = known

    @property
    def path(self) -> Path:
        """Where the checkpoint lies."""
        return self.folder / "video_autoencoder.pt"

    def _groups(self, rate: float) -> list[dict[str, Any]]:
        """What learns, and how fast: the linear branch starts where it should be, with small weights."""
        linear = list(self.decoder.linear.parameters())
        branch = [p for name, p in self.decoder.named_parameters() if not name.startswith("linear.")]
        return [{"params": linear, "rate": LINEAR_SHARE * rate}, {"params": branch, "rate": rate}]

    def _begin(self, full: list[ClipArrays]) -> None:
        """The linear code, in closed form."""
        if self.known is None:
            picked, _ = self._batch(full, np.random.default_rng([self.seed, 0]), 1024, 1)
            principal_components(self.encoder, shrunk(picked[:, 0], self.config.upscale))
        else:
            self.encoder.load_state_dict(self.known.video.state_dict())
            if self.known.config == self.config:
                self.decoder.load_state_dict(self.known.video_decoder.state_dict())
                return
        least_squares(self.encoder, self.decoder, self._whole(full[:LINEAR_CLIPS]), self.config.upscale)

    def _whole(self, clips: list[ClipArrays]) -> Iterator[Tensor]:
        """Whole pictures, one clip after another: [T, 12, H, W]."""
        for clip in clips:
            yield pictures_to_float(torch.from_numpy(clip.rgb).to(self.device))

    def run(
        self, clips: list[ClipArrays], budget: Budget, *, batch: int = 6, chunks: int = 3, rate: float = 6e-4
    ) -> None:
        """Train until the budget is spent, on clips at full size and, if there are such, as the encoder sees them."""
        full = [clip for clip in clips if clip.rgb.shape[2] == self.config.width]
        seen = [clip for clip in clips if clip.rgb.shape[2] != self.config.width]
        optimiser = torch.optim.AdamW(self._groups(rate), betas=(0.9, 0.99), weight_decay=0.01)
        state = checkpoint.load(self.path)
        if state is None:
            self._begin(full)
        else:
            self.restore(state)
            optimiser.load_state_dict(state["optimiser"])
            budget.spent_s += state.get("spent_s", 0.0)
        for module in (self.encoder, self.decoder):
            module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        log = checkpoint.LossLog(self.folder / "video_autoencoder.jsonl")
        done = budget.over(self.step)
        bar = tqdm(itertools.count(self.step), initial=self.step, total=budget.steps, desc="pictures", unit="step")
        for step in bar:
            if done:
                break
            # Seeded by the step, so a resumed run draws what an unbroken one would have drawn.
            rng = np.random.default_rng([self.seed, 1, step])
            torch.manual_seed(self.seed * 1_000_003 + step)
            kind = seen if seen and step % SEEN_EVERY == 0 else full
            true, weight = self._batch(kind, rng, batch, chunks)
            for group in optimiser.param_groups:
                group["lr"] = group["rate"] * cosine(step, budget.share(step))
            loss = self._loss(true, weight)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.decoder.parameters(), 1.0)
            optimiser.step()
            if step % LOG_EVERY == 0:
                log.write(step, {"pictures": loss.item()})
                bar.set_postfix(loss=f"{loss.item():.4f}")
            self.step = step + 1
            done = budget.over(self.step)
            if self.step % SAVE_EVERY == 0 or done:
                state = {**self.state(), "optimiser": optimiser.state_dict(), "spent_s": budget.elapsed_s}
                checkpoint.save(self.path, state)
                log.draw()

    def _batch(
        self, clips: list[ClipArrays], rng: np.random.Generator, batch: int, chunks: int
    ) -> tuple[Tensor, Tensor]:
        """Successive chunks of some clips: pictures [B, T, 12, h, w] and weights [B, T, 4, h, w]."""
        rows = [self._pick(clips, rng, chunks) for _ in range(batch)]
        rgb, subject = (torch.from_numpy(np.stack(part)).to(self.device) for part in zip(*rows, strict=True))
        weight = 1.0 + SUBJECT_WEIGHT * subject.float() / 255
        # Contiguous: the loss is many passes over these, and slow where the colours lie innermost.
        return pictures_to_float(rgb).contiguous(), weight.unflatten(1, (chunks, 4))

    def _pick(
        self, clips: list[ClipArrays], rng: np.random.Generator, chunks: int
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Successive chunks of a square of some clip: pictures and the subjects' coverage."""
        clip = clips[int(rng.integers(len(clips)))]
        first = int(rng.integers(len(clip.rgb) // 4 - chunks + 1)) * 4
        rgb, subject = clip.rgb[first : first + 4 * chunks], clip.subject[first : first + 4 * chunks]
        factor = self.config.width // rgb.shape[2]
        edge, patch = self.config.crop // factor, self.config.patch // factor
        # Aligned to latent cells: a cell is never cut.
        top, left = (int(rng.integers((size - edge) // patch + 1)) * patch for size in rgb.shape[1:3])
        return rgb[:, top : top + edge, left : left + edge], subject[:, top : top + edge, left : left + edge]

    def _loss(self, true: Tensor, weight: Tensor) -> Tensor:
        with torch.autocast(self.device.type, torch.bfloat16):
            # Pictures that were drawn at the size that the encoder sees are judged at that size.
            factor = self.config.upscale if true.shape[-1] == self.config.crop else 1
            flat = shrunk(true.flatten(0, 1), factor).contiguous(memory_format=torch.channels_last)
            latents = self.encoder(flat).unflatten(0, true.shape[:2])
            # The transformer's latents are never exact: the decoder learns to forgive.
            noise = torch.rand(len(true), 1, 1, 1, 1, device=self.device) * FORGIVEN
            made = self.decoder.clips(latents + noise * torch.randn_like(latents))
            if factor != self.config.upscale:
                made = shrunk(made.flatten(0, 1), self.config.upscale).unflatten(0, true.shape[:2])
        return reconstruction_loss(made.float(), true, weight)

    def state(self) -> dict[str, object]:
        """Everything but the optimiser."""
        return {"encoder": self.encoder.state_dict(), "decoder": self.decoder.state_dict(), "step": self.step}

    def restore(self, state: dict[str, object]) -> None:
        """Take back what `state` gave."""
        self.encoder.load_state_dict(state["encoder"])  # type: ignore[arg-type]
        self.decoder.load_state_dict(state["decoder"])  # type: ignore[arg-type]
        self.step = int(state["step"])  # type: ignore[call-overload]


class AudioTraining:
    """The sound autoencoder in training; `run` resumes where the last run stopped."""

    def __init__(self, config: PocketConfig, folder: Path, seed: int, device: str = "cpu") -> None:
        torch.manual_seed(seed + 1)
        self.folder, self.seed, self.device = folder, seed, torch.device(device)
        self.encoder, self.decoder = AudioEncoder(config).to(device), AudioDecoder(config).to(device)
        self.step = 0

    @property
    def path(self) -> Path:
        """Where the checkpoint lies."""
        return self.folder / "audio_autoencoder.pt"

    def parameters(self) -> list[torch.nn.Parameter]:
        """Everything that learns."""
        return [*self.encoder.parameters(), *self.decoder.parameters()]

    def run(self, clips: list[ClipArrays], budget: Budget, *, batch: int = 32, rate: float = 2e-3) -> None:
        """Train until the budget is spent."""
        optimiser = torch.optim.AdamW(self.parameters(), lr=rate, betas=(0.9, 0.95), weight_decay=0.01)
        state = checkpoint.load(self.path)
        if state is not None:
            self.restore(state)
            optimiser.load_state_dict(state["optimiser"])
            budget.spent_s += state.get("spent_s", 0.0)
        controls = scaled(torch.from_numpy(np.stack([clip.controls for clip in clips])).to(self.device))
        impacts = torch.from_numpy(np.stack([clip.impact for clip in clips])).to(self.device)
        weights = 1.0 + IMPACT_WEIGHT * impacts.float()
        log = checkpoint.LossLog(self.folder / "audio_autoencoder.jsonl")
        done = budget.over(self.step)
        bar = tqdm(itertools.count(self.step), initial=self.step, total=budget.steps, desc="sound", unit="step")
        for step in bar:
            if done:
                break
            rng = np.random.default_rng([self.seed, 2, step])
            torch.manual_seed(self.seed * 1_000_003 + step)
            rows = torch.from_numpy(rng.integers(len(clips), size=batch)).to(self.device)
            for group in optimiser.param_groups:
                group["lr"] = rate * cosine(step, budget.share(step))
            latents = self.encoder(controls[rows])
            noisy = latents + torch.rand(batch, 1, 1, device=self.device) * 0.2 * torch.randn_like(latents)
            made, _, _ = self.decoder(noisy, *self.decoder.start(batch))
            loss = control_loss(made, controls[rows], weights[rows])
            # Unit variance is asked for loosely: it fixes the scale against which the noise above is measured.
            loss = loss + 1e-3 * latents.square().mean()
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.parameters(), 1.0)
            optimiser.step()
            if step % LOG_EVERY == 0:
                log.write(step, {"sound": loss.item()})
                bar.set_postfix(loss=f"{loss.item():.4f}")
            self.step = step + 1
            done = budget.over(self.step)
            if self.step % (SAVE_EVERY * 2) == 0 or done:
                state = {**self.state(), "optimiser": optimiser.state_dict(), "spent_s": budget.elapsed_s}
                checkpoint.save(self.path, state)
                log.draw()

    def state(self) -> dict[str, object]:
        """Everything but the optimiser."""
        return {"encoder": self.encoder.state_dict(), "decoder": self.decoder.state_dict(), "step": self.step}

    def restore(self, state: dict[str, object]) -> None:
        """Take back what `state` gave."""
        self.encoder.load_state_dict(state["encoder"])  # type: ignore[arg-type]
        self.decoder.load_state_dict(state["decoder"])  # type: ignore[arg-type]
        self.step = int(state["step"])  # type: ignore[call-overload]
