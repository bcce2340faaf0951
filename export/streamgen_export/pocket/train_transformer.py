"""Trains the joint transformer on latent shards while they are being made.

Some steps take chunks without a past: they are cheap, and all they can go by is the text, so words are learnt there.
They are clips of one chunk where a run has made such, otherwise some chunks of whole clips. The others take whole clips
with their past, some of which begin anew in the middle. What has learnt nothing yet takes the former first; weights
that another run has left take both in turns, because they would forget what to do with a past.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from streamgen_export.pocket import checkpoint
from streamgen_export.pocket.budget import Budget
from streamgen_export.pocket.config import PocketConfig
from streamgen_export.pocket.flow import Losses, alone_losses, beginnings, losses, own_predictions
from streamgen_export.pocket.latents import HELDOUT_SHARD, Batch, LatentSet, batch_of, read_shard
from streamgen_export.pocket.transformer import JointTransformer, Text

CAPTION_DROP = 0.1
SAVE_EVERY = 250
LOG_EVERY = 10
CHECK_EVERY = 250
ALONE_CHUNKS = 2
"""Chunks taken of each clip while they are learnt without a past: few, because those of one clip are much alike."""
OWN_PAST_FROM = 0.7
"""Share of the steps after which some batches see the model's own predictions as their past."""
OWN_PAST_SHARE = 0.35
DECAY_FROM = 0.5
EMA_DECAY = 0.9985


def rate_factor(step: int, share: float) -> float:
    """A rise over the first steps, a plateau, then a straight descent to 2 % over the last shares of the budget."""
    if step < 100:
        return (step + 1) / 100
    return 1.0 if share < DECAY_FROM else max(0.02, 1 - (share - DECAY_FROM) / (1 - DECAY_FROM))


def is_alone(step: int, share_spent: float, alone_share: float, *, in_turns: bool) -> bool:
    """Whether a step sees no past: the first `alone_share` of them, or every so manieth."""
    if in_turns:
        return int((step + 1) * alone_share) > int(step * alone_share)
    return share_spent < alone_share


def moved(batch: Batch, device: torch.device) -> Batch:
    """The same clips on another device."""
    if device.type == "cpu":
        return batch
    told = batch.text
    index = None if told.index is None else told.index.to(device)
    text = Text(told.context.to(device), told.bias.to(device), told.pooled.to(device), index)
    arrays = {name: getattr(batch, name).to(device) for name in ("video", "audio", "cells", "impacts", "still")}
    return replace(batch, **arrays, text=text)


