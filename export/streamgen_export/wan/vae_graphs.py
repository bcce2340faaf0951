"""Both decoders as ONNX graphs, and the graphs against torch, run as serving runs them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from streamgen_engines.manifest import State
from streamgen_engines.runtimes import OnnxRuntimeCpu
from streamgen_engines.runtimes.interface import Engine, Runtime
from streamgen_export.onnx_export import write
from streamgen_export.wan.taehv import DecodeTaehv, TaehvDecoder
from streamgen_export.wan.vae import WanDecoder
from streamgen_export.wan.vae_streaming import (
    FIRST,
    STEADY,
    DecodeLatent,
    DecodeWan,
    Halves,
    LatentStream,
    as_bytes,
    cells,
)

Frames = NDArray[np.uint8]


@dataclass(frozen=True)
class WrittenGraph:
    """A graph and what a manifest has to say of it.

    Attributes:
        path: the file.
        precision: of weights and states.
        states: what it carries.
        pictures: how many one call makes.
    """

    path: Path
    precision: Halves
    states: tuple[State, ...]
    pictures: int


@dataclass(frozen=True)
class Parity:
    """How far graphs are off torch over a stream of latents.

    Attributes:
        steps: largest difference of any value of a picture, in steps of a byte.
        share: of values that differ at all.
        states: largest over the states, after the last latent: norm of the difference over the norm.
    """

    steps: int
    share: float
    states: float


def graphs_of(decoder: WanDecoder | TaehvDecoder) -> dict[str, DecodeLatent]:
    """The graphs that a decoder has, by name; what they compute in is what its weights are."""
    if isinstance(decoder, TaehvDecoder):
        return {STEADY: DecodeTaehv(decoder)}
    return {FIRST: DecodeWan(decoder, first=True), STEADY: DecodeWan(decoder, first=False)}


def write_decoder(folder: Path, decoder: WanDecoder | TaehvDecoder, width: int, height: int) -> dict[str, WrittenGraph]:
    """Export every graph of a decoder for pictures of one size.

    Args:
        folder: is made when it is missing; the files are named like the graphs.
        decoder: in float32, or in float16 (`decoder.half()`), which the graphs' weights and states then are.
        width: of the pictures, in pixels.
        height: of the pictures, in pixels.

    Raises:
        ValueError: the size is no whole number of latent cells.
    """
    rows, columns = cells(width, height)
    written: dict[str, WrittenGraph] = {}
    for name, module in graphs_of(decoder).items():
        path, states = folder / f"{name}.onnx", module.zeros(rows, columns)
        latent = torch.zeros(1, module.channels, 1, rows, columns)
        write(path, module, {"latent": latent, **states}, ["frames"], list(states))
        written[name] = WrittenGraph(path, module.precision, module.manifest_states(rows, columns), module.pictures)
    return written


class GraphStream:
    """A stream through written graphs, as serving decodes it: after the first latent its states are handed over.

    Args:
        written: the graphs of one decoder.
        runtime: computes them.
        threads: of each graph.
    """

    def __init__(self, written: Mapping[str, WrittenGraph], runtime: Runtime, *, threads: int = 1) -> None:
        self._engines = {
            name: runtime.load(graph.path, graph.states, threads=threads) for name, graph in written.items()
        }
        self._names = [state.name for state in written[STEADY].states]
        self._begun = False

    @property
    def steady(self) -> Engine:
        """The engine that all latents but the first go through."""
        return self._engines[STEADY]

    def decode(self, latent: NDArray[np.float32]) -> Frames:
        """latent float32 [1, Z, 1, h, w] -> frames uint8 [T, 8 h, 8 w, 3]."""
        first = None if self._begun else self._engines.get(FIRST)
        self._begun = True
        if first is None:
            return self.steady.run({"latent": latent})["frames"]
        first.reset()
        frames = first.run({"latent": latent})["frames"]
        for name in self._names:
            self.steady.state(name)[...] = first.state(name)
        return frames

    def restart(self) -> None:
        """The next latent is the first of a stream."""
        for engine in self._engines.values():
            engine.reset()
        self._begun = False


def parity(
    written: Mapping[str, WrittenGraph],
    decoder: WanDecoder | TaehvDecoder,
    latents: Iterable[Tensor],
    runtime: Runtime | None = None,
) -> Parity:
    """Decode the same stream with the graphs and with torch, each with its own states.

    Args:
        written: the graphs.
        decoder: what they were written from, or the same in float32.
        latents: each float32 [1, Z, 1, h, w].
        runtime: of the graphs; ONNX Runtime on the CPU.
    """
    graphs, torches = GraphStream(written, runtime or OnnxRuntimeCpu()), LatentStream(graphs_of(decoder))
    steps, apart, values = 0, 0, 0
    for latent in latents:
        right = as_bytes(torches.decode(latent)).numpy().astype(np.int16)
        gap = np.abs(graphs.decode(latent.numpy()).astype(np.int16) - right)
        steps = max(steps, int(gap.max()))
        apart, values = apart + int(np.count_nonzero(gap)), values + gap.size
    names = [state.name for state in written[STEADY].states]
    off = [_relative(graphs.steady.state(name), state) for name, state in zip(names, torches.states, strict=True)]
    return Parity(steps, apart / values, max(off))


def _relative(found: NDArray[np.generic], right: Tensor) -> float:
    exact = right.double().numpy()
    norm = float(np.linalg.norm(exact))
    return float(np.linalg.norm(found.astype(np.float64) - exact)) / max(norm, 1e-30)
