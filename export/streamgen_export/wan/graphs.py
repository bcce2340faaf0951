"""`prompt_kv` and `denoise` as ONNX graphs, and how far they are from torch."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn

from streamgen_export.onnx_export import Array, write
from streamgen_export.quantise import session
from streamgen_export.wan.config import RingShape
from streamgen_export.wan.errors import NoRoomError
from streamgen_export.wan.precision import Precision, model_bytes
from streamgen_export.wan.streaming import Denoise, PromptKv, Shapes
from streamgen_export.wan.transformer import CausalWan

TOLERANCES: Final[Mapping[str, float]] = {"prompt_kv": 1e-5, "denoise": 1e-5}
"""Largest error of any output of a float32 graph over 20 chunks, as norm of the difference over norm of torch's.

Both compute the same sums in another order: some 1e-7 for each product. `prompt_kv` has three in a row, `denoise` ten
for each layer, and errors of keys in the ring come back in later chunks; they add up as a root.
"""
HALF_TOLERANCES: Final[Mapping[str, float]] = {"prompt_kv": 1e-3, "denoise": 5e-3}
"""The same for float16 graphs, against torch in float32.

A rounding to float16 is 5e-4 at most. Keys and values of the text are themselves rounded, after three products; in
`denoise` each product rounds its inputs, weights and result and softmax sees rounded scores, but what is added up
between layers is float32, so that errors of layers are independent and add up as a root.
"""
TOLERANCES_OF: Final[Mapping[Precision, Mapping[str, float]]] = {
    "fp32": TOLERANCES,
    "fp16": HALF_TOLERANCES,
    "bf16": {"prompt_kv": 8e-3, "denoise": 4e-3},
    "fp8": {"prompt_kv": 1e-3, "denoise": 2.5e-2},
    "int8": {"prompt_kv": 1.5e-2, "denoise": 8e-3},
}
"""The same for every precision, against torch in float32.

Each is at most three times what was measured at the size of tests (`docs/wan-transformer.md`), and less than what a
wrong scale makes, which a test holds.
"""
INSIDE: Final = 200_000_000
"""Bytes of weights that still go into the graph's own file. Those of real sizes lie beside it in every precision."""
KEPT: Final = ("patch_embedding", "time_embedding", "time_projection", "head")
"""Parts of the transformer whose products are float32 in every precision.

They are less than a hundredth of the arithmetic. Patches and output are where rounding would reach the picture at once.
The noise level is a sinusoid of 1000 times its value, and what it becomes shifts, scales and gates every layer: an
error there is one of all tokens and layers.
"""


def write_prompt_kv(path: Path, model: CausalWan) -> PromptKv:
    """Export `prompt_kv.onnx`, in the precision that the model is in.

    Raises:
        NoRoomError: the disk is too full for it.
    """
    module = PromptKv(model)
    c = model.config
    _require_room(path, model)
    inputs = {"context": example((1, c.text_tokens, c.text_width))}
    write(path, module, inputs, list(module.outputs()), largest_file=INSIDE)
    return module


def write_denoise(path: Path, model: CausalWan, shape: RingShape) -> Denoise:
    """Export `denoise.onnx`; ring and text are in the type `CausalWan.held`, all else is float32.

    Raises:
        NoRoomError: the disk is too full for it.
    """
    module = Denoise(model, shape)
    _require_room(path, model)
    inputs = {
        name: example(size, torch.int64 if name == "write_index" else torch.float32)
        for name, size in module.inputs().items()
    }
    states = module.states()
    examples = {**inputs, **_examples({**module.held(), **states}, model.held)}
    write(
        path, module, examples, ["velocity"], list(states), kept=[f"model.{part}" for part in KEPT], largest_file=INSIDE
    )
    return module


def example(shape: tuple[int, ...], kind: torch.dtype = torch.float32) -> Tensor:
    """Zeros that take no memory: rings of real streams are gigabytes, and an export only asks for shapes."""
    return torch.zeros((), dtype=kind).expand(shape)


def graph_errors(
    path: Path, module: nn.Module, calls: Iterable[Mapping[str, Array]], states: Shapes | None = None
) -> dict[str, float]:
    """How far a graph is from a module over calls in a row, each carrying its own states.

    Args:
        path: the graph, run by ONNX Runtime on the CPU.
        module: what it is compared with: the module that it was exported from, or the same one in float32.
        calls: inputs by name, in the order of the module's arguments, without the states. float32 inputs are cast to
            the types of the graph, and for the module to those of its own states.
        states: names and shapes of what is carried.

    Returns:
        for each output that is not a state, norm of the difference over norm of the module's output, over all calls.
    """
    states = states or {}
    graph = session(path)
    kinds = {node.name: np.float16 if node.type == "tensor(float16)" else None for node in graph.get_inputs()}
    outputs = [node.name for node in graph.get_outputs()]
    results = outputs[: len(outputs) - len(states)]
    kind = next((p.dtype for n, p in module.named_parameters() if "text_embedding" in n), torch.float32)
    theirs: dict[str, Array] = {name: np.zeros(size, kinds[name] or np.float32) for name, size in states.items()}
    ours = [torch.zeros(size, dtype=kind) for size in states.values()]
    squares = {name: [0.0, 0.0] for name in results}
    with torch.no_grad():
        for call in calls:
            feed = {name: value.astype(kinds[name]) if kinds[name] else value for name, value in call.items()}
            ran = graph.run(outputs, {**feed, **theirs})
            theirs = dict(zip(states, ran[len(results) :], strict=True))
            returned = module(*(_argument(name, value, kind) for name, value in call.items()), *ours)
            ours = list(returned[len(results) :])
            for name, expected, actual in zip(results, returned, ran, strict=False):
                reference = expected.double().numpy()
                squares[name][0] += float(np.square(actual.astype(np.float64) - reference).sum())
                squares[name][1] += float(np.square(reference).sum())
    return {name: (off / max(whole, 1e-30)) ** 0.5 for name, (off, whole) in squares.items()}


def _argument(name: str, value: Array, kind: torch.dtype) -> Tensor:
    """An input as the module takes it: what is held has the type that the module computes in."""
    tensor = torch.from_numpy(value)
    return tensor.to(kind) if name.startswith("prompt_") else tensor


def _require_room(path: Path, model: CausalWan) -> None:
    """Before minutes are spent: the graph's file has room beside what is there already."""
    needed = model_bytes(model)
    folder = next(each for each in path.absolute().parents if each.exists())
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise NoRoomError(
            f"{path}: the graph takes up to {needed / 1e9:.1f} GB and {free / 1e9:.1f} GB are free in {folder}; make "
            f"room, export in float16, or choose another folder"
        )


def _examples(shapes: Shapes, kind: torch.dtype) -> dict[str, Tensor]:
    return {name: example(shape, kind) for name, shape in shapes.items()}
