"""Pictures made larger by the bundle's own graph: on processors, on ONNX Runtime's device, on a strict fake GPU.

The fake's streams are ordered by events alone. Nothing here claims that CUDA ran.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from streamgen_engines.bundle import Bundle
from streamgen_engines.chunk import LatentChunk
from streamgen_engines.errors import GraphMismatchError, MissingGraphError
from streamgen_engines.families import Condition, Decoder, Model, UpscalingDecoder, load
from streamgen_engines.planes import PlaneRequest
from streamgen_engines.planes.graph import append_planes
from streamgen_engines.runtimes import OnnxRuntimeCpu, Runtime
from streamgen_engines.runtimes.bound_runtime import BoundRuntime
from streamgen_engines.tensorrt.graph import Rewriting
from tests.engines.bound_runtimes import BOUND_RUNTIMES, OnFakeGpu
from tests.tiny_bundle import VIDEO, write_tiny_bundle
from tests.tiny_wan_bundle import HEIGHT, PICTURE_WIDTH, write_tiny_wan_bundle
from tests.upscaling import add_upscaler, carried, nearest, upscale_model

FACTOR = 2
CHUNKS = 5


@pytest.fixture(params=BOUND_RUNTIMES)
def device(request: pytest.FixtureRequest) -> Iterator[BoundRuntime]:
    made = BOUND_RUNTIMES[request.param]()
    yield made
    made.close()


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "carries"])
def pocket(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return add_upscaler(write_tiny_bundle(tmp_path_factory.mktemp("pocket")), FACTOR, carries=request.param)


@pytest.fixture(scope="module", params=[True, False], ids=["first decoder", "lead"])
def wan(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = write_tiny_wan_bundle(tmp_path_factory.mktemp("wan") / "tiny", first=request.param)
    return add_upscaler(folder, FACTOR, carries=True)


def latents_of(bundle: Bundle) -> list[LatentChunk]:
    """Some chunks, with a cut before the last but one."""
    model = load(bundle)
    prompt = model.text.encode("a red ball bounces")
    return [model.generator.step(Condition(prompt, cut=index == CHUNKS - 2)) for index in range(CHUNKS)]


def enlarged(bundle: Bundle, latents: list[LatentChunk]) -> list[Any]:
    """What has to be shown: the decoder's own pictures, enlarged in numpy run by run."""
    decoder = load(bundle).decoder
    carries, count = bool(bundle.manifest.graphs["upscale"].states), bundle.manifest.pictures_per_decoding
    level, made = 0.0, []
    for chunk in latents:
        if chunk.cut:
            level = 0.0
        runs = []
        pictures = decoder.decode(chunk).video
        for start in range(0, len(pictures), count):
            run = pictures[start : start + count]
            if carries:
                larger, level = carried(run, FACTOR, level)
            else:
                larger = nearest(run, FACTOR)
            runs.append(larger)
        made.append(np.concatenate(runs))
    return made


def decoded(decoder: Decoder, latents: list[LatentChunk]) -> list[Any]:
    return [decoder.decode(chunk).video.copy() for chunk in latents]


def upscaled(bundle: Bundle, runtime: Runtime | None = None, **given: Any) -> Model:
    return load(bundle, runtime=OnnxRuntimeCpu if runtime is None else lambda: runtime, upscale=True, **given)


def test_the_manifests_size_is_the_decoders_and_the_shown_one_larger(pocket: Bundle) -> None:
    manifest = pocket.manifest
    assert (manifest.video.width, manifest.video.height) == (VIDEO.width, VIDEO.height)
    assert manifest.shown_size(upscale=True) == (FACTOR * VIDEO.width, FACTOR * VIDEO.height)
    assert manifest.shown_size(upscale=False) == (VIDEO.width, VIDEO.height)


def test_on_a_processor_pictures_are_enlarged_one_run_after_the_other(pocket: Bundle) -> None:
    latents = latents_of(pocket)
    for made, wanted in zip(decoded(upscaled(pocket).decoder, latents), enlarged(pocket, latents), strict=True):
        np.testing.assert_array_equal(made, wanted)


