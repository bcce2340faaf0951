"""torch modules to ONNX graphs, for every family, and the check of a graph against its module.

A graph has static shapes. What a module carries from call to call goes in as `x` and comes back as `x_out`. Attention
over a ring writes with `ring_write`, which becomes `TensorScatter`; `scaled_dot_product_attention` becomes `Attention`.
"""

from __future__ import annotations

import ast
import hashlib
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
import onnx_ir
import torch
from numpy.typing import NDArray
from onnxscript.onnx_opset import opset24 as op
from torch import Tensor, nn

from streamgen_engines.tensorrt.halve import HEAVY, KEPT
from streamgen_export.quantise import rollout, strip_notes
from streamgen_export.quantised_linear import TRANSLATIONS

OPSET: Final = 24
LARGEST_FILE: Final = 1_900_000_000
"""Bytes of weights that still go into the graph's own file: Protocol Buffers end at 2 GiB."""
WEIGHTS_SUFFIX: Final = ".weights"
"""Larger graphs have their weights in a file beside them, named like the graph with this at its end."""
WEIGHTS_DIGEST: Final = "weights_sha256"
"""What a graph calls the hash of this file."""

_SCOPES: Final = "pkg.torch.onnx.name_scopes"
"""Where torch tells of which modules a node is, as a list in Python's own form; `strip_notes` removes it."""

Array = NDArray[np.generic]


@torch.library.custom_op("streamgen::ring_write", mutates_args=())
def ring_write(ring: Tensor, update: Tensor, index: Tensor) -> Tensor:
    """Write `update` [1, H, N, Dh] into `ring` [1, H, S, Dh] from position index [1] on.

    An operator of its own so that it exports as `TensorScatter`, which runtimes do in place.
    """
    places = index + torch.arange(update.shape[2], device=ring.device)
    return ring.index_copy(2, places, update)


@ring_write.register_fake
def _(ring: Tensor, update: Tensor, index: Tensor) -> Tensor:
    del update, index
    return torch.empty_like(ring)


def write(
    path: Path,
    module: nn.Module,
    inputs: Mapping[str, Tensor],
    outputs: Sequence[str],
    states: Sequence[str] = (),
    *,
    kept: Sequence[str] = (),
    largest_file: int | None = None,
) -> None:
    """Export with static shapes. Weights of more than `LARGEST_FILE` lie in a file beside the graph.

    Args:
        path: the graph's file; its folder is made when it is missing.
        module: called with the inputs in their order; returns the outputs, then the new states.
        inputs: an example of every input, states among them, in the order of the arguments.
        outputs: names of what is returned, states left out.
        states: names of the inputs that are carried, in the order in which their new values are returned.
        kept: names of modules inside the module whose products stay float32 on every runtime: `halve` leaves them.
        largest_file: bytes of weights that still go into the graph; None is as many as may be. They are in memory twice
            for it, and a graph whose weights lie beside it takes them one by one.
    """
    program = trace(module, inputs, outputs, states, kept=kept)
    path.parent.mkdir(parents=True, exist_ok=True)
    limit = LARGEST_FILE if largest_file is None else min(largest_file, LARGEST_FILE)
    if sum(tensor.numel() * tensor.element_size() for tensor in module.state_dict().values()) > limit:
        # Weights go from torch into the file one by one. As one message (`model_proto`) they would be in memory twice.
        beside = path.with_name(path.name + WEIGHTS_SUFFIX)
        onnx_ir.save(program.model, str(path), external_data=beside.name)
        _tell_weights(path, beside)
    else:
        program.save(str(path), external_data=False)
    strip_notes(path)
    onnx.checker.check_model(str(path))


def _tell_weights(path: Path, weights: Path) -> None:
    """Put the hash of its weights into a graph, so that its own hash tells two checkpoints apart."""
    model = onnx.load(path, load_external_data=False)
    with weights.open("rb") as stream:
        model.metadata_props.add(key=WEIGHTS_DIGEST, value=hashlib.file_digest(stream, "sha256").hexdigest())
    onnx.save(model, path)


