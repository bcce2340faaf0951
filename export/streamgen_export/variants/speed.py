"""What a call of a graph costs in each variant, beside one another, so that a busy machine is busy for all of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from streamgen_engines.bundle import Bundle
from streamgen_engines.families import Condition, PocketGenerator
from streamgen_engines.runtimes import OnnxRuntimeCpu
from streamgen_engines.runtimes.interface import Array, Engine
from streamgen_engines.tensorrt.recording import RecordingRuntime
from streamgen_engines.text import TextEncoder

Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Speed:
    """Of one graph.

    Attributes:
        ratio: calls in the time of one call in float32: median over the rounds.
        lowest, highest: of the rounds.
        call_ms: processor time of a call, median over the rounds.
        rounds: how many.
    """

    ratio: float
    lowest: float
    highest: float
    call_ms: float
    rounds: int


def graph_calls(
    bundle: Bundle, graph: str, prompts: Sequence[str], *, chunks: int, seed: int
) -> list[dict[str, Array]]:
    """The inputs of the denoiser's calls in a stream whose prompt changes, states left out."""
    recorder = RecordingRuntime(OnnxRuntimeCpu())
    text = TextEncoder(bundle, OnnxRuntimeCpu())
    generator = PocketGenerator(bundle, recorder, seed=seed)
    for prompt in prompts:
        condition = Condition(text.encode(prompt))
        for _ in range(chunks):
            generator.step(condition)
    return recorder.recording.calls[bundle.path(graph)]


def relative_speeds(
    engines: Mapping[str, Engine],
    reference: str,
    calls: Sequence[Mapping[str, Array]],
    *,
    rounds: int,
    clock: Clock = time.thread_time,
) -> dict[str, Speed]:
    """Time of the same calls on each engine, in turns.

    A round makes every call once on every engine, call by call, and each round begins with another engine. The clock is
    the processor time of this thread, on which a graph with one thread runs: waiting for the processor does not
    count. Caches that others use as well still do.

    Args:
        engines: by name, each with one thread.
        reference: name of the one to compare with.
        calls: inputs without states.
        rounds: at least 1.
        clock: seconds.
    """
    names = list(engines)
    for name in names:  # buffers are allocated and weights packed by the first call
        engines[name].run(calls[0])
    spent: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(rounds):
        order = [*names[turn % len(names) :], *names[: turn % len(names)]]
        totals = dict.fromkeys(names, 0.0)
        for call in calls:
            for name in order:
                started = clock()
                engines[name].run(call)
                totals[name] += clock() - started
        for name in names:
            spent[name].append(totals[name])
    return {name: _speed(spent[name], spent[reference], len(calls)) for name in names}


def _speed(own: Sequence[float], reference: Sequence[float], calls: int) -> Speed:
    ratios = [right / found for found, right in zip(own, reference, strict=True)]
    return Speed(median(ratios), min(ratios), max(ratios), 1000 * median(own) / calls, len(ratios))
