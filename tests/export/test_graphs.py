"""Every graph of the pocket family matches torch over 20 chunks with carried state."""

from pathlib import Path

import pytest
import torch

from streamgen_export.pocket import graphs
from streamgen_export.pocket.config import NANO
from streamgen_export.pocket.encoders import Encoders
from streamgen_export.pocket.transformer import JointTransformer

CHUNKS = 20


def _awake(module: torch.nn.Module) -> None:
    """Weights that start at zero would hide their branches from the comparison."""
    torch.manual_seed(5)
    with torch.no_grad():
        for parameter in module.parameters():
            if not parameter.any():
                parameter.normal_(0, 0.05)


def test_denoise_matches_torch(tmp_path: Path) -> None:
    model = JointTransformer(NANO)
    _awake(model)
    module = graphs.write_denoise(tmp_path / "denoise.onnx", model)
    calls = graphs.denoise_calls(NANO, CHUNKS)
    found = graphs.difference(tmp_path / "denoise.onnx", module, calls, module.states())
    assert set(found) == {"video_velocity", "audio_velocity"}
    assert max(found.values()) < graphs.TOLERANCES["denoise"]


@pytest.fixture(scope="module")
def encoders() -> Encoders:
    made = Encoders(NANO)
    _awake(made)
    return made.eval()


def test_decoders_match_torch(tmp_path: Path, encoders: Encoders) -> None:
    video, audio = graphs.write_decoders(tmp_path, encoders, NANO)
    found = graphs.difference(
        tmp_path / "decode_video.onnx", video, graphs.decode_video_calls(NANO, CHUNKS), video.states(NANO)
    )
    assert set(found) == {"frames"}
    assert found["frames"] <= graphs.TOLERANCES["decode_video"]
    found = graphs.difference(
        tmp_path / "decode_audio.onnx", audio, graphs.decode_audio_calls(NANO, CHUNKS), audio.states(NANO)
    )
    assert set(found) == {"samples"}
    assert found["samples"] < graphs.TOLERANCES["decode_audio"]
