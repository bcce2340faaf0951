"""How fast causal Wan is, at real size with random weights: `python -m bench.wan`. It needs no checkpoint.

Random weights do the same arithmetic. By stage, each beside the least time that it can take (`roofline`): a pass, the
pass that leaves a chunk in the ring, a latent to pictures, pictures to planes, and a change of the text. Then whole
chunks, first pictures, and what each way of taking over a new prompt costs. In torch (`wan_torch`), and as graphs on
every runtime that is named and here.

Parts come in the order of their worth, and none begins once `--limit-s` is over: what was left out is said.
`--device cpu --tiny` is a rehearsal: everything runs, and nothing is recorded.
"""

import argparse
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import torch

from bench import record, wan_graphs
from bench.cards import card_named, installed
from bench.figures import Summary
from bench.roofline import Work
from bench.wan_pictures import DECODERS, DecoderName, Decoding, Planes, planes_work
from bench.wan_pictures import build as build_decoder
from bench.wan_pictures import work_of as decoder_work
from bench.wan_report import CHUNK, Report, floors, label, summary
from bench.wan_torch import SIGMAS, Precision, Setting, Stream, Way, build, timed, work_of
from streamgen_export.wan.config import SIZES, TINY, RingShape, WanConfig
from streamgen_export.wan.precision import PRECISIONS as GRAPH_PRECISIONS
from streamgen_export.wan.precision import Precision as GraphPrecision
from streamgen_export.wan.vae_config import PICTURES_PER_LATENT

PRECISIONS: Final[tuple[Precision, ...]] = ("bf16", "fp8", "fp16", "fp32")
WAYS: Final[tuple[Way, ...]] = ("compiled", "eager")
BLEND_CHUNKS: Final = 4
RUNTIMES: Final = ("onnxruntime-cuda", "tensorrt-rtx", "tensorrt")
_MS_PER_S: Final = 1000


class Parts:
    """Runs parts until the time is up; a part that fails is told, and the others go on.

    Args:
        limit_s: no part begins later.
        now: seconds.
    """

    def __init__(self, limit_s: float, now: Callable[[], float] = time.monotonic) -> None:
        self._now, self._end_s = now, now() + limit_s
        self.failures: list[str] = []

    def run(self, name: str, part: Callable[[], None]) -> bool:
        """Whether it came to its end."""
        if self._now() > self._end_s:
            self.failures.append(f"{name}: the time was up")
            return False
        try:
            part()
        except Exception as error:  # noqa: BLE001 - the outermost edge of a part: a figure less, and all others
            first = (str(error).strip() or "no reason given").splitlines()[0]
            self.failures.append(f"{name}: {type(error).__name__}: {first}")
            print(f"left out: {self.failures[-1]}")
            return False
        return True


class EndedError(BaseException):
    """The process was told to end: no part may take it for a failure of its own."""


def _end(*_: object) -> None:
    raise EndedError


