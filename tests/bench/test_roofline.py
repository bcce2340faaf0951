"""Counted work against torch's own counter of FLOPs, and floors against arithmetic done by hand."""

from pathlib import Path

import onnx
import pytest
import torch
from onnx import TensorProto, helper
from torch.utils.flop_counter import FlopCounterMode

from bench.cards import CARDS, Card, card_named
from bench.roofline import Work, floor, line, roofline, roofline_of, told
from streamgen_engines.bundle import bundled
from streamgen_export.wan.config import TINY, RingShape
from streamgen_export.wan.graphs import write_denoise
from streamgen_export.wan.precision import Precision, shaped
from streamgen_export.wan.streaming import Denoise
from streamgen_export.wan.transformer import CausalWan
from streamgen_export.wan.vae_graphs import graphs_of
from tests.export.wan.tiny_vae import Name, tiny, written

CARD = Card("a card", 1e9, {"float16": 4e9, "float32": 1e9})


def product(kind: int, *, weight: bool) -> onnx.ModelProto:
    """[2, 3] times [3, 5], the second a weight or an input."""
    inputs = [helper.make_tensor_value_info("x", kind, [2, 3])]
    second = helper.make_tensor("w", kind, [3, 5], bytes(15 * (2 if kind == TensorProto.FLOAT16 else 4)), raw=True)
    if not weight:
        inputs.append(helper.make_tensor_value_info("w", kind, [3, 5]))
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    graph = helper.make_graph(
        [node], "g", inputs, [helper.make_tensor_value_info("y", kind, [2, 5])], [second] if weight else []
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 24)])


@pytest.mark.parametrize("weight", [True, False])
def test_a_product_counts_twice_its_size_and_moves_each_number_once(weight: bool) -> None:
    work = roofline(product(TensorProto.FLOAT16, weight=weight))
    assert work == Work({"float16": 2 * 2 * 3 * 5}, 2 * (6 + 15 + 10))


def test_a_ring_is_read_whole_and_only_its_new_rows_are_written() -> None:
    kind = TensorProto.FLOAT
    ring = [1, 2, 10, 4]
    graph = helper.make_graph(
        [helper.make_node("TensorScatter", ["ring", "new", "at"], ["ring_out"], axis=2)],
        "g",
        [
            helper.make_tensor_value_info("ring", kind, ring),
            helper.make_tensor_value_info("new", kind, [1, 2, 3, 4]),
            helper.make_tensor_value_info("at", TensorProto.INT64, [1]),
        ],
        [helper.make_tensor_value_info("ring_out", kind, ring)],
    )
    work = roofline(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 24)]))
    assert work.bytes == 4 * (80 + 24) + 8 + 4 * 24
    assert work.total_flops == 0


def test_the_floor_is_the_longer_of_arithmetic_and_memory() -> None:
    fast = floor(Work({"float16": 8_000_000}, 1_000_000), CARD)
    assert (fast.arithmetic_ms, fast.memory_ms, fast.ms, fast.bound) == (2.0, 1.0, 2.0, "arithmetic")
    slow = floor(Work({"float16": 8_000_000, "float32": 1_000_000}, 5_000_000), CARD)
    assert (slow.arithmetic_ms, slow.ms, slow.bound) == (3.0, 5.0, "memory")


def test_work_adds_up() -> None:
    one = Work({"float16": 3}, 5, 1)
    assert (one * 2).total_flops == 2 * 3
    assert one + Work({"float32": 1}, 2) == Work({"float16": 3, "float32": 1}, 7, 1)


def test_a_line_names_bytes_flops_floor_and_what_was_measured() -> None:
    text = line("denoise", Work({"float16": 8_000_000}, 1_000_000), CARD, 4.0)
    assert text == "denoise: 0.01 GFLOP, 1.0 MB, floor 2.000 ms (arithmetic), measured 4.000 ms, 2.0 times the floor"
    assert "no floor" in line("denoise", Work({}, 0), None, 1.0)
    assert told(Work({}, 8), None)["floor_ms"] is None


def test_the_wan_transformer_has_the_flops_that_torch_counts(tmp_path: Path) -> None:
    shape = RingShape(3, 6, 0, 8, 8)
    write_denoise(tmp_path / "denoise.onnx", CausalWan(TINY), shape)
    # Without memory: attention is then two products, which the counter knows on every device.
    with torch.device("meta"), torch.no_grad(), FlopCounterMode(display=False) as counter:
        same = Denoise(CausalWan(TINY), shape).to("meta")
        sizes = {**same.inputs(), **same.held(), **same.states()}
        same(*(torch.zeros(size, dtype=torch.int64 if name == "write_index" else None) for name, size in sizes.items()))
    work = roofline_of(tmp_path / "denoise.onnx")
    assert work.uncounted == 0
    assert work.total_flops == counter.get_total_flops()


@pytest.mark.parametrize("name", ["wan", "taehv"])
def test_decoders_have_the_flops_that_torch_counts(name: str) -> None:
    chosen: Name = "wan" if name == "wan" else "taehv"
    for graph, module in graphs_of(tiny(chosen)).items():
        made = written(chosen, "fp32")[graph]
        rows, columns = made.states[0].shape[-2:]
        latent = torch.zeros(1, module.channels, 1, rows, columns)
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            module(latent, *module.zeros(rows, columns).values())
        work = roofline_of(made.path)
        assert work.uncounted == 0
        assert work.total_flops == counter.get_total_flops()


@pytest.mark.parametrize("name", ["pocket", "testcard"])
def test_every_bundled_graph_has_known_shapes(name: str) -> None:
    bundle = bundled(name)
    for graph in bundle.manifest.graphs:
        work = roofline_of(bundle.path(graph))
        assert work.uncounted == 0
        assert work.bytes > 0


def test_cards_are_known_by_their_driver_s_name() -> None:
    assert [card_named(card.name) for card in CARDS] == list(CARDS)
    pcie, sxm = card_named("NVIDIA H100 PCIe"), card_named("NVIDIA H100 80GB HBM3")
    assert pcie is not None
    assert sxm is not None
    assert pcie.bytes_per_s < sxm.bytes_per_s
    assert card_named("NVIDIA L40S") is None


def test_products_between_dequantisations_are_in_the_type_of_the_codes(tmp_path: Path) -> None:
    shape = RingShape(3, 3, 0, 8, 12)
    works: dict[str, Work] = {}
    precisions: tuple[Precision, ...] = ("fp32", "fp16", "bf16", "fp8", "int8")
    for precision in precisions:
        model = shaped(CausalWan(TINY).eval().requires_grad_(False), precision)
        write_denoise(tmp_path / f"{precision}.onnx", model, shape)
        works[precision] = roofline_of(tmp_path / f"{precision}.onnx")
    assert len({work.total_flops for work in works.values()}) == 1
    assert {name: set(work.flops) for name, work in works.items()} == {
        "fp32": {"float32"},
        "fp16": {"float16", "float32"},
        "bf16": {"bfloat16", "float16", "float32"},
        "fp8": {"float8", "float16", "float32"},
        "int8": {"int8", "float32"},
    }
    linears = works["bf16"].flops["bfloat16"]
    assert works["fp8"].flops["float8"] == works["int8"].flops["int8"] == linears
    assert works["fp8"].bytes < works["fp16"].bytes < works["fp32"].bytes
    assert works["int8"].bytes < works["fp32"].bytes
