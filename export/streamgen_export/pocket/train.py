"""Trains a member of the pocket family from nothing to a bundle, with one command:

    python -m streamgen_export.pocket.train --size pocket

Everything is seeded and resumable: run the same command again after a stop. Clips are rendered, never downloaded.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from multiprocessing.process import BaseProcess
from pathlib import Path

import torch

from streamgen_export.captions import CaptionEncoder
from streamgen_export.pocket import checkpoint
from streamgen_export.pocket.budget import Budget
from streamgen_export.pocket.clips import ClipArrays, by_place, collect, orders_of
from streamgen_export.pocket.config import POCKET, POCKET_SMALL, SMOKE, PocketConfig
from streamgen_export.pocket.encoders import Encoders, load_encoders
from streamgen_export.pocket.export import GUARD_FILE, export, guard_for, load_transformer
from streamgen_export.pocket.few_step import FewStepTraining
from streamgen_export.pocket.latents import Stock, make_shards
from streamgen_export.pocket.train_autoencoders import AudioTraining, EnlargerTraining, PictureTraining
from streamgen_export.pocket.train_transformer import TransformerTraining
from streamgen_export.pocket.weights import take_over

FIRST_CLIPS = 512
"""Clips that must be there before the transformer starts."""
MEASURED_CLIPS = 192
"""Clips from which the statistics of the latents are taken."""
BUNDLES = Path("engines/streamgen_engines/bundles")
AUTOENCODER_SHARE, SOUND_SHARE, PICTURE_SHARE = 0.35, 0.1, 0.65
"""Of the time of a plan that is for the autoencoders, rendering included, and of that time for the sound and for the
pictures at the size that the encoder sees."""
AUTOENCODER_CHUNKS = 3
"""Length of the clips on which the autoencoders train, all of which are in memory."""
LONE_SEED = 50_000
"""How far behind the seeds of those clips the clips of one chunk begin."""
FEW_STEP_SHARE = 0.25
"""Of the time that is left after the autoencoders, where the few-step stage is asked for."""
RENDERING_SHARE = 0.3
"""Most of the time for which a training on a processor waits for clips; rendered beside it they would hinder it."""
SHARD = 64
"""Clips in one shard."""
LONE_SHARD = 512
"""Clips of one chunk in one shard."""


@dataclass(frozen=True)
class Plan:
    """How much of everything one training takes."""

    config: PocketConfig
    autoencoder_clips: int
    """Clips of a few chunks on which both autoencoders train."""
    autoencoder_lone_clips: int
    """Clips of one chunk, on which that of pictures trains as well."""
    full_clips: int
    """Clips at full size, for the decoder's last stage."""
    video_steps: int
    enlarger_steps: int
    audio_steps: int
    clips: int
    alone_steps: int
    """Steps of the transformer's that see no past; part of `transformer_steps`."""
    transformer_steps: int
    batch: int
    rate: float = 2e-3
    few_step_steps: int = 0
    """Of the few-step stage, which runs where it is asked for."""
    few_step_rate: float = 4e-4
    video_batch: int = 12
    """Chunks in a step of the picture autoencoder."""
    full_batch: int = 3
    """Clips in a step of the decoder's last stage."""
    lone_clips: int = 0
    """Clips of one chunk for the steps that see no past."""
    larger: str = ""
    """The plan of a larger sibling, carried out before, of which this size takes all but the decoder's last stage."""

    def stocks(self, run: Path, seed: int) -> list[Stock]:
        """What the transformer trains on, in the order in which it is needed."""
        first = seed * 1_000_000
        clips = Stock(run / "latents", self.clips, 0, min(SHARD, self.clips), first)
        lone = Stock(run / "alone", self.lone_clips, 1, min(LONE_SHARD, self.lone_clips), first + 600_000)
        # The held-out clips come first: the checks need them from the start.
        return [replace(clips, clips=0), lone, clips]