def test_without_it_nothing_of_the_graph_is_there(pocket: Bundle) -> None:
    latents = latents_of(pocket)
    plain = load(pocket)
    assert not plain.upscale
    assert isinstance(plain.decoder, UpscalingDecoder)
    assert plain.decoder.upscaler is None
    assert decoded(plain.decoder, latents)[0].shape == (VIDEO.frames_per_chunk, VIDEO.height, VIDEO.width, 3)


def test_on_a_device_rgb_is_the_same(pocket: Bundle, device: BoundRuntime) -> None:
    latents = latents_of(pocket)
    model = upscaled(pocket, device)
    assert model.upscale
    for made, wanted in zip(decoded(model.decoder, latents), enlarged(pocket, latents), strict=True):
        np.testing.assert_array_equal(made, wanted)


@pytest.mark.parametrize("planes", [False, True], ids=["rgb", "planes"])
def test_the_decoders_own_pictures_stay_on_the_gpu(pocket: Bundle, planes: bool) -> None:
    latents = latents_of(pocket)
    runtime = OnFakeGpu()
    size = pocket.manifest.shown_size(upscale=True)
    decoder = upscaled(pocket, runtime, planes=PlaneRequest((size,)) if planes else None).decoder
    gpu = runtime.ort.gpu
    before = gpu.uploads, gpu.downloads
    for chunk in latents:
        decoder.decode(chunk)
    # Two latents and the noise of the sound go up, what is shown and what is heard come down.
    assert (gpu.uploads - before[0], gpu.downloads - before[1]) == (3 * CHUNKS, 2 * CHUNKS)
    runtime.close()


def test_planes_are_of_the_enlarged_pictures(pocket: Bundle, device: BoundRuntime) -> None:
    latents = latents_of(pocket)
    size = pocket.manifest.shown_size(upscale=True)
    request = PlaneRequest((size, (VIDEO.width, VIDEO.height)))
    model = upscaled(pocket, device, planes=request)
    for chunk, wanted in zip(latents, enlarged(pocket, latents), strict=True):
        made = model.decoder.decode(chunk)
        assert made.video.shape == (0, size[1], size[0], 3)
        assert set(made.planes) == set(request.sizes)
        np.testing.assert_array_equal(made.planes[size], planes_of(wanted, size))


def planes_of(pictures: Any, size: tuple[int, int]) -> Any:
    """The planes as ONNX Runtime makes them of given pictures, without any device."""
    count, height, width, _ = pictures.shape
    graph = Rewriting(upscale_model(count, height, width, 1))
    append_planes(graph, PlaneRequest((size,)), half=False)
    session = onnxruntime.InferenceSession(graph.finish().SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"pictures": pictures})[0]


def test_a_chunk_may_be_begun_before_the_last_one_is_encoded(pocket: Bundle, device: BoundRuntime) -> None:
    """As the worker does: the planes of a chunk stay what they are while the next one is decoded and enlarged."""
    latents = latents_of(pocket)
    size = pocket.manifest.shown_size(upscale=True)
    decoder: Any = upscaled(pocket, device, planes=PlaneRequest((size,))).decoder
    assert decoder.works_beside
    right = enlarged(pocket, latents)
    begun = decoder.begin(latents[0])
    for index, wanted in enumerate(right):
        shown = begun().planes[size]
        if index + 1 < len(latents):
            begun = decoder.begin(latents[index + 1])
        np.testing.assert_array_equal(shown, planes_of(wanted, size))


def test_after_a_reset_it_begins_anew(pocket: Bundle, device: BoundRuntime) -> None:
    latents = latents_of(pocket)[:3]
    for model in (upscaled(pocket), upscaled(pocket, device)):
        first = decoded(model.decoder, latents)
        model.decoder.reset()
        for made, wanted in zip(decoded(model.decoder, latents), first, strict=True):
            np.testing.assert_array_equal(made, wanted)