class TransformerTraining:
    """The transformer in training; `run` resumes where the last run stopped."""

    stage = "transformer"
    """Name of its checkpoint and of its log."""

    def __init__(
        self, config: PocketConfig, folder: Path, seed: int, device: str = "cpu", *, compiled: bool = False
    ) -> None:
        torch.manual_seed(seed + 2)
        self.folder, self.seed, self.device = folder, seed, torch.device(device)
        self.model = JointTransformer(config).to(device)
        if compiled:
            for name in ("alone_forward", "train_forward"):
                setattr(self.model, name, torch.compile(getattr(self.model, name)))
        self.ema = {name: value.clone() for name, value in self.model.state_dict().items()}
        self.step = 0
        self.in_turns = False
        # Orthogonalised momentum (Muon, Jordan et al. 2024) for the matrices inside the layers, AdamW for the rest.
        matrices = [p for name, p in self.model.named_parameters() if name.startswith("layers.") and p.dim() == 2]
        matrices = [p for p in matrices if p.shape[0] > 6]
        inner = {id(p) for p in matrices}
        others = [p for p in self.model.parameters() if id(p) not in inner]
        self.optimisers: list[torch.optim.Optimizer] = [
            torch.optim.Muon(matrices, lr=1.0, weight_decay=0.02, momentum=0.95, adjust_lr_fn="match_rms_adamw"),
            torch.optim.AdamW(others, lr=1.0, betas=(0.9, 0.98), weight_decay=0.0),
        ]

    @property
    def path(self) -> Path:
        """Where the checkpoint lies."""
        return self.folder / f"{self.stage}.pt"

    def restore(self) -> float:
        """Take up the last checkpoint, if there is one; returns the seconds that were spent until then."""
        state = checkpoint.load(self.path)
        if state is None:
            return 0.0
        if "step" not in state:  # weights that were taken over
            self.begin_with(state["ema"])
            return 0.0
        self.model.load_state_dict(state["model"])
        self.ema = {name: value.to(self.device) for name, value in state["ema"].items()}
        self.step, self.in_turns = state["step"], state["in_turns"]
        for optimiser, saved in zip(self.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)
        return float(state.get("spent_s", 0.0))

    def begin_with(self, weights: Mapping[str, torch.Tensor]) -> None:
        """Begin with what another run has learnt."""
        self.in_turns = True
        self.model.load_state_dict(weights)
        self.ema = {name: value.clone() for name, value in self.model.state_dict().items()}

    def save(self, spent_s: float) -> None:
        """Write a checkpoint."""
        state = {"model": self.model.state_dict(), "ema": self.ema, "step": self.step, "in_turns": self.in_turns}
        optimisers = [o.state_dict() for o in self.optimisers]
        checkpoint.save(self.path, {**state, "spent_s": spent_s, "optimisers": optimisers})

    def averaged(self) -> JointTransformer:
        """A copy with the averaged weights: the one that is judged and shipped."""
        model = JointTransformer(self.model.config).to(self.device)
        model.load_state_dict(self.ema)
        return model.eval()

    def run(
        self,
        budget: Budget,
        *,
        alone_share: float,
        batch: int,
        rate: float,
        channel_weight: torch.Tensor,
        wait_clips: int,
    ) -> None:
        """Train until the budget is spent, waiting at first until `wait_clips` clips are there.

        A share of the steps, `alone_share`, takes chunks without a past, `ALONE_CHUNKS` from each of 8 times as many
        clips as `batch`, or as many of the clips of one chunk; see `is_alone` for which they are.
        """
        budget.spent_s += self.restore()
        channel_weight = channel_weight.to(self.device)
        data, lone = LatentSet(self.folder / "latents"), LatentSet(self.folder / "alone")
        # Clips of one chunk are made before the others, so they are there first where they are wanted at all.
        while data.refresh() + lone.refresh() < wait_clips:
            time.sleep(2)
        log = checkpoint.LossLog(self.folder / f"{self.stage}.jsonl")
        done = budget.over(self.step)
        bar = tqdm(itertools.count(self.step), initial=self.step, total=budget.steps, desc=self.stage, unit="step")
        for step in bar:
            if done:
                break
            share = budget.share(step)
            rng = np.random.default_rng([self.seed, 3, step])
            torch.manual_seed(self.seed * 1_000_003 + step)
            if step % 50 == 0:
                data.refresh()
                lone.refresh()
            alone = is_alone(step, share, alone_share, in_turns=self.in_turns)
            # In turns, whole clips that are not made yet need not be waited for.
            early = self.in_turns and alone_share > 0 and data.clips < batch
            if alone or early:
                if lone.clips:
                    clips = lone.draw(rng, 8 * batch * ALONE_CHUNKS, CAPTION_DROP)
                else:
                    clips = data.draw(rng, 8 * batch, CAPTION_DROP, ALONE_CHUNKS)
                loss = alone_losses(self.model, moved(clips, self.device), channel_weight)
            else:
                while data.clips < batch and data.refresh() < batch:
                    time.sleep(2)
                clips = moved(data.draw(rng, batch, CAPTION_DROP), self.device)
                start = beginnings(clips.text, *clips.video.shape[:2])
                own = share > OWN_PAST_FROM and rng.random() < OWN_PAST_SHARE
                past = own_predictions(self.model, clips, start) if own else None
                loss = self.loss(clips, channel_weight, start, past)
            for optimiser in self.optimisers:
                optimiser.zero_grad(set_to_none=True)
                for group in optimiser.param_groups:
                    group["lr"] = rate * rate_factor(step, share)
            loss.total.backward()
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            for optimiser in self.optimisers:
                optimiser.step()
            self._average(step)
            if step % LOG_EVERY == 0:
                entry = {"video": loss.video.item(), "audio": loss.audio.item()}
                log.write(step, entry)
                bar.set_postfix({"clips": data.clips + lone.clips, **{k: f"{v:.3f}" for k, v in entry.items()}})
            self.step = step + 1
            done = budget.over(self.step)
            if self.step % CHECK_EVERY == 0:
                log.write(step, self.check(channel_weight))
            if self.step % SAVE_EVERY == 0 or done:
                self.save(budget.elapsed_s)
                log.draw()

    def loss(
        self,
        batch: Batch,
        channel_weight: torch.Tensor,
        start: torch.Tensor,
        past: tuple[torch.Tensor, torch.Tensor] | None,
    ) -> Losses:
        """What is learnt from whole clips; see `losses`."""
        return losses(self.model, batch, channel_weight, start, past)

    def _average(self, step: int) -> None:
        decay = min(EMA_DECAY, (step + 1) / (step + 10))
        with torch.no_grad():
            for name, value in self.model.state_dict().items():
                self.ema[name].lerp_(value, 1 - decay)

    def check(self, channel_weight: torch.Tensor) -> dict[str, float]:
        """The loss of the averaged weights on held-out combinations, always with the same noise."""
        shard = read_shard(self.folder / "latents" / HELDOUT_SHARD)
        model = self.averaged()
        found = []
        for first in range(0, 32, 8):
            torch.manual_seed(first)
            rows = [(shard, row) for row in range(first, first + 8)]
            clips = moved(batch_of(rows, np.random.default_rng(0), 0.0), self.device)
            with torch.no_grad():
                found.append(self.errors(model, clips, channel_weight))
        return {name: float(np.mean([each[name] for each in found])) for name in found[0]}

    def errors(self, model: JointTransformer, clips: Batch, channel_weight: torch.Tensor) -> dict[str, float]:
        """How far a model is from held-out clips, without a past and with all of it."""
        alone = alone_losses(model, clips, channel_weight)
        unbroken = torch.zeros(clips.video.shape[:2], dtype=torch.int64, device=self.device)
        loss = losses(model, clips, channel_weight, unbroken)
        return {
            "heldout_video": loss.video.item(),
            "heldout_audio": loss.audio.item(),
            "heldout_video_alone": alone.video.item(),
            "heldout_audio_alone": alone.audio.item(),
        }