PLANS = {
    "pocket": Plan(
        POCKET,
        autoencoder_clips=2560,
        autoencoder_lone_clips=10_240,
        full_clips=320,
        video_steps=6000,
        enlarger_steps=1500,
        audio_steps=4000,
        clips=3_584,
        alone_steps=3500,
        transformer_steps=7000,
        batch=12,
        lone_clips=40_960,
        rate=1.6e-3,
        few_step_steps=1500,
    ),
    "pocket-small": Plan(
        POCKET_SMALL,
        autoencoder_clips=0,
        autoencoder_lone_clips=0,
        full_clips=0,
        video_steps=0,
        enlarger_steps=0,
        audio_steps=0,
        clips=0,
        alone_steps=0,
        transformer_steps=0,
        batch=0,
        larger="pocket",
    ),
    # Everything once, on next to nothing: for tests, and to see that a machine has what training needs.
    "smoke": Plan(
        SMOKE,
        autoencoder_clips=8,
        autoencoder_lone_clips=8,
        full_clips=2,
        video_steps=6,
        enlarger_steps=3,
        audio_steps=6,
        clips=16,
        alone_steps=3,
        transformer_steps=6,
        batch=2,
        lone_clips=16,
        few_step_steps=3,
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
    began = time.monotonic()
    clips, lone = autoencoder_clips(plan, seed, machine)
    left = None if seconds is None else max(seconds - (time.monotonic() - began), 1.0)
    audio = AudioTraining(plan.config, run, seed, machine.device)
    audio.run(clips, Budget(plan.audio_steps, left and left * SOUND_SHARE))
    video = PictureTraining(plan.config, run, seed, machine.device)
    video.run(clips, lone, Budget(plan.video_steps, left and left * PICTURE_SHARE), batch=plan.video_batch)
    encoders = Encoders(plan.config).to(machine.device)
    encoders.video.load_state_dict(video.encoder.state_dict())
    encoders.video_decoder.take_over(video.decoder)
    encoders.audio.load_state_dict(audio.encoder.state_dict())
    encoders.audio_decoder.load_state_dict(audio.decoder.state_dict())
    encoders.measure(clips[:MEASURED_CLIPS])
    left = None if seconds is None else max(seconds - (time.monotonic() - began), 1.0)
    train_enlarger(plan, run, seed, machine, encoders, left)
    checkpoint.save(path, encoders.state_dict())
    return encoders


def autoencoder_clips(plan: Plan, seed: int, machine: Machine) -> tuple[list[ClipArrays], list[ClipArrays]]:
    """What the autoencoders train on, as the encoder sees it: clips of a few chunks, and clips of one."""
    first = seed * 1_000_000 + 500_000
    orders = orders_of(plan.config, range(first, first + plan.autoencoder_clips), chunks=AUTOENCODER_CHUNKS, seen=True)
    first += LONE_SEED
    lone = orders_of(plan.config, range(first, first + plan.autoencoder_lone_clips), chunks=1, seen=True)
    drawn = collect([*orders, *by_place(lone)], processes=machine.workers)
    return drawn[: len(orders)], drawn[len(orders) :]


def train_decoder(plan: Plan, run: Path, seed: int, machine: Machine, seconds: float | None = None) -> None:
    """Train the picture decoder further, for latents that stay as they are.

    Raises:
        FileNotFoundError: there is none yet.
    """
    encoders = load_encoders(plan.config, run).to(machine.device)
    began = time.monotonic()
    clips, lone = autoencoder_clips(plan, seed, machine)
    left = None if seconds is None else max(seconds - (time.monotonic() - began), 1.0)
    video = PictureTraining(plan.config, run / "decoder", seed, machine.device, known=encoders)
    video.run(clips, lone, Budget(plan.video_steps, left and left * PICTURE_SHARE), batch=plan.video_batch)
    encoders.video_decoder.take_over(video.decoder)
    left = None if seconds is None else max(seconds - (time.monotonic() - began), 1.0)
    train_enlarger(plan, run, seed, machine, encoders, left)
    checkpoint.save(run / "encoders.pt", encoders.state_dict())
    video.path.unlink()  # the next training goes on from what was saved, with a schedule of its own


def train_enlarger(
    plan: Plan, run: Path, seed: int, machine: Machine, encoders: Encoders, seconds: float | None = None
) -> None:
    """Train the decoder's last stage, in place, where there is one."""
    if plan.config.upscale == 1:
        return
    first = seed * 1_000_000 + 500_000
    began = time.monotonic()
    orders = orders_of(plan.config, range(first, first + plan.full_clips), chunks=AUTOENCODER_CHUNKS)
    clips = collect(orders, processes=machine.workers)
    left = None if seconds is None else max(seconds - (time.monotonic() - began), 1.0)
    training = EnlargerTraining(plan.config, run, seed, machine.device, encoders)
    training.run(clips, Budget(plan.enlarger_steps, left), batch=plan.full_batch)
    training.path.unlink(missing_ok=True)  # its steps were done before a stop


def train(
    plan: Plan,
    run: Path,
    bundle: Path,
    seed: int,
    machine: Machine,
    seconds: float | None = None,
    *,
    few_steps: bool = False,
) -> TransformerTraining:
    """The whole training; resumes whatever `run` holds.

    Args:
        plan: what to train.
        run: folder of checkpoints.
        bundle: folder with the text graph.
        seed: of everything random.
        machine: what it runs on.
        seconds: to spend, instead of the plan's numbers of steps.
        few_steps: whether the few-step stage follows.

    Raises:
        FileNotFoundError: `bundle` lacks the text graph.
        ChildProcessError: clips could not be made.
    """
    began = time.monotonic()
    CaptionEncoder(bundle)  # fails here if it must: the processes that make shards would leave this one waiting
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
        if machine.device == "cpu":
            wait_for_clips(makers, None if seconds is None else seconds * RENDERING_SHARE)
        training = TransformerTraining(plan.config, run, seed, machine.device, compiled=machine.compiled)
        until = (seconds or 0.0) * (1 - FEW_STEP_SHARE if few_steps else 1.0)
        training.run(
            Budget(plan.transformer_steps, seconds and max(until - (time.monotonic() - began), 1.0)),
            alone_share=plan.alone_steps / plan.transformer_steps,
            batch=plan.batch,
            rate=plan.rate,
            channel_weight=encoders.video_weight,
            wait_clips=min(plan.lone_clips, FIRST_CLIPS),
        )
        if few_steps:
            left = seconds and max(seconds - (time.monotonic() - began), 1.0)
            train_few_steps(plan, run, seed, machine, encoders, left)
    finally:
        for maker in makers:
            maker.terminate()
            maker.join()
    return training


def wait_for_clips(makers: Sequence[BaseProcess], seconds: float | None) -> None:
    """Wait until clips are made, or for so long; on one processor, two that work beside one another hinder both.

    Raises:
        ChildProcessError: one that makes them has failed, and the training would wait for its clips for ever.
    """
    until = None if seconds is None else time.monotonic() + seconds
    for maker in makers:
        maker.join(until and max(until - time.monotonic(), 0.0))
        if maker.exitcode:
            raise ChildProcessError(f"a process that makes clips has ended with {maker.exitcode}; it said why")


def train_few_steps(
    plan: Plan, run: Path, seed: int, machine: Machine, encoders: Encoders, seconds: float | None = None
) -> FewStepTraining:
    """The few-step stage on whole clips with their past, from the transformer that `run` holds."""
    teacher = load_transformer(plan.config, run)
    training = FewStepTraining(plan.config, run, seed, machine.device, teacher, compiled=machine.compiled)
    training.run(
        Budget(plan.few_step_steps, seconds),
        alone_share=0.0,
        batch=plan.batch,
        rate=plan.few_step_rate,
        channel_weight=encoders.video_weight,
        wait_clips=1,
    )
    return training


def take_from_larger(plan: Plan, run: Path) -> None:
    """A smaller sibling is the larger one, whose run lies beside `run`, without the decoder's last stage.

    Raises:
        FileNotFoundError: the larger one is not trained yet.
    """
    source = run.parent / plan.larger
    known = load_encoders(PLANS[plan.larger].config, source)
    own = Encoders(plan.config)
    own.load_state_dict({name: known.state_dict()[name] for name in own.state_dict()})
    checkpoint.save(run / "encoders.pt", own.state_dict())
    shutil.copy2(source / "transformer.pt", run / "transformer.pt")
    (run / GUARD_FILE).write_text(json.dumps(guard_for(source)))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Train a pocket model and write its bundle.")
    parser.add_argument("--size", choices=sorted(PLANS), default="pocket")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="a folder of checkpoints and curves per size")
    parser.add_argument("--bundles", type=Path, default=BUNDLES, help="bundle folders; text.onnx lies in each already")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument(
        "--compile",
        action="store_true",
        help="compile the transformer (a CPU needs a C++ compiler)",
    )
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes that render")
    parser.add_argument("--minutes", type=float, help="time to spend, instead of the plan's numbers of steps")
    parser.add_argument("--weights", type=Path, help="of an earlier training (export/weights), to go on from")
    parser.add_argument("--few-steps", action="store_true", help="let the few-step stage follow, and export its model")
    parser.add_argument("--only", choices=["autoencoders", "decoder", "few-steps"], help="this stage alone")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    machine = Machine(options.device, options.compile, options.workers)
    seconds = None if options.minutes is None else 60 * options.minutes
    plan, run = PLANS[options.size], options.runs / options.size
    run.mkdir(parents=True, exist_ok=True)
    bundle = options.bundles / plan.config.name
    if options.weights is not None:
        take_over(options.weights, plan.config, run)
    if plan.larger:
        take_from_larger(plan, run)
    elif options.only == "decoder":
        train_decoder(plan, run, options.seed, machine, seconds)
    elif options.only == "autoencoders":
        train_autoencoders(plan, run, options.seed, machine, seconds)
        return
    elif options.only == "few-steps":
        train_few_steps(plan, run, options.seed, machine, load_encoders(plan.config, run), seconds)
    else:
        train(plan, run, bundle, options.seed, machine, seconds, few_steps=options.few_steps)
    export(plan.config, run, bundle, few_steps=options.few_steps or options.only == "few-steps")


if __name__ == "__main__":
    main()
