"""Whether pictures are enlarged by a graph: by itself where a GPU runs it, else where it is asked for and there."""

from pathlib import Path
from typing import get_args

import pytest

from streamgen.upscaling import upscales
from streamgen_engines.bundle import Bundle
from streamgen_engines.errors import MissingGraphError
from streamgen_engines.runtime_name import GPU_RUNTIMES, RuntimeName
from tests.tiny_bundle import write_tiny_bundle
from tests.upscaling import add_upscaler


def test_the_answer_for_every_runtime(tmp_path: Path) -> None:
    plain = Bundle.open(write_tiny_bundle(tmp_path / "plain")).manifest
    larger = add_upscaler(write_tiny_bundle(tmp_path / "larger")).manifest
    for runtime in get_args(RuntimeName):
        assert upscales(larger, runtime, None) == (runtime in GPU_RUNTIMES)
        assert upscales(larger, runtime, True)
        assert not upscales(larger, runtime, False)
        assert not upscales(plain, runtime, None)
        assert not upscales(plain, runtime, False)
        with pytest.raises(MissingGraphError, match="tiny cannot enlarge pictures: it has no graph upscale"):
            upscales(plain, runtime, True)


def test_runtimes_of_gpus_are_runtimes() -> None:
    assert set(get_args(RuntimeName)) - GPU_RUNTIMES == {"onnxruntime-cpu", "openvino"}
