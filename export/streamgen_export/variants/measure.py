"""One run: makes the variants of a bundle, measures how far they are off and how fast they are, and has them judged."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from streamgen_engines.bundle import Bundle
from streamgen_engines.errors import EngineError
from streamgen_engines.manifest import MANIFEST_FILE
from streamgen_engines.runtimes import OnnxRuntimeCpu
from streamgen_export.gpu_bundle import QUANTISED
from streamgen_export.pocket.judge.development import (
    DEVELOPMENT_SEED,
    QUICK,
    SCHOOLING,
    development_briefs,
    development_eye,
)
from streamgen_export.pocket.judge.instruments import Schooling, default_cache
from streamgen_export.variants.distance import Made, Streams, distance
from streamgen_export.variants.emulation import emulated
from streamgen_export.variants.finding import Finding, finite
from streamgen_export.variants.forcing import forced_errors
from streamgen_export.variants.kinds import KINDS, REFERENCE
from streamgen_export.variants.making import CALIBRATION_CHUNKS, make_variants
from streamgen_export.variants.prompts import MEASURING
from streamgen_export.variants.score import judged_variants
from streamgen_export.variants.speed import Speed, graph_calls, relative_speeds

SEED: Final = 23
"""Of the measured streams: another one than that of the streams on which ranges are measured."""
TIMED_CHUNKS: Final = 2
EMULATED: Final = "emulated"
"""Folder among those of the variants in which those for GPUs lie as a CPU runs them."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How much is measured.

    Attributes:
        variants: names of `KINDS`; float32 is always among them.
        chunks: of each measured stream.
        prompts: of `MEASURING`, one stream each.
        rounds: in which speed is measured; 0 leaves it out.
        takes: that are judged, each with a prompt that changes once; 0 leaves the judge out.
        take_chunks: under each of a take's two prompts.
        calibration_chunks: under each prompt on which ranges are measured.
        threads: streams that are judged side by side.
        seed: of the judged prompts and their noise.
        schooling: of the eye.
    """

    variants: tuple[str, ...] = tuple(KINDS)
    chunks: int = 20
    prompts: int = 2
    rounds: int = 10
    takes: int = 48
    take_chunks: int = 4
    calibration_chunks: int = CALIBRATION_CHUNKS
    threads: int = 1
    seed: int = DEVELOPMENT_SEED
    schooling: Schooling = SCHOOLING


def quick(settings: Settings) -> Settings:
    """The same with an eye that knows nothing: shows that everything runs."""
    return replace(settings, schooling=QUICK)


def measure(
    bundle: Bundle,
    folder: Path,
    settings: Settings,
    *,
    progress: Callable[[str], None] = lambda line: None,
    keep: Callable[[Sequence[Finding]], None] = lambda findings: None,
) -> list[Finding]:
    """Make, measure and judge.

    Args:
        bundle: of which variants are made.
        folder: where they are written.
        settings: how much is measured.
        progress: gets a line for people now and then.
        keep: gets what has been found so far after each part, so that a run that is stopped was not for nothing.

    Raises:
        QuantisationError: a variant is not known, or the bundle has nothing to quantise.
        EngineError: the float32 bundle itself does not run.
    """
    made = make_variants(bundle, folder, settings.variants, chunks=settings.calibration_chunks)
    progress(f"made {', '.join(made)} in {folder}")
    reference = made[REFERENCE.name]
    run = {
        name: emulated(variant, folder / EMULATED / name) if KINDS[name].device == "gpu" else variant
        for name, variant in made.items()
    }
    others = {name: variant for name, variant in run.items() if name != REFERENCE.name}
    prompts = MEASURING[: settings.prompts]
    errors = forced_errors(reference, others, prompts, chunks=settings.chunks, seed=SEED)
    found = {
        name: Finding(
            variant=name,
            device=KINDS[name].device,
            manifest_sha256=hashlib.sha256((variant.root / MANIFEST_FILE).read_bytes()).hexdigest(),
            precisions={graph: each.precision for graph, each in variant.manifest.graphs.items()},
            graph_bytes={graph: variant.path(graph).stat().st_size for graph in variant.manifest.graphs},
            errors=finite(errors.get(name, {})),
        )
        for name, variant in made.items()
    }
    keep(list(found.values()))
    progress("measured every graph on the inputs of float32")
    if settings.rounds:
        for name, speed in _speeds(made, reference, settings).items():
            found[name] = replace(found[name], speed=speed)
        keep(list(found.values()))
        progress("measured the time of the denoiser")
    streams = Streams(prompts, settings.chunks, SEED)
    right = list(streams.made_by(reference))
    for name, variant in others.items():
        found[name] = _followed(found[name], right, variant, streams)
        keep(list(found.values()))
    progress("measured streams that go on from what they made")
    if settings.takes:
        sound = {name: variant for name, variant in run.items() if found[name].failure is None}
        _judge(sound, found, settings, progress, keep)
    return list(found.values())


def _speeds(made: dict[str, Bundle], reference: Bundle, settings: Settings) -> dict[str, Speed]:
    runtime, states = OnnxRuntimeCpu(), reference.manifest.graphs[QUANTISED].states
    engines = {
        name: runtime.load(variant.path(QUANTISED), states, in_place=True)
        for name, variant in made.items()
        if KINDS[name].device == "cpu"
    }
    calls = graph_calls(reference, QUANTISED, MEASURING[:1], chunks=TIMED_CHUNKS, seed=SEED)
    return relative_speeds(engines, REFERENCE.name, calls, rounds=settings.rounds)


def _followed(finding: Finding, right: Sequence[Made], variant: Bundle, streams: Streams) -> Finding:
    try:
        return replace(finding, distance=distance(right, streams.made_by(variant), streams.chunks))
    except EngineError as error:  # such as latents that are not numbers
        return replace(finding, failure=f"its stream ended early: {error}")


def _judge(
    made: dict[str, Bundle],
    found: dict[str, Finding],
    settings: Settings,
    progress: Callable[[str], None],
    keep: Callable[[Sequence[Finding]], None],
) -> None:
    eye = development_eye(settings.schooling, settings.threads, default_cache())
    briefs = development_briefs(settings.takes, settings.take_chunks, settings.seed)
    for name, judged, look in judged_variants(made, eye, briefs, settings.threads):
        found[name] = replace(found[name], judged=judged, look=look)
        keep(list(found.values()))
        result = found[name].verdict
        progress(f"{name}: {100 * judged.share:.1f} % ± {100 * judged.spread:.1f}, {result.result}: {result.reason}")
