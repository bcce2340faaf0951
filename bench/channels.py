"""How many channels a GPU holds at real time: generator processes side by side, one for each, until one is late.

Every process makes a chunk in each of its turns, which are as long as a chunk lasts, as a server does once its buffer
is full. Turns of different channels do not begin together: they are spread over the length of a chunk. A chunk that is
not finished when its turn ends has missed its deadline, and one miss is enough.
"""

import multiprocessing
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

from bench import record
from bench.figures import percentile
from streamgen.generation.encode_stage import wanted_planes
from streamgen.media.video_encoder import usual_scale
from streamgen_engines.families import Condition, load
from streamgen_engines.runtimes import Runtime, runtime_named

PROMPT: Final = "waves break on a beach in the evening"
WARM_UP: Final = 8  # fills the window, and is past compiling and recording
LEAD_S: Final = 0.2  # until the first turn, so that every process has been told
READY_S: Final = 240
_MS_PER_S: Final = 1000


def most(holds: Callable[[int], bool], limit: int) -> int:
    """The largest number that holds, up to a limit, when every smaller one does: doubled first, then halved in between.

    Args:
        holds: whether so many do; asked for numbers from 1 to `limit`, each once.
        limit: not tried beyond.
    """
    good, bad, trial = 0, limit + 1, 1
    while good + 1 < bad:
        if holds(trial):
            good = trial
        else:
            bad = trial
        trial = min(2 * good, limit) if bad > limit else (good + bad) // 2
        trial = max(trial, good + 1)
    return good


def pace(
    make: Callable[[], object],
    *,
    chunks: int,
    start_s: float,
    duration_s: float,
    now: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> list[float]:
    """Make a chunk in each turn; how long each took from the beginning of its turn, seconds.

    More than `duration_s` is a missed deadline. A late chunk makes the next one begin late: its turn is not moved.
    """
    latencies = []
    for index in range(chunks):
        begins_s = start_s + index * duration_s
        early_s = begins_s - now()
        if early_s > 0:
            sleep(early_s)
        make()
        latencies.append(now() - begins_s)
    return latencies


@dataclass(frozen=True, slots=True)
class Trial:
    """So many channels at once.

    Attributes:
        channels: how many.
        missed: chunks that were late.
        p50_ms: from the beginning of a turn to its chunk, over all channels; None when a process failed.
        p99_ms: likewise.
    """

    channels: int
    missed: int
    p50_ms: float | None
    p99_ms: float | None


@dataclass(frozen=True, slots=True)
class Held:
    """What was found.

    Attributes:
        channels: the most that held.
        limit: that were tried at most; as many as `channels` means that it may be more.
        trials: in the order in which they were made.
        failure: why there are no more, if a process failed rather than being late.
    """

    channels: int
    limit: int
    trials: tuple[Trial, ...]
    failure: str | None


def count(
    bundle: Path | None, runtime: str, *, device: int, limit: int, seconds: float, deadline_s: float, duration_s: float
) -> Held:
    """Find out how many channels hold. Blocks for `seconds` with each number that is tried, and for loading.

    Args:
        bundle: as the commands take it.
        runtime: of every process.
        device: number of the GPU.
        limit: most that are tried.
        seconds: that each number is tried for.
        deadline_s: on `time.monotonic`; no number is tried after it.
        duration_s: of a chunk.
    """
    chunks = max(2, round(seconds / duration_s))
    trials: list[Trial] = []
    failures: list[str] = []
    with _Channels(bundle, runtime, device) as channels:

        def holds(number: int) -> bool:
            if time.monotonic() > deadline_s:
                failures.append(f"{number} channels were not tried: the time was up")
                return False
            try:
                latencies = channels.run(number, chunks, duration_s, min(READY_S, deadline_s - time.monotonic()))
            except ChannelError as error:
                failures.append(f"{number} channels: {error}")
                trials.append(Trial(number, 0, None, None))
                return False
            trial = judged(number, latencies, duration_s)
            trials.append(trial)
            return trial.missed == 0

        found = most(holds, limit)
    return Held(found, limit, tuple(trials), failures[0] if failures else None)


def judged(number: int, latencies: Sequence[float], duration_s: float) -> Trial:
    """The figures of one trial; latencies in seconds, of all channels."""
    ordered = sorted(_MS_PER_S * each for each in latencies)
    missed = sum(each > _MS_PER_S * duration_s for each in ordered)
    return Trial(number, missed, percentile(ordered, 50), percentile(ordered, 99))


class ChannelError(Exception):
    """A process could not load, or failed."""


class _Channels:
    """Processes that are started when they are first needed, and wait between trials."""

    def __init__(self, bundle: Path | None, runtime: str, device: int) -> None:
        self._context = multiprocessing.get_context("spawn")
        self._arguments = (bundle, runtime, device)
        self._running: list[tuple[multiprocessing.process.BaseProcess, Connection]] = []

    def __enter__(self) -> "_Channels":
        return self

    def __exit__(self, *_: object) -> None:
        for _process, pipe in self._running:
            pipe.close()  # a process that waits for a trial ends with it
        for process, _pipe in self._running:
            process.join(5)
            if process.is_alive():
                process.kill()
                process.join()

    def run(self, number: int, chunks: int, duration_s: float, patience_s: float) -> list[float]:
        """Latencies of all chunks of so many channels, seconds."""
        fresh = [self._start() for _ in range(len(self._running), number)]
        for pipe in fresh:
            self._answer(pipe, patience_s)
        pipes = [pipe for _, pipe in self._running[:number]]
        start_s = time.monotonic() + LEAD_S
        for place, pipe in enumerate(pipes):
            pipe.send((start_s + place * duration_s / number, chunks, duration_s))
        return [each for pipe in pipes for each in self._answer(pipe, patience_s)]

    def _start(self) -> Connection:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_channel, args=(*self._arguments, theirs), daemon=True)
        process.start()
        theirs.close()
        self._running.append((process, ours))
        return ours

    @staticmethod
    def _answer(pipe: Connection, patience_s: float) -> list[float]:
        try:
            answer = pipe.recv() if pipe.poll(max(0.0, patience_s)) else f"no answer within {patience_s:.0f} s"
        except (EOFError, ConnectionError):
            answer = "the process ended; look for its error above"
        if isinstance(answer, str):
            raise ChannelError(answer)
        latencies: list[float] = answer
        return latencies


