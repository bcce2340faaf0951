"""`manifest.json`: what a bundle contains and how it is run. Typed, versioned, checked once at load."""

import json
from collections.abc import Mapping
from fractions import Fraction
from pathlib import PurePosixPath
from typing import Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, ValidationError, model_validator

from streamgen_engines.errors import ManifestError, MissingGraphError, UnsupportedVersionError

FORMAT: Final = "streamgen-bundle"
VERSION: Final = 1
MANIFEST_FILE: Final = "manifest.json"
REQUIRED_GRAPHS: Final = ("text", "denoise", "decode_video", "decode_audio")
MAX_REPORTED_FIELDS: Final = 5


def _plain_path(value: str) -> str:
    """Accept only a path that stays inside the bundle, in whichever way it is read."""
    path = PurePosixPath(value)
    if "\\" in value or "\0" in value or ":" in value or path.is_absolute() or ".." in path.parts:
        raise ValueError(f"{value!r} leaves the bundle: give a path relative to the bundle, without '..'")
    if not path.parts:
        raise ValueError("names no file")
    return value


FilePath = Annotated[str, AfterValidator(_plain_path)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Positive = Annotated[int, Field(gt=0)]
Dtype = Literal["float32", "float16", "int64", "int32", "uint8", "bool"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Video(_Part):
    """Picture side: size in pixels, exact rate, and the latent of one chunk."""

    width: Positive
    height: Positive
    fps: tuple[Positive, Positive]  # numerator, denominator, pictures per second
    frames_per_chunk: Positive
    latent: tuple[Positive, Positive, Positive]  # channels, rows, columns


class Audio(_Part):
    """Sound side: rate in Hz, and the latent of one chunk."""

    sample_rate: Positive
    channels: Annotated[int, Field(ge=1, le=2)]
    samples_per_chunk: Positive  # per channel
    latent: tuple[Positive, Positive]  # channels, steps


class Attention(_Part):
    """The transformer's key/value ring; `window` and `sink` count chunks, `tokens` is per chunk."""

    layers: Positive
    heads: Positive
    head_dim: Positive
    tokens: Positive
    window: Positive
    sink: Annotated[int, Field(ge=0, le=1)]

    @property
    def slots(self) -> int:
        """Slots of the ring, one chunk each: the sink, the window and the chunk being made."""
        return self.sink + self.window + 1


Range = tuple[float, float]


class ChannelRanges(_Part):
    """Where each latent channel's statistics over one chunk lie in training: (low, high) per channel."""

    mean: Annotated[tuple[Range, ...], Field(min_length=1)]
    deviation: Annotated[tuple[Range, ...], Field(min_length=1)]  # standard deviation

    @model_validator(mode="after")
    def _ranges_are_ranges(self) -> Self:
        if len(self.mean) != len(self.deviation):
            raise ValueError(f"mean has {len(self.mean)} channels, deviation has {len(self.deviation)}")
        if any(low > high for low, high in (*self.mean, *self.deviation)):
            raise ValueError("each range is [low, high] with low <= high")
        if any(low < 0 for low, _ in self.deviation):
            raise ValueError("a deviation is never negative")
        return self


class Guard(_Part):
    """Anchors against drift; each is optional.

    `limit` holds every element of the predicted clean latents within [-limit, limit]. `video` and `audio` pull a
    channel whose mean or deviation left its range back by `pull` of the way (1 = all of it) in every chunk.
    """

    limit: Annotated[float, Field(gt=0)] | None = None
    pull: Annotated[float, Field(gt=0, le=1)] = 0.25
    video: ChannelRanges | None = None
    audio: ChannelRanges | None = None


class Change(_Part):
    """How a new prompt takes over from an old one: a model that trusts its past more than its text needs a push.

    The first chunk under the new prompt sees only the last `keep` chunks, the next one more, and so on until the
    window is full again; for `chunks` chunks guidance is at least `guidance`.
    """

    keep: Annotated[int, Field(ge=0)]
    guidance: Annotated[float, Field(ge=0)]
    chunks: Annotated[int, Field(ge=0)]


class Sampler(_Part):
    """Few-step flow matching: noise levels from 1 (noise) down to 0 (clean)."""

    sigmas: Annotated[tuple[float, ...], Field(min_length=2)]
    guidance: Annotated[float, Field(ge=0)]
    context_noise: Annotated[float, Field(ge=0, lt=1)]
    least_steps: Positive = 1
    """Steps under which the model makes noise: a machine that is too slow for them is too slow for the model."""
    guard: Guard | None = None
    change: Change | None = None

    @property
    def steps(self) -> int:
        """Denoising steps per chunk at full quality."""
        return len(self.sigmas) - 1

    @property
    def passes(self) -> int:
        """Runs of the graph per chunk at full quality, the one that remembers the chunk among them."""
        return self.steps * (1 if self.guidance == 1 else 2) + 1

    @model_validator(mode="after")
    def _least_steps_are_there(self) -> Self:
        if self.least_steps > self.steps:
            raise ValueError(f"least_steps is {self.least_steps}, but the sigmas make {self.steps} steps")
        return self

    @model_validator(mode="after")
    def _sigmas_descend(self) -> Self:
        pairs = zip(self.sigmas, self.sigmas[1:], strict=False)
        if self.sigmas[0] != 1.0 or self.sigmas[-1] != 0.0 or any(a <= b for a, b in pairs):
            raise ValueError(f"sigmas must fall from 1.0 to 0.0 without repeating, not {list(self.sigmas)}")
        return self


class Tokenizer(_Part):
    """The tokenizer's file, in the format of Hugging Face `tokenizers`."""

    file: FilePath
    sha256: Sha256


class Text(_Part):
    """Prompt encoding: tokens per prompt and the width of the context vectors."""

    max_tokens: Positive
    width: Positive
    tokenizer: Tokenizer


class State(_Part):
    """A tensor that a graph carries from call to call: input `name`, output `name` + `_out`; starts at zero."""

    name: Annotated[str, Field(min_length=1)]
    shape: tuple[Positive, ...]
    dtype: Dtype

    @property
    def output(self) -> str:
        """Name of the graph output that carries the new value."""
        return f"{self.name}_out"


class Graph(_Part):
    """One ONNX file."""

    file: FilePath
    sha256: Sha256
    precision: Literal["fp32", "fp16", "bf16", "int8", "fp8"]
    states: tuple[State, ...] = ()


BundleName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$", max_length=100)]


Words = Annotated[str, Field(pattern=r"^\S(.*\S)?$", max_length=100)]


class Manifest(_Part):
    """A whole `manifest.json`. Read one with `parse_manifest`."""

    format: Literal["streamgen-bundle"]
    version: Literal[1]
    family: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$")]
    name: BundleName
    licence: Annotated[str, Field(min_length=1)]
    description: str
    video: Video
    audio: Audio
    attention: Attention
    sampler: Sampler
    text: Text
    graphs: dict[str, Graph]
    knobs: dict[BundleName, dict[BundleName, Words]] = {}  # name -> value -> how the model's training says it
    smaller: BundleName | None = None  # folder beside this one: the same with smaller pictures, for slower machines
    training: dict[str, JsonValue] = {}  # free form: seed, steps, hours, commit

    required_graphs: ClassVar[tuple[str, ...]] = REQUIRED_GRAPHS

    @property
    def chunk_duration(self) -> Fraction:
        """Media time of one chunk, in seconds, exact."""
        numerator, denominator = self.video.fps
        return Fraction(self.video.frames_per_chunk * denominator, numerator)

    def told(self, text: str, knobs: Mapping[str, str]) -> str:
        """A prompt with its knobs, in the words that the model learnt; knobs and values that it lacks are left out."""
        said = [values[knobs[name]] for name, values in self.knobs.items() if knobs.get(name) in values]
        return ", ".join([text, *said]) if text else ", ".join(said)

    @model_validator(mode="after")
    def _sound_matches_picture(self) -> Self:
        samples = self.chunk_duration * self.audio.sample_rate
        if samples != self.audio.samples_per_chunk:
            raise ValueError(
                f"audio.samples_per_chunk is {self.audio.samples_per_chunk}, but {self.video.frames_per_chunk} "
                f"pictures last exactly {float(samples):g} samples: a chunk must be exact on both sides"
            )
        return self

    @model_validator(mode="after")
    def _guard_matches_latents(self) -> Self:
        guard = self.sampler.guard
        for side in ("video", "audio"):
            ranges: ChannelRanges | None = getattr(guard, side, None)
            channels: int = getattr(self, side).latent[0]
            if ranges is not None and len(ranges.mean) != channels:
                raise ValueError(
                    f"sampler.guard.{side} has ranges for {len(ranges.mean)} channels, {side}.latent has {channels}"
                )
        return self

    @model_validator(mode="after")
    def _ring_matches_attention(self) -> Self:
        denoise = self.graphs.get("denoise")
        if denoise is None:  # `parse_manifest` reports it with its own error
            return self
        a = self.attention
        shape = (1, a.heads, a.slots * a.tokens, a.head_dim)
        wanted = {f"{kind}_{layer}": shape for layer in range(a.layers) for kind in "kv"}
        found = {state.name: state.shape for state in denoise.states}
        if found != wanted:
            wrong = sorted(n for n in wanted.keys() | found.keys() if wanted.get(n) != found.get(n))
            raise ValueError(
                f"graphs.denoise.states does not fit attention: {', '.join(wrong)}; "
                f"each of {a.layers} layers needs k_i and v_i of shape {list(shape)}"
            )
        return self


def parse_manifest(text: str | bytes, *, source: str = MANIFEST_FILE) -> Manifest:
    """Read and check a manifest.

    Args:
        text: the JSON document.
        source: how error messages name it.

    Raises:
        ManifestError: not JSON, not a bundle's manifest, or a wrong field (named in the message).
        UnsupportedVersionError: written by a newer streamgen.
        MissingGraphError: a graph that every model needs is not listed.
    """
    try:
        raw: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ManifestError(f"{source}: not readable as JSON ({error}); export or download the bundle again") from error
    if not isinstance(raw, dict) or raw.get("format") != FORMAT:
        raise ManifestError(
            f'{source}: not the manifest of a bundle (field "format" must be "{FORMAT}"); '
            f"point at a folder made by the exporter"
        )
    version = raw.get("version")
    if isinstance(version, int) and version > VERSION:
        raise UnsupportedVersionError(
            f"{source}: field version is {version}, this streamgen reads up to {VERSION}; "
            f"upgrade with `pip install --upgrade streamgen`"
        )
    try:
        manifest = Manifest.model_validate_json(text, strict=True)
    except ValidationError as error:
        raise ManifestError(f"{source}: {_describe(error)}") from error
    for name in REQUIRED_GRAPHS:
        if name not in manifest.graphs:
            raise MissingGraphError(f"{source}: graphs.{name} is missing; export the bundle again")
    return manifest


def _describe(error: ValidationError) -> str:
    """Every wrong field with what is wrong, shortest useful form; ends with what to do."""
    lines = []
    for item in error.errors(include_url=False)[:MAX_REPORTED_FIELDS]:
        field = ".".join(str(part) for part in item["loc"]) or "the whole"
        reason = item["msg"].removeprefix("Value error, ")
        if item["type"] == "extra_forbidden":
            reason = "unknown field"
        elif item["type"] == "missing":
            reason = "missing"
        lines.append(f"field {field}: {reason}")
    rest = error.error_count() - len(lines)
    more = f" (and {rest} more)" if rest > 0 else ""
    return "; ".join(lines) + more + ". Correct it or export the bundle again."
