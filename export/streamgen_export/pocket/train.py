"""Trains a member of the pocket family from nothing to a bundle, with one command:

    python -m streamgen_export.pocket.train --size pocket

Everything is seeded and resumable: run the same command again after a stop. Clips are rendered, never downloaded.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import shutil
import time
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from streamgen_export.pocket import checkpoint
from streamgen_export.pocket.budget import Budget
from streamgen_export.pocket.clips import collect, orders_of
from streamgen_export.pocket.config import NANO, POCKET, POCKET_SMALL, PocketConfig
from streamgen_export.pocket.encoders import Encoders, load_encoders
from streamgen_export.pocket.export import export, load_transformer
from streamgen_export.pocket.latents import Stock, make_shards
from streamgen_export.pocket.train_autoencoders import AudioTraining, VideoTraining
from streamgen_export.pocket.train_transformer import TransformerTraining

FIRST_CLIPS = 512
"""Clips that must be there before the transformer starts."""
MEASURED_CLIPS = 192
"""Clips from which the statistics of the latents are taken."""
BUNDLES = Path("engines/streamgen_engines/bundles")
AUTOENCODER_SHARE, SOUND_SHARE = 0.4, 0.12
"""Of the time of a plan that is for the autoencoders, rendering included, and of that time for the sound."""
SHARD = 64
"""Clips in one shard."""
LONE_SHARD = 512
"""Clips of one chunk in one shard."""


@dataclass(frozen=True)
class Plan:
    """How much of everything one training takes."""

    config: PocketConfig
    autoencoder_clips: int
    video_steps: int
    audio_steps: int
    clips: int
    alone_steps: int
    """Steps of the transformer's that see no past; part of `transformer_steps`."""
    transformer_steps: int
    batch: int
    rate: float = 2e-3
    siblings: tuple[PocketConfig, ...] = ()
    """Other sizes, whose clips the autoencoders train on too."""
    autoencoder_chunks: int = 0
    """Length of the clips on which the autoencoders train, all of which are in memory; 0 = the usual."""
    video_batch: int = 6
    lone_clips: int = 0
    """Clips of one chunk for the steps that see no past; 0 = these take chunks of the other clips."""
    after: str = ""
    """The plan of a smaller sibling that is carried out before, and whose autoencoders and weights are taken over."""

    def stocks(self, run: Path, seed: int) -> list[Stock]:
        """What the transformer trains on, in the order in which it is needed."""
        first = seed * 1_000_000
        clips = Stock(run / "latents", self.clips, 0, SHARD, first)
        if not self.lone_clips:
            return [clips]
        # The held-out clips come first: the checks need them from the start.
        heldout = replace(clips, clips=0)
        return [heldout, Stock(run / "alone", self.lone_clips, 1, LONE_SHARD, first + 600_000), clips]


PLANS = {
    "nano": Plan(
        NANO,
        autoencoder_clips=1024,
        video_steps=2000,
        audio_steps=2500,
        clips=5_120,
        alone_steps=1400,
        transformer_steps=3100,
        batch=8,
    ),
    "pocket-small": Plan(
        POCKET_SMALL,
        autoencoder_clips=1536,
        video_steps=4000,
        audio_steps=4000,
        clips=8_192,
        alone_steps=4500,
        transformer_steps=8000,
        batch=8,
        siblings=(POCKET,),
        autoencoder_chunks=3,
        video_batch=8,
        lone_clips=65_536,
    ),
    "pocket": Plan(
        POCKET,
        autoencoder_clips=1536,
        video_steps=4000,
        audio_steps=4000,
        clips=4_096,
        alone_steps=1000,
        transformer_steps=3500,
        batch=4,
        rate=1e-3,
        siblings=(POCKET_SMALL,),
        lone_clips=16_384,
        after="pocket-small",
    ),
    # Everything once, on next to nothing: for tests, and to see that a machine has what training needs.
    "smoke": Plan(
        NANO,
        autoencoder_clips=16,
        video_steps=6,
        audio_steps=6,
        clips=64,
        alone_steps=3,
        transformer_steps=6,
        batch=2,
    ),
}


@dataclass(frozen=True)
class Machine:
    """What a training runs on.

    Attributes:
        device: of torch.
        compiled: whether the transformer is compiled.
        workers: processes that render.
    """

    device: str = "cpu"
    compiled: bool = False
    workers: int = 2


