"""What every variant takes of a GPU, as a table, from shapes alone: no weights are needed.

    python -m streamgen_export.wan.memory_table [--write docs/wan.md]

Weights, rings, keys and values of the prompt and states of decoders are exact: they are counted on tensors that have
shapes and no memory. Activations are estimated on the graphs as TensorRT gets them (`memory_plan.activation_peak`),
those of the transformer on two of its layers, of which every layer takes the same and gives it back. The estimate is
mostly too high, because TensorRT fuses operators.
"""

from __future__ import annotations

import argparse
import logging
import math
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn
from torch.func import functional_call

from streamgen_engines.manifest import Graph
from streamgen_engines.memory_plan import CONTEXT_BYTES
from streamgen_engines.tensorrt.footprint import graph_memory
from streamgen_engines.tensorrt.prepare import prepare
from streamgen_export.onnx_export import trace
from streamgen_export.wan.config import RingShape, WanConfig
from streamgen_export.wan.graphs import KEPT, example
from streamgen_export.wan.precision import PARTS, PRECISIONS, Precision, model_bytes, shaped
from streamgen_export.wan.request import DECODERS, SIZE, Decoder
from streamgen_export.wan.streaming import Denoise
from streamgen_export.wan.taehv import TaehvDecoder
from streamgen_export.wan.transformer import CausalWan
from streamgen_export.wan.umt5 import Umt5Config
from streamgen_export.wan.umt5_graphs import weights_bytes
from streamgen_export.wan.vae import WanDecoder
from streamgen_export.wan.vae_cost import decoder_cost
from streamgen_export.wan.vae_graphs import write_decoder
from streamgen_export.wan.vae_streaming import FIRST, cells
from streamgen_export.wan.variants import KREA, SELF_FORCING, VARIANTS, Variant

HALF_BYTES: Final = 2
TRACED_LAYERS: Final = 2
SIZES: Final = (SIZE, (480, 272))
RINGS: Final = (6, 12, 21)
"""Latent frames of the rings that are tabled beside each variant's own, where they are whole chunks."""
BEGIN: Final = "<!-- python -m streamgen_export.wan.memory_table --write docs/wan.md -->"
END: Final = "<!-- end of the table -->"


@dataclass(frozen=True, slots=True)
class WanMemory:
    """What one channel takes. Everything in bytes.

    Attributes:
        weights: of transformer and decoder, in the precision of GPUs.
        ring: keys and values of the past; written in place, so there is one.
        prompt: keys and values of the text, which `prompt_kv` makes and `denoise` holds: two buffers.
        states: of the decoder's graphs; not written in place, so each has two.
        activations: of `denoise` and of the decoder's graphs, estimated.
    """

    weights: int
    ring: int
    prompt: int
    states: int
    activations: int

    @property
    def sum(self) -> int:
        """All of it, with what the driver takes for a process."""
        return self.weights + self.ring + self.prompt + self.states + self.activations + CONTEXT_BYTES


def memory(variant: Variant, width: int, height: int, decoder: Decoder, precision: Precision = "fp16") -> WanMemory:
    """What a variant takes for pictures of one size in a precision for GPUs: fp16, bf16 or fp8.

    Activations are always those of fp16. In bf16 they have as many bytes; in fp8 inputs of linears are half as large.

    Raises:
        ValueError: the size or the window does not divide.
    """
    config, ring = variant.config, variant.ring(*cells(width, height))
    weights, states, activations = _decoder(decoder, width, height)
    return WanMemory(
        weights=transformer_weights(config, precision) + weights,
        ring=ring.bytes(config, HALF_BYTES),
        prompt=2 * 2 * config.layers * config.width * config.text_tokens * HALF_BYTES,
        states=states,
        activations=_denoise_activations(config, ring) + activations,
    )


def text_bytes() -> int:
    """Weights of the text encoder in bfloat16."""
    return weights_bytes(Umt5Config(), "bf16")


@cache
def transformer_weights(config: WanConfig, precision: Precision) -> int:
    """Bytes of the weights of `prompt_kv` and `denoise`, exact."""
    with torch.device("meta"):
        model = CausalWan(config)
    return model_bytes(shaped(model, precision))


class _Weightless(nn.Module):
    """`Denoise` with its weights as inputs, which can be one number seen as many."""

    def __init__(self, module: Denoise) -> None:
        super().__init__()
        self._module = (module,)  # in a tuple, for torch to look for parameters elsewhere
        self._names = [name for name, _ in module.named_parameters()]

    def forward(self, *given: Tensor) -> tuple[Tensor, ...]:
        """The inputs of `Denoise`, then its weights."""
        count = len(given) - len(self._names)
        weights = dict(zip(self._names, given[count:], strict=True))
        made: tuple[Tensor, ...] = functional_call(self._module[0], weights, given[:count])
        return made


