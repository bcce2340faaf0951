"""Clips as latents: the data on which the transformer trains, in shards that a process of its own makes ahead.

A shard is a folder of arrays, read where they lie on the disk. Making one: render, encode picture and sound with the
trained encoders, encode each distinct caption with the text graph of the bundle. Training starts as soon as the first
shards exist and picks up new ones as they appear.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from streamgen_export.captions import CaptionEncoder
from streamgen_export.pocket.clips import ClipArrays, by_place, orders_of, render
from streamgen_export.pocket.config import PocketConfig
from streamgen_export.pocket.encoders import Encoders, load_encoders
from streamgen_export.pocket.transformer import MASKED, Text

HELDOUT_SHARD = "heldout"
HELDOUT_CLIPS = 64
TOGETHER = 4
"""Shards of clips of one chunk that are drawn together, place by place; at half a gigabyte each."""
Shard = Mapping[str, NDArray[np.generic]]
"""Arrays by name; the first axis of all but the captions' own counts clips."""


@dataclass(frozen=True)
class Stock:
    """A set of shards to make.

    Attributes:
        folder: where they lie.
        clips: in all.
        chunks: of each clip; 0 is the usual length.
        shard: clips in one shard.
        first_seed: of the worlds; one for each clip.
    """

    folder: Path
    clips: int
    chunks: int
    shard: int
    first_seed: int