def train_autoencoders(plan: Plan, run: Path, seed: int, machine: Machine, seconds: float | None = None) -> Encoders:
    """Both autoencoders and the statistics of their latents, or what an earlier run left of them."""
    path = run / "encoders.pt"
    if path.is_file():
        return load_encoders(plan.config, run)
    first = seed * 1_000_000 + 500_000
    seeds = range(first, first + plan.autoencoder_clips)
    sizes = (plan.config, *plan.siblings)
    shares = [seeds[i :: len(sizes)] for i in range(len(sizes))]
    orders = [
        order
        for config, share in zip(sizes, shares, strict=True)
        for order in orders_of(config, share, chunks=plan.autoencoder_chunks)
    ]
    began = time.monotonic()
    clips = collect(orders, processes=machine.workers)
    left = None if seconds is None else max(seconds - (time.monotonic() - began), 1.0)
    audio = AudioTraining(plan.config, run, seed, machine.device)
    audio.run(clips, Budget(plan.audio_steps, left and left * SOUND_SHARE))
    video = VideoTraining(plan.config, run, seed, machine.device)
    video.run(clips, Budget(plan.video_steps, left and left * (1 - SOUND_SHARE)), batch=plan.video_batch)
    encoders = Encoders(plan.config).to(machine.device)
    encoders.video.load_state_dict(video.encoder.state_dict())
    encoders.video_decoder.load_state_dict(video.decoder.state_dict())
    encoders.audio.load_state_dict(audio.encoder.state_dict())
    encoders.audio_decoder.load_state_dict(audio.decoder.state_dict())
    encoders.measure(clips[:MEASURED_CLIPS])
    checkpoint.save(path, encoders.state_dict())
    return encoders


def train(
    plan: Plan, run: Path, bundle: Path, seed: int, machine: Machine, seconds: float | None = None
) -> TransformerTraining:
    """The whole training; resumes whatever `run` holds, and takes over what the smaller sibling beside it learnt.

    Args:
        plan: what to train.
        run: folder of checkpoints; those of the sibling lie beside it.
        bundle: folder with the text graph.
        seed: of everything random.
        machine: what it runs on.
        seconds: to spend, instead of the plan's numbers of steps.
    """
    began = time.monotonic()
    if plan.after:
        shutil.copy2(run.parent / plan.after / "encoders.pt", run / "encoders.pt")
    encoders = train_autoencoders(plan, run, seed, machine, seconds and seconds * AUTOENCODER_SHARE)
    spawn = multiprocessing.get_context("spawn").Process
    stocks = plan.stocks(run, seed)
    makers = [
        spawn(target=make_shards, args=(plan.config, run, bundle, stocks, 5, part, machine.workers), daemon=True)
        for part in range(machine.workers)
    ]
    for maker in makers:
        maker.start()
    try:
        training = TransformerTraining(plan.config, run, seed, machine.device, compiled=machine.compiled)
        if plan.after:
            training.grow_from(load_transformer(PLANS[plan.after].config, run.parent / plan.after).state_dict())
        training.run(
            Budget(plan.transformer_steps, seconds and max(seconds - (time.monotonic() - began), 1.0)),
            alone_share=plan.alone_steps / plan.transformer_steps,
            batch=plan.batch,
            rate=plan.rate,
            channel_weight=encoders.video_weight,
            wait_clips=min(plan.lone_clips or plan.clips, FIRST_CLIPS),
        )
    finally:
        for maker in makers:
            maker.terminate()
            maker.join()
    return training


def stages(size: str) -> list[str]:
    """The plans that lead to a size, in order."""
    before = PLANS[size].after
    return [*(stages(before) if before else []), size]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Train a pocket model and write its bundle.")
    parser.add_argument("--size", choices=sorted(PLANS), default="pocket")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="a folder of checkpoints and curves per size")
    parser.add_argument("--bundles", type=Path, default=BUNDLES, help="bundle folders; text.onnx lies in each already")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--compile", action="store_true", help="compile the transformer (pays on a GPU)")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes that render")
    parser.add_argument("--minutes", type=float, help="time to spend, instead of the plan's numbers of steps")
    parser.add_argument("--only", choices=["autoencoders"], help="stop after this stage")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    machine = Machine(options.device, options.compile, options.workers)
    sizes = stages(options.size)
    seconds = None if options.minutes is None else 60 * options.minutes / len(sizes)
    for size in sizes:
        plan, run = PLANS[size], options.runs / size
        run.mkdir(parents=True, exist_ok=True)
        if options.only == "autoencoders":
            train_autoencoders(plan, run, options.seed, machine, seconds)
            return
        bundle = options.bundles / plan.config.name
        train(plan, run, bundle, options.seed, machine, seconds)
        export(plan.config, run, bundle)


if __name__ == "__main__":
    main()
