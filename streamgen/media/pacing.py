"""What is released when: the pacer without its clock and its task. Free of I/O; time comes in as an argument.

Sound is the metronome. Every 20 ms one Opus packet leaves, whatever happens: of the chunk that plays, of its fade to
silence when the next chunk is late, silence after that, or of the slate. A chunk starts when the sound before it has
been released, and its pictures follow at their own times. Nothing is ever released early, and a picture that does not
come is not replaced: viewers keep showing the last one.

A late chunk starts in the next free slot, and programme time moves as a whole: picture and sound are shifted
together, and the generator is told (`Shifted`), so that its next chunk is not late for the same reason.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias

from streamgen.media.clock import SLOT_SAMPLES, SLOT_TICKS, MediaClock
from streamgen.media.slate import SlateSegment
from streamgen.packets import VIDEO_CODECS, AudioPacket, ChunkRecord, EncodedChunk, VideoCodec, VideoPacket

MAX_WAITING_CHUNKS: Final = 4
"""Chunks that wait behind the one that plays; the just-in-time rule keeps it near one. Full: the caller waits."""

GRACE_NS: Final = 8_000_000
"""How late a chunk may be without a gap: receivers absorb this much, and a gap would cost 20 ms."""

PlayState: TypeAlias = Literal["live", "buffering", "slate"]


@dataclass(frozen=True, slots=True)
class StateChanged:
    """Playing a chunk, holding the last picture because the next one is late, or showing the slate."""

    state: PlayState


@dataclass(frozen=True, slots=True)
class Shifted:
    """Programme time 0 of the generator now lies at this monotonic time."""

    programme_epoch_ns: int


Release: TypeAlias = VideoPacket | AudioPacket | ChunkRecord | StateChanged | Shifted


class Pacing:
    """Decides what leaves at which time.

    Attributes:
        clock: the channel's media clock.
        state: what plays.
        underruns: how often a chunk came too late.
        filled_slots: packets of 20 ms that were fade or silence instead of sound.
        gated_pictures: pictures kept back because their codec had not seen a keyframe since the slate.
    """

    def __init__(self, clock: MediaClock, *, slate: Sequence[SlateSegment], silence: bytes) -> None:
        """Start with the slate, whose sound gives the channel its grid of slots.

        Args:
            clock: its epoch is the moment at which the first slot may be released.
            slate: segments to be played in a loop; each starts with a keyframe per codec.
            silence: an Opus packet of 20 ms.
        """
        if not slate:
            raise ValueError("a channel needs a slate of at least one segment")
        self.clock = clock
        self.state: PlayState = "slate"
        self.underruns = 0
        self.filled_slots = 0
        self.gated_pictures = 0
        self._slate = tuple(slate)
        self._silence = silence
        self._slate_wanted = True
        self._slate_next = 0
        # Sound before time 0 cannot be stamped: start in the first slot that lies at or after it.
        self._slot_pts = slate[0].audio[0].pts % SLOT_SAMPLES
        self._waiting: deque[EncodedChunk] = deque()
        self._pictures: deque[tuple[int, VideoPacket | ChunkRecord]] = deque()  # media pts (ticks), what is released
        self._sound: deque[bytes] = deque()  # of the chunk that plays, one per slot
        self._fade: deque[bytes] = deque()  # what follows `_sound` if no chunk does
        self._gate: set[VideoCodec] = set()  # codecs whose pictures wait for a keyframe

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
            ValueError: the queue is full, or the sound does not last as long as the pictures.
        """
        if self.full:
            raise ValueError("the pacer is full; wait until it has room")
        if len(chunk.audio) * SLOT_TICKS != chunk.duration_ticks:
            raise ValueError(
                f"chunk {chunk.index}: {len(chunk.audio)} packets of sound for {chunk.duration_ticks} ticks"
            )
        self._waiting.append(chunk)
        self._slate_wanted = False

    def show_slate(self, *, flush: bool = False) -> None:
        """Play the slate until the next `put`, once the queued chunks have played (`flush`: from the next slot on)."""
        self._slate_wanted = True
        if flush and self.state != "slate":
            self._sound.clear()
            self._fade.clear()
        if flush or self.state == "slate":
            self._waiting.clear()

    def next_due_ns(self) -> int:
        """Monotonic time of the next release; calling `release` earlier returns nothing."""
        due = self._sound_due_ns()
        return min(due, self._picture_due_ns()) if self._pictures else due

    def release(self, now_ns: int) -> list[Release]:
        """Everything that is due at `now_ns`, in the order in which it leaves."""
        released: list[Release] = []
        while self.next_due_ns() <= now_ns:
            if self._pictures and self._picture_due_ns() <= self._sound_due_ns():
                self._release_picture(released)
            else:
                self._release_slot(released)
        return released

    def _sound_due_ns(self) -> int:
        due = self.clock.audio_due_ns(self._slot_pts)
        starving = self.state == "live" and not self._sound and not self._waiting and not self._slate_wanted
        return due + GRACE_NS if starving else due

    def _picture_due_ns(self) -> int:
        return self.clock.video_due_ns(self._pictures[0][0])

    def _release_picture(self, released: list[Release]) -> None:
        _, item = self._pictures.popleft()
        if isinstance(item, VideoPacket) and item.codec in self._gate:
            if not item.keyframe:
                self.gated_pictures += 1
                return
            self._gate.discard(item.codec)
        released.append(item)

    def _release_slot(self, released: list[Release]) -> None:
        if not self._sound or (self.state == "slate" and self._waiting):
            self._start_next(released)
        if self._sound:
            data = self._sound.popleft()
        else:
            self.filled_slots += 1
            data = self._fade.popleft() if self._fade else self._silence
        released.append(AudioPacket(pts=self._slot_pts, data=data))
        self._slot_pts += SLOT_SAMPLES

    def _start_next(self, released: list[Release]) -> None:
        """Begin what plays from this slot on: a chunk, else the slate, else a gap."""
        if self._waiting:
            self._start_chunk(self._waiting.popleft(), released)
        elif self._slate_wanted and not self._fade:
            self._start_slate_segment(released)
        elif self.state == "live" and not self._slate_wanted:
            self.underruns += 1
            self._enter("buffering", released)

    def _start_chunk(self, chunk: EncodedChunk, released: list[Release]) -> None:
        if self.clock.anchor(chunk.audio[0].pts, self._slot_pts):
            released.append(Shifted(self.clock.programme_epoch_ns))
        if self.state == "slate":
            self._interrupt()
        self._enter("live", released)
        first_pts = self.clock.video_pts(chunk.record.pts)
        self._pictures.append((first_pts, replace(chunk.record, pts=first_pts)))
        self._begin(chunk.video, chunk.audio, self.clock)
        self._fade = deque(chunk.fade)

    def _start_slate_segment(self, released: list[Release]) -> None:
        if self.state != "slate":
            self._interrupt()
            self._slate_next = 0
        self._enter("slate", released)
        segment = self._slate[self._slate_next]
        self._slate_next = (self._slate_next + 1) % len(self._slate)
        timeline = MediaClock(self.clock.epoch_ns)
        timeline.anchor(segment.audio[0].pts, self._slot_pts)
        self._begin(segment.video, segment.audio, timeline)

    def _begin(self, video: Sequence[VideoPacket], audio: Sequence[AudioPacket], timeline: MediaClock) -> None:
        for packet in video:
            pts = timeline.video_pts(packet.pts)
            self._pictures.append((pts, replace(packet, pts=pts)))
        self._sound = deque(packet.data for packet in audio)

    def _interrupt(self) -> None:
        """Another encoder's pictures follow: none of a codec may be shown before its first keyframe."""
        self._pictures.clear()
        self._gate = set(VIDEO_CODECS)

    def _enter(self, state: PlayState, released: list[Release]) -> None:
        if state != self.state:
            self.state = state
            released.append(StateChanged(state))
