"""What crosses the border between the generator process and the server: commands in, events out.

Everything here is a frozen value made of plain Python types, so that it pickles small and imports nothing large.

Two clocks appear, both counted from the channel's epoch and both integers: video in ticks of 90 kHz, audio in
samples at 48 kHz. The generator counts *programme time* (chunk 0 starts at 0, no gaps). The pacer adds the gaps
of underruns and slates to every `pts` before it releases a packet; from there on `pts` is *media time*, the time
that viewers see and that never runs backwards.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from streamgen.media.layers import Rung

VideoCodec = Literal["vp8", "h264"]
Target = Literal["av", "video", "audio"]
Shares = tuple[tuple[str, float], ...]
"""Texts and their shares of a blend, which add up to 1."""

VIDEO_CODECS: tuple[VideoCodec, ...] = ("vp8", "h264")

VIDEO_CLOCK_HZ = 90_000
AUDIO_CLOCK_HZ = 48_000
OPUS_FRAME_SAMPLES = 960
"""Samples per channel in one Opus packet: 20 ms at 48 kHz."""


@dataclass(frozen=True, slots=True, order=True)
class Layer:
    """One encoding of the channel: a codec at one rung of the ladder of sizes (0 is the full size)."""

    codec: VideoCodec
    rung: int


@dataclass(frozen=True, slots=True)
class VideoPacket:
    """One encoded picture of one layer.

    `pts` is in ticks of 90 kHz since the channel's epoch. `data` is a whole VP8 frame or an H.264 access unit
    in Annex B form, with SPS and PPS in front of every keyframe.
    """

    layer: Layer
    pts: int
    keyframe: bool
    data: bytes

    @property
    def codec(self) -> VideoCodec:
        """How it is encoded."""
        return self.layer.codec


@dataclass(frozen=True, slots=True)
class AudioPacket:
    """One Opus packet of 20 ms, stereo. `pts` is in samples at 48 kHz since the channel's epoch.

    `pts` already takes off the delay of resampler and encoder, so the sound that a decoder puts out at `pts`
    belongs to the picture of that time. It is therefore not a multiple of 960, but always 960 after the last.
    """

    pts: int
    data: bytes


@dataclass(frozen=True, slots=True)
class ChunkRecord:
    """What made one chunk, for the log, for steering and for rendering it again.

    `first_frame` counts pictures that were generated before this chunk and never includes gaps. `pts` (90 kHz
    ticks) is where the first picture is on the timeline; the pacer rewrites it when it adds a gap.
    """

    chunk: int
    first_frame: int
    fps: tuple[int, int]
    pts: int
    prompt_id: str | None
    prompt: str
    seed: int
    guidance: float
    steps: int
    applied: tuple[str, ...] = ()
    """Ids of the prompts that this chunk is the first to show (none or one)."""
    superseded: tuple[str, ...] = ()
    """Ids of the prompts that were given up since the chunk before."""
    knobs: Mapping[str, str] = field(default_factory=dict)
    """Of the prompt."""
    told: Shares = ()
    """What the picture was told, in the bundle's words."""
    sound: Shares = ()
    """What the sound was told, where that is something else."""
    cut: bool = False
    """It sees nothing of the chunks before."""
    keep: int | None = None
    """It sees so many of them at most; None: as the bundle has it."""
    alone_above: float | None = None
    """Noise level above which it sees none of them, in a transition."""
    picture: str | None = None
    """Name of the picture that it continues: SHA-256 of its latent."""
    fresh: bool = False
    """The model had run away, and began anew with this chunk."""
    timings_ms: Mapping[str, float] = field(default_factory=dict)
    """Milliseconds spent per stage: `denoise`, `decode`, `encode`, and `lead` (ready before it was due)."""

    @property
    def media_time_s(self) -> float:
        """Seconds of media time at which the first picture of this chunk is shown."""
        return self.pts / VIDEO_CLOCK_HZ


@dataclass(frozen=True, slots=True)
class Still:
    """A chunk's first picture on its own, as a keyframe outside the stream of its layer.

    A viewer who joins sees it at once, and the stream follows from its next keyframe on.
    """

    layer: Layer
    pts: int
    data: bytes