def encoded(
    config: PocketConfig, clips: list[ClipArrays], encoders: Encoders, texts: CaptionEncoder
) -> dict[str, NDArray[np.generic]]:
    """Clips of equal length as the arrays of a shard."""
    told = sorted({caption for clip in clips for caption in clip.captions})
    rank = {caption: i for i, caption in enumerate(told)}
    words = texts.encode(told, threads=1, progress=False)
    video, audio, cells, impacts, stills = [], [], [], [], []
    with torch.no_grad():
        for clip in clips:
            rgb = torch.from_numpy(clip.rgb)
            both = encoders.encode_video(torch.cat((rgb, rgb[:1].expand(4, -1, -1, -1))))
            video.append(both[:-1].numpy())
            stills.append(both[-1].numpy())
            audio.append(encoders.encode_audio(torch.from_numpy(clip.controls)).numpy())
            cover = torch.from_numpy(clip.subject).float().unflatten(0, (-1, 4)).mean(1) / 255
            cells.append(F.avg_pool2d(cover[:, None], clip.rgb.shape[2] // config.columns)[:, 0].numpy())
            impacts.append(clip.impact.reshape(len(clip.captions), config.audio_latents, -1).mean(2))
    return {
        "video": np.stack(video).astype(np.float16),
        "still": np.stack(stills).astype(np.float16),
        "audio": np.stack(audio).astype(np.float16),
        "cells": np.stack(cells).astype(np.float16),
        "impacts": np.stack(impacts).astype(np.float16),
        "caption": np.array([[rank[c] for c in clip.captions] for clip in clips], np.int32),
        "context": words.context,
        "mask": words.mask,
        "pooled": words.pooled,
    }


def write_shard(path: Path, arrays: Shard) -> None:
    """Write the arrays of a shard; a stop half way leaves nothing that looks like one."""
    partial = path.with_name(f".{path.name}")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for name, values in arrays.items():
        np.save(partial / f"{name}.npy", values)
    os.replace(partial, path)


def make_shards(
    config: PocketConfig, run: Path, bundle: Path, stocks: list[Stock], niceness: int, part: int = 0, parts: int = 1
) -> None:
    """Make every missing shard of a run; the entry point of the processes that work beside the training.

    Args:
        config: of the model.
        run: folder with the trained autoencoders.
        bundle: folder with the text graph.
        stocks: what to make, in this order.
        niceness: how far to step back for the training.
        part: number of this process.
        parts: how many there are; each makes every `parts`th shard.
    """
    os.nice(niceness)
    torch.set_num_threads(1)
    encoders, texts = load_encoders(config, run), CaptionEncoder(bundle)
    for stock in stocks:
        if part == 0 and not (stock.folder / HELDOUT_SHARD).exists():
            seeds = range(stock.first_seed, stock.first_seed + HELDOUT_CLIPS)
            clips = [render(order) for order in orders_of(config, seeds, heldout=True, chunks=stock.chunks, seen=True)]
            write_shard(stock.folder / HELDOUT_SHARD, encoded(config, clips, encoders, texts))
        missing = [
            shard
            for shard in range(part, -(-stock.clips // stock.shard), parts)
            if not (stock.folder / f"{shard:05d}").exists()
        ]
        for some in _groups(missing, TOGETHER if stock.chunks == 1 else 1):
            for shard, clips in zip(some, _rendered(config, stock, some), strict=True):
                write_shard(stock.folder / f"{shard:05d}", encoded(config, clips, encoders, texts))


def _groups(shards: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    """Shards in groups of a size; the last one may be smaller."""
    return (shards[first : first + size] for first in range(0, len(shards), size))


def _rendered(config: PocketConfig, stock: Stock, shards: Sequence[int]) -> list[list[ClipArrays]]:
    """The clips of some shards, each in the order of its seeds, whatever order they are drawn in."""
    seeds = [stock.first_seed + shard * stock.shard + i for shard in shards for i in range(stock.shard)]
    orders = orders_of(config, seeds, chunks=stock.chunks, seen=True)
    drawn = {order.seed: render(order) for order in by_place(orders)}
    clips = [drawn[seed] for seed in seeds]
    return [clips[first : first + stock.shard] for first in range(0, len(clips), stock.shard)]


@dataclass(frozen=True, slots=True)
class Batch:
    """Some clips, ready for the transformer. video [B, C, Cv, h, w], audio [B, C, Ca, L], float32.

    cells [B, C, h, w] is the share of each latent cell that a subject covers, impacts [B, C, L] the share of each
    sound latent in which an impact sounds, still [B, Cv, h, w] the first picture of each clip as if it stood still.
    """

    video: Tensor
    audio: Tensor
    cells: Tensor
    impacts: Tensor
    still: Tensor
    text: Text


class LatentSet:
    """The shards found so far; draws random clips from them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.shards: dict[str, Shard] = {}
        self.clips = 0

    def refresh(self) -> int:
        """Open shards that have appeared; returns the number of clips."""
        for path in sorted(self.folder.glob("[0-9]*")):
            if path.name not in self.shards:
                self.shards[path.name] = read_shard(path)
                self.clips += len(self.shards[path.name]["video"])
        return self.clips

    def draw(self, rng: np.random.Generator, size: int, drop: float, chunks: int | None = None) -> Batch:
        """Random clips, or `chunks` random chunks of each; each chunk loses its caption with probability `drop`."""
        names = list(self.shards)
        rows = []
        for _ in range(size):
            shard = self.shards[names[int(rng.integers(len(names)))]]
            rows.append((shard, int(rng.integers(len(shard["video"])))))
        return batch_of(rows, rng, drop, chunks)


def read_shard(path: Path) -> Shard:
    """All arrays of a shard; latents are read from the disk when they are drawn."""
    small = ("caption", "mask", "pooled")
    return {p.stem: np.load(p, mmap_mode=None if p.stem in small else "r") for p in sorted(path.glob("*.npy"))}


def batch_of(
    rows: list[tuple[Shard, int]],
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
    # Filled up to one per chunk, so that every batch has the same shapes: compiled code need not be made anew.
    for _ in range(len(index) - len(known)):
        contexts.append(np.zeros_like(contexts[0]))
        masks.append(np.ones_like(masks[0]))
        pooled.append(np.zeros_like(pooled[0]))
    context = torch.from_numpy(np.stack([np.zeros_like(contexts[0]), *contexts])).float()
    mask = torch.from_numpy(np.stack([np.arange(masks[0].shape[0]) < 1, *masks]))
    said = torch.from_numpy(np.stack([np.zeros_like(pooled[0]), *pooled])).float()
    bias = torch.zeros(mask.shape).masked_fill(~mask, MASKED)

    def gather(name: str) -> Tensor:
        return torch.from_numpy(
            np.stack([shard[name][row][which] for (shard, row), which in zip(rows, taken, strict=True)])
        ).float()

    text = Text(context, bias, said, torch.tensor(index))
    still = torch.from_numpy(np.stack([shard["still"][row] for shard, row in rows])).float()
    return Batch(gather("video"), gather("audio"), gather("cells"), gather("impacts"), still, text)
