"""What planes cost on a CPU: a graph that makes them against libswscale. `python -m bench.planes`

For the record: it is why a runtime of CPUs makes none (docs/tensorrt.md). Times are those of the processor, for one
thread, per picture and for all sizes of the ladder, medians of runs that take turns.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np

from streamgen.generation.encode_stage import wanted_planes
from streamgen.media.scaler import Scaler
from streamgen.media.video_encoder import usual_scale
from streamgen_engines.bundle import bundle_at
from streamgen_engines.planes.graph import products
from streamgen_engines.planes.model import with_planes
from streamgen_engines.runtimes import OnnxRuntimeCpu

_MS_PER_S: Final = 1000


def main() -> None:
    """Measure one bundle."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--bundle", type=Path, default=Path("pocket"))
    options.add_argument("--runs", type=int, default=15)
    given = options.parse_args()
    bundle = bundle_at(given.bundle)
    manifest = bundle.manifest
    video, states = manifest.video, manifest.graphs["decode_video"].states
    request = wanted_planes(manifest, usual_scale(video.height))
    plain = OnnxRuntimeCpu().load(bundle.path("decode_video"), states)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "planes.onnx"
        file.write_bytes(with_planes(bundle.path("decode_video"), request, half=False))
        planes = OnnxRuntimeCpu().load(file, states)
    call = {"latent": np.random.default_rng(0).standard_normal((1, *video.latent), np.float32)}
    scalers = [Scaler((video.width, video.height), size) for size in request.sizes]
    pictures = plain.run(call)["frames"]

    def scale() -> None:
        for scaler in scalers:
            for picture in pictures:
                scaler.planes(picture)

    steps: dict[str, Callable[[], object]] = {
        "decoding": lambda: plain.run(call),
        "decoding with planes": lambda: planes.run(call),
        "libswscale": scale,
    }
    times: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(given.runs):
        for name, step in steps.items():
            started = time.process_time()
            step()
            times[name].append(_MS_PER_S * (time.process_time() - started) / video.frames_per_chunk)
    print(
        f"{manifest.name} {video.width}x{video.height} to {request}, ms of one core per picture, median of {given.runs}"
    )
    for name, each in times.items():
        print(f"  {name}: {statistics.median(each):.2f}")
    work = sum(products((video.width, video.height), size) for size in request.sizes)
    print(f"  planes take {work / 1e9:.2f} GFLOP per picture")


if __name__ == "__main__":
    main()
