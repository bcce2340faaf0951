"""What Wan's text encoder costs on a CPU, reckoned from a few layers of its full width with random weights.

    python -m bench.wan_text --layers 2 --tokens 512 --threads 1
    python -m bench.wan_text --whole             # all 24 layers in int8; 5.7 GB on the disk for its time

The whole encoder has 24 layers and takes 5.7 GB as int8, which few machines have to spare for a measurement. All layers
are alike, so that the time of 24 is 24 times that of one; it is printed as what it is, an estimate. On a machine that
does other things besides, the time of the processor is what counts.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from streamgen_engines.runtimes import OnnxRuntimeCpu
from streamgen_export.wan.umt5 import TOKENS, Umt5Config, random_weight
from streamgen_export.wan.umt5_checkpoint import ROWS_AT_ONCE
from streamgen_export.wan.umt5_graphs import Variant, weights_bytes, write_text_graph

VOCABULARY = 1024  # rows that are looked up cost nothing, and the others only memory
RUNS = 3


@dataclass(frozen=True)
class Drawn:
    """Random weights, each drawn when it is asked for."""

    config: Umt5Config

    def blocks(self, name: str) -> Iterator[Tensor]:
        """The weight, the same each time."""
        yield random_weight(self.config, name, seed=0)


class Repeated:
    """One pattern of random numbers for all weights: at the size of the whole encoder, drawing takes minutes."""

    config = Umt5Config()

    def __init__(self) -> None:
        self._pattern = torch.randn(ROWS_AT_ONCE * self.config.width, generator=torch.Generator().manual_seed(0)) / 64

    def blocks(self, name: str) -> Iterator[Tensor]:
        """The weight, in the pieces in which a checkpoint gives it."""
        shape = self.config.shapes()[name]
        rows = range(0, shape[0], ROWS_AT_ONCE if name == "embedding" else shape[0])
        for row in rows:
            part = (min(rows.step, shape[0] - row), *shape[1:])
            yield self._pattern[: torch.Size(part).numel()].reshape(part)


def measure_whole(threads: int) -> None:
    """Write the whole encoder in int8, load it and encode 512 tokens."""
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "text.onnx"
        began = time.process_time()
        write_text_graph(path, Repeated(), "int8")
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        size = sum(file.stat().st_size for file in path.parent.iterdir()) / 1e9
        print(
            f"written in {time.process_time() - began:.0f} s of processor time; {size:.2f} GB; {most:.2f} GB of memory"
        )
        began = time.process_time()
        engine = OnnxRuntimeCpu().load(path, threads=threads)
        print(f"loaded in {time.process_time() - began:.1f} s of processor time")
        ids = np.arange(5, 5 + TOKENS)[None]
        began, before = time.perf_counter(), time.process_time()
        engine.run({"input_ids": ids, "attention_mask": np.ones_like(ids)})
        print(
            f"{TOKENS} tokens in {time.perf_counter() - began:.1f} s with {threads} threads, "
            f"{time.process_time() - before:.1f} s of processor time"
        )


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Measure a few layers of Wan's text encoder.")
    parser.add_argument("--layers", type=int, default=1, help="layers that are made and run [1]")
    parser.add_argument("--tokens", type=int, default=512, help="tokens of the graph [512]")
    parser.add_argument("--threads", type=int, default=1, help="compute threads [1]")
    parser.add_argument("--whole", action="store_true", help="all layers, int8, weights that repeat")
    options = parser.parse_args(arguments)
    if options.whole:
        measure_whole(options.threads)
        return
    whole = Umt5Config()
    weights = Drawn(replace(whole, layers=options.layers, vocabulary=VOCABULARY))
    ids = np.random.default_rng(1).integers(2, VOCABULARY, (1, options.tokens))
    asked = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
    variants: tuple[Variant, ...] = ("fp32", "int8")
    contexts = {}
    for variant in variants:
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch) / "text.onnx"
            write_text_graph(path, weights, variant, options.tokens)
            engine = OnnxRuntimeCpu().load(path, threads=options.threads)
            took, worked = [], []
            for _ in range(RUNS):
                began, before = time.perf_counter(), time.process_time()
                contexts[variant] = engine.run(asked)["context"]
                took.append(time.perf_counter() - began)
                worked.append(time.process_time() - before)
            layer, work = min(took) / options.layers, min(worked) / options.layers
            print(
                f"{variant}: {layer:.3f} s per layer with {options.threads} threads ({work:.3f} s of processor time); "
                f"estimate for {whole.layers} layers: {layer * whole.layers:.1f} s ({work * whole.layers:.1f} s), "
                f"{weights_bytes(whole, variant) / 1e9:.2f} GB of weights"
            )
    off = np.linalg.norm(contexts["int8"] - contexts["fp32"]) / np.linalg.norm(contexts["fp32"])
    print(f"int8 is {off:.4f} off fp32 after {options.layers} layers")
    print(f"most memory of this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
