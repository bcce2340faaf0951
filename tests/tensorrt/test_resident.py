"""Latents that a decoder takes from the GPU: only events order its stream and that of the sampler."""

import random

import numpy as np
import pytest

from streamgen_engines.bundle import Bundle
from streamgen_engines.chunk import Chunk, LatentChunk, Resident
from streamgen_engines.errors import GraphMismatchError
from streamgen_engines.families import Condition, PocketDecoder, PocketGenerator
from streamgen_engines.prompt import Prompt
from streamgen_engines.runtimes import OnnxRuntimeCpu
from streamgen_engines.tensorrt.resident import BUFFERS
from streamgen_engines.text import TextEncoder
from tests.tensorrt.fakes import FakeDevice, FakeGpu
from tests.tensorrt.on_fake_gpu import FakeRuntime
from tests.tiny_bundle import write_tiny_bundle


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return Bundle.open(write_tiny_bundle(tmp_path_factory.mktemp("bundles") / "tiny"))


@pytest.fixture(scope="module")
def prompts(tiny: Bundle) -> tuple[Prompt, Prompt]:
    text = TextEncoder(tiny, OnnxRuntimeCpu())
    return text.encode("a red ball bounces"), text.encode("calm sea at night")


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


def late_copy_is_right(tiny: Bundle, prompts: tuple[Prompt, Prompt], runtime: FakeRuntime, *, waits: bool) -> bool:
    """A copy is enqueued, and the sampler fills both buffers again before it is done."""
    generator = PocketGenerator(tiny, runtime)
    first = generator.step(Condition(prompts[0]))
    reader = Reader(runtime, first)
    if not waits:
        runtime.device.wait_event = lambda event: None  # type: ignore[method-assign]
    assert reader.take(first)
    for _ in range(BUFFERS):
        generator.step(Condition(prompts[1]))
    return reader.right(first)


def test_a_buffer_is_not_filled_before_it_was_read(tiny: Bundle, prompts: tuple[Prompt, Prompt]) -> None:
    assert late_copy_is_right(tiny, prompts, FakeRuntime(), waits=True)


def test_without_the_event_the_fake_gpu_shows_the_fault(tiny: Bundle, prompts: tuple[Prompt, Prompt]) -> None:
    assert not late_copy_is_right(tiny, prompts, FakeRuntime(), waits=False)


def test_two_buffers_take_turns(tiny: Bundle, prompts: tuple[Prompt, Prompt]) -> None:
    runtime = FakeRuntime()
    generator = PocketGenerator(tiny, runtime)
    first = generator.step(Condition(prompts[0]))
    reader = Reader(runtime, first)
    second = generator.step(Condition(prompts[1]))
    assert reader.take(first)
    assert reader.right(first)
    assert reader.take(second)
    assert reader.right(second)


def test_who_comes_late_or_from_elsewhere_takes_the_arrays(tiny: Bundle, prompts: tuple[Prompt, Prompt]) -> None:
    runtime = FakeRuntime()
    generator = PocketGenerator(tiny, runtime)
    first = generator.step(Condition(prompts[0]))
    reader, elsewhere = Reader(runtime, first), FakeDevice(gpu=FakeGpu(index=1))
    assert not resident(first).copy_to("video", elsewhere, elsewhere.allocate(reader.size))
    assert reader.take(first)
    assert reader.take(first)  # the same stream may read again
    assert not Reader(runtime, first).take(first)  # one event tells of one stream only
    for _ in range(BUFFERS):
        generator.step(Condition(prompts[0]))
    assert not reader.take(first)


def test_a_reset_takes_everything_back(tiny: Bundle, prompts: tuple[Prompt, Prompt]) -> None:
    runtime = FakeRuntime()
    generator = PocketGenerator(tiny, runtime)
    first = generator.step(Condition(prompts[0]))
    reader = Reader(runtime, first)
    generator.reset()
    assert not reader.take(first)


