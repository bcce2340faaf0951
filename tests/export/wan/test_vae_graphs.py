"""The written graphs: what they compute, what they carry, and that runtimes take them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pytest

from streamgen_engines.errors import GraphMismatchError
from streamgen_engines.runtimes import OnnxRuntimeCpu
from streamgen_engines.tensorrt.builder import build
from streamgen_engines.tensorrt.lint import lint
from streamgen_engines.tensorrt.prepare import prepare
from streamgen_export.wan.taehv import TaehvDecoder
from streamgen_export.wan.vae import WanDecoder
from streamgen_export.wan.vae_graphs import GraphStream, WrittenGraph, graphs_of, parity, write_decoder
from streamgen_export.wan.vae_streaming import Halves
from tests.export.wan.tiny_vae import (
    COLUMNS,
    HEIGHT,
    LATENTS,
    ROWS,
    WIDTH,
    Name,
    random_latents,
    tiny,
    tiny_taehv,
    written,
)
from tests.tensorrt.rtx import needs_rtx, rtx

CASES: tuple[tuple[Name, Halves], ...] = (("wan", "fp32"), ("wan", "fp16"), ("taehv", "fp32"), ("taehv", "fp16"))


@dataclass(frozen=True)
class Case:
    written: dict[str, WrittenGraph]
    exact: WanDecoder | TaehvDecoder
    precision: Halves


@pytest.fixture(scope="module", params=CASES, ids=["-".join(case) for case in CASES])
def case(request: pytest.FixtureRequest) -> Case:
    name, precision = request.param
    return Case(written(name, precision), tiny(name), precision)


def test_they_compute_what_torch_computes_in_float32(case: Case) -> None:
    latents = random_latents(case.exact, LATENTS, ROWS, COLUMNS, seed=8)
    found = parity(case.written, case.exact, latents)
    if case.precision == "fp32":
        assert found.steps <= 1  # where a value lies between two bytes
        assert found.share < 1e-3
        assert found.states < 1e-5
    else:
        assert found.steps <= 6
        assert 0 < found.states < 5e-3


def test_they_carry_what_the_manifest_is_told(case: Case) -> None:
    for name, graph in case.written.items():
        module = graphs_of(case.exact)[name]
        assert {state.name: state.shape for state in graph.states} == module.state_shapes(ROWS, COLUMNS)
        assert {state.dtype for state in graph.states} == {"float16" if case.precision == "fp16" else "float32"}
        engine = OnnxRuntimeCpu().load(graph.path, graph.states)
        assert {k: str(v) for k, v in engine.signature.inputs.items()} == {
            "latent": f"float32[1, 16, 1, {ROWS}, {COLUMNS}]"
        }
        assert {k: str(v) for k, v in engine.signature.outputs.items()} == {
            "frames": f"uint8[{graph.pictures}, {HEIGHT}, {WIDTH}, 3]"
        }
        fewer = graph.states[:-1]
        assert OnnxRuntimeCpu().load(graph.path, fewer).signature != engine.signature
        wrong = (graph.states[0].model_copy(update={"shape": (1, 2)}), *graph.states[1:])
        with pytest.raises(GraphMismatchError):
            OnnxRuntimeCpu().load(graph.path, wrong)


def test_a_stream_that_begins_again_is_the_same_stream(case: Case) -> None:
    stream = GraphStream(case.written, OnnxRuntimeCpu())
    latents = [latent.numpy() for latent in random_latents(case.exact, 3, ROWS, COLUMNS, seed=9)]
    once = [stream.decode(latent) for latent in latents]
    on = stream.decode(latents[0])
    stream.restart()
    again = [stream.decode(latent) for latent in latents]
    assert all(np.array_equal(a, b) for a, b in zip(once, again, strict=True))
    assert not np.array_equal(on[-1], once[0][-1])


def test_nothing_is_known_against_them(case: Case) -> None:
    for graph in case.written.values():
        source = graph.path.read_bytes()
        for target in ("tensorrt", "tensorrt-rtx", "onnxruntime-cpu"):
            assert lint(source, target, graph.states) == []


def test_weights_are_stored_once_and_in_their_type(case: Case) -> None:
    size = 2 if case.precision == "fp16" else 4
    numbers = sum(parameter.numel() for parameter in case.exact.parameters())
    for graph in case.written.values():
        stored = sum(onnx.numpy_helper.to_array(tensor).nbytes for tensor in onnx.load(graph.path).graph.initializer)
        if graph.pictures == 1:
            assert stored < numbers * size  # without the convolutions that double the number of pictures
        else:
            assert numbers * size * 0.95 < stored < numbers * size * 1.1


@needs_rtx
def test_tensorrt_builds_them(case: Case) -> None:
    for name, graph in case.written.items():
        ready = prepare(graph.path.read_bytes(), "fp16", name=name)
        built = build(rtx(), ready.model, name=name, states=graph.states)
        assert built.plan
        assert built.report.plan_bytes == len(built.plan)


def test_a_size_that_is_no_whole_number_of_cells_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="multiples of 8"):
        write_decoder(tmp_path, tiny_taehv(), 33, 32)
    assert list(tmp_path.iterdir()) == []
