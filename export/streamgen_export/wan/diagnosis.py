"""What a file of tensors is, when it is not what was asked for: a guess from names and shapes, for error messages."""

from __future__ import annotations

from collections.abc import Mapping

from streamgen_export.wan.config import SIZES, WanConfig
from streamgen_export.wan.lora import is_part

Shapes = Mapping[str, tuple[int, ...]]

_QUERY = "blocks.0.self_attn.q.weight"
_PATCHES = "patch_embedding.weight"


def guess(shapes: Shapes, wanted: WanConfig) -> str:
    """A sentence about what this is and what to do; empty when nothing is known.

    Args:
        shapes: of the tensors, by their names as the model would have them.
        wanted: the transformer that was asked for.
    """
    if any(is_part(name) for name in shapes):
        return "It is a LoRA: give the model that it was made for as the checkpoint, and this file as the LoRA."
    if any(name.startswith(("img_emb.", "condition_embedder.image_embedder.")) or ".k_img." in name for name in shapes):
        return "It is an image-to-video model of Wan; the causal text-to-video models are what is supported."
    if any(name.startswith(("vace_", "control_adapter.")) for name in shapes):
        return "It is a model of Wan with controls; the causal text-to-video models are what is supported."
    if any(name.endswith((".scale_weight", ".scale_input", ".weight_scale")) for name in shapes):
        return "Its weights are quantised with scales of their own; take the file in bfloat16, float16 or float32."
    if _QUERY in shapes and _PATCHES in shapes:
        return _transformer(shapes, wanted)
    if any(name.startswith(("decoder.upsamples.", "encoder.downsamples.", "decoder.up_blocks.")) for name in shapes):
        return "It is Wan's VAE (the decoder of pictures), not the transformer."
    if any(name.startswith("token_embedding.") or name == "shared.weight" for name in shapes):
        return "It is a text encoder (UMT5), not the transformer."
    if "decoder.1.weight" in shapes or "decoder.3.conv.0.weight" in shapes:
        return "It is TAEHV (the fast decoder of pictures), not the transformer."
    return "Nothing in it looks like Wan's transformer."


def layers(shapes: Shapes) -> int:
    """How many transformer blocks the tensors make."""
    numbers = [name.split(".")[1] for name in shapes if name.startswith("blocks.")]
    return 1 + max((int(number) for number in numbers if number.isdigit()), default=-1)


def _transformer(shapes: Shapes, wanted: WanConfig) -> str:
    width, channels = shapes[_QUERY][0], shapes[_PATCHES][1]
    count = layers(shapes)
    if channels != wanted.channels:
        what = {36: "an image-to-video model of Wan 2.1", 48: "Wan 2.2's TI2V-5B (LongLive 2.0 among its descendants)"}
        seems = what.get(channels, "another model")
        return f"Its latents have {channels} channels, not {wanted.channels}: it seems to be {seems}."
    if (width, count) == (wanted.width, wanted.layers):
        return ""
    for size in SIZES.values():
        if (width, count) == (size.width, size.layers):
            return f"It is Wan in size {size.name}, and {wanted.name} was asked for: choose a variant of that size."
    return f"It has {count} blocks of width {width}, and {wanted.name} has {wanted.layers} of width {wanted.width}."
