"""What viewers get: whether the programme plays, what covers it, and whether it was paused. Free of I/O."""

from typing import Final, Literal, TypeAlias

from streamgen.packets import ChunkRecord
from streamgen.protocol import Buffering, Chunk, Cover, PanicAction, Status
from streamgen.steering.programme import START_ID

StandstillReason: TypeAlias = Literal["underrun", "starting", "restarting", "paused"]

_REASON_OF: Final[dict[Status, StandstillReason]] = {
    "starting": "starting",
    "buffering": "underrun",
    "slate": "restarting",
}


class OnAir:
    """What leaves for the viewers.

    Attributes:
        status: what they see and hear.
        cover, muted: what a panic has put over it.
        paused: no chunks are to be made.
        chunk: of the channel, the one that plays; None before the first.
        media_time_s: of its first picture.
        viewers: who receive media now.
    """

    def __init__(self) -> None:
        self.status: Status = "starting"
        self.cover: Cover = "none"
        self.muted = False
        self.paused = False
        self.chunk: int | None = None
        self.media_time_s = 0.0
        self.viewers = 0

    def panic(self, action: PanicAction) -> None:
        """Cover the programme, silence it, or take all of that back."""
        if action == "mute":
            self.muted = True
        elif action == "off":
            self.cover, self.muted = "none", False
        else:
            self.cover = action

    def chunk_started(self, record: ChunkRecord) -> Buffering | None:
        """A chunk starts to play; what is told where that ends a standstill."""
        self.chunk, self.media_time_s = record.place, record.media_time_s
        return self._change("live")

    def set_status(self, status: Status) -> tuple[bool, Buffering | None]:
        """What viewers see and hear; whether that has changed, and what is told of it."""
        if status == "slate" and self.chunk is None:
            status = "starting"  # the slate before the very first chunk is no interruption
        changed = status != self.status
        return changed, self._change(status)

    def _change(self, status: Status) -> Buffering | None:
        if status == self.status:
            return None
        self.status = status
        reason = _REASON_OF.get(status)
        if reason == "underrun" and self.paused:
            reason = "paused"
        return Buffering(active=status != "live", reason=reason, media_time=self.media_time_s)


def chunk_message(record: ChunkRecord) -> Chunk:
    """What everybody is told when a chunk starts to play."""
    return Chunk(
        index=record.place,
        media_time=record.media_time_s,
        prompt=record.prompt,
        prompt_id=None if record.prompt_id == START_ID else record.prompt_id,
        rtp_video=record.pts,
    )
