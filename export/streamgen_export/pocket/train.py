"""Trains a member of the pocket family from nothing to a bundle, with one command:

    python -m streamgen_export.pocket.train --size nano

Everything is seeded and resumable: run the same command again after a stop. Clips are rendered, never downloaded.
"""

from __future__ import annotations

import argparse
import multiprocessing
from dataclasses import dataclass
from pathlib import Path

import torch

from streamgen_export.pocket import checkpoint
from streamgen_export.pocket.clips import collect
from streamgen_export.pocket.config import NANO, PocketConfig
from streamgen_export.pocket.encoders import Encoders, load_encoders
from streamgen_export.pocket.latents import make_shards
from streamgen_export.pocket.train_autoencoders import AudioTraining, VideoTraining
from streamgen_export.pocket.train_transformer import TransformerTraining

FIRST_CLIPS = 512
"""Clips that must be there before the transformer starts."""
MEASURED_CLIPS = 192
"""Clips from which the statistics of the latents are taken."""
BUNDLES = Path("engines/streamgen_engines/bundles")


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


def train_autoencoders(plan: Plan, run: Path, seed: int) -> Encoders:
    """Both autoencoders and the statistics of their latents, or what an earlier run left of them."""
    path = run / "encoders.pt"
    if path.is_file():
        return load_encoders(plan.config, run)
    first = seed * 1_000_000 + 500_000
    clips = collect(range(first, first + plan.autoencoder_clips))
    audio = AudioTraining(plan.config, run, seed)
    audio.run(clips, plan.audio_steps)
    video = VideoTraining(plan.config, run, seed)
    video.run(clips, plan.video_steps)
    encoders = Encoders(plan.config)
    encoders.video.load_state_dict(video.encoder.state_dict())
    encoders.video_decoder.load_state_dict(video.decoder.state_dict())
    encoders.audio.load_state_dict(audio.encoder.state_dict())
    encoders.audio_decoder.load_state_dict(audio.decoder.state_dict())
    encoders.measure(clips[:MEASURED_CLIPS])
    checkpoint.save(path, encoders.state_dict())
    return encoders


def train(plan: Plan, run: Path, bundle: Path, seed: int) -> TransformerTraining:
    """The whole training; resumes whatever `run` holds."""
    encoders = train_autoencoders(plan, run, seed)
    maker = multiprocessing.get_context("spawn").Process(
        target=make_shards, args=(plan.config, run, bundle, plan.clips, seed * 1_000_000, 5), daemon=False
    )
    maker.start()
    try:
        training = TransformerTraining(plan.config, run, seed)
        training.run(
            plan.transformer_steps,
            alone_steps=plan.alone_steps,
            batch=plan.batch,
            rate=plan.rate,
            channel_weight=encoders.video_weight,
            wait_clips=min(plan.clips, FIRST_CLIPS),
        )
    finally:
        maker.terminate()
        maker.join()
    return training


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Train a pocket model and write its bundle.")
    parser.add_argument("--size", choices=sorted(PLANS), default="nano")
    parser.add_argument("--run", type=Path, help="folder of checkpoints and curves (default runs/SIZE)")
    parser.add_argument("--bundle", type=Path, help="bundle folder with text.onnx; the graphs are written there")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--only", choices=["autoencoders"], help="stop after this stage")
    options = parser.parse_args()
    plan = PLANS[options.size]
    run = options.run or Path("runs") / options.size
    bundle = options.bundle or BUNDLES / plan.config.name
    torch.set_num_threads(options.threads)
    if options.only == "autoencoders":
        train_autoencoders(plan, run, options.seed)
        return
    train(plan, run, bundle, options.seed)
    from streamgen_export.pocket.export import export

    export(plan.config, run, bundle)


if __name__ == "__main__":
    main()
