"""Clips as latents: the data on which the transformer trains, in shards that a process of its own makes ahead.

A shard holds `SHARD` clips. Making one: render, encode picture and sound with the trained encoders, encode each
distinct caption with the text graph of the bundle. Training starts as soon as the first shards exist and picks up
new ones as they appear.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from streamgen_export.captions import CaptionEncoder
from streamgen_export.pocket.clips import ClipArrays, rendered
from streamgen_export.pocket.config import PocketConfig
from streamgen_export.pocket.encoders import Encoders, load_encoders
from streamgen_export.pocket.transformer import MASKED, Text

SHARD = 64
"""Clips in one file."""
HELDOUT_SHARD = "heldout.npz"


def write_shard(path: Path, clips: list[ClipArrays], encoders: Encoders, texts: CaptionEncoder) -> None:
    """Encode clips of equal length into one file."""
    told = sorted({caption for clip in clips for caption in clip.captions})
    rank = {caption: i for i, caption in enumerate(told)}
    encoded = texts.encode(told, threads=1, progress=False)
    video, audio, cells, impacts = [], [], [], []
    with torch.no_grad():
        for clip in clips:
            video.append(encoders.encode_video(torch.from_numpy(clip.rgb)).numpy())
            audio.append(encoders.encode_audio(torch.from_numpy(clip.controls)).numpy())
            cover = torch.from_numpy(clip.subject).float().unflatten(0, (-1, 4)).mean(1) / 255
            cells.append(F.avg_pool2d(cover[:, None], 16)[:, 0].numpy())
            impacts.append(clip.impact.reshape(len(clip.captions), 8, 4).mean(2))
    partial = path.with_suffix(".partial.npz")
    np.savez(
        partial,
        video=np.stack(video).astype(np.float16),
        audio=np.stack(audio).astype(np.float16),
        cells=np.stack(cells).astype(np.float16),
        impacts=np.stack(impacts).astype(np.float16),
        caption=np.array([[rank[c] for c in clip.captions] for clip in clips], np.int32),
        context=encoded.context,
        mask=encoded.mask,
        pooled=encoded.pooled,
    )
    os.replace(partial, path)


def make_shards(config: PocketConfig, run: Path, bundle: Path, clips: int, first_seed: int, niceness: int) -> None:
    """Make every missing shard of a run; the entry point of the process that works beside the training."""
    os.nice(niceness)
    torch.set_num_threads(1)
    folder = run / "latents"
    folder.mkdir(parents=True, exist_ok=True)
    encoders, texts = load_encoders(config, run), CaptionEncoder(bundle)
    if not (folder / HELDOUT_SHARD).exists():
        held = list(rendered(range(first_seed, first_seed + SHARD), heldout=True, processes=1))
        write_shard(folder / HELDOUT_SHARD, held, encoders, texts)
    missing = [i for i in range(-(-clips // SHARD)) if not (folder / f"{i:05d}.npz").exists()]
    seeds = [first_seed + i * SHARD + k for i in missing for k in range(SHARD)]
    source = rendered(seeds, processes=1, niceness=0)
    for i in missing:
        batch = [next(source) for _ in range(SHARD)]
        write_shard(folder / f"{i:05d}.npz", batch, encoders, texts)


@dataclass(frozen=True, slots=True)
class Batch:
    """Some clips, ready for the transformer. video [B, C, 48, h, w], audio [B, C, 16, 8], float32.

    cells [B, C, h, w] is the share of each latent cell that a subject covers, impacts [B, C, 8] the share of each
    sound latent in which an impact sounds.
    """

    video: Tensor
    audio: Tensor
    cells: Tensor
    impacts: Tensor
    text: Text


class LatentSet:
    """The shards found so far; draws random clips from them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.shards: dict[str, dict[str, NDArray[np.generic]]] = {}

    def refresh(self) -> int:
        """Read shards that have appeared; returns the number of clips."""
        for path in sorted(self.folder.glob("[0-9]*.npz")):
            if path.name not in self.shards and ".partial" not in path.name:
                self.shards[path.name] = read_shard(path)
        return len(self.shards) * SHARD

    def draw(self, rng: np.random.Generator, size: int, drop: float, chunks: int | None = None) -> Batch:
        """Random clips, or `chunks` random chunks of each; each chunk loses its caption with probability `drop`."""
        names = list(self.shards)
        rows = [(self.shards[names[int(rng.integers(len(names)))]], int(rng.integers(SHARD))) for _ in range(size)]
        return batch_of(rows, rng, drop, chunks)


def read_shard(path: Path) -> dict[str, NDArray[np.generic]]:
    """All arrays of a shard, in memory."""
    with np.load(path) as shard:
        return {name: shard[name] for name in shard.files}


def batch_of(
    rows: list[tuple[dict[str, NDArray[np.generic]], int]],
    rng: np.random.Generator,
    drop: float,
    chunks: int | None = None,
) -> Batch:
    """Gather (shard, row) pairs, all chunks of each or some at random, in order.

    Text 0 is the null condition, as when streaming without guidance.
    """
    length = rows[0][0]["video"].shape[1]
    taken = [np.sort(rng.permutation(length)[: chunks or length]) for _ in rows]
    contexts, masks, pooled, index = [], [], [], []
    known: dict[tuple[int, int], int] = {}
    for (shard, row), which in zip(rows, taken, strict=True):
        for caption in shard["caption"][row][which]:
            key = (id(shard), int(caption))
            if key not in known:
                known[key] = len(known) + 1
                contexts.append(shard["context"][caption])
                masks.append(shard["mask"][caption])
                pooled.append(shard["pooled"][caption])
            index.append(0 if rng.random() < drop else known[key])
    context = torch.from_numpy(np.stack([np.zeros_like(contexts[0]), *contexts])).float()
    mask = torch.from_numpy(np.stack([np.arange(masks[0].shape[0]) < 1, *masks]))
    said = torch.from_numpy(np.stack([np.zeros_like(pooled[0]), *pooled])).float()
    bias = torch.zeros(mask.shape).masked_fill(~mask, MASKED)

    def gather(name: str) -> Tensor:
        return torch.from_numpy(
            np.stack([shard[name][row][which] for (shard, row), which in zip(rows, taken, strict=True)])
        ).float()

    text = Text(context, bias, said, torch.tensor(index))
    return Batch(gather("video"), gather("audio"), gather("cells"), gather("impacts"), text)
