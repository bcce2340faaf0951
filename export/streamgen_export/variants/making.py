"""Makes the variants of a bundle, each as a bundle of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import onnx

from streamgen_engines.bundle import Bundle
from streamgen_engines.families import Condition, PocketGenerator
from streamgen_engines.runtimes import OnnxRuntimeCpu
from streamgen_engines.text import TextEncoder
from streamgen_export.bundle_copy import MadeGraph, write_copy
from streamgen_export.gpu_bundle import QUANTISED, write_gpu_bundle
from streamgen_export.quantise import QuantisationError, quantise_linears
from streamgen_export.ranges import Range, WatchingRuntime, best_range
from streamgen_export.static_linears import linear_inputs, quantise_static, widened
from streamgen_export.variants.kinds import DYNAMIC, FP8, HALF, INT8_GPU, KINDS, REFERENCE, STATIC
from streamgen_export.variants.prompts import CALIBRATING

CALIBRATION_CHUNKS: Final = 5
"""Under each prompt: a change of the prompt is among them, with the guidance that it brings."""
CALIBRATION_SEED: Final = 11
_DYNAMIC_OPERATOR: Final = "MatMulInteger"


def make_variants(
    bundle: Bundle, folder: Path, names: Sequence[str] = tuple(KINDS), *, chunks: int = CALIBRATION_CHUNKS
) -> dict[str, Bundle]:
    """Write the variants into folders named like them, and open them.

    Args:
        bundle: what they are made of.
        folder: where; made when missing.
        names: of `KINDS`; the yardstick is always made, and comes first.
        chunks: under each prompt on which the ranges of static int8 are measured.

    Raises:
        QuantisationError: there is no such variant, or the bundle's denoiser has no linears.
    """
    unknown = sorted(set(names) - KINDS.keys())
    if unknown:
        raise QuantisationError(f"there is no variant {', '.join(unknown)}; there are {', '.join(KINDS)}")
    plain = Bundle.open(write_copy(bundle, folder / REFERENCE.name, _plain_graphs(bundle)))
    made = {REFERENCE.name: plain}
    for name in KINDS:
        if name in names and name != REFERENCE.name:
            made[name] = Bundle.open(_make(name, bundle, plain, folder / name, chunks))
    return made


def _make(name: str, bundle: Bundle, plain: Bundle, folder: Path, chunks: int) -> Path:
    if name == DYNAMIC.name:
        return write_copy(bundle, folder, _dynamic_graphs(bundle))
    if name == STATIC.name:
        ranges = measured_ranges(plain, chunks=chunks)
        static = quantise_static(plain.path(QUANTISED).read_bytes(), ranges, name=QUANTISED)
        return write_copy(bundle, folder, {QUANTISED: MadeGraph(static, "int8")})
    if name == HALF.name:
        return write_gpu_bundle(bundle, folder, "fp16")
    if name == FP8.name:
        return write_gpu_bundle(bundle, folder, "fp8")
    if name == INT8_GPU.name:
        return write_gpu_bundle(bundle, folder, "int8")
    raise AssertionError(f"{name} is one of KINDS, and nothing makes it")


def _plain_graphs(bundle: Bundle) -> dict[str, MadeGraph]:
    """Every graph with dynamically quantised linears, without."""
    found = {}
    for name in bundle.manifest.graphs:
        source = bundle.path(name).read_bytes()
        if _has_dynamic(source):
            found[name] = MadeGraph(widened(source), "fp32")
    return found


def _dynamic_graphs(bundle: Bundle) -> dict[str, MadeGraph]:
    """The denoiser with dynamic int8, where the bundle does not have that already."""
    path = bundle.path(QUANTISED)
    if _has_dynamic(path.read_bytes()):
        return {}
    with TemporaryDirectory() as scratch:
        target = Path(scratch) / path.name
        quantise_linears(path, target)
        return {QUANTISED: MadeGraph(target.read_bytes(), "int8")}


def _has_dynamic(source: bytes) -> bool:
    return any(node.op_type == _DYNAMIC_OPERATOR for node in onnx.load_from_string(source).graph.node)


def measured_ranges(plain: Bundle, *, chunks: int = CALIBRATION_CHUNKS) -> dict[str, Range]:
    """Ranges of the activations that the denoiser's linears read, over a stream of real prompts.

    Args:
        plain: the bundle in float32.
        chunks: under each prompt.

    Raises:
        QuantisationError: there are no linears.
    """
    path = plain.path(QUANTISED)
    names = linear_inputs(path.read_bytes())
    if not names:
        raise QuantisationError(f"{path} has no MatMul with a constant weight to quantise")
    watching = WatchingRuntime(OnnxRuntimeCpu(), path, names)
    text = TextEncoder(plain, OnnxRuntimeCpu())
    generator = PocketGenerator(plain, watching, seed=CALIBRATION_SEED)
    for prompt in CALIBRATING:
        condition = Condition(text.encode(prompt))
        for _ in range(chunks):
            generator.step(condition)
    return {name: best_range(values) for name, values in watching.samples().items()}
