import asyncio
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from streamgen.errors import GeneratorDiedError, GeneratorStartError, GeneratorUnresponsiveError
from streamgen.generation.process import MAX_EVENTS, GeneratorProcess, GeneratorSettings
from streamgen.packets import (
    EncodedChunk,
    SetEpoch,
    SetLayers,
    SetPrompt,
)
from tests.generation.running import LIMIT_S, gone, is_chunk, reached, running, until
from tests.tiny_bundle import write_tiny_bundle


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> GeneratorSettings:
    return GeneratorSettings(bundle=write_tiny_bundle(tmp_path_factory.mktemp("bundle")), scale=1)


async def test_kill_is_reported_by_name(settings: GeneratorSettings) -> None:
    async with running(settings) as generator:
        await until(generator, lambda event: is_chunk(event, 1))
        assert generator.pid is not None
        os.kill(generator.pid, signal.SIGKILL)
        with pytest.raises(GeneratorDiedError, match="SIGKILL"):
            await until(generator, lambda event: False)
        generator.send(SetLayers(frozenset()))  # to nobody: no error
        with pytest.raises(StopAsyncIteration):
            await anext(generator)


async def test_a_hung_process_is_given_up_and_ended_by_force(settings: GeneratorSettings) -> None:
    hurried = replace(settings, silence_timeout_s=5.0, stop_timeout_s=0.3)
    async with running(hurried) as generator:
        await until(generator, lambda event: is_chunk(event, 2))
        pid = generator.pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        with pytest.raises(GeneratorUnresponsiveError, match="said nothing"):
            await until(generator, lambda event: False)
    assert not psutil.pid_exists(pid)


async def test_a_process_that_does_not_read_is_given_up(settings: GeneratorSettings) -> None:
    async with running(replace(settings, stop_timeout_s=0.3)) as generator:
        await until(generator, lambda event: is_chunk(event, 0))
        pid = generator.pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        for n in range(5_000):
            generator.send(SetPrompt(f"p{n}", "x" * 500))
        with pytest.raises(GeneratorUnresponsiveError, match="does not read"):
            await until(generator, lambda event: False)


async def test_unusable_bundle_is_reported_with_its_reason(settings: GeneratorSettings, tmp_path: Path) -> None:
    broken = write_tiny_bundle(tmp_path / "broken")
    (broken / "denoise.onnx").write_bytes(b"not a graph")
    async with asyncio.timeout(LIMIT_S):
        with pytest.raises(GeneratorStartError, match=r"denoise\.onnx: SHA-256"):
            async with GeneratorProcess(replace(settings, bundle=broken)):
                pass


async def test_start_that_takes_too_long_is_given_up(settings: GeneratorSettings) -> None:
    generator = GeneratorProcess(replace(settings, start_timeout_s=0.01, stop_timeout_s=0.1))
    async with asyncio.timeout(LIMIT_S):
        with pytest.raises(GeneratorStartError, match=r"not ready after 0\.01 s"):
            await generator.__aenter__()
    assert generator.pid is None


async def test_cancelled_start_leaves_no_process_behind(settings: GeneratorSettings) -> None:
    before = set(psutil.Process().children(recursive=True))
    generator = GeneratorProcess(settings)
    starting = asyncio.create_task(generator.__aenter__())
    await reached(lambda: generator.pid is not None)
    pid = generator.pid
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert pid not in {child.pid for child in psutil.Process().children(recursive=True)} - {p.pid for p in before}


async def test_close_is_idempotent_and_ends_the_process(settings: GeneratorSettings) -> None:
    async with running(settings) as generator:
        pid = generator.pid
        assert pid is not None
    assert generator.pid is None
    assert not psutil.pid_exists(pid)
    await generator.close()
    generator.send(SetLayers(frozenset()))


async def test_events_that_nobody_takes_are_bounded_and_none_is_lost(settings: GeneratorSettings) -> None:
    async with asyncio.timeout(LIMIT_S), GeneratorProcess(settings) as generator:
        # An epoch long ago: the generator is late for good and makes chunks as fast as it can.
        generator.send(SetEpoch(time.monotonic_ns() - 3_600 * 10**9))
        await reached(lambda: generator.waiting_events >= MAX_EVENTS)
        for _ in range(50):
            await asyncio.sleep(0.01)
            assert generator.waiting_events <= MAX_EVENTS
        events = await until(generator, lambda event: is_chunk(event, 60))
    assert [event.index for event in events if isinstance(event, EncodedChunk)] == list(range(61))


async def test_process_dies_with_its_parent(settings: GeneratorSettings, tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "from streamgen.generation.process import GeneratorProcess, GeneratorSettings\n"
        "async def main():\n"
        "    async with GeneratorProcess(GeneratorSettings(Path(sys.argv[1]))) as generator:\n"
        "        print(generator.pid, flush=True)\n"
        "        await asyncio.sleep(600)\n"
        "if __name__ == '__main__':\n"
        "    asyncio.run(main())\n"
    )
    async with asyncio.timeout(LIMIT_S):
        parent = await asyncio.create_subprocess_exec(
            sys.executable, str(script), str(settings.bundle), stdout=subprocess.PIPE
        )
        assert parent.stdout is not None
        pid = int(await parent.stdout.readline())
        assert psutil.pid_exists(pid)
        parent.kill()
        await parent.wait()
        await gone(pid)


def test_the_server_never_loads_a_runtime() -> None:
    check = "import sys, streamgen.channel; assert 'onnxruntime' not in sys.modules; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", check], check=True, timeout=LIMIT_S)