def test_the_picture_that_a_stream_starts_from_is_seen_by_the_states_and_by_nobody_else(
    pocket: Bundle, device: BoundRuntime
) -> None:
    latents = latents_of(pocket)[:2]
    started = LatentChunk(0, latents[0].video, latents[0].audio, cut=True, before=latents[1].video)
    on_host, there = upscaled(pocket), upscaled(pocket, device)
    shown = on_host.decoder.decode(started).video
    np.testing.assert_array_equal(there.decoder.decode(started).video, shown)
    plain = LatentChunk(0, latents[0].video, latents[0].audio, cut=True)
    same = np.array_equal(on_host.decoder.decode(plain).video, shown)
    assert not same, "the decoder glides from the picture"


def test_it_may_rest_for_a_chunk_on_a_processor_alone(pocket: Bundle) -> None:
    latents = latents_of(pocket)[:3]
    decoder = upscaled(pocket).decoder
    assert isinstance(decoder, UpscalingDecoder)
    upscaler = decoder.upscaler
    assert upscaler is not None
    assert upscaler.may_rest
    right, plainly = enlarged(pocket, latents), decoded(load(pocket).decoder, latents)
    np.testing.assert_array_equal(decoder.decode(latents[0]).video, right[0])
    assert upscaler.take_spent_ns() > 0
    upscaler.on = False
    np.testing.assert_array_equal(decoder.decode(latents[1]).video, plainly[1])
    assert upscaler.take_spent_ns() == 0
    upscaler.on = True
    larger, _ = carried(plainly[2], FACTOR) if pocket.manifest.graphs["upscale"].states else (right[2], 0)
    np.testing.assert_array_equal(decoder.decode(latents[2]).video, larger)


def test_on_a_device_it_never_rests(pocket: Bundle, device: BoundRuntime) -> None:
    decoder = upscaled(pocket, device).decoder
    assert isinstance(decoder, UpscalingDecoder)
    assert decoder.upscaler is not None
    assert not decoder.upscaler.may_rest


def test_pictures_of_wan_are_enlarged_latent_frame_by_latent_frame(wan: Bundle, device: BoundRuntime) -> None:
    latents = latents_of(wan)
    right = enlarged(wan, latents)
    for model in (upscaled(wan), upscaled(wan, device)):
        for made, wanted in zip(decoded(model.decoder, latents), right, strict=True):
            np.testing.assert_array_equal(made, wanted)


def test_planes_of_wan_are_of_the_enlarged_pictures_and_belong_to_the_chunk(wan: Bundle, device: BoundRuntime) -> None:
    latents = latents_of(wan)
    size = wan.manifest.shown_size(upscale=True)
    assert size == (FACTOR * PICTURE_WIDTH, FACTOR * HEIGHT)
    model = upscaled(wan, device, planes=PlaneRequest((size,)))
    shown = [model.decoder.decode(chunk) for chunk in latents]
    for chunk, wanted in zip(shown, enlarged(wan, latents), strict=True):
        assert chunk.pictures == len(wanted)
        np.testing.assert_array_equal(chunk.planes[size], planes_of(wanted, size))


def test_a_bundle_without_the_graph_says_so(tmp_path: Path) -> None:
    for bundle in (Bundle.open(write_tiny_bundle(tmp_path / "a")), Bundle.open(write_tiny_wan_bundle(tmp_path / "b"))):
        with pytest.raises(MissingGraphError, match="no graph 'upscale'"):
            upscaled(bundle)


def test_a_graph_that_is_made_for_other_pictures_is_refused(tmp_path: Path) -> None:
    folder = write_tiny_bundle(tmp_path / "tiny")
    bundle = add_upscaler(folder, 3)
    text = (folder / "manifest.json").read_text().replace('"factor": 3', '"factor": 2')
    (folder / "manifest.json").write_text(text)
    with pytest.raises(GraphMismatchError, match=r"graphs\.upscale does not fit the manifest: output frames"):
        upscaled(Bundle.open(bundle.root))
