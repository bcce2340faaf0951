"""A gallery: what a bundle makes of ten prompts, as pictures along time with the sound below them.

python -m streamgen_export.pocket.gallery --bundle B --out docs/gallery
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from streamgen_engines.bundle import bundle_at
from streamgen_engines.errors import EngineError
from streamgen_engines.families import load
from streamgen_export.pocket.judge.figures import draw_spectrogram, save
from streamgen_export.pocket.judge.streams import ModelStream, Stream

PROMPTS: Final = (
    "a red balloon over the sea at sunset",
    "rain on a city at night",
    "a forest waking at dawn, calm music",
    "fireworks",
    "a fish under the ice",
    "snow falling on a quiet village",
    "a spaceship passing a ringed planet",
    "an abstract neon pulse with a fast beat",
    "a lighthouse in a storm",
    "a paper boat on a river",
)
PICTURES: Final = 6
SECONDS: Final = 8.0
_FIRST_S: Final = 0.5
"""When the first picture is taken: a stream has come out of nothing by then."""


@dataclass(frozen=True, eq=False)
class Row:
    """What was made of one prompt.

    Attributes:
        prompt: what was asked for.
        pictures: uint8 [n, H, W, 3], evenly spaced in time.
        times_s: when each of them is shown.
        audio: all of the sound, float32 [channels, S].
    """

    prompt: str
    pictures: NDArray[np.uint8]
    times_s: tuple[float, ...]
    audio: NDArray[np.float32]


def shoot_row(stream: Stream, prompt: str, seed: int, pictures: int = PICTURES, seconds: float = SECONDS) -> Row:
    """Generates a prompt from nothing and takes pictures of it on the way; keeps no others."""
    chunk_s = stream.form.chunk_s
    chunks = max(1, round(seconds / chunk_s))
    rate = float(stream.form.picture_rate)
    wanted = np.linspace(min(_FIRST_S, seconds / 2), chunks * chunk_s - 1 / rate, pictures)
    frames = sorted({int(time * rate) for time in wanted})
    stream.start(seed)
    taken: list[NDArray[np.uint8]] = []
    audio: list[NDArray[np.float32]] = []
    first = 0
    for _ in range(chunks):
        video, sound = stream.chunk(prompt)
        taken.extend(video[frame - first] for frame in frames if first <= frame < first + len(video))
        first += len(video)
        audio.append(sound)
    return Row(prompt, np.stack(taken), tuple(frame / rate for frame in frames), np.concatenate(audio, axis=1))


def draw_row(figure: Any, row: Row) -> None:
    """Pictures in a line with their times, the prompt above, the spectrogram below, into a figure or a part of one."""
    figure.suptitle(row.prompt, fontsize=11, x=0.008, ha="left", y=0.985)
    grid = figure.add_gridspec(
        2,
        len(row.pictures),
        height_ratios=(3.6, 1),
        left=0.008,
        right=0.992,
        top=0.84,
        bottom=0.03,
        wspace=0.03,
        hspace=0.1,
    )
    for column, (picture, time) in enumerate(zip(row.pictures, row.times_s, strict=True)):
        axes = figure.add_subplot(grid[0, column])
        axes.imshow(picture)
        axes.set_axis_off()
        axes.set_title(f"{time:.1f} s", fontsize=7, loc="left", pad=2)
    below = figure.add_subplot(grid[1, :])
    draw_spectrogram(below, row.audio)
    below.set_axis_off()


def draw_gallery(rows: Sequence[Row], folder: Path) -> list[Path]:
    """Writes `gallery.png` with all rows and one JPEG for each; returns the paths."""
    width, height = 13.0, 2.05
    everything = Figure(figsize=(width, height * len(rows)))
    parts = everything.subfigures(len(rows), 1, squeeze=False)[:, 0]
    paths = [folder / "gallery.png"]
    for number, (part, row) in enumerate(zip(parts, rows, strict=True), start=1):
        draw_row(part, row)
        alone = Figure(figsize=(width, height))
        draw_row(alone, row)
        paths.append(folder / f"{number:02d}-{slug(row.prompt)}.jpg")
        save(alone, paths[-1], dpi=100)
    save(everything, paths[0], dpi=100)
    return paths


def slug(prompt: str) -> str:
    """A prompt as a file is called: lower-case words with hyphens, at most 48 characters."""
    words = "".join(letter if letter.isalnum() else " " for letter in prompt.lower()).split()
    return "-".join(words)[:48].rstrip("-")


def parser() -> argparse.ArgumentParser:
    """Options of the command."""
    options = argparse.ArgumentParser(
        prog="python -m streamgen_export.pocket.gallery", description="Draws what a bundle makes of prompts."
    )
    options.add_argument("--bundle", type=Path, help="bundle folder (default: the one that ships with streamgen)")
    options.add_argument("--out", type=Path, default=Path("docs/gallery"), help="folder for the pictures")
    options.add_argument("--seed", type=int, default=0, help="of the noise")
    options.add_argument("--seconds", type=float, default=SECONDS, help=f"of each prompt (default {SECONDS})")
    options.add_argument("--pictures", type=int, default=PICTURES, help=f"of each prompt (default {PICTURES})")
    options.add_argument("--threads", type=int, default=2, help="to generate with")
    options.add_argument("prompts", nargs="*", default=list(PROMPTS), help="instead of the ten usual ones")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    options = parser().parse_args(arguments)
    if options.pictures < 1 or options.seconds <= 0:
        print("error: give at least 1 picture and more than 0 seconds", file=sys.stderr)
        return 2
    try:
        bundle = bundle_at(options.bundle)
        stream = ModelStream(load(bundle, options.threads))
    except EngineError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    rows = []
    for prompt in options.prompts:
        rows.append(shoot_row(stream, prompt, options.seed, options.pictures, options.seconds))
        print(prompt, flush=True)
    for path in draw_gallery(rows, options.out):
        print(f"wrote {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
