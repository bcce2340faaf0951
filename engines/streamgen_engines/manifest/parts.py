"""What the manifest of every family states. The parts that differ are abstract here and made whole by the family."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import PurePosixPath
from typing import Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

FORMAT: Final = "streamgen-bundle"
VERSION: Final = 1
MANIFEST_FILE: Final = "manifest.json"
UPSCALE_GRAPH: Final = "upscale"
"""An optional graph of every family: makes the pictures of `decode_video` a whole factor larger."""


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
BundleName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$", max_length=100)]
Words = Annotated[str, Field(pattern=r"^\S(.*\S)?$", max_length=100)]


class Part(BaseModel):
    """A piece of a manifest: frozen, and strict about types and unknown fields."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


@dataclass(frozen=True, slots=True)
class Abilities:
    """What a family's models do, as far as the server has to know it before it asks them.

    Attributes:
        guided: each step is computed with and without text, and guidance says how far to go beyond; False: the models
            are distilled for one pass, and no other guidance can be asked of them.
        joint: picture and sound come from the same passes, so that a prompt of its own for the sound costs passes.
        hides_past: on the way to another prompt the past has to be hidden (see `condition.ALONE_IN_TRANSITION`).
        recaches: the past can be read again under another prompt (see `Condition.recache`).
        pooled: the text graph also gives a text as one vector, by which texts can be compared.
        texts_apart: the text graph is large and seldom used, and may run elsewhere than the model (`text_placement`).
    """

    guided: bool
    joint: bool
    hides_past: bool
    recaches: bool
    pooled: bool
    texts_apart: bool = False


class VideoPart(Part):
    """Picture side: size in pixels, exact rate, and the latent of one chunk without its batch."""

    width: Positive
    height: Positive
    fps: tuple[Positive, Positive]  # numerator, denominator, pictures per second
    frames_per_chunk: Positive
    latent: tuple[Positive, ...]


class AudioPart(Part):
    """Sound side: rate in Hz, and how much of it goes with one chunk."""

    sample_rate: Positive
    channels: Annotated[int, Field(ge=1, le=2)]
    samples_per_chunk: Positive  # per channel


class AttentionPart(Part):
    """The transformer's key/value ring. `window` and `sink` count what the family's ring is made of."""

    layers: Positive
    heads: Positive
    head_dim: Positive
    window: Annotated[int, Field(ge=0)]
    sink: Annotated[int, Field(ge=0)]


class SamplerPart(Part):
    """Few-step flow matching: how many steps, and how far past the velocity without text."""

    guidance: Annotated[float, Field(ge=0)]
    least_steps: Positive = 1
    """Steps under which the model makes noise: a machine that is too slow for them is too slow for the model."""

    @property
    @abstractmethod
    def steps(self) -> int:
        """Denoising steps per chunk at full quality."""

    @property
    @abstractmethod
    def passes(self) -> int:
        """Runs of the graph per chunk at full quality, the one that remembers the chunk among them."""

    @property
    def closing_passes(self) -> int:
        """Of these, the ones that belong to no step: the one that remembers the chunk."""
        return 1

    @model_validator(mode="after")
    def _least_steps_are_there(self) -> Self:
        if 0 < self.steps < self.least_steps:  # a model without any step is refused with a reason of its own
            raise ValueError(f"least_steps is {self.least_steps}, but the model makes {self.steps} steps")
        return self


class Tokenizer(Part):
    """The tokenizer's file, in the format of Hugging Face `tokenizers`."""

    file: FilePath
    sha256: Sha256


class Text(Part):
    """Prompt encoding: tokens per prompt and the width of the context vectors."""

    max_tokens: Positive
    width: Positive
    tokenizer: Tokenizer


class State(Part):
    """A tensor that a graph carries from call to call: input `name`, output `name` + `_out`; starts at zero."""

    name: Annotated[str, Field(min_length=1)]
    shape: tuple[Positive, ...]
    dtype: Dtype

    @property
    def output(self) -> str:
        """Name of the graph output that carries the new value."""
        return f"{self.name}_out"


class Weights(Part):
    """Weights of a graph that lie in a file beside it, because one ONNX file holds 2 GiB at most."""

    file: FilePath
    size_bytes: Positive
    sha256: Sha256


class Graph(Part):
    """One ONNX file, and the file of its weights where it has one."""

    file: FilePath
    sha256: Sha256
    precision: Literal["fp32", "fp16", "bf16", "int8", "fp8"]
    states: tuple[State, ...] = ()
    weights: Weights | None = None
    factor: Literal[2, 3, 4] | None = None  # of `upscale` alone: how many times as wide and high its pictures get

    @model_serializer(mode="wrap")
    def _without_idle_factor(self, serialise: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Written where there is one only: every other graph reads as it always did, in older versions too."""
        document: dict[str, Any] = serialise(self)
        if self.factor is None:
            document.pop("factor", None)
        return document


class Manifest(Part):
    """A whole `manifest.json`, as far as all families agree. Read one with `parse_manifest`."""

    format: Literal["streamgen-bundle"]
    version: Literal[1]
    family: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$")]
    name: BundleName
    licence: Annotated[str, Field(min_length=1)]
    description: str
    video: VideoPart
    audio: AudioPart
    attention: AttentionPart
    sampler: SamplerPart
    text: Text
    graphs: dict[str, Graph]
    knobs: dict[BundleName, dict[BundleName, Words]] = {}  # name -> value -> how the model's training says it
    smaller: BundleName | None = None  # folder beside this one: the same with smaller pictures, for slower machines
    training: dict[str, JsonValue] = {}  # free form: seed, steps, hours, commit

    required_graphs: ClassVar[tuple[str, ...]] = ()
    abilities: ClassVar[Abilities]

    @property
    def chunk_duration(self) -> Fraction:
        """Media time of one chunk, in seconds, exact."""
        numerator, denominator = self.video.fps
        return Fraction(self.video.frames_per_chunk * denominator, numerator)

    @property
    def rereading_passes(self) -> int:
        """Runs of the graph at most by which a chunk takes longer that reads the past again (`Condition.recache`)."""
        return 0

    @property
    def rereads(self) -> bool:
        """Whether the past is read again where a prompt changes suddenly and nothing is asked."""
        return False

    @property
    def pictures_per_decoding(self) -> int:
        """Pictures that one run of `decode_video` makes."""
        return self.video.frames_per_chunk

    @property
    def upscale_factor(self) -> int:
        """How many times as wide and high the graph `upscale` makes pictures; 1 where there is none."""
        graph = self.graphs.get(UPSCALE_GRAPH)
        return 1 if graph is None or graph.factor is None else graph.factor

    def shown_size(self, *, upscale: bool) -> tuple[int, int]:
        """Width and height of the pictures that come out of decoding, with the graph `upscale` or without, in pixels.

        `video.width` and `video.height` are those of `decode_video` alone.
        """
        factor = self.upscale_factor if upscale else 1
        return self.video.width * factor, self.video.height * factor

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
    def _upscaling_has_a_factor(self) -> Self:
        for name, graph in self.graphs.items():
            if name == UPSCALE_GRAPH and graph.factor is None:
                raise ValueError(
                    f"graphs.{name}.factor is missing: say how many times larger it makes pictures, 2 to 4"
                )
            if name != UPSCALE_GRAPH and graph.factor is not None:
                raise ValueError(f"graphs.{name}.factor is {graph.factor}, but only graphs.{UPSCALE_GRAPH} has one")
        return self