def test_closing_waits_for_a_copy_that_was_enqueued(tiny: Bundle, prompts: tuple[Prompt, Prompt]) -> None:
    runtime = FakeRuntime()
    first = PocketGenerator(tiny, runtime).step(Condition(prompts[0]))
    reader = Reader(runtime, first)
    assert reader.take(first)
    runtime.sampler.close()
    assert reader.right(first)


@pytest.mark.parametrize("stirred", [None, 1, 2])
def test_pictures_and_sound_are_those_of_the_host(
    tiny: Bundle, prompts: tuple[Prompt, Prompt], stirred: int | None
) -> None:
    """Decoded one chunk behind, as the stages of a stream are."""
    log = [*[Condition(prompts[0])] * 4, Condition(prompts[1], cut=True), *[Condition(prompts[1])] * 4]
    host = PocketGenerator(tiny, OnnxRuntimeCpu()), PocketDecoder(tiny, OnnxRuntimeCpu())
    right = [host[1].decode(host[0].step(condition)) for condition in log]
    runtime = FakeRuntime(FakeGpu(stirred=stirred))
    generator, decoder = PocketGenerator(tiny, runtime), PocketDecoder(tiny, runtime)
    made: list[Chunk] = []
    waiting = [generator.step(log[0])]
    for condition in log[1:]:
        waiting.append(generator.step(condition))
        made.append(decoder.decode(waiting.pop(0)))
    made.append(decoder.decode(waiting.pop(0)))
    for a, b in zip(made, right, strict=True):
        assert np.abs(a.video.astype(int) - b.video).max() <= 1  # a level that lies between two
        np.testing.assert_allclose(a.audio, b.audio, atol=1e-3)  # phases add up over chunks


@pytest.mark.parametrize("seed", range(3))
def test_any_programme_is_that_of_the_host_however_far_behind_the_decoder_is(tiny: Bundle, seed: int) -> None:
    drawn = random.Random(seed)
    text = TextEncoder(tiny, OnnxRuntimeCpu())
    prompts = [text.encode("rain"), text.encode("sea"), text.blend([("rain", 1), ("sea", 2), ("a ball", 1)])]
    log: list[Condition] = []
    for _ in range(15):
        log += [
            Condition(
                drawn.choice(prompts),
                steps=drawn.choice([None, None, 1, 5]),
                guidance=drawn.choice([None, 1.0, 3.0]),
                exact=drawn.random() < 0.4,
                sound=drawn.choice([None, *prompts]),
                alone_above=drawn.choice([None, 0.6]),
                seed=drawn.choice([None, None, 7]),
                cut=drawn.random() < 0.1,
            )
        ] * drawn.choice([1, 2, 3])
    host = PocketGenerator(tiny, OnnxRuntimeCpu()), PocketDecoder(tiny, OnnxRuntimeCpu())
    right = [host[1].decode(host[0].step(condition)) for condition in log]
    runtime = FakeRuntime(FakeGpu(stirred=seed or None))
    generator, decoder = PocketGenerator(tiny, runtime), PocketDecoder(tiny, runtime)
    made: list[Chunk] = []
    waiting: list[LatentChunk] = []
    for condition in log:
        waiting.append(generator.step(condition))
        while len(waiting) > drawn.randrange(BUFFERS + 2):
            made.append(decoder.decode(waiting.pop(0)))
    made += [decoder.decode(latents) for latents in waiting]
    for a, b in zip(made, right, strict=True):
        assert np.abs(a.video.astype(int) - b.video).max() <= 1
        np.testing.assert_allclose(a.audio, b.audio, atol=2e-3)


def test_latents_are_not_copied_to_the_gpu_again(tiny: Bundle, prompts: tuple[Prompt, Prompt]) -> None:
    runtime = FakeRuntime()
    generator, decoder = PocketGenerator(tiny, runtime), PocketDecoder(tiny, runtime)
    uploads = []
    for late in (False, False, False, True):
        chunk = generator.step(Condition(prompts[0]))
        if late:
            for _ in range(BUFFERS):
                generator.step(Condition(prompts[0]))
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
