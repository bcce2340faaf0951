"""How fast chunks can be made, without a server: `python -m bench.generate`.

The stages are the server's own and run as they do there: denoising on one thread, decoding and encoding on another,
with room for one chunk between them. Nothing waits for a clock, so the real-time ratio is what the machine can do.

Then the runtimes that are here are compared, a few chunks of each in turn, so that whatever else the machine does
falls on all of them. The yardstick is plain ONNX Runtime in float32, on a copy of the bundle without quantisation.
"""

import argparse
import statistics
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, Queue
from typing import Any, Final

from bench import record
from bench.dequantised import dequantised
from bench.figures import Summary
from bench.prompts import PROMPTS
from streamgen.generation.decode_stage import DecodeStage
from streamgen.generation.denoise_stage import Denoised, DenoiseStage
from streamgen.generation.encode_stage import EncodeStage
from streamgen.generation.prompts import Taken
from streamgen.generation.schedule import passes
from streamgen.media.audio_encoder import AudioEncoder
from streamgen.media.scaler import Scaler
from streamgen.media.video_encoder import DEFAULT_SCALE, VideoEncoder, usual_scale
from streamgen.packets import Layer, SetPrompt
from streamgen_engines.bundle import Bundle
from streamgen_engines.errors import EngineError
from streamgen_engines.families import Model
from streamgen_engines.families import load as load_model
from streamgen_engines.manifest import State
from streamgen_engines.runtime_name import DEFAULT_RUNTIME, RUNTIME_NAMES, RuntimeName
from streamgen_engines.runtimes import available, require, runtime_named
from streamgen_engines.runtimes.interface import Array, Engine, Runtime, Signature
from streamgen_engines.text import Prompt

CHUNKS: Final = 120
WARM_UP_CHUNKS: Final = 8  # fills the window, so that every measured pass attends to all of it
PROMPT_EVERY_CHUNKS: Final = 12
COMPARED_CHUNKS: Final = 24
_ROUND_CHUNKS: Final = 6  # of one runtime, before it is the next one's turn
FLOAT32: Final = "onnxruntime-cpu, float32"
_ONCE_PER_TEXT: Final = ("text", "prompt_kv")  # graphs that a chunk does not wait for
_MS_PER_S: Final = 1000
_WATCHED: Final = frozenset({Layer("vp8", 0)})
_LOOK_S: Final = 0.5  # how often a waiting stage looks whether the other one still lives


class Stopwatch:
    """Times by name, ms. Each name is used by one thread at a time."""

    def __init__(self) -> None:
        self.times_ms: defaultdict[str, list[float]] = defaultdict(list)

    @contextmanager
    def time(self, name: str) -> Iterator[None]:
        """Time the block."""
        started = time.perf_counter()
        yield
        self.times_ms[name].append(_MS_PER_S * (time.perf_counter() - started))

    @contextmanager
    def watching(self, owner: type, method: str, name: str) -> Iterator[None]:
        """Time every call of a method until the block ends."""
        original: Callable[..., Any] = getattr(owner, method)

        def timed(*arguments: Any, **named: Any) -> Any:
            with self.time(name):
                return original(*arguments, **named)

        setattr(owner, method, timed)
        try:
            yield
        finally:
            setattr(owner, method, original)

    def clear(self) -> None:
        """Forget what was measured."""
        self.times_ms.clear()

    def summaries(self) -> dict[str, Summary | None]:
        """Of all names, in the order of the alphabet."""
        return {name: Summary.of(self.times_ms[name]) for name in sorted(self.times_ms)}


class TimedRuntime:
    """A runtime whose engines are timed, each under the name of its file."""

    def __init__(self, runtime: Runtime, stopwatch: Stopwatch) -> None:
        self._runtime = runtime
        self._stopwatch = stopwatch

    @property
    def name(self) -> str:
        """That of the real one."""
        return self._runtime.name

    def load(
        self,
        path: Path,
        states: Sequence[State] = (),
        *,
        threads: int = 1,
        in_place: bool = False,
        held: Sequence[str] = (),
    ) -> Engine:
        """Load a graph."""
        engine = self._runtime.load(path, states, threads=threads, in_place=in_place, held=held)
        return _TimedEngine(engine, path.stem, self._stopwatch)


