"""A generator process on TensorRT, which is a stand-in as its GPU is: plans, kernels, failures, the end."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from streamgen.errors import GeneratorDiedError, GeneratorStartError
from streamgen.generation import process
from streamgen.generation.process import GeneratorProcess, GeneratorSettings
from streamgen.packets import PromptFailed, SetPrompt
from streamgen_engines.bundle import bundled
from streamgen_engines.gpu_options import GpuOptions
from tests.generation import stand_in_worker
from tests.generation.running import LIMIT_S, is_chunk, running, until
from tests.tensorrt.stand_in import KERNELS, fail, words

GRAPHS = ["decode_audio.onnx", "decode_video.onnx", "denoise.onnx", "text.onnx"]
PLANS = sorted([*GRAPHS, "sampler finish", "sampler step", "sampler weigh"])
OUT_OF_MEMORY = "enqueueV3: Error Code 1: Myelin (...); Error Code 1: Cuda Runtime (out of memory)"
LOST = "enqueueV3: Error Code 1: Cuda Runtime (an illegal memory access was encountered)"


@pytest.fixture(autouse=True)
def on_stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_run", stand_in_worker.run)


@pytest.fixture
def settings(tmp_path: Path) -> GeneratorSettings:
    return GeneratorSettings(
        bundle=bundled("testcard").root,
        scale=1,
        runtime="tensorrt-rtx",
        gpu=GpuOptions(precision="fp16", plan_cache=tmp_path / "plans"),
    )


def kernels(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in (folder / "plans").glob("*.kernels")]


async def test_a_process_closes_its_runtimes_and_the_next_one_builds_nothing(
    settings: GeneratorSettings, tmp_path: Path
) -> None:
    for lives in (1, 2):
        async with running(settings) as generator:
            await until(generator, lambda event: is_chunk(event, 1))
            assert kernels(tmp_path) == len(PLANS) * [KERNELS]  # from the warm-up, for a process that may be killed
        assert sorted(words(tmp_path, "closed")) == sorted(lives * PLANS)
        assert sorted(words(tmp_path, "builds")) == PLANS
    # The text graph was loaded first, so it is closed last.
    assert words(tmp_path, "closed")[len(PLANS) - 1] == "text.onnx"
    assert len(list((tmp_path / "plans").glob("*.memory"))) == len(PLANS)


async def test_a_killed_process_has_kept_its_kernels(settings: GeneratorSettings, tmp_path: Path) -> None:
    async with running(settings) as generator:
        await until(generator, lambda event: is_chunk(event, 0))
        assert generator.pid is not None
        os.kill(generator.pid, signal.SIGKILL)
        with pytest.raises(GeneratorDiedError, match="SIGKILL"):
            await until(generator, lambda event: False)
    assert kernels(tmp_path) == len(PLANS) * [KERNELS]
    assert words(tmp_path, "closed") == []


async def test_sigterm_closes_the_runtimes_and_is_reported_by_name(settings: GeneratorSettings, tmp_path: Path) -> None:
    async with running(settings) as generator:
        await until(generator, lambda event: is_chunk(event, 0))
        assert generator.pid is not None
        os.kill(generator.pid, signal.SIGTERM)
        with pytest.raises(GeneratorDiedError, match="SIGTERM"):
            await until(generator, lambda event: False)
    assert sorted(words(tmp_path, "closed")) == PLANS


@pytest.mark.parametrize(
    ("graph", "said", "times", "told"),
    [
        ("denoise.onnx", OUT_OF_MEMORY, 2, r"GraphRunError: denoise\.onnx failed for want of memory"),
        ("decode_video.onnx", OUT_OF_MEMORY, 2, r"GraphRunError: decode_video\.onnx failed for want of memory"),
        ("denoise.onnx", LOST, 1, r"DeviceLostError: denoise\.onnx failed because its device is gone.*nvidia-smi"),
    ],
)
async def test_a_failure_in_mid_stream_ends_the_process_with_its_reason(
    settings: GeneratorSettings, tmp_path: Path, graph: str, said: str, times: int, told: str
) -> None:
    """Want of memory is tried once more from a fresh start, which may do with less; a lost GPU is not."""
    async with running(settings) as generator:
        await until(generator, lambda event: is_chunk(event, 1))
        fail(tmp_path, graph, said, times=times)
        with pytest.raises(GeneratorDiedError, match=told):
            await until(generator, lambda event: False)


async def test_a_gpu_that_is_lost_while_a_prompt_is_encoded_ends_the_process_too(
    settings: GeneratorSettings, tmp_path: Path
) -> None:
    """Any other failure of a prompt's encoding is that prompt's alone."""
    async with running(settings) as generator:
        await until(generator, lambda event: is_chunk(event, 0))
        fail(tmp_path, "text.onnx", "Error Code 3: API Usage Error")
        generator.send(SetPrompt("p1", "rain over a city"))
        await until(generator, lambda event: isinstance(event, PromptFailed) and event.id == "p1")
        fail(tmp_path, "text.onnx", LOST)
        generator.send(SetPrompt("p2", "rain over a city"))
        with pytest.raises(GeneratorDiedError, match="DeviceLostError"):
            await until(generator, lambda event: False)


async def test_a_bundle_without_room_is_refused_with_the_sum(settings: GeneratorSettings, tmp_path: Path) -> None:
    (tmp_path / "room").write_text("1000")
    async with asyncio.timeout(LIMIT_S):
        with pytest.raises(GeneratorStartError, match=r"OutOfMemoryError: testcard needs about .* MiB of GPU 0"):
            async with GeneratorProcess(settings):
                pass
    assert words(tmp_path, "builds") == []
