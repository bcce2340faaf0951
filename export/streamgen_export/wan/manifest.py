"""The manifest of an exported bundle."""

from __future__ import annotations

from typing import Final

from streamgen_engines.manifest import (
    FORMAT,
    VERSION,
    Text,
    Tokenizer,
    WanAttention,
    WanAudio,
    WanDecoding,
    WanManifest,
    WanSampler,
    WanVideo,
)
from streamgen_engines.manifest.wan import TRAINING_STEPS
from streamgen_export.wan.journal import Graphs
from streamgen_export.wan.request import Request
from streamgen_export.wan.taehv import LEAD
from streamgen_export.wan.umt5 import TOKENS, Umt5Config
from streamgen_export.wan.vae_config import PICTURES_PER_LATENT

TOKENIZER: Final = "tokenizer.json"
FPS: Final = 16
"""Pictures a second that Wan 2.1 was trained on."""
SAMPLE_RATE: Final = 48_000
"""Of the sound, which these models do not make: the rate of Opus."""
SOUND_CHANNELS: Final = 2


def manifest_of(request: Request, text: Umt5Config, graphs: Graphs, tokenizer_sha256: str) -> WanManifest:
    """What the engines have to know.

    Args:
        request: what was asked for.
        text: sizes of the text encoder.
        graphs: every graph with its hashes.
        tokenizer_sha256: of `tokenizer.json`.
    """
    variant, config = request.variant, request.config
    pictures = PICTURES_PER_LATENT * variant.chunk
    return WanManifest(
        format=FORMAT,
        version=VERSION,
        family="wan",
        name=request.name,
        licence=variant.licence,
        description=f"{variant.name}: causal Wan 2.1 {config.name}, text to video. Weights: {variant.source}",
        video=WanVideo(
            width=request.width,
            height=request.height,
            fps=(FPS, 1),
            frames_per_chunk=pictures,
            latent=(config.channels, variant.chunk, request.ring.height, request.ring.width),
        ),
        audio=WanAudio(
            sample_rate=SAMPLE_RATE,
            channels=SOUND_CHANNELS,
            samples_per_chunk=pictures * SAMPLE_RATE // FPS,
            bundle=request.sound,
        ),
        attention=WanAttention(
            layers=config.layers,
            heads=config.heads,
            head_dim=config.head_dim,
            window=variant.window,
            sink=variant.sink,
            dtype="float16" if request.parts.half else "float32",
        ),
        sampler=WanSampler(
            timesteps=tuple(TRAINING_STEPS * step for step in variant.steps),
            shift=variant.shift,
            clean_pass=variant.clean_pass,
            switch=variant.switch,
        ),
        decoding=WanDecoding(lead=LEAD if request.decoder == "taehv" else 0),
        text=Text(max_tokens=TOKENS, width=text.width, tokenizer=Tokenizer(file=TOKENIZER, sha256=tokenizer_sha256)),
        graphs=dict(sorted(graphs.items())),
        training={
            "variant": variant.name,
            "checkpoint": request.checkpoint.name,
            "lora": None if request.lora is None else request.lora.name,
            "decoder": request.decoder,
            "precision": request.precision,
        },
    )
