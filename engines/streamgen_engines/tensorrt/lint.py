"""What each runtime rejects, said of a graph before the runtime sees it: node by node, with the reason.

The rules for TensorRT were found by giving TensorRT-RTX 1.7.1 one small graph for each of them, parsing and building;
`tests/tensorrt/test_lint.py` does it again where TensorRT-RTX is installed, so that a rule that a newer version lifts
shows. TensorRT 11 has the same parser (github.com/onnx/onnx-tensorrt). Those for ONNX Runtime are from its kernels and
from `runtimes/onnxruntime_cpu.py`. A graph that passes may still fail to build; what fails here never builds.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import onnx
from onnx import TensorProto

from streamgen_engines.manifest import State
from streamgen_engines.tensorrt.graph import Rewriting, attributes, types_of
from streamgen_engines.tensorrt.widen import BYTES

Target = Literal["tensorrt", "tensorrt-rtx", "onnxruntime-cpu"]

UNSUPPORTED: Final = frozenset(
    {
        *("AffineGrid", "Bernoulli", "BitCast", "BitShift", "BitwiseAnd", "BitwiseNot", "BitwiseOr", "BitwiseXor"),
        *("CenterCropPad", "Col2Im", "Compress", "ConcatFromSequence", "ConvInteger", "CumProd", "DFT", "DeformConv"),
        *("Det", "DynamicQuantizeLinear", "ImageDecoder", "MatMulInteger", "MaxRoiPool", "MaxUnpool"),
        *("MelWeightMatrix", "Multinomial", "NegativeLogLikelihoodLoss", "Optional", "OptionalGetElement"),
        *("OptionalHasElement", "QLinearConv", "QLinearMatMul", "RegexFullMatch", "SequenceAt", "SequenceConstruct"),
        *("SequenceEmpty", "SequenceErase", "SequenceInsert", "SequenceLength", "SequenceMap"),
        *("SoftmaxCrossEntropyLoss", "SplitToSequence", "StringConcat", "StringNormalizer", "StringSplit", "SwiGLU"),
        *("TfIdfVectorizer", "Unique"),
    }
)
"""Operators of ONNX's own domain for which `OnnxParser.supports_operator` says no (TensorRT-RTX 1.7.1)."""
TYPES: Final = frozenset(
    {
        *(TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE, TensorProto.BOOL),
        *(TensorProto.INT32, TensorProto.INT64, TensorProto.INT8, TensorProto.UINT8, TensorProto.INT4),
        *(TensorProto.FLOAT8E4M3FN, TensorProto.FLOAT4E2M1, TensorProto.UNDEFINED),
    }
)
"""Element types that TensorRT has (double becomes float)."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One node that a runtime rejects."""

    rule: str
    node: str
    """Its name, or operator and output where it has none; the value's name where no node is at fault."""
    reason: str

    def __str__(self) -> str:
        return f"{self.node}: {self.reason} [{self.rule}]"


@dataclass(frozen=True, slots=True)
class _View:
    """What the rules look at."""

    graph: Rewriting
    types: dict[str, tuple[int, tuple[int, ...] | None]]
    makers: dict[str, Any]
    readers: dict[str, list[Any]]
    states: Sequence[State]

    def kind(self, name: str) -> int:
        """Element type of a value."""
        return self.types.get(name, (TensorProto.UNDEFINED, None))[0]

    def named(self, operator: str) -> Iterator[Any]:
        """Every node of one operator."""
        return (node for node in self.graph.nodes if node.op_type == operator)


Rule = Callable[[_View], Iterator[Finding]]


def lint(source: bytes, target: Target, states: Sequence[State] = (), *, in_place: bool = False) -> list[Finding]:
    """Everything in a graph that a runtime rejects; empty when nothing is known against it.

    Args:
        source: the ONNX file's bytes.
        target: the runtime.
        states: what the graph carries from call to call.
        in_place: it is loaded with one buffer per state (ONNX Runtime).
    """
    model = onnx.load_from_string(source)
    graph = Rewriting(model)
    view = _View(graph, types_of(model), graph.makers(), graph.readers(), states)
    rules: tuple[Rule, ...] = (_static_shapes, _states_are_there)
    if target == "onnxruntime-cpu":
        rules = (*rules, _no_bfloat16, _mask_is_whole, *((_read_before_written,) if in_place else ()))
    else:
        rules = (*rules, *_TENSORRT)
    return [finding for rule in rules for finding in rule(view)]


def label(node: Any) -> str:
    """How messages name a node."""
    return f"{node.op_type} {node.name}" if node.name else f"{node.op_type} -> {node.output[0]}"


def _static_shapes(view: _View) -> Iterator[Finding]:
    for value in view.graph.model.graph.input:
        if view.types.get(value.name, (0, None))[1] is None:
            yield Finding("static-shape", value.name, "this input has no static shape, and no range is declared for it")


def _states_are_there(view: _View) -> Iterator[Finding]:
    for state in view.states:
        if state.name not in view.graph.inputs or state.output not in view.graph.outputs:
            yield Finding("state", state.name, f"the graph needs the input {state.name} and the output {state.output}")


def _operators(view: _View) -> Iterator[Finding]:
    for node in view.graph.nodes:
        if node.op_type in UNSUPPORTED and node.domain in {"", "ai.onnx"}:
            yield Finding("operator", label(node), "TensorRT's parser does not know this operator")
        elif node.domain not in {"", "ai.onnx"}:
            yield Finding("domain", label(node), f"operators of {node.domain} are outside of ONNX")


def _element_types(view: _View) -> Iterator[Finding]:
    for name, (kind, _) in view.types.items():
        if kind not in TYPES:
            yield Finding("type", name, f"TensorRT has no type {TensorProto.DataType.Name(kind)}")