class _TimedEngine:
    def __init__(self, engine: Engine, name: str, stopwatch: Stopwatch) -> None:
        self._engine = engine
        self._name = name
        self._stopwatch = stopwatch

    @property
    def signature(self) -> Signature:
        return self._engine.signature

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        with self._stopwatch.time(self._name):
            return self._engine.run(inputs)

    def hold(self, arrays: Mapping[str, Array]) -> None:
        self._engine.hold(arrays)

    def state(self, name: str) -> Array:
        return self._engine.state(name)

    def take_states(self, other: Engine) -> None:
        self._engine.take_states(other._engine if isinstance(other, _TimedEngine) else other)

    def reset(self) -> None:
        self._engine.reset()


def load(bundle: Bundle, stopwatch: Stopwatch, threads: int = 1, runtime: RuntimeName = DEFAULT_RUNTIME) -> Model:
    """A model whose graphs are timed."""
    return load_model(bundle, threads, runtime=lambda: TimedRuntime(runtime_named(runtime), stopwatch))


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast chunks were made.

    Attributes:
        realtime_ratio: media time per time passed.
        processor_s_per_media_minute: time of all cores together for a minute of media, which energy follows.
    """

    realtime_ratio: float
    processor_s_per_media_minute: float


class Line:
    """The stages of one programme; `run` makes chunks as fast as it can."""

    def __init__(self, model: Model, stopwatch: Stopwatch, *, scale: int = DEFAULT_SCALE) -> None:
        manifest = model.bundle.manifest
        self._stopwatch = stopwatch
        self._chunk_s = float(manifest.chunk_duration)
        self._denoise = DenoiseStage(model.generator, manifest, model.text.encode(""))
        self._decode = DecodeStage(model.decoder)
        self._encode = EncodeStage(manifest, scale=scale)
        # Encoded beforehand: in the server that is the text thread's work.
        self._prompts = [model.text.encode(text) for text in PROMPTS]
        self._made = 0

    def run(self, chunks: int, *, steps: int | None, guidance: float | None) -> Pace:
        """Make chunks and tell how fast that went."""
        between: Queue[Denoised] = Queue(1)
        failures: list[BaseException] = []

        def denoise() -> None:
            try:
                for _ in range(chunks):
                    with self._stopwatch.time("chunk: denoise"):
                        made = self._denoise.make(self._next_prompt(), steps=steps, guidance=guidance)
                    between.put(made)
            except BaseException as error:  # noqa: BLE001 - the thread's outermost edge; raised by the caller below
                failures.append(error)

        thread = threading.Thread(target=denoise, name="denoise", daemon=True)
        started, worked = time.perf_counter(), time.process_time()
        thread.start()
        for _ in range(chunks):
            self._finish(_take(between, thread, failures))
        elapsed_s, processor_s = time.perf_counter() - started, time.process_time() - worked
        thread.join()
        media_s = chunks * self._chunk_s
        return Pace(media_s / elapsed_s, 60 * processor_s / media_s)

    def close(self) -> None:
        """End the threads of the encoders. Idempotent."""
        self._encode.close()

    def _next_prompt(self) -> tuple[Taken[Prompt], ...]:
        turn, rest = divmod(self._made, PROMPT_EVERY_CHUNKS)
        self._made += 1
        if rest:
            return ()
        prompt = self._prompts[turn % len(self._prompts)]
        return (Taken(SetPrompt(f"bench-{turn}", prompt.text), prompt),)

    def _finish(self, denoised: Denoised) -> None:
        with self._stopwatch.time("chunk: decode and encode"):
            decoded = self._decode.decode(denoised)
            self._encode.encode(decoded, _WATCHED)


def _take(between: "Queue[Denoised]", thread: threading.Thread, failures: list[BaseException]) -> Denoised:
    while True:
        alive = thread.is_alive()
        try:
            return between.get(timeout=_LOOK_S)
        except Empty:
            if failures:
                raise failures[0] from None
            if not alive:
                raise RuntimeError("the denoise thread ended early") from None


def measure(
    bundle: Bundle,
    *,
    chunks: int,
    threads: int,
    scale: int,
    progress: Callable[[str], None],
    runtime: RuntimeName = DEFAULT_RUNTIME,
) -> dict[str, Any]:
    """All figures: the bundle's own settings with each number of steps, and its own steps without guidance."""
    stopwatch = Stopwatch()
    model = load(bundle, stopwatch, threads, runtime)
    sampler = bundle.manifest.sampler
    variants = [(steps, sampler.guidance) for steps in range(sampler.steps, 0, -1)]
    if sampler.guidance != 1:
        variants += [(steps, 1.0) for steps in range(sampler.steps, 0, -1)]
    found = []
    with ExitStack() as watched:
        watched.enter_context(stopwatch.watching(Scaler, "planes", "picture: enlarging, RGB to YUV"))
        watched.enter_context(stopwatch.watching(VideoEncoder, "encode", "picture: VP8"))
        watched.enter_context(stopwatch.watching(AudioEncoder, "encode", "chunk: Opus, resampling included"))
        watched.enter_context(stopwatch.watching(AudioEncoder, "fade", "chunk: fade in reserve"))
        line = Line(model, stopwatch, scale=scale)
        watched.callback(line.close)
        for steps, guidance in variants:
            line.run(WARM_UP_CHUNKS, steps=steps, guidance=guidance)
            stopwatch.clear()
            pace = line.run(chunks, steps=steps, guidance=guidance)
            found.append(
                {
                    "steps": steps,
                    "guidance": guidance,
                    "passes": passes(steps, 1 + (guidance != 1), sampler.closing_passes),
                    "realtime_ratio": pace.realtime_ratio,
                    "processor_s_per_media_minute": pace.processor_s_per_media_minute,
                    "ms": stopwatch.summaries(),
                }
            )
            progress(f"{steps} steps, guidance {guidance:g}: {pace.realtime_ratio:.2f} times real time")
    return {"chunk_ms": _MS_PER_S * float(bundle.manifest.chunk_duration), "variants": found}


