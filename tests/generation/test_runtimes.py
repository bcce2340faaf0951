"""The generator process runs the graphs on the runtime of its settings."""

from dataclasses import replace
from pathlib import Path

import onnxruntime
import psutil
import pytest

from streamgen.errors import GeneratorStartError
from streamgen.generation.process import GeneratorProcess, GeneratorSettings
from tests.generation.running import is_chunk, running, until
from tests.tiny_bundle import write_tiny_bundle


@pytest.fixture
def settings(tmp_path: Path) -> GeneratorSettings:
    return GeneratorSettings(bundle=write_tiny_bundle(tmp_path / "tiny"), scale=1, runtime="openvino")


async def test_chunks_are_made_on_openvino(settings: GeneratorSettings) -> None:
    async with running(settings) as generator:
        assert generator.pid is not None
        mapped = {Path(each.path).name.split(".")[0] for each in psutil.Process(generator.pid).memory_maps()}
        assert "libopenvino_intel_cpu_plugin" in mapped
        await until(generator, lambda event: is_chunk(event, 2))


@pytest.mark.skipif("CUDAExecutionProvider" in onnxruntime.get_available_providers(), reason="there is CUDA here")
async def test_a_runtime_that_is_not_here_is_named_with_its_command(settings: GeneratorSettings) -> None:
    with pytest.raises(GeneratorStartError, match=r"RuntimeUnavailableError: .*streamgen\[cuda\]"):
        async with GeneratorProcess(replace(settings, runtime="onnxruntime-cuda")):
            pass
