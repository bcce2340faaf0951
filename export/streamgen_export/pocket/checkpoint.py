"""Checkpoints that survive a stop at any moment, and the log of losses with its picture."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch


def save(path: Path, state: Mapping[str, Any]) -> None:
    """Write a checkpoint; a stop half way leaves the old one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    torch.save(dict(state), partial)
    os.replace(partial, path)


def load(path: Path) -> dict[str, Any] | None:
    """Read a checkpoint, or None where there is none yet."""
    if not path.is_file():
        return None
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return state


class LossLog:
    """One JSON line per entry in `path`, and all of it as curves in a picture beside it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)

    def write(self, step: int, losses: Mapping[str, float]) -> None:
        """Append one entry."""
        with self.path.open("a") as file:
            file.write(json.dumps({"step": step, **{name: round(value, 5) for name, value in losses.items()}}) + "\n")

    def draw(self) -> Path:
        """Draw every curve against the step and return the picture's path."""
        import matplotlib

        matplotlib.use("Agg")
        from matplotlib import pyplot

        # A run that was resumed repeats the steps since its checkpoint: the later entry counts.
        entries: dict[int, dict[str, float]] = {}
        for line in self.path.read_text().splitlines():
            entry = json.loads(line)
            entries.setdefault(entry["step"], {}).update(entry)
        names = sorted({name for entry in entries.values() for name in entry} - {"step"})
        figure, axes = pyplot.subplots(len(names), 1, figsize=(9, 2.2 * len(names)), sharex=True, squeeze=False)
        for axis, name in zip(axes[:, 0], names, strict=True):
            points = [(step, entry[name]) for step, entry in sorted(entries.items()) if name in entry]
            axis.plot([step for step, _ in points], [value for _, value in points], linewidth=1)
            axis.set_ylabel(name)
            axis.grid(alpha=0.3)
        axes[-1, 0].set_xlabel("step")
        figure.tight_layout()
        picture = self.path.with_suffix(".png")
        figure.savefig(picture, dpi=90)
        pyplot.close(figure)
        return picture
