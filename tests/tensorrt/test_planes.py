"""Planes on the way to a GPU: graphs that TensorRT-RTX builds, and the runtime around them on a GPU that is none.

The fake GPU computes what ONNX Runtime makes of the prepared graph, so that pictures go the whole way from latents to
planes; nothing here claims that a GPU made them.
"""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

from streamgen.generation.encode_stage import wanted_planes
from streamgen.media.scaler import Scaler
from streamgen_engines.bundle import Bundle, bundled
from streamgen_engines.chunk import LatentChunk
from streamgen_engines.errors import GraphLoadError, GraphMismatchError
from streamgen_engines.families import PocketDecoder
from streamgen_engines.manifest import State, pocket_manifest
from streamgen_engines.planes import PlaneRequest, PlanesRuntime
from streamgen_engines.runtimes import OnnxRuntimeCpu, TensorSpec
from streamgen_engines.tensorrt import runtime as module
from streamgen_engines.tensorrt.builder import Built, build
from streamgen_engines.tensorrt.compile import Compiler
from streamgen_engines.tensorrt.flavour import Flavour
from streamgen_engines.tensorrt.inspection import NetworkReport
from streamgen_engines.tensorrt.lint import lint
from streamgen_engines.tensorrt.plans import PlanCache
from streamgen_engines.tensorrt.prepare import Precision, prepare
from streamgen_engines.tensorrt.runtime import TensorRt
from tests.device.fakes import FakeExecutable
from tests.device.streams import FakeStream
from tests.tensorrt.rtx import needs_rtx, rtx

POCKET = bundled("pocket")
DECODER = POCKET.path("decode_video").read_bytes()
STATES = POCKET.manifest.graphs["decode_video"].states
WANTED = wanted_planes(POCKET.manifest, 2)
_NAMES = {"tensor(float)": "float32", "tensor(uint8)": "uint8"}


@pytest.mark.parametrize("order", ["i420", "nv12"])
@pytest.mark.parametrize("rgb", [False, True], ids=["planes alone", "with RGB"])
def test_the_lint_has_nothing_against_planes(order: Any, rgb: bool) -> None:
    request = PlaneRequest(WANTED.sizes, rgb=rgb, order=order)
    prepared = prepare(DECODER, planes=request)
    assert lint(prepared.model, "tensorrt-rtx", STATES) == []
    assert prepared.precision == "fp16"


@needs_rtx
@pytest.mark.parametrize("precision", ["fp16", "bf16", "fp32"])
def test_decoding_with_planes_builds(precision: Precision) -> None:
    """Every size of the ladder of `pocket`: one larger, one of an odd share, one that is the model's own."""
    assert WANTED.sizes == ((896, 512), (598, 342), (448, 256))
    prepared = prepare(DECODER, precision, planes=WANTED)
    built = build(rtx(), prepared.model, name="pocket/decode_video", states=STATES)
    assert built.report.plan_bytes == len(built.plan) > 10_000


@needs_rtx
def test_decoding_with_planes_for_hardware_encoders_and_rgb_builds() -> None:
    request = PlaneRequest(((640, 384), (224, 128)), rgb=True, order="nv12")
    prepared = prepare(DECODER, planes=request)
    assert build(rtx(), prepared.model, name="pocket/decode_video", states=STATES).plan


def test_preparing_is_deterministic_and_another_request_is_another_plan() -> None:
    hashes = [prepare(DECODER, planes=each).sha256 for each in (None, WANTED, WANTED, PlaneRequest(WANTED.sizes[:2]))]
    assert hashes[1] == hashes[2]
    assert len(set(hashes)) == 3


def test_a_graph_without_pictures_is_refused() -> None:
    with pytest.raises(GraphLoadError, match="no output frames"):
        prepare(POCKET.path("encode_picture").read_bytes(), planes=WANTED)


