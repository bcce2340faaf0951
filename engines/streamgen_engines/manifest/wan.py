"""The manifest of the `wan` family: causal Wan 2.1 text-to-video in its published few-step variants.

The unit of the ring is a *latent frame* (four pictures), of which a chunk has one or three. `window` and `sink` count
latent frames, and both are whole numbers of chunks, so that no write into the ring ever wraps.
"""

from itertools import pairwise
from typing import Annotated, ClassVar, Final, Literal, Self

from pydantic import Field, model_validator

from streamgen_engines.manifest.parts import (
    Abilities,
    AttentionPart,
    AudioPart,
    BundleName,
    Manifest,
    Part,
    Positive,
    SamplerPart,
    State,
    VideoPart,
)

FIRST_DECODER: Final = "decode_video_first"
"""An optional graph: decodes the first latent frame of a stream, which is one picture."""
REQUIRED_GRAPHS: Final = ("text", "prompt_kv", "denoise", "decode_video")
PICTURES_PER_LATENT: Final = 4
PIXELS_PER_CELL: Final = 8
"""The autoencoder's strides in time and space (Wan 2.1, section 4.1)."""
Switch = Literal["keep", "blend", "recache", "cut"]
TRAINING_STEPS: Final = 1000
"""Time steps of the noise schedule: sigma 1 is step 1000."""


class WanVideo(VideoPart):
    """Picture side; the latent of a chunk has its latent frames."""

    latent: tuple[Positive, Positive, Positive, Positive]  # channels, latent frames, rows, columns


class WanAudio(AudioPart):
    """Sound side: these models make none, so that it comes from elsewhere in the same format."""

    bundle: BundleName | None = None  # whose audio side makes it; None = silence


class WanAttention(AttentionPart):
    """The transformer's key/value ring; `window` and `sink` count latent frames."""

    patch: tuple[Positive, Positive, Positive] = (1, 2, 2)  # latent frames, rows and columns of one token
    dtype: Literal["float32", "float16"] = "float32"  # of the ring, and of the keys and values of prompts


class WanSampler(SamplerPart):
    """Few-step sampling of a distilled model: a clean prediction per level, made noisy again for the next.

    Levels are given as they are published, as time steps that a shift bends (sigma' = shift s / (1 + (shift - 1) s),
    Esser et al. 2024, section 5.3.2), or directly as `sigmas` from 1.0 to 0.0.
    """

    guidance: Annotated[float, Field(ge=1, le=1)] = 1.0  # distilled with it: one pass per step
    timesteps: tuple[Annotated[float, Field(gt=0, le=TRAINING_STEPS)], ...] = ()
    shift: Annotated[float, Field(gt=0)] = 1.0
    sigmas: tuple[float, ...] = ()
    renoise: Literal["fresh", "predicted"] = "fresh"  # noise of the next level: drawn, or the one that was predicted
    clean_pass: bool = True  # a last pass writes the clean chunk; False: the ring keeps what the last step wrote
    switch: Switch = "keep"  # what a sudden new prompt does to the past where nothing is asked
    blend_chunks: Positive = 4  # that a blend takes
    recache_sink: bool = False  # reading the past again also rewrites the sink of a stream longer than the ring

    @property
    def levels(self) -> tuple[float, ...]:
        """Noise levels from 1.0 to 0.0; one pass for each but the last."""
        if self.sigmas:
            return self.sigmas
        plain = (step / TRAINING_STEPS for step in self.timesteps)
        return (*(self.shift * s / (1 + (self.shift - 1) * s) for s in plain), 0.0)

    @property
    def steps(self) -> int:
        """Denoising steps per chunk at full quality."""
        return len(self.levels) - 1

    @property
    def passes(self) -> int:
        """Runs of the graph per chunk at full quality, the one that remembers the chunk among them."""
        return self.steps + self.closing_passes

    @property
    def closing_passes(self) -> int:
        """Of these, the clean pass, where there is one."""
        return int(self.clean_pass)

    @model_validator(mode="after")
    def _levels_descend(self) -> Self:
        if bool(self.sigmas) == bool(self.timesteps):
            raise ValueError("give either timesteps with their shift, or sigmas")
        if self.sigmas and self.shift != 1:
            raise ValueError(f"shift is {self.shift}, but sigmas are bent already; leave it out")
        levels = self.levels
        if len(levels) < 2 or levels[0] != 1.0 or levels[-1] != 0.0 or any(a <= b for a, b in pairwise(levels)):
            raise ValueError(f"the noise levels must fall from 1.0 to 0.0 without repeating, not {list(levels)}")
        return self


class WanDecoding(Part):
    """How the decoder begins."""

    lead: Annotated[int, Field(ge=0, lt=PICTURES_PER_LATENT)] = 0
    """Pictures of the first latent frame that show nothing yet; the one after them is shown in their place."""


