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
from streamgen.sides import Target as Target

VideoCodec = Literal["vp8", "h264"]
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
class Occurred:
    """An entry of the timeline came due, or several of its times at once.

    Attributes:
        entry: its id.
        action: id under which the generator was told what it does; another one after an edit.
        times: how many of its times fell on one chunk; more than one when chunks were skipped.
    """

    entry: str
    action: str
    times: int = 1


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
    """Ids of what this chunk is the first to show: prompts, the newest last, and resets before them."""
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
    recache: bool | None = None
    """What it sees of them was read again under its prompt; None: as the bundle has it."""
    picture: str | None = None
    """Name of the picture that it continues: SHA-256 of its latent."""
    fresh: bool = False
    """The model had run away, and began anew with this chunk."""
    scheduled: tuple["Occurred", ...] = ()
    """What the timeline brought."""
    chunks_before: int = 0
    """Chunks of the channel before this generator's."""
    timings_ms: Mapping[str, float] = field(default_factory=dict)
    """Milliseconds spent per stage: `denoise`, `decode`, `encode`, and `lead` (ready before it was due). `upscale` is
    the part of `decode` in which a graph enlarged the pictures, where that could have been left out."""

    @property
    def place(self) -> int:
        """Which chunk of the channel this is, counted over its life, whatever generator makes them."""
        return self.chunks_before + self.chunk

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
        recache: whether what stays visible is read again under the new prompt; None = as the bundle has it.
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
    recache: bool | None = None
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
class BeginAt:
    """Where this generator's chunks lie in the life of the channel; sent before anything that has a time.

    Attributes:
        chunks_before: how many the channel has had.
        media_epoch_ns: monotonic time of media time 0.
    """

    chunks_before: int
    media_epoch_ns: int


@dataclass(frozen=True, slots=True)
class ScheduleEntry:
    """Put an entry on the timeline, or in the place of the one with its id.

    Attributes:
        id: of the entry.
        entry: JSON of a `streamgen.protocol.Entry`.
        action: what its action is known by; `prompt.id` where it is a prompt.
        prompt: what it plays; None where it does something else.
    """

    id: str
    entry: str
    action: str
    prompt: SetPrompt | None = None


@dataclass(frozen=True, slots=True)
class UnscheduleEntry:
    """Take an entry off the timeline."""

    id: str


@dataclass(frozen=True, slots=True)
class ClearTimeline:
    """Take all entries off the timeline."""


@dataclass(frozen=True, slots=True)
class SetTempos:
    """Count beats like this from now on: each `(bpm, from_s, beat)` holds from a media time on."""

    tempos: tuple[tuple[float, float, float], ...]


@dataclass(frozen=True, slots=True)
class SetPaused:
    """Make no more chunks, or go on."""

    paused: bool


@dataclass(frozen=True, slots=True)
class DropContext:
    """Let the next chunk see nothing of those before; `id` is named by its record."""

    id: str


@dataclass(frozen=True, slots=True)
class Stop:
    """End the process; what is under way is given up."""


Command = (
    SetPrompt
    | SetConfig
    | RequestKeyframe
    | SetLayers
    | SetEpoch
    | BeginAt
    | ScheduleEntry
    | UnscheduleEntry
    | ClearTimeline
    | SetTempos
    | SetPaused
    | DropContext
    | Stop
)


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
class Idle:
    """The generator is well and makes nothing: it is paused, or has not begun. Said about once a second."""


@dataclass(frozen=True, slots=True)
class GeneratorError:
    """The last event of a process that ends because something failed."""

    message: str


Event = Ready | PromptQueued | PromptSuperseded | PromptFailed | EncodedChunk | GeneratorStats | Idle | GeneratorError
