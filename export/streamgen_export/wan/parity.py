"""How far the transformer is from code that we did not write, and its graphs are from it, at any size.

    python -m streamgen_export.wan.parity --size 1.3b

Weights are random, so no checkpoint is needed; latents are small, because only the size of the weights costs. At 1.3B
it takes about 12 GB of memory and 6 GB of disk (estimated from smaller ones); `--layers` makes a shallower model of the
same width. Ends with code 1 when a tolerance is not kept.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import resource
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
import torch
from torch import nn

from streamgen_export.onnx_export import Array
from streamgen_export.wan.blockwise import clip_velocity
from streamgen_export.wan.calibration import Recipe, measure
from streamgen_export.wan.config import PATCH, SIZES, TINY, RingShape, WanConfig
from streamgen_export.wan.feeds import random_context, random_passes, sinusoid
from streamgen_export.wan.graphs import (
    TOLERANCES_OF,
    graph_errors,
    write_denoise,
    write_prompt_kv,
)
from streamgen_export.wan.names import diffusers
from streamgen_export.wan.precision import PRECISIONS, Precision, model_bytes, shaped, to_fp8
from streamgen_export.wan.rounding import write_rounded
from streamgen_export.wan.streaming import Denoise, PromptKv
from streamgen_export.wan.transformer import CausalWan, randomise
from streamgen_export.wan.variants import SELF_FORCING

CALIBRATION_SEED: Final = 7
"""Of text and noise on which fp8 is calibrated: others than those on which it is compared."""
DIFFUSERS_TOLERANCE: Final = 1e-4
"""Largest error against diffusers, as norm of the difference over norm.

