"""What a channel counts."""

from dataclasses import dataclass

from streamgen.media.pacer import PacerStats
from streamgen.packets import GeneratorStats
from streamgen.webrtc.fanout import FanoutStats


@dataclass(frozen=True, slots=True)
class ChannelStats:
    """How a channel goes; counts since its start."""

    generator: GeneratorStats | None  # the newest report, None before the first
    pacer: PacerStats
    fanout: FanoutStats
    restarts: int  # of the generator process
    media_time_s: float

    @property
    def underruns(self) -> int:
        """How often the media stood still because a chunk came too late."""
        return self.pacer.underruns
