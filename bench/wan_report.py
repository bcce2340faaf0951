"""What `bench.wan` prints and keeps: rows of stages, chunks and prompt switches, a table of chunks, and of floors."""

from collections.abc import Sequence
from typing import Any, Final

import torch

from bench.cards import CARDS, Card
from bench.figures import Summary
from bench.roofline import Work, floor, line, told
from bench.wan_pictures import DecoderName
from bench.wan_pictures import build as build_decoder
from bench.wan_pictures import work_of as decoder_work
from bench.wan_torch import SIGMAS, Precision, work_of
from streamgen_export.wan.config import RingShape, WanConfig
from streamgen_export.wan.vae_config import PICTURES_PER_LATENT

CHUNK: Final = 3
"""Latent frames of a chunk."""


class Report:
    """Gathers rows, and prints each when it is there.

    Args:
        card: what floors are computed from; None for a device without published peaks.
    """

    def __init__(self, card: Card | None) -> None:
        self._card = card
        self.stages: list[dict[str, Any]] = []
        self.chunks: list[dict[str, Any]] = []
        self.switches: list[dict[str, Any]] = []

    def stage(self, where: dict[str, Any], name: str, times: list[float], work: Work | None) -> None:
        """Calls of one stage, ms."""
        self.summary(where, name, Summary.of(times), work)

    def summary(self, where: dict[str, Any], name: str, ms: Summary | None, work: Work | None) -> None:
        """The same, summed up."""
        self.stages.append({**where, "stage": name, "ms": ms, **({} if work is None else told(work, self._card))})
        title, p50 = f"{label(where)} {name}", None if ms is None else ms.p50
        if work is not None:
            print(line(title, work, self._card, p50))
        elif p50 is not None:  # only a copy: it has no floor
            print(f"{title}: {p50:.3f} ms")

    def chunk(self, row: dict[str, Any], work: Work) -> None:
        """A whole chunk."""
        self.chunks.append({**row, **told(work, self._card)})

    def switch(self, row: dict[str, Any]) -> None:
        """What one way of taking over a new prompt costs."""
        self.switches.append(row)


def label(where: dict[str, Any]) -> str:
    return " ".join(f"ring {value}" if key == "ring" else str(value) for key, value in where.items())


def floors(
    configs: Sequence[WanConfig],
    rings: Sequence[int],
    precisions: Sequence[Precision],
    decoders: Sequence[DecoderName],
    *,
    width: int,
    height: int,
    tiny: bool,
) -> list[str]:
    """The least time of a chunk on every card of the table: all passes, and its latents through each decoder.

    Nothing is run: it is arithmetic, and no figure of a card.
    """
    lines = [f"ms at the least for a chunk of {PICTURES_PER_LATENT * CHUNK} pictures, {width}x{height}"]
    for config in configs:
        for ring in rings:
            shape = RingShape(CHUNK, ring - CHUNK, 0, height // 8, width // 8)
            for precision in precisions:
                passes = work_of(config, shape, precision) * (len(SIGMAS) + 1)
                for name in decoders:
                    decoder = build_decoder(name, "bf16", torch.device("meta"), tiny=tiny)
                    whole = passes + decoder_work(decoder, width, height, "bf16") * CHUNK
                    least = (f"{card.name.removeprefix('NVIDIA ')} {floor(whole, card).ms:.0f}" for card in CARDS)
                    lines.append(f"  {config.name} {precision} ring {ring} {name}: {', '.join(least)}")
    return lines


def graph_chunks(stages: list[dict[str, Any]]) -> list[str]:
    """What a chunk takes in graphs, as the sum of its calls: all passes, then its latents one by one."""
    times: dict[str, dict[str, float]] = {}
    for row in stages:
        if row["runtime"] != "torch":
            several = row["stage"].startswith("denoise") and "precision" in row
            stage = f"{row['stage']} in {row['precision']}" if several else row["stage"]
            times.setdefault(row["runtime"], {})[stage] = row["ms"]["p50"]
    lines = []
    for runtime, calls in times.items():
        for denoise, pass_ms in calls.items():
            for decode, latent_ms in calls.items():
                if denoise.startswith("denoise") and ": a latent" in decode:
                    whole = (len(SIGMAS) + 1) * pass_ms + CHUNK * latent_ms
                    lines.append(f"  {runtime} {denoise}, {decode}: {whole:.1f} ms a chunk, as a sum of its calls")
    return lines


def summary(figures: dict[str, Any], failures: list[str]) -> list[str]:
    """A table of whole chunks, and what is missing; from a finished record."""
    lines = [f"causal Wan, random weights, {figures['gpu']}: fastest first"]
    for row in sorted(figures["chunks"], key=lambda each: each["chunk_ms"]["p50"]):
        least = "no floor" if row["floor_ms"] is None else f"floor of the passes {row['floor_ms']:.1f} ms"
        lines.append(
            f"  {row['size']} {row['precision']} ring {row['ring']} {row['decoder']} torch {row['way']}: "
            f"{row['chunk_ms']['p50']:.1f} ms a chunk, {row['pictures_per_s']:.1f} pictures/s, "
            f"first picture {row['first_picture_ms']:.1f} ms, {least}"
        )
    return [*lines, *graph_chunks(figures["stages"]), *(f"left out: {failure}" for failure in failures)]
