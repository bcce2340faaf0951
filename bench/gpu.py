"""How fast a model is on a GPU: `python -m bench.gpu`. Refuses where CUDA finds none: nothing here is estimated.

Plans are built, or found, by `streamgen compile`'s own code; ONNX Runtime gets the same rewritten graphs. Then each
graph is run on the inputs that a stream gives it, beside the least time that it can take (`roofline`), and a stream is
made, with the chunk loop where the runtime has it: denoising and decoding one after the other, without encoding. Last,
generator processes are started side by side until one is late (`channels`).

`--runtime onnxruntime-cpu` is a rehearsal on a machine without a GPU: everything runs, and nothing is recorded.
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Protocol, runtime_checkable

from bench import channels, loop_overhead, record
from bench.cards import card_named, installed
from bench.figures import Summary, percentile
from bench.roofline import line, roofline, roofline_of, told
from streamgen.generation.encode_stage import wanted_planes
from streamgen.media.video_encoder import usual_scale
from streamgen_engines.bundle import Bundle
from streamgen_engines.errors import EngineError
from streamgen_engines.families import Condition, PocketDecoder, PocketGenerator
from streamgen_engines.manifest import PocketManifest
from streamgen_engines.recipe import SamplingRuntime
from streamgen_engines.runtimes import OnnxRuntimeCpu, Runtime
from streamgen_engines.runtimes.bound_runtime import BoundRuntime
from streamgen_engines.tensorrt.flavour import FLAVOURS
from streamgen_engines.tensorrt.inspection import EngineReport
from streamgen_engines.tensorrt.prepare import prepare
from streamgen_engines.tensorrt.recording import record_calls
from streamgen_engines.text import TextEncoder

RUNS: Final = 200
CHUNKS: Final = 400
CHANNELS: Final = 64
TRIAL_S: Final = 4.0
LIMIT_S: Final = 600.0
WARM_UP: Final = 8  # fills the window, and is past compiling and recording
PROMPT: Final = "waves break on a beach in the evening"
REHEARSAL: Final = "onnxruntime-cpu"
_OTHERS: Final = ("onnxruntime-cuda", REHEARSAL)
_MS_PER_S: Final = 1000


@runtime_checkable
class OnDevice(Protocol):
    """An engine on a GPU."""

    @property
    def recorded(self) -> bool:
        """Whether it plays a CUDA graph."""
        ...

    @property
    def in_place(self) -> frozenset[str]:
        """States that are written in place."""
        ...


@runtime_checkable
class Inspected(Protocol):
    """An engine that says what became of its graph."""

    def report(self) -> EngineReport:
        """Layers, kernels, memory."""
        ...


def measure(bundle: Bundle, runtime: Runtime, *, runs: int, chunks: int, tell: Callable[[str], None]) -> dict[str, Any]:
    """Time per call of each graph, what became of it, its floor, and how many times real time a stream is."""
    device = getattr(runtime, "gpu", None)
    told_by_driver = installed() or {}
    name = device.gpu.name if device is not None else told_by_driver.get("name", "no GPU")
    figures: dict[str, Any] = {
        "gpu": name,
        "capability": device.gpu.capability if device is not None else told_by_driver.get("compute_cap"),
        "driver": told_by_driver.get("driver_version"),
        "graphs": {},
    }
    card = card_named(name)
    for graph, calls in record_calls(bundle, OnnxRuntimeCpu()).items():
        tell(f"{graph}: loading")
        engine = runtime.load(bundle.path(graph), bundle.manifest.graphs[graph].states, in_place=graph == "denoise")
        times = []
        for index in range(WARM_UP + runs):
            call = calls[index % len(calls)]
            started = time.perf_counter()
            engine.run(call)
            times.append(_MS_PER_S * (time.perf_counter() - started))
        summary = Summary.of(times[WARM_UP:])
        path = bundle.path(graph)
        # On a GPU the rewritten graph runs, in the precision that it was rewritten for; on a CPU the file.
        planned = device is not None or isinstance(runtime, BoundRuntime)
        work = roofline(_parsed(prepare(path.read_bytes(), name=path.name).model)) if planned else roofline_of(path)
        figures["graphs"][graph] = {"ms": summary, **told(work, card)}
        if isinstance(engine, OnDevice):
            figures["graphs"][graph] |= {"recorded": engine.recorded, "in_place": len(engine.in_place)}
        if isinstance(engine, Inspected):
            report = engine.report()
            figures["graphs"][graph] |= {
                "layers": report.layers,
                "attentions": report.attentions,
                "device_bytes": report.device_bytes,
            }
        tell(line(graph, work, card, None if summary is None else summary.p50))
    figures |= _stream(bundle, runtime, chunks)
    if "denoise" in bundle.manifest.graphs and isinstance(bundle.manifest, PocketManifest):
        # On a device that does nothing: what is left is Python, on this machine's processor.
        way = "sessions" if isinstance(runtime, BoundRuntime) else "played"
        figures["python_ms"] = loop_overhead.measure(bundle, chunks=chunks)[way]["ms"]
    return figures


def _parsed(model: bytes) -> Any:
    import onnx

    return onnx.load_from_string(model)


def _stream(bundle: Bundle, runtime: Runtime, chunks: int) -> dict[str, Any]:
    """Chunks one after the other: denoised, then decoded, without encoding."""
    prompt = TextEncoder(bundle, runtime).encode(PROMPT)
    # Pictures come as they do for a server, in all sizes that it encodes.
    planes = wanted_planes(bundle.manifest, usual_scale(bundle.manifest.video.height))
    generator, decoder = PocketGenerator(bundle, runtime), PocketDecoder(bundle, runtime, planes=planes)
    started = time.perf_counter()
    shown = decoder.decode(generator.step(Condition(prompt)))
    first_ms = _MS_PER_S * (time.perf_counter() - started)
    for _ in range(WARM_UP):
        shown = decoder.decode(generator.step(Condition(prompt)))
    denoise, decode, whole = [], [], []
    ended = started = time.perf_counter()
    for _ in range(chunks):
        begun = time.perf_counter()
        latents = generator.step(Condition(prompt))
        denoised = time.perf_counter()
        decoder.decode(latents)
        ended = time.perf_counter()
        denoise.append(_MS_PER_S * (denoised - begun))
        decode.append(_MS_PER_S * (ended - denoised))
        whole.append(_MS_PER_S * (ended - begun))
    took_s = ended - started
    return {
        "loop": "device" if isinstance(runtime, SamplingRuntime) else "host",
        "cuda_graphs": runtime.recorded if isinstance(runtime, BoundRuntime) else None,
        "planes": str(planes) if shown.planes else None,
        "first_chunk_ms": first_ms,
        "denoise_ms": Summary.of(denoise),
        "decode_ms": Summary.of(decode),
        "chunk_ms": Summary.of(whole),
        "chunk_p99_ms": percentile(sorted(whole), 99),
        "realtime_ratio": float(chunks * bundle.manifest.chunk_duration) / took_s,
    }


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m bench.gpu", description="Speed on a GPU, without a server.")
    parser.add_argument("--bundle", type=Path, help="folder of the model or name of a bundled one [pocket]")
    parser.add_argument("--runtime", choices=(*FLAVOURS, *_OTHERS), default="tensorrt-rtx")
    parser.add_argument("--device", type=int, default=0, help="number of the GPU [0]")
    parser.add_argument("--runs", type=int, default=RUNS, help=f"of each graph [{RUNS}]")
    parser.add_argument("--chunks", type=int, default=CHUNKS, help=f"of the stream [{CHUNKS}]")
    parser.add_argument("--channels", type=int, default=CHANNELS, help=f"most that are tried, 0: none [{CHANNELS}]")
    parser.add_argument("--trial-s", type=float, default=TRIAL_S, help=f"with each number of channels [{TRIAL_S:g}]")
    parser.add_argument("--limit-s", type=float, default=LIMIT_S, help=f"no trial begins later [{LIMIT_S:g}]")
    parser.add_argument("--results", type=Path, default=record.RESULTS, help="where the record goes")
    parser.add_argument("--no-record", action="store_true", help="only print")
    given = parser.parse_args()
    deadline_s = time.monotonic() + given.limit_s
    failures: list[str] = []
    try:
        bundle = record.open_bundle(given.bundle)
        runtime = channels.make_runtime(given.runtime, given.device)
    except EngineError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    settings = {"runtime": given.runtime, "runs": given.runs, "chunks": given.chunks, "trial_s": given.trial_s}
    run = record.begin("gpu", bundle, settings)
    try:
        figures = measure(bundle, runtime, runs=given.runs, chunks=given.chunks, tell=lambda text: print(text))
    except EngineError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    finally:
        close = getattr(runtime, "close", None)  # of those that own memory of a GPU
        if close is not None:
            close()
    if given.channels:
        held = channels.count(
            given.bundle,
            given.runtime,
            device=given.device,
            limit=given.channels,
            seconds=given.trial_s,
            deadline_s=deadline_s,
            duration_s=float(bundle.manifest.chunk_duration),
        )
        figures["held"] = held
        failures += [held.failure] if held.failure else []
    run = record.finish(run, figures, failures)
    for text in summary(run["figures"]):
        print(text)
    for failure in failures:
        print(f"left out: {failure}")
    if given.runtime == REHEARSAL:
        print("a rehearsal on a CPU: nothing is recorded, and none of these figures says anything about a GPU")
    elif not given.no_record:
        record.append(run, given.results)
    return 0


def summary(figures: dict[str, Any]) -> list[str]:
    """What issue and reader ask first, of a finished record's figures."""
    chunk = figures["chunk_ms"]
    lines = [
        f"{figures['realtime_ratio']} times real time on {figures['gpu']}, the chunk loop on the {figures['loop']}",
        f"a chunk takes {chunk['p50']} ms (p50), {figures['chunk_p99_ms']} ms (p99)",
        f"the first chunk takes {figures['first_chunk_ms']} ms",
    ]
    if "python_ms" in figures:
        lines.append(f"Python per chunk {figures['python_ms']['p50']} ms (p50), on a device that does nothing")
    if "held" in figures:
        held = figures["held"]
        more = " or more" if held["channels"] == held["limit"] else ""
        lines.append(f"{held['channels']}{more} channels at real time, a process each")
        for trial in held["trials"]:
            lines.append(
                f"  {trial['channels']}: {trial['missed']} chunks late, p50 {trial['p50_ms']} ms, "
                f"p99 {trial['p99_ms']} ms"
            )
    return lines


if __name__ == "__main__":
    raise SystemExit(main())
