"""How fast a model is on a GPU: `python -m bench.gpu`. Refuses where CUDA finds none: nothing here is estimated.

Plans are built, or found, by `streamgen compile`'s own code. Then each graph is run on the inputs that a stream gives
it, and a stream is made: denoising and decoding one after the other, without encoding.
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from bench import record
from bench.figures import Summary
from streamgen.generation.pipeline import wanted_planes
from streamgen.media.video_encoder import usual_scale
from streamgen_engines.bundle import Bundle
from streamgen_engines.errors import EngineError
from streamgen_engines.families import Condition, PocketDecoder, PocketGenerator
from streamgen_engines.runtimes import OnnxRuntimeCpu
from streamgen_engines.tensorrt.flavour import FLAVOURS
from streamgen_engines.tensorrt.recording import record_calls
from streamgen_engines.tensorrt.runtime import TensorRt
from streamgen_engines.text import TextEncoder

RUNS: Final = 200
CHUNKS: Final = 100
WARM_UP: Final = 8  # fills the window, and is past compiling and recording
PROMPT: Final = "waves break on a beach in the evening"
_MS_PER_S: Final = 1000


def measure(
    bundle: Bundle, runtime: TensorRt, *, runs: int, chunks: int, tell: Callable[[str], None]
) -> dict[str, Any]:
    """Time per call of each graph, what TensorRT made of it, and how many times real time a stream is."""
    figures: dict[str, Any] = {"gpu": runtime.gpu.gpu.name, "capability": runtime.gpu.gpu.capability, "graphs": {}}
    for name, calls in record_calls(bundle, OnnxRuntimeCpu()).items():
        tell(f"{name}: loading")
        engine = runtime.load(bundle.path(name), bundle.manifest.graphs[name].states)
        times = []
        for index in range(WARM_UP + runs):
            call = calls[index % len(calls)]
            started = time.perf_counter()
            engine.run(call)
            times.append(_MS_PER_S * (time.perf_counter() - started))
        report = engine.report()
        figures["graphs"][name] = {
            "ms": Summary.of(times[WARM_UP:]),
            "recorded": engine.recorded,
            "in_place": len(engine.in_place),
            "layers": report.layers,
            "attentions": report.attentions,
            "device_bytes": report.device_bytes,
        }
        tell(f"{name}: {figures['graphs'][name]['ms']}")
    prompt = TextEncoder(bundle, runtime).encode(PROMPT)
    # Pictures come as they do for a server, in all sizes that it encodes.
    planes = wanted_planes(bundle.manifest, usual_scale(bundle.manifest.video.height))
    generator, decoder = PocketGenerator(bundle, runtime), PocketDecoder(bundle, runtime, planes=planes)
    for _ in range(WARM_UP):
        shown = decoder.decode(generator.step(Condition(prompt)))
    figures["planes"] = str(planes) if shown.planes else None
    denoising, decoding = [], []
    started = time.perf_counter()
    for _ in range(chunks):
        began = time.perf_counter()
        latents = generator.step(Condition(prompt))
        denoised = time.perf_counter()
        decoder.decode(latents)
        denoising.append(_MS_PER_S * (denoised - began))
        decoding.append(_MS_PER_S * (time.perf_counter() - denoised))
    took_s = time.perf_counter() - started
    figures["denoise_ms"], figures["decode_ms"] = Summary.of(denoising), Summary.of(decoding)
    figures["realtime_ratio"] = float(chunks * bundle.manifest.chunk_duration) / took_s
    return figures


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m bench.gpu", description="Speed on a GPU, without a server.")
    parser.add_argument("--bundle", type=Path, help="folder of the model or name of a bundled one [pocket]")
    parser.add_argument("--runtime", choices=FLAVOURS, default="tensorrt-rtx")
    parser.add_argument("--device", type=int, default=0, help="number of the GPU [0]")
    parser.add_argument("--runs", type=int, default=RUNS, help=f"of each graph [{RUNS}]")
    parser.add_argument("--chunks", type=int, default=CHUNKS, help=f"of the stream [{CHUNKS}]")
    parser.add_argument("--results", type=Path, default=record.RESULTS, help="where the record goes")
    parser.add_argument("--no-record", action="store_true", help="only print")
    given = parser.parse_args()
    try:
        bundle = record.open_bundle(given.bundle)
        runtime = TensorRt(given.runtime, device=given.device)
    except EngineError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    settings = {"runtime": given.runtime, "runs": given.runs, "chunks": given.chunks}
    run = record.begin("gpu", bundle, settings)
    try:
        figures = measure(bundle, runtime, runs=given.runs, chunks=given.chunks, tell=lambda line: print(line))
    except EngineError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    finally:
        runtime.close()
    run = record.finish(run, figures, [])
    if not given.no_record:
        record.append(run, given.results)
    print(f"{run['figures']['realtime_ratio']} times real time on {figures['gpu']}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