class World:
    """A GPU on which a plan is the prepared graph itself, run by ONNX Runtime when its stream comes to it."""

    def __init__(self) -> None:
        self.builds = 0
        self.devices: list[FakeStream] = []

    def build(self, flavour: Flavour, model: bytes, **options: Any) -> Built:
        self.builds += 1
        return Built(model, NetworkReport({}, {}, 0, 0, 0, len(model)), b"")

    def device(self, index: int) -> FakeStream:
        self.devices.append(FakeStream(self.devices[0] if self.devices else None))
        return self.devices[-1]

    def executable(self, flavour: Flavour, plan: bytes, name: str, *, kernels: bytes = b"") -> FakeExecutable:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(plan, options, providers=["CPUExecutionProvider"])
        sides = [
            {each.name: TensorSpec(tuple(each.shape), _NAMES[each.type]) for each in tensors}
            for tensors in (session.get_inputs(), session.get_outputs())
        ]

        def compute(given: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
            return dict(zip(sides[1], session.run(list(sides[1]), given), strict=True))

        made = FakeExecutable(self.devices[-1], sides[0], sides[1], compute)
        made.kernels = lambda: b""  # type: ignore[method-assign]
        return made


class Api:
    __version__ = "1.7.1"


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made = World()
    monkeypatch.setattr(module, "build", made.build)
    monkeypatch.setattr(module, "CudaDevice", made.device)
    monkeypatch.setattr(module, "TensorRtExecutable", made.executable)
    monkeypatch.setattr(module, "load_flavour", lambda name: Flavour(name, Api, None))
    return made


@pytest.fixture(scope="module")
def small() -> Bundle:
    return bundled("pocket-small")


def latents(bundle: Bundle, count: int) -> list[LatentChunk]:
    random = np.random.default_rng(4)
    video, audio = (1, *bundle.manifest.video.latent), (1, *pocket_manifest(bundle.manifest).audio.latent)
    made = [
        LatentChunk(
            index, random.standard_normal(video, np.float32), random.standard_normal(audio, np.float32), cut=index == 0
        )
        for index in range(count)
    ]
    # One in the middle continues another picture, for which the decoder runs once more.
    made[2] = LatentChunk(2, made[2].video, made[2].audio, cut=True, before=made[0].video)
    return made


def test_a_decoder_gives_planes_that_stay_for_two_chunks(world: World, small: Bundle, tmp_path: Path) -> None:
    runtime = TensorRt(plans=PlanCache(tmp_path))
    assert isinstance(runtime, PlanesRuntime)
    video = small.manifest.video
    size = (video.width, video.height)
    request = PlaneRequest((size, (2 * video.width, 2 * video.height)), rgb=True)
    decoder = PocketDecoder(small, runtime, seed=0, planes=request)
    reference = PocketDecoder(small, OnnxRuntimeCpu(), seed=0)
    scaler = Scaler(size, request.sizes[1])
    before: tuple[NDArray[np.uint8], NDArray[np.uint8]] | None = None
    for each in latents(small, 5):
        chunk, right = decoder.decode(each), reference.decode(each)
        assert chunk.planes.keys() == set(request.sizes)
        assert (chunk.pictures, right.planes) == (video.frames_per_chunk, {})
        assert np.abs(chunk.video.astype(int) - right.video).max() <= 3  # the decoder computes in float16
        for made, picture in zip(chunk.planes[request.sizes[1]], chunk.video, strict=True):
            assert np.abs(made.astype(int) - scaler.planes(picture)).max() <= 2
        if before is not None:
            np.testing.assert_array_equal(*before)
        before = chunk.planes[request.sizes[1]], chunk.planes[request.sizes[1]].copy()
    runtime.close()
    assert all(device.closed and not device.memory and not device.pinned for device in world.devices)


def test_rgb_goes_where_nobody_asks_for_it(world: World, small: Bundle, tmp_path: Path) -> None:
    runtime = TensorRt(plans=PlanCache(tmp_path))
    request = wanted_planes(small.manifest, 2)
    decoder = PocketDecoder(small, runtime, planes=request)
    chunk = decoder.decode(latents(small, 3)[0])
    assert chunk.video.shape == (0, small.manifest.video.height, small.manifest.video.width, 3)
    assert chunk.pictures == small.manifest.video.frames_per_chunk
    (width, height) = request.sizes[0]
    assert chunk.planes[request.sizes[0]].shape == (chunk.pictures, height * 3 // 2, width)
    decoder.reset()
    again = decoder.decode(latents(small, 3)[0])
    np.testing.assert_array_equal(again.planes[request.sizes[0]], chunk.planes[request.sizes[0]])


def test_whoever_does_not_ask_has_rgb_that_stays(world: World, small: Bundle, tmp_path: Path) -> None:
    runtime = TensorRt(plans=PlanCache(tmp_path))
    decoder = PocketDecoder(small, runtime)
    chunks = [decoder.decode(each) for each in latents(small, 4)]
    kept = [chunk.video.copy() for chunk in chunks]
    decoder.decode(latents(small, 3)[0])
    for chunk, copy in zip(chunks, kept, strict=True):
        assert chunk.planes == {}
        np.testing.assert_array_equal(chunk.video, copy)


def test_the_plan_with_planes_is_kept_beside_the_plain_one(world: World, small: Bundle, tmp_path: Path) -> None:
    path, states = small.path("decode_video"), small.manifest.graphs["decode_video"].states
    for _ in range(2):
        runtime = TensorRt(plans=PlanCache(tmp_path))
        runtime.load(path, states)
        runtime.load_planes(path, states, wanted_planes(small.manifest, 2))
        runtime.close()
    assert world.builds == 2


@needs_rtx
def test_compiling_builds_the_decoder_in_both_forms() -> None:
    card = bundled("testcard")
    request = PlaneRequest(((320, 192),))
    compiler = Compiler(card, rtx(), gpu=None, plans=None, planes=request)
    outcomes = list(compiler.run(["decode_video", "text"]))
    assert [outcome.graph for outcome in outcomes] == ["decode_video", "decode_video, i420 320x192", "text"]
    assert [outcome.failure for outcome in outcomes] == [None] * 3
    assert all(outcome.built for outcome in outcomes)


def test_a_state_that_does_not_fit_is_named(world: World, small: Bundle, tmp_path: Path) -> None:
    wrong = [State(name="elsewhere", shape=(1,), dtype="float32")]
    with pytest.raises(GraphMismatchError, match="state elsewhere"):
        TensorRt(plans=PlanCache(tmp_path)).load_planes(small.path("decode_video"), wrong, WANTED)
