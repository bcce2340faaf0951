"""The `wan` family: causal Wan 2.1 in its few-step variants, pictures only; see `generator` and `decoder`."""

from streamgen_engines.families.wan.decoder import WanDecoder
from streamgen_engines.families.wan.generator import WanGenerator
from streamgen_engines.families.wan.prompts import WanPrompts

__all__ = ["WanDecoder", "WanGenerator", "WanPrompts"]
