"""Whole chunks by ONNX Runtime on a device (the host's memory, or a strict fake GPU) against those of the host."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streamgen_engines.bundle import Bundle
from streamgen_engines.device.chunk_block import MAX_STEPS
from streamgen_engines.device.device_sampler import DeviceSampler
from streamgen_engines.device.resident import BUFFERS
from streamgen_engines.errors import ConditionError, GraphMismatchError, GraphRunError, NonFiniteError
from streamgen_engines.families import Condition, PocketDecoder, PocketGenerator
from streamgen_engines.planes import PlaneRequest
from streamgen_engines.prompt import Prompt
from streamgen_engines.recipe import SamplingRuntime
from streamgen_engines.runtimes import OnnxRuntimeCpu
from streamgen_engines.runtimes.bound_runtime import BoundRuntime
from streamgen_engines.runtimes.bound_session import CAPACITY, BoundSession
from streamgen_engines.text import TextEncoder
from tests.engines.bound_runtimes import BOUND_RUNTIMES, OnFakeGpu
from tests.engines.host_device import HostDevice
from tests.engines.on_host import OnHost
from tests.pocket_loop import (
    KINDS,
    TOLERANCE,
    Kind,
    any_programme,
    broken,
    changing_shapes,
    decode,
    decode_behind,
    require_close,
    require_mended,
    require_same_programme,
    run,
    settling,
    with_a_state_that_does_not_fit,
    with_longer_texts,
)
from tests.tiny_bundle import VIDEO


@pytest.fixture(params=BOUND_RUNTIMES)
def runtime(request: pytest.FixtureRequest) -> Iterator[BoundRuntime]:
    made = BOUND_RUNTIMES[request.param]()
    yield made
    made.close()


@pytest.fixture
def host() -> Iterator[OnHost]:
    made = OnHost()
    yield made
    made.close()


@pytest.fixture
def gpu() -> Iterator[OnFakeGpu]:
    made = OnFakeGpu()
    yield made
    made.close()


def sampler_of(runtime: BoundRuntime) -> DeviceSampler:
    (sampler,) = (each for each in runtime._owned if isinstance(each, DeviceSampler))
    return sampler


def session_of(runtime: BoundRuntime) -> BoundSession:
    """That of the denoise graph."""
    found = sampler_of(runtime)._plans.denoise
    assert isinstance(found, BoundSession)
    return found


def lies(runtime: BoundRuntime, name: str, size: int) -> Any:
    """What lies where the denoise graph has a tensor, once everything is done."""
    device: Any = sampler_of(runtime)._device
    address = session_of(runtime)._addresses[name]
    device.synchronise()
    return device.memory[address] if isinstance(device, HostDevice) else device.at(address, size)


def compare(bundle: Bundle, log: Sequence[Condition], runtime: BoundRuntime) -> None:
    reference, tested = PocketGenerator(bundle, OnnxRuntimeCpu(), seed=4), PocketGenerator(bundle, runtime, seed=4)
    right = run(reference, log)
    require_close(run(tested, log), right)
    for state in bundle.manifest.graphs["denoise"].states:
        ring = reference._engine.state(state.name)
        found = lies(runtime, state.name, ring.nbytes).view(np.float32).reshape(ring.shape)
        np.testing.assert_allclose(found, ring, atol=TOLERANCE, rtol=TOLERANCE)
    assert max(float(np.abs(chunk.video).max()) for chunk in right) > 0.3  # there is something to compare


# Values ---------------------------------------------------------------------------------------------------------------


def test_it_makes_whole_chunks(host: OnHost, gpu: OnFakeGpu) -> None:
    assert isinstance(host, SamplingRuntime)
    assert isinstance(gpu, SamplingRuntime)


@pytest.mark.parametrize("way", ["on the host", "on a GPU, with graphs"])
@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_chunks_are_those_of_the_host(
    tiny: Bundle, ball: Prompt, sea: Prompt, blended: Prompt, kind: Kind, way: str
) -> None:
    runtime: Any = BOUND_RUNTIMES[way]()
    compare(tiny, kind.programme(ball, sea, blended), runtime)
    assert (runtime.recorded > 0) is (way != "on the host")
    runtime.close()


@pytest.mark.parametrize("guidance", [1.0, 3.0])
def test_the_guard_and_the_limit_are_those_of_the_host(
    guarded: Bundle, ball: Prompt, sea: Prompt, guidance: float, runtime: BoundRuntime
) -> None:
    compare(guarded, [Condition(ball, guidance=guidance)] * 5 + [Condition(sea, guidance=guidance)] * 5, runtime)


def test_shapes_may_change_from_chunk_to_chunk(
    tiny: Bundle, ball: Prompt, sea: Prompt, blended: Prompt, runtime: BoundRuntime
) -> None:
    compare(tiny, changing_shapes(ball, sea, blended), runtime)


def test_a_transition_and_a_settled_prompt_that_moves_the_sink(
    tiny: Bundle, ball: Prompt, sea: Prompt, runtime: BoundRuntime
) -> None:
    compare(tiny, settling(ball, sea), runtime)


def test_a_gpu_that_cannot_record_makes_the_same(tiny: Bundle, ball: Prompt, gpu: OnFakeGpu) -> None:
    gpu.ort.fails["record"] = RuntimeError("CUDA failure 900: operation not permitted when stream is capturing")
    compare(tiny, [Condition(ball)] * 4, gpu)
    assert gpu.recorded == 0


# What it costs --------------------------------------------------------------------------------------------------------


def test_a_chunk_is_one_copy_to_the_device_and_one_back_however_many_steps(
    tiny: Bundle, ball: Prompt, sea: Prompt, host: OnHost
) -> None:
    generator = PocketGenerator(tiny, host)
    (device,) = host.opened.devices

    def copies(condition: Condition) -> tuple[int, int]:
        before = (device.uploads, device.downloads)
        generator.step(condition)
        return device.uploads - before[0], device.downloads - before[1]

    # Besides the block: the text as it is remembered, and as the picture follows it.
    assert copies(Condition(ball)) == (1 + 2, 1)
    for steps in (1, 2, 4, 8, 16):
        assert copies(Condition(ball, steps=steps, guidance=7.0)) == (1, 1)
    assert copies(Condition(sea)) == (1 + 2, 1)
    waited = device.waits
    copies(Condition(sea, steps=8))
    assert device.waits - waited == 1  # for the latents, and for nothing else


def test_the_fake_gpu_counts_the_same_and_nothing_is_launched_kernel_by_kernel(
    tiny: Bundle, ball: Prompt, gpu: OnFakeGpu
) -> None:
    generator = PocketGenerator(tiny, gpu)
    run(generator, [Condition(ball)] * 2)
    before = [dict(session.runs) for session in gpu.ort.sessions]
    bindings = gpu.ort.calls["binding"]
    sampler_of(gpu)._device.synchronise()
    uploads, downloads = gpu.ort.gpu.uploads, gpu.ort.gpu.downloads
    run(generator, [Condition(ball, guidance=2.0, alone_above=0.3)] * 3)
    sampler_of(gpu)._device.synchronise()
    assert (gpu.ort.gpu.uploads - uploads, gpu.ort.gpu.downloads - downloads) == (3, 3)
    assert gpu.ort.calls["binding"] == bindings
    for then, session in zip(before, gpu.ort.sessions, strict=True):
        after = dict(session.runs)
        played = after.pop("played", 0) - then.pop("played", 0)
        assert after == then  # no plain run, no new record
        assert played > 0 or not after


def test_addresses_never_change_between_chunks_and_steps(
    tiny: Bundle, ball: Prompt, sea: Prompt, blended: Prompt, runtime: BoundRuntime
) -> None:
    generator = PocketGenerator(tiny, runtime)
    session = session_of(runtime)
    each = [Condition(ball), Condition(blended, exact=True, sound=sea)]
    run(generator, each)
    sets, names = set(session._known), tiny.manifest.graphs["denoise"].states
    ring = {name: session._addresses[name] for state in names for name in (state.name, state.output)}
    run(generator, [*each, Condition(sea), Condition(ball, cut=True), *each, Condition(ball, seed=9)])
    assert set(session._known) == sets
    assert {name: session._addresses[name] for name in ring} == ring
    assert all(ring[state.name] == ring[state.output] for state in names)  # in place


def test_the_sets_of_addresses_that_usual_settings_make_all_have_room(
    tiny: Bundle, text: TextEncoder, ball: Prompt, sea: Prompt, host: OnHost
) -> None:
    """What `CAPACITY` says."""
    generator = PocketGenerator(tiny, host)
    run(generator, [Condition(ball, guidance=2.0)] * 2)
    assert session_of(host).known == 9
    words = ("rain", "snow", "sun", "fog", "a ball", "a field", "a sea", "a boat")
    seen, heard = (text.blend([(word, 1 + index * turn) for index, word in enumerate(words)]) for turn in (0, 1))
    for condition in (Condition(ball), Condition(ball, sound=sea), Condition(seen, exact=True, sound=heard)):
        generator.step(replace(condition, steps=8, guidance=2.0))
    assert session_of(host).known == 153 < CAPACITY


# Latents for the decoder ----------------------------------------------------------------------------------------------


def test_latents_are_not_copied_to_the_device_again(tiny: Bundle, ball: Prompt, host: OnHost) -> None:
    generator, decoder = PocketGenerator(tiny, host), PocketDecoder(tiny, host)
    devices = host.opened.devices
    uploads = []
    for late in (False, False, False, True):
        chunk = generator.step(Condition(ball))
        if late:
            for _ in range(BUFFERS):
                generator.step(Condition(ball))
        before = sum(device.uploads for device in devices)
        decoder.decode(chunk)
        uploads.append(sum(device.uploads for device in devices) - before)
    assert uploads == [1, 1, 1, 3]  # the noise in the sound; both latents besides, where they lie there no more


@pytest.mark.parametrize("seed", range(3))
def test_any_programme_is_that_of_the_host_however_far_behind_the_decoder_is(
    tiny: Bundle, text: TextEncoder, seed: int
) -> None:
    drawn = random.Random(seed)
    log = any_programme(drawn, text, 10)
    right = decode(PocketGenerator(tiny, OnnxRuntimeCpu()), PocketDecoder(tiny, OnnxRuntimeCpu()), log)
    runtime = OnFakeGpu(stirred=seed or None)
    generator, decoder = PocketGenerator(tiny, runtime), PocketDecoder(tiny, runtime)
    require_same_programme(decode_behind(generator, decoder, log, drawn), right, sound=2e-3)
    runtime.close()


def test_planes_come_back_in_turns_and_are_those_of_a_plain_graph(tiny: Bundle, ball: Prompt, gpu: OnFakeGpu) -> None:
    wanted = PlaneRequest(((VIDEO.width, VIDEO.height), (80, 48)), rgb=True)
    generator = PocketGenerator(tiny, gpu)
    decoder, plain = PocketDecoder(tiny, gpu, planes=wanted), PocketDecoder(tiny, gpu)
    assert decoder.works_beside
    begun = None
    for index in range(6):
        latents = generator.step(Condition(ball))
        right = plain.decode(replace(latents, resident=None))
        finish = decoder.begin(latents)
        if begun is not None:
            chunk, before = begun[0](), begun[1]
            assert chunk.index == before.index == index - 1
            assert np.abs(chunk.video.astype(int) - before.video).max() <= 1
            assert chunk.planes.keys() == set(wanted.sizes)
            whole = chunk.planes[VIDEO.width, VIDEO.height]
            assert whole.shape == (VIDEO.frames_per_chunk, VIDEO.height * 3 // 2, VIDEO.width)
            assert whole.std() > 1
        begun = finish, right
    assert gpu.recorded > 0


# What goes wrong ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fails_at", [1, 4, 9, 12, 20])
def test_a_pass_that_fails_is_told_and_reset_mends_it(
    tiny: Bundle, ball: Prompt, gpu: OnFakeGpu, fails_at: int
) -> None:
    right = run(PocketGenerator(tiny, OnnxRuntimeCpu(), seed=2), [Condition(ball)] * 3)
    generator = PocketGenerator(tiny, gpu, seed=2)
    session = session_of(gpu)
    inner, left = session._session.run_with_iobinding, [fails_at]

    def failing(binding: Any, options: Any) -> None:
        left[0] -= 1
        if left[0] == 0:
            raise RuntimeError("Non-zero status code returned")
        inner(binding, options)

    session._session.run_with_iobinding = failing
    try:
        made = run(generator, [Condition(ball)] * 3)
    except GraphRunError:
        generator.reset()
        made = [replace(chunk, index=index) for index, chunk in enumerate(run(generator, [Condition(ball)] * 3))]
    else:
        assert fails_at == 12  # while it records: it runs plainly from there on
    require_close(made, right)


def test_latents_that_run_away_are_refused_and_reset_mends_them(
    tiny: Bundle, ball: Prompt, runtime: BoundRuntime
) -> None:
    generator = PocketGenerator(tiny, runtime, seed=2)
    right = run(generator, [Condition(ball)] * 3)
    with pytest.raises(NonFiniteError, match="not numbers"):
        generator.step(Condition(broken(ball)))
    generator.reset()
    require_mended(run(generator, [Condition(ball)] * 3), right)


def test_more_steps_than_there_is_room_for_are_refused(tiny: Bundle, ball: Prompt, host: OnHost) -> None:
    generator = PocketGenerator(tiny, host)
    with pytest.raises(ConditionError, match=f"room for {MAX_STEPS}"):
        generator.step(Condition(ball, steps=MAX_STEPS + 1, guidance=1))
    generator.step(Condition(ball))


def test_a_graph_that_does_not_fit_gives_everything_back(tiny: Bundle, gpu: OnFakeGpu) -> None:
    wrong, state = with_a_state_that_does_not_fit(tiny)
    with pytest.raises(GraphMismatchError, match=state):
        PocketGenerator(wrong, gpu)
    assert (gpu.ort.gpu.memory, gpu.ort.gpu.marks) == ({}, {})
    assert [device.closed for device in gpu.ort.devices] == [True]


def test_closing_gives_everything_back(tiny: Bundle, ball: Prompt) -> None:
    runtime = OnFakeGpu()
    generator, decoder = PocketGenerator(tiny, runtime), PocketDecoder(tiny, runtime)
    for _ in range(3):
        decoder.decode(generator.step(Condition(ball)))
    runtime.close()
    runtime.close()
    assert (runtime.ort.gpu.memory, runtime.ort.gpu.marks) == ({}, {})
    assert all(device.closed and not device.pinned for device in runtime.ort.devices)
    with pytest.raises(GraphRunError, match="closed"):
        generator.step(Condition(ball))


def test_a_changed_manifest_is_noticed(tmp_path: Path, host: OnHost) -> None:
    bundle = with_longer_texts(tmp_path / "wide")
    with pytest.raises(GraphMismatchError, match="context"):
        PocketGenerator(bundle, host)
