"""`manifest.json`: what a bundle contains and how it is run. Typed, versioned, checked once at load.

`parts` has what every family states, `pocket` and `wan` what only that family does, and `reading` reads a document.
"""

from streamgen_engines.manifest.parts import (
    FORMAT,
    MANIFEST_FILE,
    UPSCALE_GRAPH,
    VERSION,
    Abilities,
    AttentionPart,
    AudioPart,
    Graph,
    Manifest,
    SamplerPart,
    State,
    Text,
    Tokenizer,
    VideoPart,
    Weights,
)
from streamgen_engines.manifest.pocket import (
    Attention,
    Audio,
    Change,
    ChannelRanges,
    Guard,
    PocketManifest,
    Sampler,
    Video,
    pocket_manifest,
)
from streamgen_engines.manifest.reading import parse_manifest
from streamgen_engines.manifest.wan import WanAttention, WanAudio, WanDecoding, WanManifest, WanSampler, WanVideo

__all__ = [
    "FORMAT",
    "MANIFEST_FILE",
    "UPSCALE_GRAPH",
    "VERSION",
    "Abilities",
    "Attention",
    "AttentionPart",
    "Audio",
    "AudioPart",
    "Change",
    "ChannelRanges",
    "Graph",
    "Guard",
    "Manifest",
    "PocketManifest",
    "Sampler",
    "SamplerPart",
    "State",
    "Text",
    "Tokenizer",
    "Video",
    "VideoPart",
    "WanAttention",
    "WanAudio",
    "WanDecoding",
    "WanManifest",
    "WanSampler",
    "WanVideo",
    "Weights",
    "parse_manifest",
    "pocket_manifest",
]