def _channel(bundle: Path | None, runtime: str, device: int, pipe: Connection) -> None:
    """One process: load, warm up, say so, then make chunks whenever it is told to."""
    try:
        opened = record.open_bundle(bundle)
        manifest = opened.manifest
        planes = wanted_planes(manifest, usual_scale(manifest.video.height))
        model = load(opened, runtime=lambda: make_runtime(runtime, device), planes=planes)
        condition = Condition(model.text.encode(PROMPT))

        def chunk() -> object:
            return model.decoder.decode(model.generator.step(condition))

        for _ in range(WARM_UP):
            chunk()
        pipe.send([])
        while True:
            try:
                start_s, chunks, duration_s = pipe.recv()
            except EOFError:
                return
            pipe.send(pace(chunk, chunks=chunks, start_s=start_s, duration_s=duration_s))
    except Exception as error:  # noqa: BLE001 - the process's outermost edge; the one that counts is told
        pipe.send(f"{type(error).__name__}: {error}")


def make_runtime(name: str, device: int) -> Runtime:
    """A runtime on that GPU.

    Raises:
        RuntimeUnavailableError: it is not here, or finds no GPU.
    """
    if name in ("tensorrt", "tensorrt-rtx"):
        from streamgen_engines.tensorrt.runtime import TensorRt

        return TensorRt("tensorrt" if name == "tensorrt" else "tensorrt-rtx", device=device)
    if name == "onnxruntime-cuda":
        from streamgen_engines.runtimes.onnxruntime_cuda import OnnxRuntimeCuda

        return OnnxRuntimeCuda(device_id=device)
    return runtime_named(name)
