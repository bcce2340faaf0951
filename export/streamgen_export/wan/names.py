"""Names of tensors: every published way to write them, turned into those of `transformer.CausalWan`."""

from __future__ import annotations

import re
from typing import Final

INSIDE: Final = ("_fsdp_wrapped_module.", "_checkpoint_wrapped_module.", "_orig_mod.")
"""What sharding, checkpointing and compiling put between the parts of a name."""
BEFORE: Final = ("base_model.", "model.", "module.", "generator.", "diffusion_model.", "transformer.")
"""What wrappers put before a name; any number of them."""
_DIFFUSERS: Final = (
    (r"^condition_embedder\.time_embedder\.linear_1\.", "time_embedding.0."),
    (r"^condition_embedder\.time_embedder\.linear_2\.", "time_embedding.2."),
    (r"^condition_embedder\.time_proj\.", "time_projection.1."),
    (r"^condition_embedder\.text_embedder\.linear_1\.", "text_embedding.0."),
    (r"^condition_embedder\.text_embedder\.linear_2\.", "text_embedding.2."),
    (r"^proj_out\.", "head.head."),
    (r"^scale_shift_table$", "head.modulation"),
    (r"^(blocks\.\d+)\.scale_shift_table$", r"\1.modulation"),
    (r"^(blocks\.\d+)\.attn1\.", r"\1.self_attn."),
    (r"^(blocks\.\d+)\.attn2\.", r"\1.cross_attn."),
    (r"^(blocks\.\d+)\.norm2\.", r"\1.norm3."),
    (r"^(blocks\.\d+)\.ffn\.net\.0\.proj\.", r"\1.ffn.0."),
    (r"^(blocks\.\d+)\.ffn\.net\.2\.", r"\1.ffn.2."),
    (r"^(blocks\.\d+\.\w+_attn)\.to_([qkv])\.", r"\1.\2."),
    (r"^(blocks\.\d+\.\w+_attn)\.to_out\.0\.", r"\1.o."),
)
"""The names of the library diffusers. Its second norm is Wan's third: it counts in the order in which they are used."""
_PATTERNS: Final = tuple((re.compile(pattern), name) for pattern, name in _DIFFUSERS)


def plain(name: str) -> str:
    """A name as the model has it, whichever published layout it is from; what is not known stays as it is."""
    for part in INSIDE:
        name = name.replace(part, "")
    stripped = True
    while stripped:
        before = name
        for prefix in BEFORE:
            name = name.removeprefix(prefix)
        stripped = name != before
    for pattern, replacement in _PATTERNS:
        name = pattern.sub(replacement, name)
    return name


def diffusers(name: str) -> str:
    """The name that diffusers has for a tensor of the model: the inverse of `plain`."""
    for old, new in _TO_DIFFUSERS:
        name = old.sub(new, name)
    return name


_TO_DIFFUSERS: Final = tuple(
    (re.compile(pattern), name)
    for pattern, name in (
        (r"^time_embedding\.0\.", "condition_embedder.time_embedder.linear_1."),
        (r"^time_embedding\.2\.", "condition_embedder.time_embedder.linear_2."),
        (r"^time_projection\.1\.", "condition_embedder.time_proj."),
        (r"^text_embedding\.0\.", "condition_embedder.text_embedder.linear_1."),
        (r"^text_embedding\.2\.", "condition_embedder.text_embedder.linear_2."),
        (r"^head\.head\.", "proj_out."),
        (r"^head\.modulation$", "scale_shift_table"),
        (r"^(blocks\.\d+)\.modulation$", r"\1.scale_shift_table"),
        (r"^(blocks\.\d+)\.norm3\.", r"\1.norm2."),
        (r"^(blocks\.\d+)\.ffn\.0\.", r"\1.ffn.net.0.proj."),
        (r"^(blocks\.\d+)\.ffn\.2\.", r"\1.ffn.net.2."),
        (r"^(blocks\.\d+\.\w+_attn)\.([qkv])\.", r"\1.to_\2."),
        (r"^(blocks\.\d+\.\w+_attn)\.o\.", r"\1.to_out.0."),
        (r"^(blocks\.\d+)\.self_attn\.", r"\1.attn1."),
        (r"^(blocks\.\d+)\.cross_attn\.", r"\1.attn2."),
    )
)
