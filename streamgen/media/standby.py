"""What a channel shows in place of its programme, prepared before it starts: slate, black and silence."""

from typing import TypeAlias

from streamgen.media.audio_encoder import silence
from streamgen.media.layers import Rung
from streamgen.media.slate import SlateSegment, make_black, make_slate
from streamgen_engines.manifest import Manifest

Segments: TypeAlias = tuple[SlateSegment, ...]


def make_standby(manifest: Manifest, rungs: tuple[Rung, ...]) -> tuple[Segments, Segments, bytes]:
    """Slate, black and silence of a channel; computes for about a second."""
    fps, sample_rate = manifest.video.fps, manifest.audio.sample_rate
    return (
        make_slate(rungs, fps=fps, sample_rate=sample_rate),
        make_black(rungs, fps=fps, sample_rate=sample_rate),
        silence(),
    )