def _integer_constants(view: _View) -> Iterator[Finding]:
    for name in view.graph.constant_names():
        if view.graph.constant_type(name) != TensorProto.INT8:
            continue
        for node in view.readers.get(name, []):
            if node.op_type not in {"DequantizeLinear", "QuantizeLinear", *UNSUPPORTED}:
                yield Finding("int8-constant", label(node), f"{name} is int8: allowed before DequantizeLinear only")


def _bytes_inside(view: _View) -> Iterator[Finding]:
    """uint8 is for inputs that are converted first, outputs that are converted last, and tables that are gathered."""
    outside = view.graph.inputs | view.graph.outputs
    for node in view.graph.nodes:
        if node.op_type in UNSUPPORTED or node.op_type in {"QuantizeLinear", "DequantizeLinear"}:
            continue
        made = [name for name in node.output if view.kind(name) == TensorProto.UINT8]
        read = [n for n in node.input if view.kind(n) == TensorProto.UINT8 and not view.graph.is_constant(n)]
        if any(name not in outside for name in made) and not _from_table(view, node):
            yield Finding("uint8", label(node), "uint8 inside the graph; TensorRT has it for inputs and outputs only")
        elif node.op_type != "Cast" and (read or made) and not _from_table(view, node):
            yield Finding("uint8", label(node), "computes on uint8; TensorRT converts it and nothing else")


def _from_table(view: _View, node: Any) -> bool:
    """A table of bytes becomes one of int32 while it is parsed, and so does what is gathered from it."""
    return node.op_type == "Gather" and view.graph.is_constant(node.input[0])


def _scatters(view: _View) -> Iterator[Finding]:
    for node in view.named("TensorScatter"):
        found = attributes(node)
        shape = view.types.get(node.input[0], (0, None))[1]
        rank = len(shape) if shape is not None else 4
        if found.get("mode", b"linear") != b"linear":
            yield Finding("scatter-mode", label(node), "TensorRT writes caches in the mode linear only")
        if rank != 4:
            yield Finding("scatter-rank", label(node), f"the cache must have 4 axes, it has {rank}")
        elif found.get("axis", -2) not in (-2, 2):
            yield Finding("scatter-axis", label(node), "the axis must be the last but one")
        if view.graph.is_constant(node.input[1]):
            yield Finding("scatter-constant", label(node), "what is written is a constant; the build fails on it")
        if node.input[0] not in view.graph.inputs or node.output[0] not in view.graph.outputs:
            reason = "reads an input and makes an output of the graph: the two are one buffer"
            yield Finding("scatter-cache", label(node), f"a cache write {reason}")


def _attentions(view: _View) -> Iterator[Finding]:
    for node in view.named("Attention"):
        if sum(bool(name) for name in node.output) != 1:
            yield Finding("attention-outputs", label(node), "TensorRT takes Attention with one output only")
        if attributes(node).get("softcap", 0.0) != 0.0:
            yield Finding("attention-softcap", label(node), "TensorRT's Attention has no softcap")


def _zero_points(view: _View) -> Iterator[Finding]:
    for operator in ("QuantizeLinear", "DequantizeLinear"):
        for node in view.named(operator):
            point = node.input[2] if len(node.input) > 2 else ""
            if not point or not view.graph.is_constant(point):
                continue
            kind = view.graph.constant_type(point)
            if kind in BYTES and (kind == TensorProto.UINT8 or view.graph.constant(point).any()):
                yield Finding("zero-point", label(node), "TensorRT quantises symmetrically: int8 with zero point 0")


def _no_bfloat16(view: _View) -> Iterator[Finding]:
    for operator in ("MatMul", "Gemm", "Conv"):
        for node in view.named(operator):
            if view.kind(node.output[0]) == TensorProto.BFLOAT16:
                yield Finding("bfloat16", label(node), f"ONNX Runtime has no {operator} in bfloat16 for CPUs")


def _mask_is_whole(view: _View) -> Iterator[Finding]:
    for node in view.named("Attention"):
        mask, query = (view.types.get(name, (0, None))[1] for name in ([*node.input, "", ""][3], node.input[0]))
        if mask is not None and query is not None and len(mask) >= 2 and mask[-2] != query[-2]:
            yield Finding("mask", label(node), "ONNX Runtime does not broadcast a mask over the queries")


def _read_before_written(view: _View) -> Iterator[Finding]:
    """The rule at the top of `runtimes/onnxruntime_cpu.py`."""
    for state in view.states:
        writer = view.makers.get(state.output)
        if writer is None:
            continue
        before = _ancestors(view, writer)
        for node in view.readers.get(state.name, []):
            if node is writer or node.output[0] == writer.output[0]:
                if node.op_type not in {"TensorScatter", *_ELEMENT_WISE}:
                    yield Finding("in-place", label(node), f"writes {state.output} while it reads {state.name}")
            elif node.output[0] not in before:
                yield Finding("in-place", label(node), f"may read {state.name} after {state.output} has been written")


def _ancestors(view: _View, node: Any) -> set[str]:
    """Everything that is computed before a node, as the outputs of nodes."""
    found: set[str] = set()
    waiting = list(node.input)
    while waiting:
        maker = view.makers.get(waiting.pop())
        if maker is not None and maker.output[0] not in found:
            found.update(maker.output)
            waiting += maker.input
    return found


_ELEMENT_WISE: Final = frozenset({"Add", "Sub", "Mul", "Div", "Clip", "Where", "Identity", "Cast", "Max", "Min"})
_TENSORRT: Final[tuple[Rule, ...]] = (
    _operators,
    _element_types,
    _integer_constants,
    _bytes_inside,
    _scatters,
    _attentions,
    _zero_points,
)
