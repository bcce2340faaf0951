"""What is released when: the pacer without its clock and its task. Free of I/O; time comes in as an argument.

Sound is the metronome. Every 20 ms one Opus packet leaves, whatever happens: of the chunk that plays, of its fade to
silence when the next chunk is late, silence after that, or of the slate. A chunk starts when the sound before it has
been released, and its pictures follow at their own times. Nothing is ever released early, and a picture that does not
come is not replaced: viewers keep showing the last one.

A late chunk starts in the next free slot, and programme time moves as a whole: picture and sound are shifted
together, and the generator is told (`Shifted`), so that its next chunk is not late for the same reason.

The programme can be covered (`hold`, `show_standby`) by what does not come from the generator. It plays on beneath,
slot by slot, and its records leave as before, so the generator notices nothing and what is uncovered is the present.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias

from streamgen.media.clock import SLOT_SAMPLES, SLOT_TICKS, MediaClock
from streamgen.media.cover import Held, Loop
from streamgen.media.slate import SlateSegment
from streamgen.packets import AudioPacket, ChunkRecord, EncodedChunk, Layer, Still, VideoPacket

MAX_WAITING_CHUNKS: Final = 4
"""Chunks that wait behind the one that plays; the just-in-time rule keeps it near one. Full: the caller waits."""

GRACE_NS: Final = 8_000_000
"""How late a chunk may be without a gap: receivers absorb this much, and a gap would cost 20 ms."""

PlayState: TypeAlias = Literal["live", "buffering", "slate", "held", "standby"]


@dataclass(frozen=True, slots=True)
class StateChanged:
    """What viewers get from now on.

    Chunks (`live`), the last picture because the next chunk is late (`buffering`), the slate, or what covers all of
    these: the last picture on purpose (`held`), or prepared segments (`standby`).
    """

    state: PlayState


@dataclass(frozen=True, slots=True)
class Shifted:
    """Programme time 0 of the generator now lies at this monotonic time."""

    programme_epoch_ns: int


Release: TypeAlias = VideoPacket | Still | AudioPacket | ChunkRecord | StateChanged | Shifted
_Timed: TypeAlias = VideoPacket | Still | ChunkRecord  # what leaves at a time of its own


class Pacing:
    """Decides what leaves at which time.

    Attributes:
        clock: the channel's media clock.
        underruns: how often a chunk came too late.
        filled_slots: packets of 20 ms that were fade or silence instead of the programme's sound.
        gated_pictures: pictures kept back because their layer had not had a keyframe since the programme was cut off.
        covered_pictures: pictures of the programme that came while it was covered.
    """

    def __init__(
        self,
        clock: MediaClock,
        *,
        slate: Sequence[SlateSegment],
        silence: bytes,
        paused: Callable[[], bool] = lambda: False,
    ) -> None:
        """Start with the slate, whose sound gives the channel its grid of slots.

        Args:
            clock: its epoch is the moment at which the first slot may be released.
            slate: segments to be played in a loop; each starts with a keyframe per layer.
            silence: an Opus packet of 20 ms.
            paused: whether a chunk that does not come is missing on purpose.
        """
        self._paused = paused
        self.clock = clock
        self.underruns = 0
        self.filled_slots = 0
        self.gated_pictures = 0
        self.covered_pictures = 0
        self._slate = Loop(slate)
        self._silence = silence
        self._slate_wanted = True
        self._programme: PlayState = "slate"  # live, buffering or slate: what plays, covered or not
        self._announced: PlayState = "slate"
        self._slot_pts = self._slate.grid  # sound before time 0 cannot be stamped: the first slot at or after it
        self._waiting: deque[EncodedChunk] = deque()
        self._pictures: deque[tuple[int, _Timed]] = deque()  # media pts (ticks), what is released
        self._sound: deque[bytes] = deque()  # of the chunk that plays, one per slot
        self._fade: deque[bytes] = deque()  # what follows `_sound` if no chunk does
        self._open: set[Layer] = set()  # layers that have had a keyframe since another encoder's pictures were shown
        self._cover: tuple[PlayState, Held | Loop] | None = None
        self._cover_pictures: deque[tuple[int, _Timed]] = deque()
        self._muted: Held | None = None

    @property
    def muted(self) -> bool:
        """Whether viewers hear nothing, whatever plays."""
        return self._muted is not None

    @property
    def state(self) -> PlayState:
        """What viewers get; the next slot announces it."""
        return self._programme if self._cover is None else self._cover[0]

    @property
    def waiting(self) -> int:
        """Chunks that wait behind the one that plays."""
        return len(self._waiting)

    @property
    def full(self) -> bool:
        """Whether another chunk has to wait outside."""
        return len(self._waiting) >= MAX_WAITING_CHUNKS

    def put(self, chunk: EncodedChunk) -> None:
        """Queue a chunk; it ends the slate or the gap that plays.

        Raises:
            ValueError: the queue is full, or the sound does not last as long as the pictures. Of a chunk that is no
                whole number of slots, the rest waits for the next one, so that it may have one packet more or less.
        """
        if self.full:
            raise ValueError("the pacer is full; wait until it has room")
        slots, rest = divmod(chunk.duration_ticks, SLOT_TICKS)
        if not slots <= len(chunk.audio) <= slots + (rest > 0):
            raise ValueError(
                f"chunk {chunk.index}: {len(chunk.audio)} packets of sound for {chunk.duration_ticks} ticks"
            )
        self._waiting.append(chunk)
        self._slate_wanted = False

    def show_slate(self, *, flush: bool = False) -> None:
        """Play the slate until the next `put`, once the queued chunks have played (`flush`: from the next slot on)."""
        self._slate_wanted = True
        if flush and self._programme != "slate":
            self._sound.clear()
            self._fade.clear()
        if flush or self._programme == "slate":
            self._waiting.clear()

    def hold(self) -> None:
        """Cover the programme: the last picture stays from now on, and the sound fades from the next slot on."""
        if self.state == "held":
            return
        # In the middle of a chunk the fade jumps to that chunk's end; decoders join it within a few ms.
        heard = self._cover is None and self._programme != "slate"
        self._cover_with("held", Held(fade=self._fade if heard else (), silence=self._silence))

    def show_standby(self, segments: Sequence[SlateSegment]) -> None:
        """Cover the programme: no more of its pictures from now on, these segments in a loop from the next slot on.

        Raises:
            ValueError: there is no segment, or the sound does not lie on this channel's grid of slots.
        """
        loop = Loop(segments)
        if loop.grid != self._slate.grid:
            raise ValueError("these segments are of another channel: their sound has another delay than the slate's")
        self._cover_with("standby", loop)

    def resume(self) -> None:
        """Uncover the programme: its sound from the next slot on, and each layer's pictures from its next keyframe on.

        Nothing is asked of the generator: whoever resumes may ask for keyframes.
        """
        if self._cover is not None:
            self._cover = None
            self._cover_pictures.clear()
            self._open.clear()

    def mute(self, *, on: bool) -> None:
        """Let nothing be heard from the next slot on, whatever is shown, until it is taken back. Idempotent."""
        if on and self._muted is None:
            heard = self._cover is None and self._programme != "slate"
            self._muted = Held(fade=tuple(self._fade) if heard else (), silence=self._silence)
        elif not on:
            self._muted = None

    def next_due_ns(self) -> int:
        """Monotonic time of the next release; calling `release` earlier returns nothing."""
        return min([self._sound_due_ns(), *(self._due_ns(pictures) for pictures in self._picture_queues())])

    def release(self, now_ns: int) -> list[Release]:
        """Everything that is due at `now_ns`, in the order in which it leaves."""
        released: list[Release] = []
        while self.next_due_ns() <= now_ns:
            pictures = min(self._picture_queues(), key=self._due_ns, default=None)
            if pictures is not None and self._due_ns(pictures) <= self._sound_due_ns():
                self._release_picture(pictures, released)
            else:
                self._release_slot(released)
        return released

    def _sound_due_ns(self) -> int:
        due = self.clock.audio_due_ns(self._slot_pts)
        starving = self._programme == "live" and not self._sound and not self._waiting and not self._slate_wanted
        return due + GRACE_NS if starving else due

    def _picture_queues(self) -> list[deque[tuple[int, _Timed]]]:
        return [pictures for pictures in (self._pictures, self._cover_pictures) if pictures]

    def _due_ns(self, pictures: deque[tuple[int, _Timed]]) -> int:
        return self.clock.video_due_ns(pictures[0][0])

    def _release_picture(self, pictures: deque[tuple[int, _Timed]], released: list[Release]) -> None:
        _, item = pictures.popleft()
        if isinstance(item, Still) and (self._cover is not None or item.layer not in self._open):
            return  # nobody may see now what it shows
        if isinstance(item, VideoPacket) and pictures is self._pictures:
            if self._cover is not None:
                self.covered_pictures += 1
                return
            if item.layer not in self._open and not item.keyframe:
                self.gated_pictures += 1
                return
            self._open.add(item.layer)
        released.append(item)

    def _release_slot(self, released: list[Release]) -> None:
        data = self._programme_slot(released)
        if self._cover is not None:
            # What the programme would sound like now is given up.
            pictures, data = self._cover[1].slot(self.clock, self._slot_pts)
            self._cover_pictures.extend((packet.pts, packet) for packet in pictures)
        if self._muted is not None:
            _, data = self._muted.slot(self.clock, self._slot_pts)
        self._announce(released)
        released.append(AudioPacket(pts=self._slot_pts, data=data))
        self._slot_pts += SLOT_SAMPLES

    def _programme_slot(self, released: list[Release]) -> bytes:
        """Sound of the programme in this slot; pictures of what begins in it are queued."""
        if not self._sound:
            self._start_next(released)
        if self._programme == "slate":
            pictures, data = self._slate.slot(self.clock, self._slot_pts)
            self._pictures.extend((packet.pts, packet) for packet in pictures)
            return data
        if self._sound:
            return self._sound.popleft()
        self.filled_slots += 1
        return self._fade.popleft() if self._fade else self._silence

    def _start_next(self, released: list[Release]) -> None:
        """Begin what plays from this slot on: a chunk, else the slate, else a gap."""
        if self._waiting:
            self._start_chunk(self._waiting.popleft(), released)
        elif self._programme != "slate" and self._slate_wanted and not self._fade:
            self._interrupt()
            self._slate.rewind()
            self._programme = "slate"
        elif self._programme == "live" and not self._slate_wanted:
            if not self._paused():
                self.underruns += 1
            self._programme = "buffering"

    def _start_chunk(self, chunk: EncodedChunk, released: list[Release]) -> None:
        if self.clock.anchor(chunk.audio[0].pts, self._slot_pts):
            released.append(Shifted(self.clock.programme_epoch_ns))
        if self._programme == "slate":
            self._interrupt()
        self._programme = "live"
        first_pts = self.clock.video_pts(chunk.record.pts)
        self._pictures.append((first_pts, replace(chunk.record, pts=first_pts)))
        stills = [replace(still, pts=self.clock.video_pts(still.pts)) for still in chunk.stills]
        for packet in chunk.video:
            pts = self.clock.video_pts(packet.pts)
            # Stills right behind the pictures that they repeat.
            if pts > first_pts:
                self._pictures.extend((first_pts, still) for still in stills)
                stills = []
            self._pictures.append((pts, replace(packet, pts=pts)))
        self._pictures.extend((first_pts, still) for still in stills)
        self._sound = deque(packet.data for packet in chunk.audio)
        self._fade = deque(chunk.fade)

    def _interrupt(self) -> None:
        """Another encoder's pictures follow: none of a layer may be shown before its first keyframe."""
        self._pictures.clear()
        self._open.clear()

    def _cover_with(self, state: PlayState, cover: Held | Loop) -> None:
        self._cover = (state, cover)
        self._cover_pictures.clear()

    def _announce(self, released: list[Release]) -> None:
        if self.state != self._announced:
            self._announced = self.state
            released.append(StateChanged(self.state))
