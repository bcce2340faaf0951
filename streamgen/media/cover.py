"""What viewers get in place of the programme: the last picture in silence, or prepared segments. Free of I/O.

Both are asked slot by slot (20 ms, one Opus packet) and answer with that slot's sound; a loop also gives the pictures
of a segment when one begins.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import replace

from streamgen.media.clock import SLOT_SAMPLES, MediaClock
from streamgen.media.slate import SlateSegment
from streamgen.packets import VideoPacket


class Held:
    """No new picture, so that viewers keep the last one, and sound that fades to silence."""

    def __init__(self, *, fade: Iterable[bytes], silence: bytes) -> None:
        """`fade` are the Opus packets that take what was heard last to silence."""
        self._fade = deque(fade)
        self._silence = silence

    def slot(self, clock: MediaClock, slot_pts: int) -> tuple[list[VideoPacket], bytes]:
        """No pictures, and the sound of the slot."""
        return [], self._fade.popleft() if self._fade else self._silence


class Loop:
    """Prepared segments, one after the other and then again from the first, from any slot on."""

    def __init__(self, segments: Sequence[SlateSegment]) -> None:
        """Each segment starts with a keyframe per layer.

        Raises:
            ValueError: there is no segment.
        """
        if not segments:
            raise ValueError("a loop needs at least one segment")
        self._segments = tuple(segments)
        self._next = 0
        self._sound: deque[bytes] = deque()  # what is left of the segment that plays

    @property
    def grid(self) -> int:
        """Where its sound lies in the grid of slots, in samples at 48 kHz."""
        return self._segments[0].audio[0].pts % SLOT_SAMPLES

    def rewind(self) -> None:
        """Begin with the first segment in the next slot."""
        self._next = 0
        self._sound.clear()

    def slot(self, clock: MediaClock, slot_pts: int) -> tuple[list[VideoPacket], bytes]:
        """Pictures of the segment that begins in this slot, if one does, on media time, and the sound of the slot."""
        pictures = [] if self._sound else self._begin(clock, slot_pts)
        return pictures, self._sound.popleft()

    def _begin(self, clock: MediaClock, slot_pts: int) -> list[VideoPacket]:
        segment = self._segments[self._next]
        self._next = (self._next + 1) % len(self._segments)
        timeline = MediaClock(clock.epoch_ns)
        timeline.anchor(segment.audio[0].pts, slot_pts)
        self._sound = deque(packet.data for packet in segment.audio)
        return [replace(packet, pts=timeline.video_pts(packet.pts)) for packet in segment.video]
