"""A channel: one programme for everybody. Joins generator process, pacer, fan-out and steering, and keeps them going.

All methods belong to the event loop's thread. Parts are made in the order in which packets flow backwards (fan-out,
pacer, generator) and closed in reverse. The generator is supervised: when its process ends or hangs, the slate plays on
the same connections, and a new process is started after a pause that doubles with every failure in a row. When a
generator cannot keep up even with its fewest steps, the next one runs the bundle's smaller sibling, if it has one.
"""

import asyncio
import logging
import time
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import NoReturn, Self

from streamgen.audience.proposals import PROPOSAL_ID
from streamgen.channel_cover import ChannelCover
from streamgen.channel_health import tell_health
from streamgen.channel_stats import ChannelStats
from streamgen.errors import GeneratorTooSlowError, GeneratorUnresponsiveError
from streamgen.generation.ladder import Patience, smaller_sibling
from streamgen.generation.process import GeneratorProcess, GeneratorSettings
from streamgen.generation.restarts import FIRST_RESTART_S, Restarts
from streamgen.log.contents import ChunkMade, ChunkShown, Content, GeneratorStarted
from streamgen.log.fingerprint import fingerprint
from streamgen.log.writer import ChannelLog
from streamgen.media.layers import Rung, ladder
from streamgen.media.pacer import Pacer
from streamgen.media.pacing import PlayState
from streamgen.media.standby import make_standby
from streamgen.media.underruns import UnderrunReports
from streamgen.media.video_encoder import DEFAULT_BITRATE, encoded_size, usual_scale
from streamgen.packets import (
    AudioPacket,
    BeginAt,
    ChunkRecord,
    Command,
    EncodedChunk,
    Event,
    GeneratorError,
    GeneratorStats,
    Idle,
    Layer,
    PromptFailed,
    PromptQueued,
    PromptSuperseded,
    Ready,
    RequestKeyframe,
    SetEpoch,
    SetLayers,
    Still,
    VideoPacket,
)
from streamgen.protocol import PanicAction, QueueDepths
from streamgen.steering.health import Readings
from streamgen.steering.hub import SteeringHub
from streamgen.steering.session import SteeringSession
from streamgen.steering.voting import Voting
from streamgen.upscaling import upscales
from streamgen.version import __version__
from streamgen.webrtc.fanout import Fanout
from streamgen_engines.bundle import Bundle
from streamgen_engines.gpu_options import GpuOptions
from streamgen_engines.manifest import Manifest
from streamgen_engines.runtime_name import DEFAULT_RUNTIME, RuntimeName
from streamgen_engines.text_placement import IN_PLACE, TextPlacement

logger = logging.getLogger(__name__)


