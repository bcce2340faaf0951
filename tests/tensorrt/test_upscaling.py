"""The graph `upscale` behind the decoder, with TensorRT's runtime on a fake GPU of several streams."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streamgen_engines.bundle import Bundle
from streamgen_engines.device.double_buffered import DoubleBufferedEngine
from streamgen_engines.device.leaving import LeavingEngine
from streamgen_engines.families import PocketDecoder, WanDecoder
from streamgen_engines.manifest import UPSCALE_GRAPH, WanManifest
from streamgen_engines.planes import PlaneRequest
from streamgen_engines.runtimes import OnnxRuntimeCpu
from streamgen_engines.runtimes.interface import LeavingRuntime
from streamgen_engines.sound import Silence
from streamgen_engines.tensorrt.check import compare, reference_engine
from streamgen_engines.tensorrt.compile import Compiler
from streamgen_engines.tensorrt.footprint import survey
from streamgen_engines.tensorrt.plans import PlanCache
from streamgen_engines.tensorrt.recording import record_calls
from streamgen_engines.tensorrt.runtime import TensorRt
from tests.engines.test_upscaling import decoded, enlarged, latents_of, planes_of
from tests.tensorrt.rtx import needs_rtx, rtx
from tests.tensorrt.test_planes import World, world
from tests.tiny_bundle import VIDEO, write_tiny_bundle
from tests.tiny_wan_bundle import write_tiny_wan_bundle
from tests.upscaling import add_upscaler

__all__ = ["world"]

WRITE: dict[str, Callable[[Path], Path]] = {"pocket": write_tiny_bundle, "wan": write_tiny_wan_bundle}


@pytest.fixture(params=WRITE)
def bundle(request: pytest.FixtureRequest, tmp_path: Path) -> Bundle:
    return add_upscaler(WRITE[request.param](tmp_path / "bundle"), 2, carries=True)


def decoder_on(bundle: Bundle, runtime: TensorRt, planes: PlaneRequest | None = None) -> Any:
    """The decoder alone: the rest of the model has no part in this."""
    manifest = bundle.manifest
    if isinstance(manifest, WanManifest):
        return WanDecoder(bundle, manifest, runtime, Silence(manifest.audio), planes=planes, upscale=True)
    return PocketDecoder(bundle, runtime, planes=planes, upscale=True)


@pytest.mark.parametrize("with_planes", [False, True], ids=["rgb", "planes"])
def test_what_is_shown_is_what_processors_make(world: World, bundle: Bundle, tmp_path: Path, with_planes: bool) -> None:
    runtime = TensorRt(plans=PlanCache(tmp_path), precision="fp32")
    assert isinstance(runtime, LeavingRuntime)
    size = bundle.manifest.shown_size(upscale=True)
    decoder = decoder_on(bundle, runtime, PlaneRequest((size,)) if with_planes else None)
    latents = latents_of(bundle)
    right = enlarged(bundle, latents)
    if with_planes:
        for chunk, wanted in zip(latents, right, strict=True):
            np.testing.assert_array_equal(decoder.decode(chunk).planes[size], planes_of(wanted, size))
    else:
        for made, wanted in zip(decoded(decoder, latents), right, strict=True):
            np.testing.assert_array_equal(made, wanted)
    runtime.close()
    assert all(device.closed and not device.memory and not device.pinned for device in world.devices)
    assert not world.devices[0].shared.marks


def test_each_graph_has_a_stream_of_its_own_and_both_are_recorded(world: World, bundle: Bundle, tmp_path: Path) -> None:
    runtime = TensorRt(plans=PlanCache(tmp_path), precision="fp32")
    decoder = decoder_on(bundle, runtime, PlaneRequest((bundle.manifest.shown_size(upscale=True),)))
    for chunk in latents_of(bundle):
        decoder.decode(chunk)
    leaving = next(each for each in runtime._owned if isinstance(each, LeavingEngine))
    buffered = next(each for each in runtime._owned if isinstance(each, DoubleBufferedEngine))
    assert leaving._inner.device.stream != buffered._inner.device.stream
    assert leaving._inner.recorded
    assert buffered._inner.recorded


@pytest.mark.parametrize("upscale", [False, True])
def test_the_memory_plan_counts_what_is_allocated(world: World, bundle: Bundle, tmp_path: Path, upscale: bool) -> None:
    manifest = bundle.manifest
    size = manifest.shown_size(upscale=upscale)
    request = PlaneRequest((size,))
    rows = {graph.graph: graph for graph in survey(bundle, planes=request, upscale=upscale).plan.graphs}
    assert (UPSCALE_GRAPH in rows) == upscale
    if not upscale:
        return
    runtime = TensorRt(plans=PlanCache(tmp_path))
    decoder_on(bundle, runtime, request)
    shown = [rows[name] for name in ("upscale", "decode_video", "decode_video_first", "decode_audio") if name in rows]
    shared = world.devices[0].shared
    assert sum(row.states + row.tensors for row in shown) == sum(map(len, shared.memory.values()))
    pinned = sum(len(memory) for device in world.devices for memory in device.pinned)
    assert sum(row.host for row in shown) == pinned


def test_every_graph_is_recorded_and_the_decoders_pictures_are_what_it_takes(bundle: Bundle) -> None:
    calls = record_calls(bundle, OnnxRuntimeCpu())
    assert calls.keys() == bundle.manifest.graphs.keys()
    first = len(calls.get("decode_video_first", []))
    assert len(calls[UPSCALE_GRAPH]) == len(calls["decode_video"]) + first
    states = bundle.manifest.graphs[UPSCALE_GRAPH].states
    path, runtime = bundle.path(UPSCALE_GRAPH), OnnxRuntimeCpu()
    right = reference_engine(path.read_bytes(), states, runtime, name=UPSCALE_GRAPH)
    assert compare(runtime.load(path, states), right, calls[UPSCALE_GRAPH]) == {"frames": 0.0}


def test_what_is_encoded_again_has_the_decoders_own_size(tmp_path: Path) -> None:
    bundle = add_upscaler(write_tiny_bundle(tmp_path, sees=True), 2)
    (call,) = record_calls(bundle, OnnxRuntimeCpu())["encode_video"]
    assert call["pictures"].shape == (VIDEO.frames_per_chunk, VIDEO.height, VIDEO.width, 3)


@needs_rtx
@pytest.mark.parametrize("upscale", [False, True])
def test_compiling_builds_the_graph_that_is_shown_in_both_forms(tmp_path: Path, upscale: bool) -> None:
    bundle = add_upscaler(write_tiny_bundle(tmp_path), 2)
    request = PlaneRequest((bundle.manifest.shown_size(upscale=upscale),))
    compiler = Compiler(bundle, rtx(), gpu=None, plans=None, planes=request, upscale=upscale)
    outcomes = {outcome.graph: outcome for outcome in compiler.run() if not outcome.graph.startswith("sampler")}
    shown = "upscale" if upscale else "decode_video"
    wanted = {*bundle.manifest.graphs, f"{shown}, {request}"} - (set() if upscale else {"upscale"})
    assert outcomes.keys() == wanted
    for outcome in outcomes.values():
        assert outcome.failure is None
        assert outcome.built is not None
