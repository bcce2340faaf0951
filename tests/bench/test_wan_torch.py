"""What is measured computes what it should: the compiled way against the exported module, products in fp8, planes."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch._dynamo.testing import CompileCounter

from bench.fp8 import Fp8Linear
from bench.roofline import roofline_of
from bench.wan_pictures import TINY_CONFIGS, DecoderName, Decoding, Planes
from bench.wan_pictures import build as build_decoder
from bench.wan_pictures import work_of as decoder_work
from bench.wan_torch import Setting, Stream, Way, build, through_block, timed, work_of
from streamgen_engines.planes.graph import append_planes
from streamgen_engines.planes.request import PlaneRequest
from streamgen_engines.tensorrt.graph import Rewriting
from streamgen_export.wan.config import TINY, RingShape, WanConfig
from streamgen_export.wan.graphs import write_denoise
from streamgen_export.wan.transformer import randomise

CPU = torch.device("cpu")
SHAPE = RingShape(3, 6, 0, 8, 12)


@pytest.fixture(scope="module")
def streams() -> dict[Way, Stream]:
    model = randomise(build(TINY, "fp32", CPU))
    ways: tuple[Way, Way] = ("eager", "compiled")
    return {way: Stream(model, Setting(TINY, SHAPE, "fp32", way, "eager"), CPU) for way in ways}


def test_the_compiled_way_computes_what_the_exported_module_does(streams: dict[Way, Stream]) -> None:
    made = {}
    for way, stream in streams.items():
        torch.manual_seed(1)
        chunks = [stream.chunk() for _ in range(4)]  # the ring is written all round
        stream.recache()
        made[way] = torch.stack([*chunks, stream.chunk()])
    torch.testing.assert_close(made["compiled"], made["eager"], rtol=1e-4, atol=1e-4)
    assert not torch.allclose(made["eager"][0], made["eager"][1])


def test_one_block_is_compiled_for_all_layers() -> None:
    torch._dynamo.reset()
    counter = CompileCounter()
    config = WanConfig("deep", layers=6, width=96, heads=2, feed_forward=192, text_width=64)
    stream = Stream(build(config, "fp32", CPU), Setting(config, SHAPE, "fp32", "compiled", "eager"), CPU)
    stream._block = torch.compile(through_block, backend=counter, dynamic=False)
    stream.chunk()
    assert counter.frame_count == 1


def test_blends_and_cuts_leave_a_stream_that_runs(streams: dict[Way, Stream]) -> None:
    for stream in streams.values():
        stream.blend(0.5)
        stream.cut()
        assert torch.isfinite(stream.chunk()).all()


def test_half_as_many_bytes_in_half_precision_and_the_same_arithmetic() -> None:
    single, half, eighth = work_of(TINY, SHAPE, "fp32"), work_of(TINY, SHAPE, "bf16"), work_of(TINY, SHAPE, "fp8")
    assert single.total_flops == half.total_flops == eighth.total_flops
    assert set(eighth.flops) == {"float8", "float16"}
    assert set(half.flops) == {"bfloat16", "float16"}  # attention is in float16
    assert single.bytes > half.bytes > eighth.bytes


def test_the_graph_that_is_exported_does_the_same_work(tmp_path: Path) -> None:
    write_denoise(tmp_path / "denoise.onnx", build(TINY, "fp32", CPU), SHAPE)
    counted, exported = work_of(TINY, SHAPE, "fp32"), roofline_of(tmp_path / "denoise.onnx")
    assert exported.total_flops == counted.total_flops
    # The graph has tables and biases besides, and no weights that only `prompt_kv` uses; at this size they show.
    assert exported.bytes == pytest.approx(counted.bytes, rel=0.2)


def test_a_longer_ring_takes_more_of_both() -> None:
    short, long = (work_of(TINY, RingShape(3, window, 0, 8, 12), "bf16") for window in (3, 18))
    assert long.total_flops > short.total_flops
    assert long.bytes > short.bytes


def test_products_in_fp8_are_a_few_hundredths_off() -> None:
    torch.manual_seed(0)
    linear = torch.nn.Linear(64, 96).bfloat16().requires_grad_(False)
    x = torch.randn(1, 40, 64).bfloat16()
    right = torch.nn.functional.linear(x.float(), linear.weight.float(), linear.bias.float())
    found = Fp8Linear(linear)(x)
    assert found.dtype == torch.bfloat16
    off = (found.float() - right).norm() / right.norm()
    assert 0.002 < off < 0.05  # not exact, or it would not have been in eight bits


def test_linears_of_odd_widths_are_refused_in_fp8() -> None:
    with pytest.raises(ValueError, match="multiples of 16"):
        Fp8Linear(torch.nn.Linear(20, 32).bfloat16())


def test_planes_in_torch_are_those_of_the_graph(tmp_path: Path) -> None:
    from onnx import TensorProto, helper

    source, sizes = (96, 64), ((192, 128), (64, 42))
    inside = helper.make_tensor_value_info("pictures", TensorProto.UINT8, [4, 64, 96, 3])
    out = helper.make_tensor_value_info("frames", TensorProto.UINT8, [4, 64, 96, 3])
    graph = helper.make_graph([helper.make_node("Identity", ["pictures"], ["frames"])], "g", [inside], [out])
    rewriting = Rewriting(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10))
    append_planes(rewriting, PlaneRequest(sizes), half=False)
    onnx.save(rewriting.finish(), tmp_path / "planes.onnx")
    from streamgen_engines.runtimes import OnnxRuntimeCpu

    frames = np.random.default_rng(0).integers(0, 256, (4, 64, 96, 3), np.uint8)
    right = OnnxRuntimeCpu().load(tmp_path / "planes.onnx").run({"pictures": frames})
    found = Planes(source, sizes, torch.float32)(torch.from_numpy(frames))
    for (width, height), planes in zip(sizes, found, strict=True):
        apart = np.abs(planes.numpy().astype(int) - right[f"planes_{width}x{height}"].astype(int))
        assert apart.max() <= 1
        assert np.count_nonzero(apart) < 0.01 * apart.size


@pytest.mark.parametrize("name", ["wan", "taehv"])
def test_a_decoder_carries_its_states_in_both_ways(name: str) -> None:
    chosen: DecoderName = "wan" if name == "wan" else "taehv"
    decoder = build_decoder(chosen, "fp32", CPU, tiny=True)
    ways: tuple[Way, Way] = ("eager", "compiled")
    torch.manual_seed(2)
    latents = torch.randn(3, 1, 16, 1, 4, 6)
    made = []
    for way in ways:
        decoding = Decoding(decoder, 48, 32, CPU, way, "eager")
        begins = decoding.first(latents[0])
        made.append(torch.cat([begins, *(decoding.decode(latent).clone() for latent in latents[1:])]))
    assert made[0].shape[1:] == (32, 48, 3)
    assert torch.equal(*made)
    steady, first = (decoder_work(decoder, 48, 32, "fp32", first=first) for first in (False, True))
    assert steady.total_flops >= first.total_flops > 0
    assert TINY_CONFIGS[chosen] == decoder.config


def test_warm_up_is_not_counted() -> None:
    calls: list[int] = []
    assert len(timed(lambda: calls.append(1), CPU, 3, warm_up=2)) == 3
    assert len(calls) == 5
