"""Trains the picture and the sound autoencoder on rendered clips."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from streamgen_export.pocket.audio_autoencoder import AudioDecoder, AudioEncoder, control_loss, scaled
from streamgen_export.pocket.budget import Budget
from streamgen_export.pocket.clips import ClipArrays
from streamgen_export.pocket.config import PocketConfig
from streamgen_export.pocket.critic import Adversary
from streamgen_export.pocket.encoders import Encoders
from streamgen_export.pocket.orthogonal import Orthogonal
from streamgen_export.pocket.precision import mixed
from streamgen_export.pocket.training_steps import resume, steps
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
FORGIVEN = 0.5
"""Highest noise in latents with which the picture decoder trains."""
CRITICAL_FROM = 0.3
"""Share of the budget after which the critic is heard: before, pictures are too bad to be judged."""
LINEAR_CLIPS = 384
"""From which the linear code is taken."""
LINEAR_SHARE = 0.1
"""Of the rate, for the linear branch."""
IMPACT_WEIGHT = 3.0
LONE_EVERY = 2
"""Every so manieth step takes clips of one chunk: more worlds than the longer clips have."""
SAVE_EVERY = 200


def cosine(step: int, share: float, warmup: int = 50) -> float:
    """Learning rate factor: a linear rise, then half a cosine over the shares of the budget, down to 2 %."""
    if step < warmup:
        return (step + 1) / warmup
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * share))


class PictureTraining:
    """The picture decoder in training, at the size that the encoder sees; `run` resumes where the last one stopped.

    The encoder is in closed form. Its latents are made noisy before they are decoded, as much as a transformer's are.
    """

    def __init__(
        self, config: PocketConfig, folder: Path, seed: int, device: str = "cpu", *, known: Encoders | None = None
    ) -> None:
        """With `known`, the latents are those of another training, and so is the decoder to begin with."""
        torch.manual_seed(seed)
        self.config, self.folder, self.seed, self.device = config.sketched, folder, seed, torch.device(device)
        self.encoder, self.decoder = VideoEncoder(self.config).to(device), VideoDecoder(self.config).to(device)
        self.encoder.requires_grad_(requires_grad=False)
        self.adversary = Adversary(config.video_channels, seed, self.device)
        self.step = 0
        self.known = known

    @property
    def path(self) -> Path:
        """Where the checkpoint lies."""
        return self.folder / "video_autoencoder.pt"

    def _optimiser(self) -> Orthogonal:
        """What learns, and how fast: the linear branch starts where it should be, with small weights."""
        linear: list[nn.Parameter] = []
        branch: list[nn.Parameter] = []
        for name, parameter in self.decoder.named_parameters():
            (linear if name.startswith("linear.") else branch).append(parameter)
        return Orthogonal(branch, linear, LINEAR_SHARE)

    def _begin(self, clips: Sequence[ClipArrays]) -> None:
        """The linear code, in closed form."""
        if self.known is not None:
            self.encoder.load_state_dict(self.known.video.state_dict())
            self.decoder.take_over(self.known.video_decoder)
            return
        rng = np.random.default_rng([self.seed, 0])
        picked = torch.cat([self._batch(clips, rng, 64, 1)[0][:, 0] for _ in range(16)])
        principal_components(self.encoder, picked)
        whole = (pictures_to_float(torch.from_numpy(clip.rgb).to(self.device)) for clip in clips[:LINEAR_CLIPS])
        least_squares(self.encoder, self.decoder, whole)

    def run(
        self,
        clips: Sequence[ClipArrays],
        lone: Sequence[ClipArrays],
        budget: Budget,
        *,
        batch: int = 12,
        rate: float = 2e-3,
    ) -> None:
        """Train until the budget is spent.

        Args:
            clips: of two chunks and more.
            lone: clips of one chunk, if there are such.
            budget: steps or seconds.
            batch: chunks of a step.
            rate: highest learning rate.
        """
        for module in (self.encoder, self.decoder):
            module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        optimiser = self._optimiser()
        if not resume(self, optimiser, budget):
            self._begin(clips)
        for step in steps(self, optimiser, budget, name="pictures", draws=1, save_every=SAVE_EVERY):
            alone = bool(lone) and step.number % LONE_EVERY == 0
            if alone:
                drawn = self._batch(lone, step.rng, batch, 1)
            else:
                drawn = self._batch(clips, step.rng, max(batch // 2, 1), 2)
            critical = self.known is not None or budget.share(step.number) >= CRITICAL_FROM
            loss = self._loss(*drawn, critical=critical)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step(rate * cosine(step.number, budget.share(step.number)))
            step.loss = loss.detach()

    def _batch(
        self, clips: Sequence[ClipArrays], rng: np.random.Generator, batch: int, chunks: int
    ) -> tuple[Tensor, Tensor]:
        """Successive chunks of some clips: pictures [B, T, 12, h, w] and weights [B, T, 4, h, w]."""
        parts = []
        for _ in range(batch):
            clip = clips[int(rng.integers(len(clips)))]
            first = 4 * int(rng.integers(len(clip.captions) - chunks + 1))
            parts.append((clip.rgb[first : first + 4 * chunks], clip.subject[first : first + 4 * chunks]))
        rgb, subject = (torch.from_numpy(np.stack(part)).to(self.device) for part in zip(*parts, strict=True))
        weight = 1.0 + SUBJECT_WEIGHT * subject.float() / 255
        # Contiguous: the loss is many passes over these, and slow where the colours lie innermost.
        return pictures_to_float(rgb).contiguous(), weight.unflatten(1, (chunks, 4))

    def _loss(self, true: Tensor, weight: Tensor, *, critical: bool) -> Tensor:
        with mixed(self.device):
            latents = self.encoder(true.flatten(0, 1)).unflatten(0, true.shape[:2])
            noise = torch.rand(len(true), 1, 1, 1, 1, device=self.device) * FORGIVEN
            latents = latents + noise * torch.randn_like(latents)
            made = self.decoder.clips(latents).float()
            loss = reconstruction_loss(made, true, weight)
            return self.adversary.loss(made, true, latents, loss) if critical else loss

    def state(self) -> dict[str, object]:
        """Everything but the optimiser of the decoder."""
        learnt = {"encoder": self.encoder.state_dict(), "decoder": self.decoder.state_dict()}
        return {**learnt, "adversary": self.adversary.state_dict(), "step": self.step}

    def restore(self, state: dict[str, object]) -> None:
        """Take back what `state` gave."""
        self.encoder.load_state_dict(state["encoder"])  # type: ignore[arg-type]
        self.decoder.load_state_dict(state["decoder"])  # type: ignore[arg-type]
        self.adversary.load_state_dict(state["adversary"])  # type: ignore[arg-type]
        self.step = int(state["step"])  # type: ignore[call-overload]


class EnlargerTraining:
    """The decoder's last stage in training, on top of all else that stays as it is."""

    def __init__(self, config: PocketConfig, folder: Path, seed: int, device: str, known: Encoders) -> None:
        torch.manual_seed(seed)
        self.config, self.folder, self.seed, self.device = config, folder, seed, torch.device(device)
        self.known = known.to(device)
        self.decoder = known.video_decoder
        assert self.decoder.enlarger is not None
        self.enlarger = self.decoder.enlarger
        self.adversary = Adversary(config.video_channels, seed, self.device)
        self.step = 0

    @property
    def path(self) -> Path:
        """Where the checkpoint lies."""
        return self.folder / "enlarger.pt"

    def run(
        self, clips: Sequence[ClipArrays], budget: Budget, *, batch: int = 4, chunks: int = 2, rate: float = 2e-3
    ) -> None:
        """Train until the budget is spent, on clips at full size."""
        self.decoder.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        optimiser = Orthogonal(list(self.enlarger.parameters()))
        resume(self, optimiser, budget)
        for step in steps(self, optimiser, budget, name="full size", draws=4, save_every=SAVE_EVERY):
            loss = self._loss(clips, step.rng, batch, chunks, critical=budget.share(step.number) >= CRITICAL_FROM)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step(rate * cosine(step.number, budget.share(step.number)))
            step.loss = loss.detach()

    def _loss(
        self, clips: Sequence[ClipArrays], rng: np.random.Generator, batch: int, chunks: int, *, critical: bool
    ) -> Tensor:
        """Pictures of successive chunks of some clips, from latents about as inexact as the transformer's."""
        picked = [clips[int(rng.integers(len(clips)))] for _ in range(batch)]
        firsts = [4 * int(rng.integers(len(clip.captions) - chunks + 1)) for clip in picked]
        cut = [slice(first, first + 4 * chunks) for first in firsts]
        rgb = np.stack([clip.rgb[part] for clip, part in zip(picked, cut, strict=True)])
        cover = np.stack([clip.subject[part] for clip, part in zip(picked, cut, strict=True)])
        true = pictures_to_float(torch.from_numpy(rgb).to(self.device)).contiguous()
        weight = 1.0 + SUBJECT_WEIGHT * torch.from_numpy(cover).to(self.device).float() / 255
        with mixed(self.device):
            with torch.no_grad():
                flat = shrunk(true.flatten(0, 1), self.config.upscale).contiguous(memory_format=torch.channels_last)
                latents = self.known.video(flat).unflatten(0, true.shape[:2])
                noise = torch.rand(batch, 1, 1, 1, 1, device=self.device) * FORGIVEN
                latents = latents + noise * torch.randn_like(latents)
                small, features = self.decoder.sketches(latents)
            made = self.enlarger(small, features).unflatten(0, true.shape[:2]).float()
            loss = reconstruction_loss(made, true, weight.unflatten(1, (chunks, 4)))
            return self.adversary.loss(made, true, latents, loss) if critical else loss

    def state(self) -> dict[str, object]:
        """Everything but the optimiser of the last stage."""
        learnt = {"enlarger": self.enlarger.state_dict(), "adversary": self.adversary.state_dict()}
        return {**learnt, "step": self.step}

    def restore(self, state: dict[str, object]) -> None:
        """Take back what `state` gave."""
        self.enlarger.load_state_dict(state["enlarger"])  # type: ignore[arg-type]
        self.adversary.load_state_dict(state["adversary"])  # type: ignore[arg-type]
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
        resume(self, optimiser, budget)
        controls = scaled(torch.from_numpy(np.stack([clip.controls for clip in clips])).to(self.device))
        impacts = torch.from_numpy(np.stack([clip.impact for clip in clips])).to(self.device)
        weights = 1.0 + IMPACT_WEIGHT * impacts.float()
        for step in steps(self, optimiser, budget, name="sound", draws=2, save_every=SAVE_EVERY * 2):
            rows = torch.from_numpy(step.rng.integers(len(clips), size=batch)).to(self.device)
            for group in optimiser.param_groups:
                group["lr"] = rate * cosine(step.number, budget.share(step.number))
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
            step.loss = loss.detach()

    def state(self) -> dict[str, object]:
        """Everything but the optimiser."""
        return {"encoder": self.encoder.state_dict(), "decoder": self.decoder.state_dict(), "step": self.step}

    def restore(self, state: dict[str, object]) -> None:
        """Take back what `state` gave."""
        self.encoder.load_state_dict(state["encoder"])  # type: ignore[arg-type]
        self.decoder.load_state_dict(state["decoder"])  # type: ignore[arg-type]
        self.step = int(state["step"])  # type: ignore[call-overload]
