"""The published causal models, each as one value: they share the transformer and differ in what stands here.

Numbers are those of the models' own inference code; where it does something that a stream without end cannot do, the
comment says what is done in its place. Licences are as their publishers state them; read them before you use weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from streamgen_export.wan.config import WAN_1_3B, WAN_14B, RingShape, WanConfig

Switch = Literal["keep", "blend", "recache", "cut"]
"""What a new prompt does to the past: nothing; it comes in over some chunks; the past is computed again with it; the
past is dropped."""


@dataclass(frozen=True, slots=True)
class Variant:
    """One published model.

    Attributes:
        name: as commands take it.
        config: its transformer.
        chunk: latent frames that are made together.
        window: earlier latent frames that are seen besides the sink.
        sink: latent frames of the beginning that stay.
        steps: noise levels from 1 down, before the shift.
        shift: of the noise levels (Esser et al. 2024, "Scaling Rectified Flow Transformers", section 5.3.2).
        clean_pass: whether a pass without noise writes the keys and values of a finished chunk. Without it those of
            the last step stay.
        switch: what a new prompt does unless a request says otherwise.
        entries: of its file, the weights that are wanted, best first; a file without any of them is taken as it is.
        lora_scale: what its LoRA is multiplied by when it is merged (alpha over rank); 0 when there is none.
        source: where the weights are published.
        licence: of the weights, as their publisher states it.
        commercial: whether that licence allows commercial use.
    """

    name: str
    config: WanConfig
    chunk: int
    window: int
    sink: int
    steps: tuple[float, ...]
    shift: float
    clean_pass: bool
    switch: Switch
    entries: tuple[str, ...]
    lora_scale: float
    source: str
    licence: str
    commercial: bool

    def __post_init__(self) -> None:
        self.ring(64, 64)  # chunk, window and sink fit together
        if not self.steps or list(self.steps) != sorted(self.steps, reverse=True):
            raise ValueError(f"{self.name}: noise levels must fall, and there must be one: {self.steps}")
        if self.steps[0] != 1.0 or self.steps[-1] <= 0.0:
            raise ValueError(f"{self.name}: a chunk begins as noise (1.0) and its last step is above 0: {self.steps}")

    @property
    def sigmas(self) -> tuple[float, ...]:
        """Noise level of each step, shifted: s' = shift s / (1 + (shift - 1) s)."""
        return tuple(self.shift * step / (1.0 + (self.shift - 1.0) * step) for step in self.steps)

    def ring(self, height: int, width: int) -> RingShape:
        """The ring for latents of this size."""
        return RingShape(self.chunk, self.window, self.sink, height, width)


_FOUR_STEPS: Final = (1.0, 0.75, 0.5, 0.25)

CAUSVID: Final = Variant(
    name="causvid",
    config=WAN_1_3B,
    chunk=3,
    # It never looks back further than one clip of 21 latent frames; longer videos begin a new clip there. A stream
    # lets the clip roll instead.
    window=18,
    sink=0,
    # Listed as they are used: its configuration turns the shift of the steps off.
    steps=(1.0, 0.757, 0.522),
    shift=1.0,
    clean_pass=True,
    switch="keep",
    entries=("generator", "generator_ema"),
    lora_scale=0.0,
    source="huggingface.co/tianweiy/CausVid, autoregressive_checkpoint/model.pt",
    licence="CC-BY-NC-4.0",
    commercial=False,
)

SELF_FORCING: Final = Variant(
    name="self-forcing",
    config=WAN_1_3B,
    chunk=3,
    window=18,
    sink=0,
    steps=_FOUR_STEPS,
    shift=5.0,
    clean_pass=True,
    switch="keep",
    entries=("generator_ema", "generator"),
    lora_scale=0.0,
    source="huggingface.co/gdhe17/Self-Forcing, checkpoints/self_forcing_dmd.pt",
    licence="Apache-2.0",
    commercial=True,
)

LONGLIVE: Final = Variant(
    name="longlive",
    config=WAN_1_3B,
    chunk=3,
    window=6,
    sink=3,
    steps=_FOUR_STEPS,
    shift=5.0,
    clean_pass=True,
    switch="recache",
    entries=("generator", "model", "generator_ema"),
    # Rank 256 and alpha 256.
    lora_scale=1.0,
    source="huggingface.co/Efficient-Large-Model/LongLive-1.3B, models/longlive_base.pt with models/lora.pt",
    licence="Apache-2.0",
    commercial=True,
)

STREAMDIFFUSIONV2: Final = Variant(
    name="streamdiffusionv2",
    config=WAN_1_3B,
    # As its configuration for text has it (`wan_causal_dmd_t2v.yaml`): a cache of 21 latent frames without a sink,
    # steps that are not shifted, and a last pass without noise. It is known for restyling a video, one latent frame at
    # a time, from a noise level that follows the motion; that recipe needs a video to begin from.
    chunk=3,
    window=18,
    sink=0,
    steps=_FOUR_STEPS,
    shift=1.0,
    clean_pass=True,
    switch="keep",
    entries=("generator", "generator_ema", "state_dict"),
    lora_scale=0.0,
    source="huggingface.co/jerryfeng/StreamDiffusionV2, wan_causal_dmd_v2v/model.pt",
    licence="Apache-2.0 (its code; trained with that of CausVid, which is CC-BY-NC-SA-4.0)",
    commercial=False,
)

KREA: Final = Variant(
    name="krea",
    config=WAN_14B,
    chunk=3,
    # It computes keys and values of the last three latent frames anew before each chunk. Here the clean pass writes
    # them once, while they still see what was before them.
    window=3,
    sink=0,
    steps=_FOUR_STEPS,
    shift=5.0,
    clean_pass=True,
    switch="blend",
    entries=(),
    lora_scale=0.0,
    source="huggingface.co/krea/krea-realtime-video, krea-realtime-video-14b.safetensors",
    licence="CC-BY-NC-SA-4.0 (its code; see the model's page for the weights)",
    commercial=False,
)

VARIANTS: Final = {each.name: each for each in (CAUSVID, SELF_FORCING, LONGLIVE, STREAMDIFFUSIONV2, KREA)}
"""Every variant by its name."""