def compare(
    bundle: Bundle, *, chunks: int, threads: int, scale: int, progress: Callable[[str], None]
) -> list[dict[str, Any]]:
    """The runtimes that are here, side by side, each with the bundle's own settings; float32 first."""
    usable = {report.name for report in available() if report.usable}
    found: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder, ExitStack() as lines:
        plain = dequantised(bundle, Path(folder) / bundle.manifest.name)
        entrants: list[_Entrant] = []
        for shown, opened, name in (
            (FLOAT32, plain, DEFAULT_RUNTIME),
            *((name, bundle, name) for name in RUNTIME_NAMES if name in usable),
        ):
            stopwatch = Stopwatch()
            try:
                line = Line(load(opened, stopwatch, threads, name), stopwatch, scale=scale)
            except EngineError as error:  # such as a GPU whose driver is too old
                found.append({"runtime": shown, "failed": str(error)})
                progress(f"{shown} does not run: {error}")
                continue
            lines.callback(line.close)
            line.run(WARM_UP_CHUNKS, steps=None, guidance=None)
            stopwatch.clear()
            entrants.append(_Entrant(shown, line, stopwatch, []))
        for turn in range(max(1, chunks // _ROUND_CHUNKS)):
            for each in entrants:
                pace = each.line.run(min(chunks, _ROUND_CHUNKS), steps=None, guidance=None)
                each.ratios.append(pace.realtime_ratio)
            last = ", ".join(f"{each.shown} {each.ratios[-1]:.2f}" for each in entrants)
            progress(f"runtimes, round {turn + 1}, times real time: {last}")
    ratios = {each.shown: statistics.median(each.ratios) for each in entrants}
    return found + [
        {
            "runtime": each.shown,
            "realtime_ratio": ratios[each.shown],
            "of_float32": ratios[each.shown] / ratios[FLOAT32] if FLOAT32 in ratios else None,
            "graph_ms": {
                graph: timed
                for graph, timed in each.stopwatch.summaries().items()
                if ":" not in graph and graph not in _ONCE_PER_TEXT
            },
        }
        for each in entrants
    ]


@dataclass(frozen=True, slots=True)
class _Entrant:
    shown: str
    line: Line
    stopwatch: Stopwatch
    ratios: list[float]  # times real time, one per round


def compared_table(runtimes: Sequence[Mapping[str, Any]]) -> list[str]:
    """The comparison, for people."""
    if not runtimes:
        return []
    graphs = sorted({graph for each in runtimes for graph in each.get("graph_ms", ())})
    named = "  ".join(f"{graph:>12}" for graph in graphs)
    lines = ["", f"{'runtime':26}  x real time  of float32  {named}  (p50 ms)"]
    for each in runtimes:
        if "failed" in each:
            lines.append(f"{each['runtime']:26}  does not run: {each['failed']}")
            continue
        times = "  ".join(f"{each['graph_ms'][graph]['p50']:12.1f}" for graph in graphs)
        share = f"{each['of_float32']:10.2f}" if each["of_float32"] is not None else f"{'-':>10}"
        lines.append(f"{each['runtime']:26}  {each['realtime_ratio']:11.2f}  {share}  {times}")
    return lines


def table(figures: dict[str, Any]) -> list[str]:
    """What a run found, for people."""
    lines = ["", "steps  guidance  passes  x real time  cpu s/min  denoise p50 / p95 ms  decode+encode p50 / p95 ms"]
    for each in figures["variants"]:
        denoise, rest = each["ms"]["chunk: denoise"], each["ms"]["chunk: decode and encode"]
        lines.append(
            f"{each['steps']:5}  {each['guidance']:8g}  {each['passes']:6}  {each['realtime_ratio']:11.2f}"
            f"  {each['processor_s_per_media_minute']:9.1f}"
            f"  {denoise['p50']:9.1f} / {denoise['p95']:6.1f}    {rest['p50']:12.1f} / {rest['p95']:6.1f}"
        )
    lines += ["", f"{'each call, own settings':36}  {'p50 ms':>8}  {'p95 ms':>8}"]
    for name, ms in figures["variants"][0]["ms"].items():
        lines.append(f"{name:36}  {ms['p50']:8.2f}  {ms['p95']:8.2f}")
    return lines


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m bench.generate", description="Generation speed, without a server.")
    parser.add_argument("--bundle", type=Path, help="folder of the model; without it the bundled one")
    parser.add_argument("--chunks", type=int, default=CHUNKS, help=f"measured per setting [{CHUNKS}]")
    parser.add_argument("--threads", type=int, default=1, help="of denoising, and as many of decoding [1]")
    parser.add_argument("--runtime", default=DEFAULT_RUNTIME, help=f"of the first table [{DEFAULT_RUNTIME}]")
    parser.add_argument(
        "--compare", type=int, default=COMPARED_CHUNKS, help=f"chunks of each runtime; 0 = none [{COMPARED_CHUNKS}]"
    )
    parser.add_argument("--scale", type=int, help="enlarging [what the server takes for the model]")
    parser.add_argument("--results", type=Path, default=record.RESULTS, help="where the record goes")
    parser.add_argument("--no-record", action="store_true", help="only print")
    given = parser.parse_args()
    try:
        runtime = require(given.runtime)
        bundle = record.open_bundle(given.bundle)
    except EngineError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    scale = usual_scale(bundle.manifest.video.height) if given.scale is None else given.scale
    settings = {"chunks": given.chunks, "threads": given.threads, "scale": scale}
    run = record.begin("generate", bundle, {**settings, "runtime": runtime, "compare": given.compare})

    def progress(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    figures = measure(bundle, **settings, progress=progress, runtime=runtime)
    if given.compare > 0:
        figures["runtimes"] = compare(
            bundle, chunks=given.compare, threads=given.threads, scale=scale, progress=progress
        )
    run = record.finish(run, figures, [])
    if not given.no_record:
        record.append(run, given.results)
    print("\n".join([*table(run["figures"]), *compared_table(run["figures"].get("runtimes", ()))]))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
