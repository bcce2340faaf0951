"""The generator process: loads a bundle and makes chunks just in time until it is told to stop.

Threads, each the only one to call what it owns:

- main: reads commands from the connection;
- text: encodes prompts;
- denoise: the sampler and the ring;
- media: decoders, encoders, and handing chunks over; the encode stage adds threads of its own, which only it uses.

They share one condition variable and, under it, what waits for its turn (`Turns`) and the schedule. One place for a
denoised chunk lies between denoise and media (policy: block). Events are written by whoever has one, under a lock;
when the parent does not read, writing blocks and generation waits with it.

The process ignores SIGINT, because the parent decides when it ends. SIGTERM, which a service manager sends to every
process at once, ends it as `Stop` does: the runtimes are closed, and what they compiled is kept. It ends by itself when
the parent's end of the connection closes, so it never outlives a parent that was killed.
"""

import logging
import math
import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import Final

import psutil

from streamgen.generation.decode_stage import Decoded, DecodeStage
from streamgen.generation.denoise_stage import Denoised, DenoiseStage
from streamgen.generation.encode_stage import EncodeStage, wanted_planes
from streamgen.generation.encoded_prompt import encode_request
from streamgen.generation.process import GeneratorSettings
from streamgen.generation.schedule import Durations, Plan, Schedule
from streamgen.generation.start_picture import start_picture
from streamgen.generation.timings import with_timings
from streamgen.generation.turns import Turn, Turns
from streamgen.packets import (
    AUDIO_CLOCK_HZ,
    Command,
    Event,
    GeneratorError,
    GeneratorStats,
    Idle,
    Layer,
    Ready,
    RequestKeyframe,
    SetEpoch,
    SetLayers,
    SetPaused,
    SetPrompt,
    Stop,
)
from streamgen_engines.bundle import Bundle
from streamgen_engines.chunk import Float32Array
from streamgen_engines.errors import DeviceLostError, EngineError, TextServiceUnavailableError
from streamgen_engines.families import Condition, Model, load
from streamgen_engines.runtimes import OpenRuntimes

logger = logging.getLogger(__name__)

STATS_INTERVAL_NS: Final = 1_000_000_000
IDLE_INTERVAL_S: Final = 1.0
ENCODE_LOOK_S: Final = 0.5
TEXT_RETRY_S: Final = 2.0
"""Until the text service is asked again for what the programme begins with."""
_NS_PER_MS: Final = 1_000_000
_NS_PER_S: Final = 1_000_000_000
_JOIN_S: Final = 2.0
_WARM_UP_CHUNKS: Final = 3
"""The first may have a decoder of its own, and a GPU records the second run of a graph, to play it from then on."""
_STAGES: Final = ("denoise", "decode", "encode")