It computes the sinusoid of the time step in float32, where an angle of 1000 is only known to 6e-5, and we in float64 as
Wan's own code does; that is most of what is left.
"""


def diffusers_error(model: CausalWan, height: int, width: int, frames: int = 3, sigma: float = 0.625) -> float:
    """Error of a clip without a past against `diffusers.WanTransformer3DModel` with the same weights.

    Args:
        model: in float32. The other one shares its weights.
        height: rows of the latents.
        width: columns of the latents.
        frames: latent frames; all see one another.
        sigma: noise level.

    Raises:
        ModuleNotFoundError: diffusers is not installed; the message has the command.
    """
    c = model.config
    theirs = _theirs(model)
    latent = torch.from_numpy(
        np.random.default_rng(1).standard_normal((1, c.channels, frames, height, width)).astype(np.float32)
    )
    context = torch.from_numpy(random_context(c))
    with torch.no_grad():
        expected = theirs(latent, torch.tensor([1000.0 * sigma]), context, return_dict=False)[0]
    shape = RingShape(frames, 0, 0, height, width)
    ours = clip_velocity(model, shape, latent, torch.from_numpy(sinusoid([sigma] * frames, c.time_width)), context)
    return float((ours - expected).norm() / expected.norm())


def _theirs(model: CausalWan) -> nn.Module:
    try:
        library: Any = importlib.import_module("diffusers.models.transformers.transformer_wan")
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f"{error.name} is not installed: pip install 'streamgen[dev]'") from error
    c = model.config
    patch = (1, PATCH, PATCH)
    with torch.device("meta"):
        theirs: nn.Module = library.WanTransformer3DModel(
            patch_size=patch,
            num_attention_heads=c.heads,
            attention_head_dim=c.head_dim,
            in_channels=c.channels,
            out_channels=c.channels,
            text_dim=c.text_width,
            freq_dim=c.time_width,
            ffn_dim=c.feed_forward,
            num_layers=c.layers,
            cross_attn_norm=True,
            qk_norm="rms_norm_across_heads",
            eps=c.epsilon,
            rope_max_seq_len=1024,
        )
    theirs.rope = library.WanRotaryPosEmbed(c.head_dim, patch, 1024)  # its tables are no weights
    theirs.load_state_dict({diffusers(name): each for name, each in model.state_dict().items()}, assign=True)
    return theirs.eval()


def graph_report(folder: Path, reference: CausalWan, shape: RingShape, chunks: int) -> dict[str, float]:
    """The worst error of each graph in a folder, over a stream.

    Args:
        folder: with `prompt_kv.onnx` and `denoise.onnx`. Those in bfloat16 are compared as `rounding` makes them.
        reference: what they are compared with, in float32: the model that they were made from.
        shape: of the ring that `denoise` was made for.
        chunks: of the stream.
    """
    context = random_context(reference.config)
    with tempfile.TemporaryDirectory() as scratch:
        prompt_kv, denoise = (_runnable(folder / f"{name}.onnx", Path(scratch)) for name in ("prompt_kv", "denoise"))
        told = graph_errors(prompt_kv, PromptKv(reference), [{"context": context}])
        module = Denoise(reference, shape)
        passes = random_passes(reference.config, shape, held_prompt(reference, context), chunks)
        made = graph_errors(denoise, module, passes, module.states())
    return {"prompt_kv": max(told.values()), "denoise": max(made.values())}


def narrowed(model: CausalWan, precision: Precision, shape: RingShape) -> CausalWan:
    """The model in a precision; for fp8 it is calibrated on a short stream of a random text.

    Args:
        model: in float32; it is changed.
        precision: of the result.
        shape: of the stream.
    """
    if precision != "fp8":
        return shaped(model, precision)
    contexts = [torch.from_numpy(random_context(model.config, seed=CALIBRATION_SEED))]
    recipe = Recipe(SELF_FORCING.sigmas, SELF_FORCING.clean_pass, seed=CALIBRATION_SEED)
    return to_fp8(model.halve(), measure(model, shape, contexts, recipe))


def _runnable(path: Path, scratch: Path) -> Path:
    """The graph, or in place of one in bfloat16 what ONNX Runtime computes on a CPU."""
    model = onnx.load(path, load_external_data=False)
    if all(tensor.data_type != onnx.TensorProto.BFLOAT16 for tensor in model.graph.initializer):
        return path
    write_rounded(path, scratch / path.name)
    return scratch / path.name


def held_prompt(model: CausalWan, context: Array) -> Mapping[str, Array]:
    """What `denoise` holds of an encoded text, by name."""
    module = PromptKv(model)
    with torch.no_grad():
        parts = module(torch.from_numpy(context))
    return dict(zip(module.outputs(), (part.numpy() for part in parts), strict=True))


def _config(size: str, layers: int | None) -> WanConfig:
    config = TINY if size == TINY.name else SIZES[size.upper()]
    return config if layers is None else dataclasses.replace(config, layers=layers)


def main() -> None:
    """The command; see the module."""
    parser = argparse.ArgumentParser(prog="python -m streamgen_export.wan.parity", description=__doc__)
    names = [TINY.name, *(name.lower() for name in SIZES)]
    parser.add_argument("--size", choices=names, default="1.3b", help="of the transformer")
    parser.add_argument("--layers", type=int, help="fewer blocks than the size has")
    parser.add_argument("--chunks", type=int, default=20, help="of the stream over which graphs are compared")
    parser.add_argument("--latent", type=int, default=8, help="rows and columns of the latents")
    parser.add_argument("--precision", choices=PRECISIONS, default="fp32", help="of the graphs")
    parser.add_argument("--folder", type=Path, help="where graphs stay; without it they are removed")
    options = parser.parse_args()
    config = _config(options.size, options.layers)
    shape = RingShape(chunk=3, window=3, sink=3, height=options.latent, width=options.latent)
    model = randomise(CausalWan(config)).eval().requires_grad_(False)
    found = {"diffusers": diffusers_error(model, options.latent, options.latent)}
    limits = {"diffusers": DIFFUSERS_TOLERANCE, **TOLERANCES_OF[options.precision]}
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.folder or Path(scratch)
        graphs = model
        if options.precision != "fp32":
            graphs = narrowed(randomise(CausalWan(config)).eval().requires_grad_(False), options.precision, shape)
        write_prompt_kv(folder / "prompt_kv.onnx", graphs)
        write_denoise(folder / "denoise.onnx", graphs, shape)
        found |= graph_report(folder, model, shape, options.chunks)
    for name, error in found.items():
        print(f"{name}: {error:.2e}, at most {limits[name]:.0e}: {'kept' if error <= limits[name] else 'NOT kept'}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    weights = model_bytes(graphs) / 1e9
    print(f"weights {weights:.2f} GB, peak memory {peak:.2f} GB")
    if any(error > limits[name] for name, error in found.items()):
        sys.exit(1)


if __name__ == "__main__":
    main()
