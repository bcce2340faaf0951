"""The pacer: releases packets at the moment when they are due.

`Pacing` decides what leaves when; this is its clock and its task. It waits for absolute times, never for intervals, so
nothing adds up. All methods belong to the event loop's thread; none of them computes.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Protocol, Self, TypeVar

from streamgen.media.clock import MediaClock
from streamgen.media.pacing import Pacing, PlayState, Release, Shifted, StateChanged
from streamgen.media.slate import SlateSegment
from streamgen.packets import AudioPacket, ChunkRecord, EncodedChunk, Still, VideoPacket

logger = logging.getLogger(__name__)

_Told = TypeVar("_Told")

_NS_PER_S: Final = 1_000_000_000
START_DELAY_NS: Final = 40_000_000  # media time 0 after the start, so that the first slot is not late


class PacketSink(Protocol):
    """Where paced packets go: the fan-out in the server, a list in tests.

    Every method is called on the event loop at the moment when the packet is due, and must return at once. A failure of
    one that takes packets ends the pacer; what is told besides (`chunk_started` and the pacer's `on_...`) cannot stop
    the media: its failure is logged once and they go on.
    """

    def video(self, packet: VideoPacket) -> None:
        """Take one encoded picture. `packet.pts` rises per layer and never repeats."""

    def still(self, still: Still | None) -> None:
        """Show this to whoever joins from now on, until the next one; None: the stills so far show what is over."""

    def audio(self, packet: AudioPacket) -> None:
        """Take one Opus packet; `packet.pts` is 960 after the last one, without holes, whatever happens."""

    def chunk_started(self, record: ChunkRecord) -> None:
        """The first picture of this chunk is due now, at `record.pts`, whether it is shown or covered."""

    def flush(self) -> None:
        """Everything that is due now has been handed over."""


class Timer(Protocol):
    """A monotonic clock and an alarm; the event loop's in the server, a hand-driven one in tests."""

    def now_ns(self) -> int:
        """`time.monotonic_ns()`, or what stands for it."""
        ...

    def call_at_ns(self, due_ns: int, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback` on the event loop's thread at `due_ns`; returns what takes that back."""
        ...


class LoopTimer:
    """The machine's monotonic clock and the running event loop."""

    def now_ns(self) -> int:
        """`time.monotonic_ns()`."""
        return time.monotonic_ns()

    def call_at_ns(self, due_ns: int, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback` at `due_ns` through the running event loop."""
        delay_s = max(0, due_ns - time.monotonic_ns()) / _NS_PER_S
        return asyncio.get_running_loop().call_later(delay_s, callback).cancel


@dataclass(frozen=True, slots=True)
class PacerStats:
    """How pacing goes; counts since the start."""

    state: PlayState
    waiting_chunks: int  # now, behind the one that plays
    underruns: int
    filled_slots: int  # 20 ms each, filled with fade or silence


def _ignore_state(state: PlayState) -> None:
    """Nobody needs to know what plays."""


def _never_paused() -> bool:
    """Nobody pauses."""
    return False


def _ignore_shift(programme_epoch_ns: int) -> None:
    """Nobody needs to know where programme time lies."""


class Pacer:
    """Releases chunks, fades, silence and the slate into a sink; `async with` starts and stops it.

    `on_state` is called when viewers begin to get something else (see `StateChanged`);
    `paused` says whether a chunk that does not come is missing on purpose, and no underrun;
    `on_shift` is called with the monotonic time of the generator's programme time 0 whenever that moves.
    """

    def __init__(
        self,
        sink: PacketSink,
        *,
        slate: Sequence[SlateSegment],
        silence: bytes,
        on_state: Callable[[PlayState], None] = _ignore_state,
        on_shift: Callable[[int], None] = _ignore_shift,
        paused: Callable[[], bool] = _never_paused,
        timer: Timer | None = None,
    ) -> None:
        self._sink = sink
        self._timer: Timer = LoopTimer() if timer is None else timer
        self._on_state = on_state
        self._on_shift = on_shift
        self._pacing = Pacing(
            MediaClock(self._timer.now_ns() + START_DELAY_NS), slate=slate, silence=silence, paused=paused
        )
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._task: asyncio.Task[None] | None = None
        self._max_late_ns = 0
        self._failures_told: set[str] = set()  # of whom a failure is in the log already

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run(), name="pacer")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Stop releasing. Idempotent; a failure of the task is raised here."""
        task, self._task = self._task, None
        if task is None:
            return
        task.cancel()
        await asyncio.wait([task])
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error

    async def wait_closed(self) -> None:
        """Wait for the end of the task; raises what ended it."""
        if self._task is not None:
            await asyncio.shield(self._task)

    @property
    def state(self) -> PlayState:
        """What plays now."""
        return self._pacing.state

    @property
    def epoch_ns(self) -> int:
        """Monotonic time of media time 0."""
        return self._pacing.clock.epoch_ns

    @property
    def media_time_s(self) -> float:
        """Media time that leaves now, in seconds."""
        return max(0.0, self._pacing.clock.media_time_s(self._timer.now_ns()))

    async def put(self, chunk: EncodedChunk) -> None:
        """Queue a chunk; waits while the queue is full (policy: block the generator, drop nothing)."""
        while self._pacing.full:
            self._room.clear()
            await self._room.wait()
        self._pacing.put(chunk)
        self._wake.set()

    def show_slate(self, *, flush: bool = False) -> None:
        """Show the slate until the next `put`, after what is queued (`flush`: from the next slot on)."""
        self._pacing.show_slate(flush=flush)
        self._room.set()
        self._wake.set()

    def hold(self) -> None:
        """Keep the last picture, in silence, while the programme plays on unseen; acts within a slot of 20 ms."""
        self._pacing.hold()
        self._sink.still(None)
        self._wake.set()

    def show_standby(self, segments: Sequence[SlateSegment]) -> None:
        """Show these segments in a loop, from the next slot on, while the programme plays on unseen.

        Raises:
            ValueError: there is no segment, or they were made for another channel.
        """
        self._pacing.show_standby(segments)
        self._sink.still(None)  # at once: nobody who joins before the next slot may see what has just been covered
        self._wake.set()

    def resume(self) -> None:
        """Show the programme again; each layer waits for a keyframe, which the caller may ask for."""
        self._pacing.resume()
        self._wake.set()

    def mute(self, *, on: bool) -> None:
        """Let nothing be heard from the next slot on, until it is taken back."""
        self._pacing.mute(on=on)

    def take_late_ns(self) -> int:
        """The latest release since this was last asked, which one caller does: how late the event loop ran."""
        late, self._max_late_ns = self._max_late_ns, 0
        return late

    def stats(self) -> PacerStats:
        """How pacing goes."""
        pacing = self._pacing
        return PacerStats(pacing.state, pacing.waiting, pacing.underruns, pacing.filled_slots)

    async def _run(self) -> None:
        try:
            await self._release_forever()
        except Exception:
            logger.exception("the pacer failed; nothing more is released")
            raise

    async def _release_forever(self) -> None:
        while True:
            due_ns = self._pacing.next_due_ns()
            now_ns = self._timer.now_ns()
            if due_ns <= now_ns:
                self._max_late_ns = max(self._max_late_ns, now_ns - due_ns)
                for item in self._pacing.release(now_ns):
                    self._dispatch(item)
                self._sink.flush()
                if not self._pacing.full:
                    self._room.set()
                # A clock that ran far ahead (a suspended process) must not keep others from the loop.
                await asyncio.sleep(0)
                continue
            self._wake.clear()
            cancel = self._timer.call_at_ns(due_ns, self._wake.set)
            try:
                await self._wake.wait()
            finally:
                cancel()

    def _dispatch(self, item: Release) -> None:
        match item:
            case VideoPacket():
                self._sink.video(item)
            case Still():
                self._sink.still(item)
            case AudioPacket():
                self._sink.audio(item)
            case ChunkRecord():
                self._tell(self._sink.chunk_started, item)
            case StateChanged():
                self._sink.still(None)
                self._tell(self._on_state, item.state)
            case Shifted():
                self._tell(self._on_shift, item.programme_epoch_ns)

    def _tell(self, listener: Callable[[_Told], None], told: _Told) -> None:
        """Whoever only listens, such as steering, must never be able to stop the media."""
        try:
            listener(told)
        except Exception:  # the outermost edge of what listens
            # Once, and not with every chunk: a log that fills the disk would stop more.
            kind = type(told).__name__
            if kind not in self._failures_told:
                self._failures_told.add(kind)
                logger.exception(
                    "what listens to the pacer failed on a %s; the media go on, and this is logged once", kind
                )
