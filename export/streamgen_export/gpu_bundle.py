"""A bundle for GPUs from a bundle that there is.

python -m streamgen_export.gpu_bundle --bundle pocket --precision fp8 pocket-fp8

Weights that the bundle has as int8 stay what they are; `python -m streamgen_export.pocket.export --precision fp16`
makes one from the trained ones, and this makes fp8 or int8 of that.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Literal, get_args

from streamgen_engines.bundle import Bundle, bundle_at
from streamgen_engines.runtimes import OnnxRuntimeCpu
from streamgen_engines.tensorrt.check import compare, reference_engine
from streamgen_engines.tensorrt.prepare import prepare
from streamgen_engines.tensorrt.recording import Call, record_calls
from streamgen_export.bundle_copy import MadeGraph, write_copy
from streamgen_export.symmetric import has_linears, quantise_symmetric

Precision = Literal["fp16", "bf16", "int8", "fp8"]
QUANTISED = "denoise"
"""The graph whose linears become int8 or fp8. The text's runs once for a prompt and loses most, and those of the
decoders are small beside their convolutions."""
CHECK_SEED = 2
CHUNKS = 6
"""Chunks of a stream on which ranges are measured."""


def errors_of(bundle: Bundle, made: Bundle, graph: str) -> dict[str, float]:
    """How far a graph of one bundle is off that of another, in float32, on a stream on which nothing was measured."""
    states, runtime = bundle.manifest.graphs[graph].states, OnnxRuntimeCpu()
    right = reference_engine(bundle.path(graph).read_bytes(), states, runtime, name=graph)
    calls = record_calls(bundle, runtime, seed=CHECK_SEED)[graph]
    return compare(runtime.load(made.path(graph), states), right, calls)


def write_gpu_bundle(bundle: Bundle, folder: Path, precision: Precision) -> Path:
    """Write the bundle into `folder`, which is made when missing, and return it.

    Args:
        bundle: what it is made of.
        folder: another one than the bundle's.
        precision: of linears; with int8 and fp8 all other heavy operators are fp16.

    Raises:
        ValueError: the folder is the bundle's own.
    """
    calls: dict[str, list[Call]] = {}
    if precision in {"int8", "fp8"}:
        calls = record_calls(bundle, OnnxRuntimeCpu(), chunks=CHUNKS)
    graphs: dict[str, MadeGraph] = {}
    for name, graph in bundle.manifest.graphs.items():
        source = bundle.path(name).read_bytes()
        own: Precision = precision
        if precision in {"int8", "fp8"} and (name != QUANTISED or not has_linears(source, name=name)):
            own = "fp16"
        if own == "int8" or own == "fp8":
            made = quantise_symmetric(source, own, calls[name], graph.states, OnnxRuntimeCpu(), name=name)
        else:
            made = prepare(source, own, name=name).model
        graphs[name] = MadeGraph(made, own)
    return write_copy(bundle, folder, graphs)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Write a bundle for GPUs.")
    parser.add_argument("folder", type=Path, help="folder that is written")
    parser.add_argument("--bundle", type=Path, help="folder or name of the bundle that it is made of [pocket]")
    parser.add_argument("--precision", choices=get_args(Precision), default="fp16")
    options = parser.parse_args()
    bundle = bundle_at(options.bundle)
    folder = write_gpu_bundle(bundle, options.folder, options.precision)
    if options.precision != "bf16":  # ONNX Runtime has no products in it on a CPU
        off = errors_of(bundle, Bundle.open(folder), QUANTISED)
        before = errors_of(bundle, bundle, QUANTISED)
        told = [f"{error:.4f} in {output} (before: {before[output]:.4f})" for output, error in off.items()]
        print(f"{QUANTISED} is off by {', '.join(told)}")
    print(f"{folder}: {sum(file.stat().st_size for file in folder.iterdir()) / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