@dataclass(frozen=True, slots=True)
class EncodedChunk:
    """Pictures and sound of one chunk: they are queued, released and given up together.

    `video` holds every picture once per layer that is watched, in the order of `pts`, and is empty while nobody
    watches. `audio` is always there, so that a first viewer joins a running Opus stream; it covers
    `duration_ticks` (90 kHz), the length of the chunk on the timeline, exactly.
    """

    index: int
    video: tuple[VideoPacket, ...]
    audio: tuple[AudioPacket, ...]
    record: ChunkRecord
    duration_ticks: int
    fade: tuple[bytes, ...] = ()
    """Opus packets to release after this chunk when the next one is late: they take the sound to silence."""
    stills: tuple[Still, ...] = ()
    """Of the layers with which viewers begin, where somebody watches them."""


# Commands to the generator process.


@dataclass(frozen=True, slots=True)
class SetPrompt:
    """Show this text from the next chunk that has not started.

    Attributes:
        id: of the request.
        text: to show, and to name it by where it is a blend.
        cut: forget what was shown before.
        knobs: name to value, of those that the bundle offers; go with the text: camera, mood and the like.
        blend: texts and weights that are shown together; empty: `text` alone.
        target: whether it is for the picture, the sound or both.
        transition_ms: how long the way from what is told now takes; 0 = at once.
        keep: chunks of the past that stay visible to the first chunk; None = as the bundle has it.
        sound: texts and weights that the sound is told in its place, for a generator that begins in the middle.
        sound_knobs: that go with these.
    """

    id: str
    text: str
    cut: bool = False
    knobs: Mapping[str, str] = field(default_factory=dict)
    blend: tuple[tuple[str, float], ...] = ()
    target: Target = "av"
    transition_ms: float = 0.0
    keep: int | None = None
    sound: tuple[tuple[str, float], ...] = ()
    sound_knobs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SetConfig:
    """Change guidance or seed from the next chunk that has not started; `None` leaves a value as it is."""

    guidance: float | None = None
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class RequestKeyframe:
    """Make the next picture of this layer a keyframe."""

    layer: Layer


@dataclass(frozen=True, slots=True)
class SetLayers:
    """Encode exactly these layers from the next chunk on; none of them means no encoding at all."""

    layers: frozenset[Layer]


@dataclass(frozen=True, slots=True)
class SetEpoch:
    """Programme time 0 is at this `time.monotonic_ns()`, the same clock in every process of a machine."""

    epoch_ns: int


@dataclass(frozen=True, slots=True)
class Stop:
    """End the process; what is under way is given up."""


Command = SetPrompt | SetConfig | RequestKeyframe | SetLayers | SetEpoch | Stop


# Events from the generator process.


@dataclass(frozen=True, slots=True)
class Ready:
    """The model is loaded. `width` and `height` are those of the encoded full size, `fps` is a fraction.

    `rungs` is the ladder of sizes that layers are made of, the full size first.
    """

    width: int
    height: int
    fps: tuple[int, int]
    sample_rate: int
    chunk_duration_ns: int
    rungs: tuple[Rung, ...]
    model: str = ""


@dataclass(frozen=True, slots=True)
class PromptQueued:
    """The prompt is encoded and waits for a chunk; it will be seen in about `eta_ms`."""

    id: str
    eta_ms: float


@dataclass(frozen=True, slots=True)
class PromptSuperseded:
    """The prompt will not be shown, because prompt `by` came after it."""

    id: str
    by: str


@dataclass(frozen=True, slots=True)
class PromptFailed:
    """The prompt cannot be encoded and will not be shown; `message` says why."""

    id: str
    message: str


@dataclass(frozen=True, slots=True)
class GeneratorStats:
    """How generation is going, about once a second.

    `realtime_ratio` is media time made per second of work of the slowest stage (1.0 just keeps up). Stage
    names are those of `ChunkRecord.timings_ms`. `behind` is true while chunks come late even with the fewest
    steps.
    """

    chunk: int
    realtime_ratio: float
    stage_p50_ms: Mapping[str, float]
    stage_p95_ms: Mapping[str, float]
    lead_ms: float
    steps: int
    behind: bool
    rss_bytes: int


@dataclass(frozen=True, slots=True)
class GeneratorError:
    """The last event of a process that ends because something failed."""

    message: str


Event = Ready | PromptQueued | PromptSuperseded | PromptFailed | EncodedChunk | GeneratorStats | GeneratorError