def run(connection: Connection, settings: GeneratorSettings) -> None:
    """Entry of the spawned process; returns after `Stop`."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        # The parent blocked it for the time until here, when an interrupt would have ended a half-born process.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    logging.basicConfig(level=logging.INFO, format="%(asctime)s generator %(levelname)s %(message)s")
    outbox = _Outbox(connection)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it would tell each text that goes to a service
    with OpenRuntimes(settings.runtime, settings.gpu) as runtimes, ExitStack() as stack:
        try:
            bundle = Bundle.open(settings.bundle, settings.texts.absent)
            planes = wanted_planes(bundle.manifest, settings.scale, upscale=settings.upscale)
            runtimes.admit(bundle, planes, settings.texts, upscale=settings.upscale)
            model = load(
                bundle,
                threads=settings.threads,
                seed=settings.seed,
                runtime=runtimes.make,
                planes=planes,
                texts=settings.texts,
                upscale=settings.upscale,
            )
            stack.callback(model.close)
            worker = Worker(model, settings, outbox, start_picture(bundle, settings.picture))
            _warm_up(model)
            runtimes.keep()  # now, because a process that is killed cannot do it at its end
        except Exception as error:  # the process's outermost edge: the parent learns why, and decides
            outbox.send(GeneratorError(f"{type(error).__name__}: {error}"))
            raise SystemExit(1) from error
        terminated = worker.run(connection)
    if terminated:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTERM)  # whoever waits for this process sees what ended it


class _TerminatedError(Exception):
    """SIGTERM has come."""


def _terminate(number: int, frame: object) -> None:
    raise _TerminatedError


class Worker:
    """The threads of the process and what they share."""

    def __init__(
        self, model: Model, settings: GeneratorSettings, outbox: "_Outbox", picture: Float32Array | None = None
    ) -> None:
        manifest = model.bundle.manifest
        self._name, self._manifest = manifest.name, manifest
        self._video, self._audio, self._sampler = manifest.video, manifest.audio, manifest.sampler
        self._text = model.text
        self._denoise = DenoiseStage(model.generator, manifest, model.text.encode(""), picture)
        self._decode = DecodeStage(model.decoder)
        self._encode = EncodeStage(manifest, scale=settings.scale, bitrate=settings.bitrate, upscale=model.upscale)
        self._outbox = outbox
        self._chunk_ns = int(manifest.chunk_duration * _NS_PER_S)
        self._changed = threading.Condition()
        # Everything from here on is guarded by `_changed`, which is notified when it changes.
        self._turns = Turns(float(manifest.chunk_duration), settings.guidance)
        self._paused = False
        self._schedule = Schedule(
            chunk_ns=self._chunk_ns,
            max_steps=manifest.sampler.steps,
            min_steps=manifest.sampler.least_steps,
            sound_ahead_ns=self._encode.sound_delay * _NS_PER_S // AUDIO_CLOCK_HZ,
            closing_passes=manifest.sampler.closing_passes,
            upscales=self._decode.may_skip_upscaling,
        )
        self._told_upscaling = not self._schedule.upscales  # that it was given up
        self._sides = 1  # of the last chunk: passes per step without that for guidance
        self._layers: frozenset[Layer] = frozenset()
        self._keyframes: set[Layer] = set()
        self._next_chunk = 0
        self._denoised: Denoised | None = None
        self._denoised_ns = 0  # when `_denoised` was put there
        self._stopping = False
        self._told_trouble = ""  # with the text service; owned by the text thread
        # Owned by the media thread.
        self._durations = {stage: Durations() for stage in _STAGES}
        self._stats_ns = 0
        self._process = psutil.Process()

    def run(self, connection: Connection) -> bool:
        """Tell that everything is ready, then work until `Stop` or SIGTERM. Belongs to the main thread.

        No thread is left afterwards that could run a graph.

        Returns:
            whether it was SIGTERM.
        """
        loops = {"text": self._run_text, "denoise": self._run_denoise, "media": self._run_media}
        threads = [
            threading.Thread(target=self._edge, args=(loop,), name=name, daemon=True) for name, loop in loops.items()
        ]
        rungs = self._encode.rungs
        self._outbox.send(
            Ready(
                width=rungs[0].width,
                height=rungs[0].height,
                fps=self._video.fps,
                sample_rate=self._audio.sample_rate,
                chunk_duration_ns=self._chunk_ns,
                rungs=rungs,
                model=self._name,
            )
        )
        for thread in threads:
            thread.start()
        terminated = self._obey_until_the_end(connection)
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        deadline = time.monotonic() + _JOIN_S
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        if any(thread.is_alive() for thread in threads):
            os._exit(0)  # a graph that still runs must not hold up the end
        self._encode.close()
        return terminated

    def _obey_until_the_end(self, connection: Connection) -> bool:
        """Obey commands until there are no more to come; whether SIGTERM said so."""
        idle_s = time.monotonic()  # when that was last told
        try:
            signal.signal(signal.SIGTERM, _terminate)
            while True:
                come = False
                while not come:
                    come = _waits(connection, IDLE_INTERVAL_S)
                    # No chunk tells that all is well, and neither do commands that are obeyed in silence.
                    if self._makes_nothing() and (now_s := time.monotonic()) >= idle_s + IDLE_INTERVAL_S:
                        idle_s = now_s
                        self._outbox.send(Idle())
                if isinstance(command := _receive(connection), Stop):
                    return False
                self._obey(command)
        except _TerminatedError:
            return True
        finally:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)  # a second one ends the process at once

    def _makes_nothing(self) -> bool:
        """Whether no chunk can be expected: in a pause, and while what the programme begins with is being encoded."""
        with self._changed:
            begins = self._schedule.epoch_ns is not None and self._next_chunk == 0
            return self._paused or begins

    def _obey(self, command: Command) -> None:
        events: list[Event] = []
        with self._changed:
            match command:
                case SetPaused():
                    if self._paused and not command.paused:
                        self._schedule.prime(self._next_chunk)
                    self._paused = command.paused
                case RequestKeyframe():
                    self._keyframes.add(command.layer)
                case SetLayers():
                    self._layers = command.layers
                case SetEpoch():
                    self._schedule.epoch_ns = command.epoch_ns
                case Stop():
                    pass
                case _:
                    events += self._turns.obey(command, played_s=self._played_s(time.monotonic_ns()))
            self._changed.notify_all()
        for event in events:
            self._outbox.send(event)

    # Text thread.

    def _run_text(self) -> None:
        while (request := self._next_request()) is not None:
            try:
                prompt, sound = encode_request(request, self._text, self._manifest)
            except DeviceLostError:  # no prompt is to blame, and only another process can use the device again
                raise
            except TextServiceUnavailableError as error:
                events = self._wait_for_texts(request, error)
            except EngineError as error:  # one bad prompt must not end the stream
                events = self._give_up(request, error)
            else:
                with self._changed:
                    now_ns = time.monotonic_ns()
                    eta_ns = self._schedule.eta_ns(self._next_chunk, now_ns, per_step=self._per_step)
                    media_time_s = self._media_time_s(now_ns)
                    events = self._turns.encoded(
                        request, prompt, sound, media_time_s=media_time_s, eta_ms=eta_ns / _NS_PER_MS
                    )
                    self._changed.notify_all()
            for event in events:
                self._outbox.send(event)

    def _give_up(self, request: SetPrompt, error: EngineError) -> list[Event]:
        with self._changed:
            events = self._turns.failed(request, str(error))
            self._changed.notify_all()
        return events

    def _wait_for_texts(self, request: SetPrompt, error: TextServiceUnavailableError) -> list[Event]:
        """A programme that plays goes on without the prompt. One that has not begun waits, and the slate stays."""
        with self._changed:
            if self._next_chunk > 0:
                return self._give_up(request, error)
            events = self._turns.again()
            if self._told_trouble != (trouble := str(error)):  # once: what is wrong may be so for hours
                self._told_trouble = trouble
                logger.warning("nothing can begin before %s is encoded, which is tried again: %s", request.id, trouble)
            self._changed.wait_for(lambda: self._stopping, TEXT_RETRY_S)
        return events

    def _next_request(self) -> SetPrompt | None:
        with self._changed:
            while not self._stopping:
                if (request := self._turns.begin_encoding(self._media_time_s(time.monotonic_ns()))) is not None:
                    return request
                # In a pause time goes on as well, and with it comes what has to be encoded ahead.
                self._changed.wait(ENCODE_LOOK_S if self._paused else None)
        return None

    # Denoise thread.

    def _run_denoise(self) -> None:
        while (found := self._next_turn()) is not None:
            turn, plan = found
            for event in turn.events:
                self._outbox.send(event)
            started = time.monotonic_ns()
            denoised = self._denoise.make(
                turn.taken,
                turn.superseded,
                guidance=turn.guidance,
                seed=turn.seed,
                steps=plan.steps,
                cut=turn.cut,
                resets=turn.resets,
                scheduled=turn.scheduled,
                chunks_before=turn.chunks_before,
            )
            with self._changed:
                duration_ns = time.monotonic_ns() - started
                self._schedule.denoised(duration_ns, plan.steps, per_step=denoised.per_step, made=denoised.passes)
                self._tell_upscaling()
                self._sides = denoised.per_step - (denoised.record.guidance != 1)
                self._changed.wait_for(lambda: self._denoised is None or self._stopping)
                upscale = plan.upscale and self._schedule.upscales
                self._denoised, self._denoised_ns = replace(denoised, upscale=upscale), time.monotonic_ns()
                self._changed.notify_all()

    def _tell_upscaling(self) -> None:
        if not self._told_upscaling and not self._schedule.upscales:
            self._told_upscaling = True
            logger.warning(
                "this machine is too slow for the graph upscale; pictures are enlarged without it from now on"
            )

    def _next_turn(self) -> tuple[Turn, Plan] | None:
        """Wait for the moment at which the next chunk starts; what it is made with, and after which plan."""
        with self._changed:
            while not self._stopping:
                now_ns = time.monotonic_ns()
                media_time_s = self._media_time_s(now_ns)
                extra = self._denoise.extra_passes(self._turns.ready(media_time_s))
                plan = self._schedule.plan(self._next_chunk, now_ns, per_step=self._per_step, extra_passes=extra)
                if plan is None or self._paused or (self._next_chunk == 0 and not self._turns.settled(media_time_s)):
                    self._changed.wait()  # the programme begins with what was asked for before its epoch
                elif plan.start_ns > now_ns:
                    self._changed.wait((plan.start_ns - now_ns) / _NS_PER_S)
                else:
                    turn = self._turns.take(self._next_chunk, media_time_s)
                    self._schedule.started(self._next_chunk, plan)
                    self._next_chunk += 1
                    self._changed.notify_all()  # there may be more to encode now
                    return turn, plan
        return None

    def _media_time_s(self, now_ns: int) -> float:
        """Of the next chunk's first picture, as far as it is known. One that is late begins now at the earliest."""
        chunk_ns = self._next_chunk * self._chunk_ns
        begun = self._turns.begun
        if begun is None or self._schedule.epoch_ns is None:
            return chunk_ns / _NS_PER_S
        return (max(self._schedule.epoch_ns + chunk_ns, now_ns) - begun.media_epoch_ns) / _NS_PER_S

    def _played_s(self, now_ns: int) -> float:
        """Media time that is seen now; minus infinity before the programme begins."""
        begun = self._turns.begun
        if begun is None or self._schedule.epoch_ns is None:
            return -math.inf
        return (now_ns - begun.media_epoch_ns) / _NS_PER_S

    @property
    def _per_step(self) -> int:
        """Passes per step of the next chunk, as far as it is known: those of the last, with the guidance of now."""
        return self._sides + self._is_guided(self._turns.guidance)

    # Media thread.

    def _run_media(self) -> None:
        ahead: tuple[Denoised, int] | None = None
        begun: Callable[[], Decoded] | None = None
        while (handed := ahead or self._next_denoised()) is not None:
            denoised, denoised_ns = handed
            decoded = self._decode.decode(denoised) if begun is None else begun()
            # A GPU decodes what is there already while this chunk is encoded.
            ahead = self._next_denoised(wait=False) if self._decode.works_beside else None
            begun = self._decode.begin(ahead[0]) if ahead is not None else None
            with self._changed:
                layers, keyframes = self._layers, frozenset(self._keyframes)
                self._keyframes.clear()
            encoded = self._encode.encode(decoded, layers, keyframes)
            now_ns = time.monotonic_ns()
            with self._changed:
                upscaling_ns = round(decoded.record.timings_ms.get("upscale", 0.0) * _NS_PER_MS)
                taken_ns = now_ns - denoised_ns
                lead_ns = self._schedule.delivered(encoded.index, taken_ns, now_ns, upscaling_ns=upscaling_ns)
            record = with_timings(encoded.record, {"lead": lead_ns / _NS_PER_MS})
            self._outbox.send(replace(encoded, record=record))
            for stage in _STAGES:
                self._durations[stage].add(round(record.timings_ms[stage] * _NS_PER_MS))
            if now_ns - self._stats_ns >= STATS_INTERVAL_NS:
                self._stats_ns = now_ns
                self._outbox.send(self._stats(encoded.index, lead_ns))

    def _next_denoised(self, *, wait: bool = True) -> tuple[Denoised, int] | None:
        with self._changed:
            if wait:
                self._changed.wait_for(lambda: self._denoised is not None or self._stopping)
            if self._stopping or self._denoised is None:
                return None
            denoised, self._denoised = self._denoised, None
            self._changed.notify_all()
            return denoised, self._denoised_ns

    def _stats(self, chunk: int, lead_ns: int) -> GeneratorStats:
        with self._changed:
            ratio = self._schedule.realtime_ratio(per_step=self._per_step)
            behind = self._schedule.behind(per_step=self._per_step)
            steps = self._schedule.steps
        return GeneratorStats(
            chunk=chunk,
            realtime_ratio=ratio,
            stage_p50_ms={stage: each.percentile(50) / _NS_PER_MS for stage, each in self._durations.items()},
            stage_p95_ms={stage: each.percentile(95) / _NS_PER_MS for stage, each in self._durations.items()},
            lead_ms=lead_ns / _NS_PER_MS,
            steps=steps,
            behind=behind,
            rss_bytes=self._process.memory_info().rss,
        )

    def _is_guided(self, guidance: float | None) -> bool:
        if not self._manifest.abilities.guided:
            return False
        return (self._sampler.guidance if guidance is None else guidance) != 1

    def _edge(self, loop: Callable[[], None]) -> None:
        """A thread's outermost edge: when one fails, the process ends, and the parent learns why."""
        try:
            loop()
        except Exception as error:
            logger.exception("the %s thread failed", threading.current_thread().name)
            self._outbox.send(GeneratorError(f"{type(error).__name__}: {error}"))
            os._exit(1)


class _Outbox:
    """Writes events; any thread may call it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()

    def send(self, event: Event) -> None:
        """Write an event; blocks while the parent does not read, and ends the process when it is gone."""
        try:
            with self._lock:
                self._connection.send(event)
        except OSError:
            os._exit(1)


def _waits(connection: Connection, timeout_s: float) -> bool:
    """Whether a command comes in this time; ends the process when the parent is gone."""
    try:
        return connection.poll(timeout_s)
    except OSError:
        os._exit(1)


def _receive(connection: Connection) -> Command:
    """The next command; ends the process when the parent is gone."""
    try:
        command: Command = connection.recv()
    except (EOFError, OSError):
        os._exit(1)
    return command


def _warm_up(model: Model) -> None:
    """Make some chunks and forget them: the first run of a graph plans its memory and is many times slower."""
    # Texts that are encoded elsewhere take seconds, and are not what gets warm: the empty one is there already.
    prompt = model.text.encode("" if model.bundle.manifest.abilities.texts_apart else "warming up")
    for _ in range(_WARM_UP_CHUNKS):
        model.decoder.decode(model.generator.step(Condition(prompt)))
    model.generator.reset()
    model.decoder.reset()