@cache
def _denoise_activations(config: WanConfig, ring: RingShape) -> int:
    with torch.device("meta"):
        model = CausalWan(replace(config, layers=TRACED_LAYERS)).halve().eval().requires_grad_(False)
    module = Denoise(model, ring)
    inputs = {
        name: example(shape, torch.int64 if name == "write_index" else torch.float32)
        for name, shape in module.inputs().items()
    }
    for name, shape in {**module.held(), **module.states()}.items():
        inputs[name] = example(shape, torch.float16)
    weights = {name: example(tuple(each.shape), each.dtype) for name, each in module.named_parameters()}
    named = {**inputs, **{f"weights.{name}": each for name, each in weights.items()}}
    kept = [f"weights.model.{part}" for part in KEPT]
    program = trace(_Weightless(module), named, ["velocity"], list(module.states()), kept=kept)
    return _activations("denoise", program.model_proto.SerializeToString())


@cache
def _decoder(decoder: Decoder, width: int, height: int) -> tuple[int, int, int]:
    """Weights, states and activations of a decoder's graphs."""
    made = (TaehvDecoder() if decoder == "taehv" else WanDecoder()).eval().requires_grad_(False)
    with tempfile.TemporaryDirectory() as folder:
        written = write_decoder(Path(folder), made.half(), width, height)
        activations = sum(_activations(name, each.path.read_bytes()) for name, each in written.items())
    cost = decoder_cost(made, width, height, "fp16")
    first = decoder_cost(made, width, height, "fp16", FIRST).weight_bytes if FIRST in written else 0
    states = sum(2 * HALF_BYTES * math.prod(state.shape) for each in written.values() for state in each.states)
    return cost.weight_bytes + first, states, activations


def _activations(name: str, source: bytes) -> int:
    entry = Graph(file=f"{name}.onnx", sha256="0" * 64, precision="fp16")
    prepared = prepare(source, name=name)
    return graph_memory(name, entry, prepared.model, prepared.precision).activations


def rows() -> Iterator[tuple[Variant, int, int, Decoder, WanMemory]]:
    """Every variant in every size, ring and decoder."""
    for variant in VARIANTS.values():
        own = variant.sink + variant.window + variant.chunk
        rings = [own, *(ring for ring in RINGS if ring != own and (ring - variant.sink) % variant.chunk == 0)]
        for width, height in SIZES:
            for ring in rings:
                windowed = replace(variant, window=ring - variant.sink - variant.chunk)
                for decoder in DECODERS:
                    yield windowed, width, height, decoder, memory(windowed, width, height, decoder)


def table() -> Iterator[str]:
    """The table in Markdown."""
    text = text_bytes()
    parts = ("weights", "ring", "text K/V", "states", "activations", "sum", "with UMT5")
    heads = ("", "pictures", "window + sink", "decoder", *parts)
    yield f"| {' | '.join(heads)} |"
    yield "|---" * len(heads) + "|"
    for variant, width, height, decoder, each in rows():
        published = " (own)" if variant.window == VARIANTS[variant.name].window else ""
        sizes = (each.weights, each.ring, each.prompt, each.states, each.activations, each.sum, each.sum + text)
        yield (
            f"| `{variant.name}` | {width}x{height} | {variant.window} + {variant.sink}{published} | `{decoder}` | "
            + " | ".join(f"{size / 1e9:.2f}" for size in sizes)
            + " |"
        )
    yield ""
    yield from precision_table()


def precision_table() -> Iterator[str]:
    """Every precision at both sizes, with the fast decoder and the published window, in Markdown."""
    text = text_bytes()
    yield "| | precision | weights of the transformer | sum at 832x480, `taehv` | with UMT5 |"
    yield "|---" * 5 + "|"
    for variant in (SELF_FORCING, KREA):
        for precision in PRECISIONS:
            weights = transformer_weights(variant.config, precision)
            sums = ["-", "-"]  # what is for CPUs takes nothing of a GPU
            if PARTS[precision].half:
                whole = memory(variant, *SIZE, "taehv", precision).sum
                sums = [f"{size / 1e9:.2f}" for size in (whole, whole + text)]
            row = (variant.config.name, f"`{precision}`", f"{weights / 1e9:.2f}", *sums)
            yield f"| {' | '.join(row)} |"


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m streamgen_export.wan.memory_table", description=__doc__)
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the table into this file, between its marks")
    options = parser.parse_args(arguments)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it warns of operators that no model here has
    lines = "\n".join(table())
    if options.write is None:
        print(lines)
        return 0
    page = options.write.read_text(encoding="utf-8")
    head, mark, rest = page.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not (mark and end):
        print(f"{options.write} has no line {BEGIN!r} with {END!r} after it", file=sys.stderr)
        return 1
    options.write.write_text(f"{head}{mark}\n\n{lines}\n\n{end}{tail}", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
