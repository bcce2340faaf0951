"""How loud the channels of a latent should be: what noise in latents costs in pictures, for several ways to scale them.

    python -m streamgen_export.pocket.judge.scales      # writes bench/judge/scales.json

Latents are the principal components of patches. Each way gives a component of variance v a channel of variance in
proportion to v to some exponent, one on average: 0 is whitening, 0.5 is what `principal_components` does, 1 leaves
them as they are. Pictures are rebuilt by the best linear estimate, in closed form: no decoder is trained for this.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from streamgen_export.pocket.clips import by_place, orders_of, rendered
from streamgen_export.pocket.config import POCKET
from streamgen_export.pocket.video_autoencoder import pictures_to_float

COMMAND: Final = "python -m streamgen_export.pocket.judge.scales"
SEED: Final = 730_000_000
CLIPS: Final = 400
EXPONENTS: Final = (0.0, 0.25, 0.5, 0.75, 1.0)
NOISES: Final = (0.0, 0.1, 0.25, 0.5, 1.0)
RANGE: Final = 2.0
"""Of pictures, -1 to 1."""


@dataclass(frozen=True, slots=True)
class Components:
    """Variances of the kept components, float64 [Z], and what all others leave out, per pixel and colour."""

    variances: NDArray[np.float64]
    left_out: float
    pixels: int


def components_of(pictures: torch.Tensor, channels: int, edge: int) -> Components:
    """Principal components of the patches of pictures [B, 12, H, W]."""
    patches = F.unfold(pictures, edge, stride=edge).transpose(1, 2).flatten(0, 1)
    centred = patches - patches.mean(0)
    total = float(centred.square().mean())
    _, scale, _ = torch.pca_lowrank(centred, q=channels, center=False, niter=4)
    variances = (scale.square() / (len(patches) - 1)).double().numpy()
    pixels = patches.shape[1]
    return Components(variances, total - float(variances.sum()) / pixels, pixels)


def decibels(found: Components, exponent: float, noise: float) -> float:
    """Peak signal to noise of pictures rebuilt from latents in which every channel has the same noise."""
    power = found.variances**exponent
    power *= len(power) / power.sum()
    error = (found.variances * noise**2 / (power + noise**2)).sum() / found.pixels + found.left_out
    return float(10 * np.log10(RANGE**2 / error))


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog=COMMAND, description="What noise in latents costs, by how they are scaled.")
    parser.add_argument("--clips", type=int, default=CLIPS, help=f"clips of one chunk to render [{CLIPS}]")
    parser.add_argument("--out", type=Path, default=Path("bench/judge/scales.json"))
    options = parser.parse_args(arguments)
    torch.set_grad_enabled(False)
    orders = orders_of(POCKET, range(SEED, SEED + options.clips), chunks=1, seen=True)
    pictures = torch.cat([pictures_to_float(torch.from_numpy(clip.rgb)) for clip in rendered(by_place(orders))])
    found = components_of(pictures, POCKET.video_channels, POCKET.patch // POCKET.upscale)
    table = {
        f"{exponent:g}": {f"{noise:g}": round(decibels(found, exponent, noise), 2) for noise in NOISES}
        for exponent in EXPONENTS
    }
    result: dict[str, Any] = {
        "command": COMMAND,
        "clips": options.clips,
        "channels": POCKET.video_channels,
        "psnr_db_by_exponent_and_noise": table,
    }
    options.out.write_text(json.dumps(result, indent=1) + "\n")
    print("exponent  " + "  ".join(f"noise {noise:<4g}" for noise in NOISES))
    for exponent, row in table.items():
        print(f"{exponent:<8}  " + "  ".join(f"{value:>10.2f}" for value in row.values()))


if __name__ == "__main__":
    main()