def trace(
    module: nn.Module,
    inputs: Mapping[str, Tensor],
    outputs: Sequence[str],
    states: Sequence[str] = (),
    *,
    kept: Sequence[str] = (),
) -> torch.onnx.ONNXProgram:
    """The graph that `write` writes, in memory; the arguments are those of `write`."""
    translations: dict[Any, Any] = {
        torch.ops.streamgen.ring_write.default: _ring_write,
        torch.ops.aten.rms_norm.default: _rms_norm,
        **TRANSLATIONS,
    }
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # the exporter's own deprecations, nothing about the graph
        program = torch.onnx.export(
            module.eval(),
            tuple(inputs.values()),
            input_names=list(inputs),
            output_names=[*outputs, *(f"{name}_out" for name in states)],
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
            custom_translation_table=translations,
        )
    if program is None:
        raise RuntimeError(f"torch exported nothing for {type(module).__name__}")
    _mark_kept(program.model.graph, kept)
    return program


def _mark_kept(graph: onnx_ir.Graph, kept: Sequence[str]) -> None:
    """Tell whoever narrows the graph which of its products stay as they are.

    Raises:
        ValueError: a module that is named has no product in the graph.
    """
    missing = set(kept)
    for node in graph:
        if node.op_type not in HEAVY:
            continue
        made_by = {name for name in kept for part in _parts(node) if f"{part}.".startswith(f"{name}.")}
        if made_by:
            node.name = f"{node.name or node.outputs[0].name}{KEPT}"
            missing -= made_by
    if missing:
        raise ValueError(f"no product of the graph is of {', '.join(sorted(missing))}")


def _parts(node: onnx_ir.Node) -> list[str]:
    """Names of the modules that a node is of, and of the weights that it reads.

    Either may be all there is: weights that were turned round lose their names, `functional_call` leaves no modules.
    """
    scopes: list[str] = ast.literal_eval(node.metadata_props.get(_SCOPES, "[]"))
    return [*scopes, *(value.name or "" for value in map(_unturned, node.inputs) if value is not None)]


def _unturned(value: onnx_ir.Value | None) -> onnx_ir.Value | None:
    while value is not None and (maker := value.producer()) is not None and maker.op_type == "Transpose":
        value = maker.inputs[0]
    return value


def zeros(states: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """Every state before the first chunk."""
    return {name: torch.zeros(shape) for name, shape in states.items()}


def difference(
    path: Path, module: nn.Module, calls: Sequence[Mapping[str, Array]], states: Mapping[str, tuple[int, ...]]
) -> dict[str, float]:
    """Largest difference of each output between torch and ONNX Runtime, each carrying its own states."""
    ran = rollout(path, list(calls), {name: f"{name}_out" for name in states})
    carried = list(zeros(states).values())
    names = list(ran.outputs[0])
    worst = dict.fromkeys(names, 0.0)
    with torch.no_grad():
        for call, outputs in zip(calls, ran.outputs, strict=True):
            returned = module(*(torch.from_numpy(np.asarray(value)) for value in call.values()), *carried)
            returned = (returned,) if isinstance(returned, Tensor) else returned
            carried = list(returned[len(names) :])
            for name, tensor in zip(names, returned, strict=False):
                gap = np.abs(tensor.numpy().astype(np.float64) - np.asarray(outputs[name], np.float64)).max()
                worst[name] = max(worst[name], float(gap))
    return worst


def _ring_write(ring: Any, update: Any, index: Any) -> Any:
    return op.TensorScatter(ring, update, index, axis=2, mode="linear")


def _rms_norm(x: Any, shape: Any, weight: Any = None, eps: float = 1e-6) -> Any:
    """RMS normalisation of the last axis in plain operators: ONNX Runtime's own `RMSNormalization` is not vectorised.

    A gain is a product of its own in every model here, so there is no weight.
    """
    del shape
    if weight is not None:
        raise NotImplementedError("normalise without a weight, and multiply by it")
    last: Any = op.Constant(value_ints=[-1])
    mean = op.ReduceMean(op.Mul(x, x), last, keepdims=1)
    return op.Mul(x, op.Reciprocal(op.Sqrt(op.Add(mean, op.Constant(value_float=eps)))))
