"""The manifest of the `pocket` family: pictures and sound from the same passes."""

from typing import Annotated, ClassVar, Final, Literal, Self

from pydantic import Field, model_validator

from streamgen_engines.errors import UnknownFamilyError
from streamgen_engines.manifest.parts import (
    Abilities,
    AttentionPart,
    AudioPart,
    Manifest,
    Part,
    Positive,
    SamplerPart,
    VideoPart,
)

REQUIRED_GRAPHS: Final = ("text", "denoise", "decode_video", "decode_audio")


class Video(VideoPart):
    """Picture side, with the one latent that a chunk has."""

    latent: tuple[Positive, Positive, Positive]  # channels, rows, columns


class Audio(AudioPart):
    """Sound side: rate in Hz, and the latent of one chunk."""

    latent: tuple[Positive, Positive]  # channels, steps


class Attention(AttentionPart):
    """The transformer's key/value ring; `window` and `sink` count chunks, `tokens` is per chunk."""

    tokens: Positive
    window: Positive
    sink: Annotated[int, Field(ge=0, le=1)]

    @property
    def slots(self) -> int:
        """Slots of the ring, one chunk each: the sink, the window and the chunk being made."""
        return self.sink + self.window + 1


Range = tuple[float, float]


class ChannelRanges(Part):
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


class Guard(Part):
    """Anchors against drift; each is optional.

    `limit` holds every element of the predicted clean latents within [-limit, limit]. `video` and `audio` pull a
    channel whose mean or deviation left its range back by `pull` of the way (1 = all of it) in every chunk.
    """

    limit: Annotated[float, Field(gt=0)] | None = None
    pull: Annotated[float, Field(gt=0, le=1)] = 0.25
    video: ChannelRanges | None = None
    audio: ChannelRanges | None = None


class Change(Part):
    """How a new prompt takes over from an old one: a model that trusts its past more than its text needs a push.

    The first chunk under the new prompt sees only the last `keep` chunks, the next one more, and so on until the
    window is full again; for `chunks` chunks guidance is at least `guidance`.
    """

    keep: Annotated[int, Field(ge=0)]
    guidance: Annotated[float, Field(ge=0)]
    chunks: Annotated[int, Field(ge=0)]


class Sampler(SamplerPart):
    """Few-step flow matching: noise levels from 1 (noise) down to 0 (clean)."""

    sigmas: Annotated[tuple[float, ...], Field(min_length=2)]
    context_noise: Annotated[float, Field(ge=0, lt=1)]
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
    def _sigmas_descend(self) -> Self:
        pairs = zip(self.sigmas, self.sigmas[1:], strict=False)
        if self.sigmas[0] != 1.0 or self.sigmas[-1] != 0.0 or any(a <= b for a, b in pairs):
            raise ValueError(f"sigmas must fall from 1.0 to 0.0 without repeating, not {list(self.sigmas)}")
        return self


class PocketManifest(Manifest):
    """A whole `manifest.json` of the family."""

    family: Literal["pocket"]
    video: Video
    audio: Audio
    attention: Attention
    sampler: Sampler

    required_graphs: ClassVar[tuple[str, ...]] = REQUIRED_GRAPHS
    abilities: ClassVar[Abilities] = Abilities(guided=True, joint=True, hides_past=True, recaches=False, pooled=True)

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
        found = {state.name: state.shape for state in denoise.states}
        wanted = {f"{kind}_{layer}": shape for layer in range(a.layers) for kind in "kv"}
        wrong = sorted(n for n in wanted.keys() | found.keys() if wanted.get(n) != found.get(n))
        if wrong:
            raise ValueError(
                f"graphs.denoise.states does not fit attention: {', '.join(wrong)}; "
                f"each of {a.layers} layers needs k_i and v_i of shape {list(shape)}"
            )
        return self


def pocket_manifest(manifest: Manifest) -> PocketManifest:
    """The same, for code that only runs this family.

    Raises:
        UnknownFamilyError: it is of another family.
    """
    if not isinstance(manifest, PocketManifest):
        raise UnknownFamilyError(
            f"bundle {manifest.name} is of the family {manifest.family!r}, and this is the code of 'pocket'"
        )
    return manifest