class Bench:
    """The parts of one run.

    Args:
        given: the command's options.
        device: where torch computes.
        report: takes what is found.
        parts: the time.
    """

    def __init__(self, given: argparse.Namespace, device: torch.device, report: Report, parts: Parts) -> None:
        self._given, self._device, self._report, self._parts = given, device, report, parts
        self._sizes: tuple[tuple[int, int], ...] = ()
        self._decoding: dict[tuple[str, Precision, Way], Decoding] = {}
        self._planes: Planes | None = None

    def run(self) -> None:
        """Everything that was asked for."""
        given = self._given
        self._parts.run("sizes of planes", self._find_sizes)
        if "torch" in given.runtimes:
            self._parts.run("planes", self._measure_planes)
            for precision in dict.fromkeys(_of_pictures(each) for each in given.precisions):
                for name in given.decoders:
                    for way in given.ways:
                        self._parts.run(
                            f"torch {way} {precision} {name}",
                            lambda n=name, p=precision, w=way: self._measure_decoder(n, p, w),  # type: ignore[misc]
                        )
            for config in configs(given):
                for precision in given.precisions:
                    self._torch(config, precision)
        self._decoding.clear()
        for runtime in given.runtimes:
            if runtime != "torch":
                self._graphs(runtime)

    def _shape(self, ring: int) -> RingShape:
        return RingShape(CHUNK, ring - CHUNK, 0, self._given.height // 8, self._given.width // 8)

    def _find_sizes(self) -> None:
        from streamgen.media.layers import ladder
        from streamgen.media.video_encoder import DEFAULT_BITRATE, encoded_size, usual_scale

        width, height = self._given.width, self._given.height
        rungs = ladder(*encoded_size(width, height, usual_scale(height)), DEFAULT_BITRATE)
        self._sizes = tuple((rung.width, rung.height) for rung in rungs)

    def _measure_planes(self) -> None:
        source = self._given.width, self._given.height
        half = self._device.type == "cuda"
        self._planes = Planes(source, self._sizes, torch.float16 if half else torch.float32).to(self._device)
        frames = torch.zeros(PICTURES_PER_LATENT, source[1], source[0], 3, dtype=torch.uint8, device=self._device)
        times = timed(lambda: self._planes and self._planes(frames), self._device, self._given.runs)
        work = planes_work(source, self._sizes, "float16" if half else "float32")
        self._report.stage({"runtime": "torch", "way": "eager"}, "planes of a latent", times, work)

    def _measure_decoder(self, name: DecoderName, precision: Precision, way: Way) -> None:
        given, device = self._given, self._device
        decoder = build_decoder(name, precision, device, tiny=given.tiny)
        decoding = Decoding(decoder, given.width, given.height, device, way, given.backend)
        latent = torch.randn(1, 16, 1, given.height // 8, given.width // 8, device=device)
        where = {"runtime": "torch", "way": way, "precision": precision, "decoder": name}
        times = timed(lambda: decoding.decode(latent), device, given.runs)
        self._report.stage(where, "latent", times, decoder_work(decoder, given.width, given.height, precision))
        if way == "eager":
            work = decoder_work(decoder, given.width, given.height, precision, first=True)
            self._report.stage(where, "first latent", timed(lambda: decoding.first(latent), device, given.runs), work)
        self._decoding[name, precision, way] = decoding

    def _torch(self, config: WanConfig, precision: Precision) -> None:
        models: list[Any] = []
        if not self._parts.run(
            f"torch {precision} {config.name}", lambda: models.append(build(config, precision, self._device))
        ):
            return
        for ring in sorted(self._given.rings, reverse=True):
            for way in self._given.ways:
                setting = Setting(config, self._shape(ring), precision, way, self._given.backend)
                self._parts.run(
                    f"torch {way} {precision} {config.name} ring {ring}",
                    lambda s=setting: self._measure_stream(Stream(models[0], s, self._device), s),  # type: ignore[misc]
                )

    def _measure_stream(self, stream: Stream, setting: Setting) -> None:
        torch._dynamo.reset()  # it keeps few compiled versions of a function, and then compiles no more
        device, runs, ring = self._device, self._given.runs, setting.shape.frames
        where = {
            "runtime": "torch",
            "way": setting.way,
            "precision": setting.precision,
            "size": setting.config.name,
            "ring": ring,
        }
        work = work_of(setting.config, setting.shape, setting.precision)
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        self._report.stage(where, "pass", timed(stream.run, device, runs), work)
        latent = torch.randn(stream.latent_shape, device=device)
        self._report.stage(where, "cache write", timed(lambda: stream.write(latent), device, runs), work)
        for name in self._given.decoders:
            decoding = self._decoding.get((name, _of_pictures(setting.precision), setting.way))
            if decoding is not None:
                self._measure_chunk(stream, decoding, {**where, "decoder": name}, work)
        self._measure_switches(stream, where)

    def _measure_chunk(self, stream: Stream, decoding: Decoding, where: dict[str, Any], work: Work) -> None:
        device, planes = self._device, self._planes
        runs = max(2, self._given.runs // 2)

        def shown(frames: torch.Tensor) -> None:
            if planes is not None:
                planes(frames)

        def chunk() -> None:
            for latent in stream.chunk().split(1, dim=2):
                shown(decoding.decode(latent))

        def first() -> None:
            stream.change_text()
            shown(decoding.first(stream.denoise()[:, :, :1]))

        ms = Summary.of(timed(chunk, device, runs, warm_up=1))
        begins = Summary.of(timed(first, device, runs, warm_up=1))
        assert ms is not None
        assert begins is not None
        pictures = PICTURES_PER_LATENT * CHUNK
        row = {
            **where,
            "chunk_ms": ms,
            "pictures_per_s": _MS_PER_S * pictures / ms.p50,
            "first_picture_ms": begins.p50,
            "planes": planes is not None,
            "peak_gb": torch.cuda.max_memory_allocated(device) / 1e9 if device.type == "cuda" else None,
        }
        self._report.chunk(row, work * (len(SIGMAS) + 1))
        print(
            f"{label(where)}: a chunk {ms.p50:.1f} ms, {row['pictures_per_s']:.1f} pictures/s, "
            f"first picture {begins.p50:.1f} ms"
        )

    def _measure_switches(self, stream: Stream, where: dict[str, Any]) -> None:
        device, runs = self._device, max(2, self._given.runs // 2)
        ways: dict[str, Callable[[], object]] = {
            "keep": stream.change_text,
            "blend": lambda: stream.blend(0.5),
            "recache": stream.recache,
            "cut": stream.cut,
        }
        for name, call in ways.items():
            once = Summary.of(timed(call, device, runs, warm_up=1))
            assert once is not None
            # A blend computes the text once, and mixes for each of its chunks.
            times = BLEND_CHUNKS if name == "blend" else 1
            self._report.switch({**where, "switch": name, "ms": once, "times": times})
            print(f"{label(where)}: {name} costs {once.p50:.2f} ms, {times} times")

    def _graphs(self, runtime: str) -> None:
        given = self._given
        half = self._device.type == "cuda"
        with tempfile.TemporaryDirectory() as scratch:
            folder = given.graphs or Path(scratch)

            def tell(precision: str, found: wan_graphs.GraphTimes) -> None:
                where = {"runtime": runtime, "precision": precision}
                self._report.summary(where, found.name, found.ms, found.work)

            def decoder(name: DecoderName) -> None:
                shape = self._shape(max(given.rings))
                wan_graphs.export_decoder(folder, name, shape, half=half, tiny=given.tiny)
                wan_graphs.measure_decoder(
                    folder,
                    name,
                    shape,
                    runtime,
                    self._sizes,
                    half=half,
                    tiny=given.tiny,
                    runs=given.runs,
                    tell=lambda found: tell("fp16" if half else "fp32", found),
                )

            def denoise(config: WanConfig, ring: int, precision: GraphPrecision) -> None:
                shape, inside = self._shape(ring), folder / precision
                inside.mkdir(parents=True, exist_ok=True)
                wan_graphs.export_transformer(inside, config, shape, precision)
                wan_graphs.measure_denoise(
                    inside,
                    config,
                    shape,
                    runtime,
                    precision=precision,
                    runs=given.runs,
                    tell=lambda found: tell(precision, found),
                )

            # Before anything is exported: a runtime that is not here is known at once.
            if not self._parts.run(runtime, lambda: wan_graphs.try_runtime(runtime)):
                return
            for name in given.decoders:
                self._parts.run(f"{runtime} {name}", lambda n=name: decoder(n))  # type: ignore[misc]
            for config in configs(given)[:1]:  # a folder has the graphs of one size
                for precision in given.graph_precisions:
                    for ring in sorted(given.rings, reverse=True):
                        name = f"{runtime} {precision} {config.name} ring {ring}"
                        self._parts.run(name, lambda c=config, r=ring, p=precision: denoise(c, r, p))  # type: ignore[misc]


def configs(given: argparse.Namespace) -> list[WanConfig]:
    """The transformers that were asked for."""
    return [TINY] if given.tiny else [SIZES[size] for size in given.sizes]


def _of_pictures(precision: Precision) -> Precision:
    """What decoders compute in beside a transformer of that precision."""
    return "bf16" if precision == "fp8" else precision


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command's options."""
    parser = argparse.ArgumentParser(prog="python -m bench.wan", description="Speed of causal Wan, random weights.")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="of torch [cuda]")
    parser.add_argument("--floors", action="store_true", help="print the least times on published cards, run nothing")
    parser.add_argument("--tiny", action="store_true", help="two narrow layers, small pictures: a rehearsal")
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=["1.3B"], help="[1.3B]")
    parser.add_argument("--rings", nargs="+", type=int, default=[6, 12, 21], help="latent frames of the ring [6 12 21]")
    parser.add_argument("--precisions", nargs="+", choices=PRECISIONS, help="[bf16 fp8 fp16; on a CPU fp32]")
    parser.add_argument(
        "--graph-precisions", nargs="+", choices=GRAPH_PRECISIONS, help="of graphs [fp16; on a CPU fp32]"
    )
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS), help="of torch [compiled eager]")
    parser.add_argument("--decoders", nargs="+", choices=DECODERS, default=list(DECODERS), help="[taehv wan]")
    parser.add_argument("--runtimes", nargs="+", help=f"[torch {' '.join(RUNTIMES)}; on a CPU torch onnxruntime-cpu]")
    parser.add_argument("--width", type=int, help="of the pictures [832]")
    parser.add_argument("--height", type=int, help="of the pictures [480]")
    parser.add_argument("--runs", type=int, default=8, help="of each stage [8]")
    parser.add_argument("--backend", default="inductor", help="of torch.compile [inductor]")
    parser.add_argument("--graphs", type=Path, help="folder that keeps exported graphs")
    parser.add_argument("--limit-s", type=float, default=600.0, help="no part begins later [600]")
    parser.add_argument("--results", type=Path, default=record.RESULTS, help="where the record goes")
    parser.add_argument("--no-record", action="store_true", help="only print")
    given = parser.parse_args(arguments)
    on_cpu = given.device == "cpu"
    given.precisions = given.precisions or (["fp32"] if on_cpu else ["bf16", "fp8", "fp16"])
    given.graph_precisions = given.graph_precisions or ["fp32" if on_cpu else "fp16"]
    given.runtimes = given.runtimes or ["torch", *(["onnxruntime-cpu"] if on_cpu else RUNTIMES)]
    given.width = given.width or (96 if given.tiny else 832)
    given.height = given.height or (64 if given.tiny else 480)
    wrong = [ring for ring in given.rings if ring < CHUNK or ring % CHUNK]
    if wrong:
        parser.error(f"--rings: {wrong} are no whole chunks of {CHUNK} latent frames")
    if given.width % 16 or given.height % 16:
        parser.error(f"{given.width}x{given.height}: edges must be multiples of 16 pixels")
    return given


