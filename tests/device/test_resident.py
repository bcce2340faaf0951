"""Latents that a decoder takes from the GPU: only events order its stream and that of the sampler."""

import random

import numpy as np
import pytest

from streamgen_engines.bundle import Bundle
from streamgen_engines.chunk import Chunk, LatentChunk, Resident
from streamgen_engines.device.resident import BUFFERS
from streamgen_engines.errors import GraphMismatchError
from streamgen_engines.families import Condition, PocketDecoder, PocketGenerator
from streamgen_engines.prompt import Prompt
from streamgen_engines.runtimes import OnnxRuntimeCpu
from streamgen_engines.text import TextEncoder
from tests.device.fakes import FakeDevice, FakeGpu
from tests.device.on_fake_gpu import FakeRuntime
from tests.pocket_loop import any_programme, decode, decode_behind, require_same_programme


def resident(chunk: LatentChunk) -> Resident:
    assert chunk.resident is not None
    return chunk.resident


class Reader:
    """A stream that copies latents of the picture, and whose work is done late."""

    def __init__(self, runtime: FakeRuntime, first: LatentChunk) -> None:
        self.device = FakeDevice(gpu=runtime.gpu)
        self.size = first.video.nbytes
        self.address = self.device.allocate(self.size)
        self.device.synchronise()

    def take(self, chunk: LatentChunk) -> bool:
        return resident(chunk).copy_to("video", self.device, self.address)

    def right(self, chunk: LatentChunk) -> bool:
        self.device.synchronise()
        found = self.device.at(self.address, self.size).view(np.float32).reshape(chunk.video.shape)
        return np.array_equal(found, chunk.video)


def late_copy_is_right(tiny: Bundle, ball: Prompt, sea: Prompt, runtime: FakeRuntime, *, waits: bool) -> bool:
    """A copy is enqueued, and the sampler fills both buffers again before it is done."""
    generator = PocketGenerator(tiny, runtime)
    first = generator.step(Condition(ball))
    reader = Reader(runtime, first)
    if not waits:
        runtime.device.wait_event = lambda event: None  # type: ignore[method-assign]
    assert reader.take(first)
    for _ in range(BUFFERS):
        generator.step(Condition(sea))
    return reader.right(first)


def test_a_buffer_is_not_filled_before_it_was_read(tiny: Bundle, ball: Prompt, sea: Prompt) -> None:
    assert late_copy_is_right(tiny, ball, sea, FakeRuntime(), waits=True)


def test_without_the_event_the_fake_gpu_shows_the_fault(tiny: Bundle, ball: Prompt, sea: Prompt) -> None:
    assert not late_copy_is_right(tiny, ball, sea, FakeRuntime(), waits=False)


def test_two_buffers_take_turns(tiny: Bundle, ball: Prompt, sea: Prompt) -> None:
    runtime = FakeRuntime()
    generator = PocketGenerator(tiny, runtime)
    first = generator.step(Condition(ball))
    reader = Reader(runtime, first)
    second = generator.step(Condition(sea))
    assert reader.take(first)
    assert reader.right(first)
    assert reader.take(second)
    assert reader.right(second)


def test_who_comes_late_or_from_elsewhere_takes_the_arrays(tiny: Bundle, ball: Prompt) -> None:
    runtime = FakeRuntime()
    generator = PocketGenerator(tiny, runtime)
    first = generator.step(Condition(ball))
    reader, elsewhere = Reader(runtime, first), FakeDevice(gpu=FakeGpu(index=1))
    assert not resident(first).copy_to("video", elsewhere, elsewhere.allocate(reader.size))
    assert reader.take(first)
    assert reader.take(first)  # the same stream may read again
    assert not Reader(runtime, first).take(first)  # one event tells of one stream only
    for _ in range(BUFFERS):
        generator.step(Condition(ball))
    assert not reader.take(first)


def test_a_reset_takes_everything_back(tiny: Bundle, ball: Prompt) -> None:
    runtime = FakeRuntime()
    generator = PocketGenerator(tiny, runtime)
    first = generator.step(Condition(ball))
    reader = Reader(runtime, first)
    generator.reset()
    assert not reader.take(first)


def test_closing_waits_for_a_copy_that_was_enqueued(tiny: Bundle, ball: Prompt) -> None:
    runtime = FakeRuntime()
    first = PocketGenerator(tiny, runtime).step(Condition(ball))
    reader = Reader(runtime, first)
    assert reader.take(first)
    runtime.sampler.close()
    assert reader.right(first)


@pytest.mark.parametrize("stirred", [None, 1, 2])
def test_pictures_and_sound_are_those_of_the_host(tiny: Bundle, ball: Prompt, sea: Prompt, stirred: int | None) -> None:
    """Decoded one chunk behind, as the stages of a stream are."""
    log = [*[Condition(ball)] * 4, Condition(sea, cut=True), *[Condition(sea)] * 4]
    right = decode(PocketGenerator(tiny, OnnxRuntimeCpu()), PocketDecoder(tiny, OnnxRuntimeCpu()), log)
    runtime = FakeRuntime(FakeGpu(stirred=stirred))
    generator, decoder = PocketGenerator(tiny, runtime), PocketDecoder(tiny, runtime)
    made: list[Chunk] = []
    waiting = [generator.step(log[0])]
    for condition in log[1:]:
        waiting.append(generator.step(condition))
        made.append(decoder.decode(waiting.pop(0)))
    made.append(decoder.decode(waiting.pop(0)))
    require_same_programme(made, right)


@pytest.mark.parametrize("seed", range(3))
def test_any_programme_is_that_of_the_host_however_far_behind_the_decoder_is(
    tiny: Bundle, text: TextEncoder, seed: int
) -> None:
    drawn = random.Random(seed)
    log = any_programme(drawn, text, 15)
    right = decode(PocketGenerator(tiny, OnnxRuntimeCpu()), PocketDecoder(tiny, OnnxRuntimeCpu()), log)
    runtime = FakeRuntime(FakeGpu(stirred=seed or None))
    generator, decoder = PocketGenerator(tiny, runtime), PocketDecoder(tiny, runtime)
    require_same_programme(decode_behind(generator, decoder, log, drawn), right, sound=2e-3)


def test_latents_are_not_copied_to_the_gpu_again(tiny: Bundle, ball: Prompt) -> None:
    runtime = FakeRuntime()
    generator, decoder = PocketGenerator(tiny, runtime), PocketDecoder(tiny, runtime)
    uploads = []
    for late in (False, False, False, True):
        chunk = generator.step(Condition(ball))
        if late:
            for _ in range(BUFFERS):
                generator.step(Condition(ball))
        runtime.device.synchronise()
        before = runtime.gpu.uploads
        decoder.decode(chunk)
        uploads.append(runtime.gpu.uploads - before)
    assert uploads == [1, 1, 1, 3]  # the noise in the sound; both latents besides, where they lie there no more


def test_an_input_that_there_is_not_is_named(tiny: Bundle) -> None:
    engine = FakeRuntime().load(tiny.path("decode_video"), tiny.manifest.graphs["decode_video"].states)
    latent = np.zeros((1, *tiny.manifest.video.latent), np.float32)
    with pytest.raises(GraphMismatchError, match="no input other"):
        engine.run_placed({"latent": latent}, {"other": lambda device, address: True})
