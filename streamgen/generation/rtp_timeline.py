"""The rates of a bundle on the RTP clocks."""

from dataclasses import dataclass

from streamgen.media.video_encoder import ticks_per_picture
from streamgen_engines.manifest import Manifest


@dataclass(frozen=True, slots=True)
class Timeline:
    """Rates of a bundle on the RTP clocks; making one checks that the media plane can carry them exactly."""

    fps: tuple[int, int]
    pictures: int  # per chunk
    picture_ticks: int  # 90 kHz

    @classmethod
    def of(cls, manifest: Manifest) -> "Timeline":
        """The timeline of a bundle.

        Raises:
            UnsupportedRateError: its picture rate is no whole number of ticks.
        """
        video = manifest.video
        return cls(video.fps, video.frames_per_chunk, ticks_per_picture(video.fps))

    @property
    def chunk_ticks(self) -> int:
        """Length of a chunk, in ticks of 90 kHz."""
        return self.pictures * self.picture_ticks