def main(arguments: list[str] | None = None) -> int:
    """The command."""
    given = parse(arguments)
    if given.floors:
        rest = {"width": given.width, "height": given.height, "tiny": given.tiny}
        print("\n".join(floors(configs(given), given.rings, given.precisions, given.decoders, **rest)))
        return 0
    if given.device == "cuda" and not torch.cuda.is_available():
        print("error: torch finds no GPU here; `--device cpu --tiny` rehearses on a CPU", file=sys.stderr)
        return 1
    device = torch.device("cuda:0" if given.device == "cuda" else "cpu")
    name = torch.cuda.get_device_name(device) if given.device == "cuda" else "a CPU"
    parts, report = Parts(given.limit_s), Report(card_named(name))
    settings = {
        key: value for key, value in vars(given).items() if key not in ("results", "no_record", "graphs", "backend")
    }
    run = record.begin("wan", None, {**settings, "weights": "random"})
    signal.signal(signal.SIGTERM, _end)
    try:
        Bench(given, device, report, parts).run()
    except EndedError:
        parts.failures.append("the rest: the process was told to end")
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    figures = {
        "gpu": name,
        "installed": installed(),
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "stages": report.stages,
        "chunks": report.chunks,
        "switches": report.switches,
    }
    run = record.finish(run, figures, parts.failures)
    for text in summary(run["figures"], run["failures"]):
        print(text)
    if given.device == "cpu" or given.tiny:
        print("a rehearsal: nothing is recorded, and none of these figures says anything about a GPU")
    elif not given.no_record:
        record.append(run, given.results)
    return 0 if report.stages else 1


if __name__ == "__main__":
    raise SystemExit(main())