class WanManifest(Manifest):
    """A whole `manifest.json` of the family."""

    family: Literal["wan"]
    video: WanVideo
    audio: WanAudio
    attention: WanAttention
    sampler: WanSampler
    decoding: WanDecoding = WanDecoding()

    required_graphs: ClassVar[tuple[str, ...]] = REQUIRED_GRAPHS
    abilities: ClassVar[Abilities] = Abilities(
        guided=False, joint=False, hides_past=False, recaches=True, pooled=False, texts_apart=True
    )

    @property
    def chunk_frames(self) -> int:
        """Latent frames of a chunk."""
        return self.video.latent[1]

    @property
    def pictures_per_decoding(self) -> int:
        """Pictures that one run of `decode_video` makes: those of a latent frame."""
        return PICTURES_PER_LATENT

    @property
    def frame_tokens(self) -> int:
        """Tokens of a latent frame: rows of the ring that it takes."""
        _, rows, columns = self.attention.patch
        return (self.video.latent[2] // rows) * (self.video.latent[3] // columns)

    @property
    def ring_frames(self) -> int:
        """Latent frames of the ring: sink, window and the chunk being made."""
        return self.attention.sink + self.attention.window + self.chunk_frames

    @property
    def rereading_passes(self) -> int:
        """Chunks in sight: each takes a pass to be read again."""
        return (self.attention.sink + self.attention.window) // self.chunk_frames

    @property
    def rereads(self) -> bool:
        """Whether `sampler.switch` says so."""
        return self.sampler.switch == "recache"

    @property
    def ring_states(self) -> dict[str, State]:
        """The ring's tensors by name, as `denoise` carries them: keys without rotation."""
        a = self.attention
        shape = (1, a.heads, self.ring_frames * self.frame_tokens, a.head_dim)
        names = (f"{kind}_{layer}" for layer in range(a.layers) for kind in ("key", "value"))
        return {name: State(name=name, shape=shape, dtype=a.dtype) for name in names}

    @property
    def prompt_names(self) -> tuple[str, ...]:
        """Keys and values of a prompt by layer: outputs of `prompt_kv`, held inputs of `denoise`."""
        layers = range(self.attention.layers)
        return tuple(f"prompt_{kind}_{layer}" for layer in layers for kind in ("key", "value"))

    @property
    def prompt_shape(self) -> tuple[int, int, int, int]:
        """Shape of each of them."""
        return (1, self.attention.heads, self.text.max_tokens, self.attention.head_dim)

    @model_validator(mode="after")
    def _latents_match_pictures(self) -> Self:
        video = self.video
        _, frames, rows, columns = video.latent
        if video.frames_per_chunk != PICTURES_PER_LATENT * frames:
            raise ValueError(
                f"video.frames_per_chunk is {video.frames_per_chunk}, but {frames} latent frames (video.latent.1) make "
                f"{PICTURES_PER_LATENT * frames} pictures"
            )
        if (video.width, video.height) != (PIXELS_PER_CELL * columns, PIXELS_PER_CELL * rows):
            raise ValueError(
                f"video.width and video.height are {video.width}x{video.height}, but latents of {columns}x{rows} cells "
                f"(video.latent.3 and .2) make {PIXELS_PER_CELL * columns}x{PIXELS_PER_CELL * rows}"
            )
        return self

    @model_validator(mode="after")
    def _ring_is_whole_chunks(self) -> Self:
        _, frames, rows, columns = self.video.latent
        a = self.attention
        for name, value in (("window", a.window), ("sink", a.sink)):
            if value % frames:
                raise ValueError(
                    f"attention.{name} is {value} latent frames, which is no whole number of chunks of {frames}"
                )
        if a.patch[0] != 1 or rows % a.patch[1] or columns % a.patch[2]:
            raise ValueError(
                f"attention.patch is {list(a.patch)}: it must be of one latent frame and divide {rows} rows and "
                f"{columns} columns"
            )
        if a.head_dim % 2:
            raise ValueError(f"attention.head_dim is {a.head_dim}; rotary positions need an even one")
        return self

    @model_validator(mode="after")
    def _states_match(self) -> Self:
        denoise = self.graphs.get("denoise")
        if denoise is not None:  # `parse_manifest` reports a missing one with its own error
            found, wanted = {state.name: state for state in denoise.states}, self.ring_states
            wrong = sorted(n for n in wanted.keys() | found.keys() if wanted.get(n) != found.get(n))
            if wrong:
                told = ", ".join(wrong[:4]) + (" and more" if len(wrong) > 4 else "")
                right = next(iter(wanted.values()))
                raise ValueError(
                    f"graphs.denoise.states does not fit attention: {told}; each of {self.attention.layers} layers "
                    f"needs key_i and value_i of {right.dtype} {list(right.shape)}"
                )
        first, steady = self.graphs.get(FIRST_DECODER), self.graphs.get("decode_video")
        if first is None or steady is None:
            return self
        if set(first.states) != set(steady.states):
            raise ValueError(
                f"graphs.{FIRST_DECODER}.states are not those of graphs.decode_video, which takes them over"
            )
        if self.decoding.lead:
            raise ValueError(
                f"decoding.lead is {self.decoding.lead}, but the bundle has a graph {FIRST_DECODER}, whose first "
                f"picture is a real one; leave lead out"
            )
        return self