class Channel:
    """One running programme: `async with Channel(bundle) as channel`.

    Attributes:
        name: of the channel.
        fanout: where viewers subscribe.
        steering: where clients connect and prompts arrive.
    """

    def __init__(
        self,
        bundle: Path,
        *,
        name: str = "main",
        prompt: str = "",
        seed: int = 0,
        picture: Path | None = None,
        guidance: float | None = None,
        scale: int | None = None,
        bitrate: int = DEFAULT_BITRATE,
        threads: int = 1,
        runtime: RuntimeName = DEFAULT_RUNTIME,
        gpu: GpuOptions | None = None,
        texts: TextPlacement = IN_PLACE,
        upscale: bool | None = None,
        moderated: bool = False,
        voting: Voting | None = None,
        log: ChannelLog | None = None,
        first_restart_s: float = FIRST_RESTART_S,
        silence_timeout_s: float = 10.0,
    ) -> None:
        """Nothing runs yet.

        Args:
            bundle: folder of the model.
            name: of the channel.
            prompt: what plays until somebody steers.
            seed: of everything that is random.
            picture: file of a picture that the programme starts from, and again when a generator is replaced.
            guidance: None = the bundle's own.
            scale: whole factor by which pictures are enlarged before they are encoded; None = as the model's size asks.
            bitrate: ceiling of the full-size video, bit/s.
            threads: compute threads of denoising, and as many of decoding.
            runtime: what the model's graphs run on.
            gpu: what it is told if it is one on a GPU.
            texts: where texts are encoded.
            upscale: whether pictures are enlarged by the bundle's graph `upscale`, before `scale`; None = where it has
                one and a GPU runs it.
            log: where it is written down who asked for what, and what was made and shown; open, and not closed here.
            voting: where an audience takes part, its side of steering; keep it going with `voting_clock.keep_time`.
            moderated: whether prompts wait for a verdict; have them judged with `steering.moderate`.
            first_restart_s: pause before a dead generator is started again, doubled with every failure in a row.
            silence_timeout_s: how long the generator may say nothing before it is taken for dead.
        """
        self.name = name
        self._log = log
        self._generator_settings = GeneratorSettings(
            bundle=bundle,
            picture=picture,
            bitrate=bitrate,
            seed=seed,
            guidance=guidance,
            threads=threads,
            runtime=runtime,
            gpu=gpu or GpuOptions(),
            texts=texts,
            silence_timeout_s=silence_timeout_s,
        )
        self._scale, self._upscale = scale, upscale
        self._rungs: tuple[Rung, ...] = ()  # known once the bundle is open
        self.fanout = Fanout(on_watched=self._on_watched, on_keyframe_request=self._on_keyframe_request)
        self.steering = SteeringHub(
            SteeringSession(name, prompt=prompt, moderated=moderated, reserved=None if voting is None else PROPOSAL_ID),
            send=self._command,
            panic=self.panic,
            media_time_s=lambda: self.media_time_s,
            log=self._note,
            voting=voting,
        )
        self._generator: GeneratorProcess | None = None  # set while it takes commands
        self._generator_stats: GeneratorStats | None = None
        self._restarts = Restarts(first_restart_s)
        self._chunks = 0  # that generators have made
        self._smaller: tuple[Path, int] | None = None  # bundle and scale to fall back on
        self._patience = Patience()
        self._underruns = UnderrunReports()
        self._pacer: Pacer | None = None
        self._cover: ChannelCover | None = None
        self._pacer_runs = asyncio.Event()
        self._supervisor: asyncio.Task[NoReturn] | None = None
        self._health: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Show the slate; the generator starts meanwhile and takes over when it is ready.

        Raises:
            BundleError: the bundle is not usable, or cannot enlarge pictures as asked.
            TextPlacementError: texts of this model cannot be encoded there.
            MediaError: its rates cannot be carried, or an encoder is missing here.
            ValueError: the enlarged picture cannot be encoded.
        """
        texts = self._generator_settings.texts
        bundle = await asyncio.to_thread(Bundle.open, self._generator_settings.bundle, texts.absent)
        texts.of(bundle.manifest)  # or every generator would say that it cannot start
        self.steering.offer(
            {name: tuple(values) for name, values in bundle.manifest.knobs.items()},
            chunk_s=float(bundle.manifest.chunk_duration),
            recaches=bundle.manifest.abilities.recaches,
        )
        upscale = upscales(bundle.manifest, self._generator_settings.runtime, self._upscale)
        shown_height = bundle.manifest.shown_size(upscale=upscale)[1]
        scale = usual_scale(shown_height) if self._scale is None else self._scale
        self._generator_settings = replace(self._generator_settings, scale=scale, upscale=upscale)
        self._set_rungs(_rungs(bundle.manifest, self._generator_settings))
        self._smaller = await asyncio.to_thread(smaller_sibling, bundle, scale, upscale=upscale)
        self._supervisor = asyncio.create_task(
            self._restarts.keep_going(self._run_generator), name=f"channel {self.name}"
        )
        try:
            slate, black, quiet = await asyncio.to_thread(make_standby, bundle.manifest, self._rungs)
            self._pacer = Pacer(
                self,
                slate=slate,
                silence=quiet,
                on_state=self._on_state,
                on_shift=self._on_shift,
                paused=lambda: self.steering.paused,
            )
            self._cover = ChannelCover(self._pacer, slate=slate, black=black, ask_keyframes=self._ask_keyframes)
            await self._pacer.__aenter__()
        except BaseException:
            await self.close()
            raise
        self._pacer_runs.set()
        self._health = asyncio.create_task(tell_health(self.steering, self._readings), name=f"health {self.name}")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Stop everything: steering gets its last answers, then the generator ends, then the pacer. Idempotent."""
        self.steering.close()
        health, self._health = self._health, None
        if health is not None:
            health.cancel()
            await asyncio.wait([health])
        supervisor, self._supervisor = self._supervisor, None
        if supervisor is not None:
            supervisor.cancel()
            await asyncio.wait([supervisor])
        if self._pacer is not None:
            await self._pacer.close()

    async def wait_closed(self) -> None:
        """Wait until the channel is closed; raises what ended it if it ended by itself."""
        if self._pacer is not None:
            await self._pacer.wait_closed()

    @property
    def media_time_s(self) -> float:
        """Media time that leaves for the viewers now, in seconds."""
        return 0.0 if self._pacer is None else self._pacer.media_time_s

    @property
    def generator_pid(self) -> int | None:
        """Process id of the generator, None while there is none that is ready."""
        return None if self._generator is None else self._generator.pid

    @property
    def _life(self) -> int:
        """Number of the generator in the log, which other servers may have written before."""
        return (0 if self._log is None else self._log.last_life) + self._restarts.count + 1

    def stats(self) -> ChannelStats:
        """How the channel goes. Only while it runs."""
        assert self._pacer is not None, "the channel has not been started"
        return ChannelStats(
            generator=self._generator_stats,
            pacer=self._pacer.stats(),
            fanout=self.fanout.stats(),
            restarts=self._restarts.count,
            media_time_s=self.media_time_s,
        )

    def panic(self, action: PanicAction) -> None:
        """Cover the programme or take the cover away, as steering asks. Only while the channel runs."""
        assert self._cover is not None, "the channel has not been started"
        self._cover.panic(action)

    # The pacer's sink.

    def video(self, packet: VideoPacket) -> None:
        """A picture leaves."""
        self.steering.health.picture_left(packet.pts, self.media_time_s)
        self.fanout.video(packet)

    def still(self, still: Still | None) -> None:
        """What joiners see first is another one."""
        self.fanout.still(still)

    def audio(self, packet: AudioPacket) -> None:
        """20 ms of sound leave."""
        self.steering.health.sound_left(packet.pts, self.media_time_s)
        self.fanout.audio(packet)

    def chunk_started(self, record: ChunkRecord) -> None:
        """The first picture of a chunk leaves."""
        self.fanout.chunk_started(record)
        self._note(ChunkShown(life=self._life, chunk=record.chunk, pts=record.pts, prompt_id=record.prompt_id))
        self.steering.set_viewers(self.fanout.stats().subscribers)
        self.steering.chunk_started(record)

    def flush(self) -> None:
        """Everything that is due now has been handed over."""
        self.fanout.flush()

    # What the parts tell one another.

    def _note(self, content: Content) -> None:
        if self._log is not None:
            self._log.add(content, self.media_time_s)

    def _command(self, command: Command) -> None:
        if self._generator is None:
            return
        try:
            self._generator.send(command)
        except GeneratorUnresponsiveError as error:
            # Whoever steers or watches cannot help it; a generator that hangs is ended by its own silence limit.
            logger.error("%s", error)

    def _readings(self, server_bytes: int) -> Readings:
        assert self._pacer is not None, "health is told while the pacer runs"
        stats = self.stats()
        return Readings(
            media_time_s=stats.media_time_s,
            viewers=stats.fanout.subscribers,
            underruns=stats.underruns,
            restarts=stats.restarts,
            generator=stats.generator,
            late_ms=self._pacer.take_late_ns() / 1e6,
            server_bytes=server_bytes,
            queues=QueueDepths(chunks=stats.pacer.waiting_chunks),
        )

    def _set_rungs(self, rungs: tuple[Rung, ...]) -> None:
        # Viewers choose their layers anew for another ladder, not for another process.
        if rungs != self._rungs:
            self._rungs = rungs
            self.fanout.set_rungs(rungs)

    def _on_watched(self, layer: Layer, watched: bool) -> None:
        self._command(SetLayers(self.fanout.watched))

    def _on_keyframe_request(self, layer: Layer) -> None:
        self._command(RequestKeyframe(layer))

    def _ask_keyframes(self) -> None:
        for layer in self.fanout.watched:
            self._command(RequestKeyframe(layer))

    def _on_shift(self, programme_epoch_ns: int) -> None:
        self._command(SetEpoch(programme_epoch_ns))

    def _on_state(self, state: PlayState) -> None:
        if state == "buffering" and not self.steering.paused:
            self._underruns.add(self.media_time_s, time.monotonic())
        # `live` is announced with the chunk that starts it, so that both say the same media time. What covers the
        # programme is announced by whoever covers it.
        if state in ("buffering", "slate"):
            self.steering.set_status(state)

    # The generator.

    async def _run_generator(self) -> None:
        """One life of a generator process; always ends by raising."""
        async with GeneratorProcess(self._generator_settings) as generator:
            logger.info("generator %s is ready: %s", generator.pid, generator.ready)
            self._set_rungs(generator.ready.rungs)
            if self._log is not None:
                self._note(await asyncio.to_thread(_begun, self._generator_settings, self._life))
            await self._pacer_runs.wait()
            assert self._pacer is not None
            self._generator = generator
            try:
                generator.send(SetLayers(self.fanout.watched))
                generator.send(BeginAt(self._chunks, self._pacer.epoch_ns))
                self.steering.generator_ready()
                # The programme begins with what was sent until here.
                generator.send(SetEpoch(time.monotonic_ns()))
                async for event in generator:
                    await self._take(event, self._pacer)
            finally:
                # Before the process is buried, which can take seconds.
                self._generator = None
                self._pacer.show_slate()
                self.steering.generator_lost()

    async def _take(self, event: Event, pacer: Pacer) -> None:
        match event:
            case EncodedChunk():
                self._chunks = event.record.place + 1
                self._note(ChunkMade.of(event.record, self._life))
                await pacer.put(event)
            case PromptQueued():
                self.steering.prompt_queued(event)
            case PromptSuperseded():
                self.steering.prompt_superseded(event)
            case PromptFailed():
                logger.warning("prompt %s cannot be encoded: %s", event.id, event.message)
                self.steering.prompt_failed(event)
            case GeneratorStats():
                if event.behind and not (self._generator_stats is not None and self._generator_stats.behind):
                    logger.warning(
                        "generation is behind: %.2f of real time with the fewest steps; give it more processor time",
                        event.realtime_ratio,
                    )
                self._generator_stats = event
                if self._patience.exhausted(event.behind) and self._smaller is not None:
                    self._fall_back(*self._smaller)
            case Idle():
                pass  # that it was said is enough: the generator is alive
            case Ready() | GeneratorError():
                raise AssertionError(f"the generator process sends no {type(event).__name__} here")

    def _fall_back(self, bundle: Path, scale: int) -> NoReturn:
        """End this generator; the next one makes smaller pictures."""
        self._smaller = None
        # What plays has left its first picture far behind.
        self._generator_settings = replace(
            self._generator_settings, bundle=bundle, scale=scale, upscale=False, picture=None
        )
        raise GeneratorTooSlowError(f"this machine is too slow for the model; {bundle.name} takes over")


def _begun(settings: GeneratorSettings, life: int) -> GeneratorStarted:
    """What the log says of a generator that begins; reads the bundle."""
    manifest = Bundle.open(settings.bundle, settings.texts.absent).manifest
    return GeneratorStarted(
        life=life,
        bundle=manifest.name,
        fingerprint=fingerprint(manifest),
        seed=settings.seed,
        threads=settings.threads,
        runtime=settings.runtime,
        precision=settings.gpu.precision,
        texts=settings.texts.of(manifest).side,
        version=__version__,
    )


def _rungs(manifest: Manifest, settings: GeneratorSettings) -> tuple[Rung, ...]:
    """The ladder of sizes that a generator with these settings makes."""
    return ladder(*encoded_size(*manifest.shown_size(upscale=settings.upscale), settings.scale), settings.bitrate)
