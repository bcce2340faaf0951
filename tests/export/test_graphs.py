"""Every graph of the pocket family matches torch over 20 chunks with carried state."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from streamgen_export.onnx_export import difference
from streamgen_export.pocket import graphs
from streamgen_export.pocket.config import POCKET, POCKET_SMALL, PocketConfig
from streamgen_export.pocket.encoders import Encoders
from streamgen_export.pocket.transformer import JointTransformer

CHUNKS = 20
TINY = replace(POCKET, name="tiny", width=192, height=128, dim=96, layers=2, heads=2)
each = pytest.mark.parametrize("config", [POCKET_SMALL, TINY], ids=lambda config: config.name)


def _awake(module: torch.nn.Module) -> None:
    """Weights that start at zero would hide their branches from the comparison."""
    torch.manual_seed(5)
    with torch.no_grad():
        for parameter in module.parameters():
            if not parameter.any():
                parameter.normal_(0, 0.05)


@each
def test_denoise_matches_torch(tmp_path: Path, config: PocketConfig) -> None:
    model = JointTransformer(config)
    _awake(model)
    module = graphs.write_denoise(tmp_path / "denoise.onnx", model)
    calls = graphs.denoise_calls(config, CHUNKS)
    found = difference(tmp_path / "denoise.onnx", module, calls, module.states())
    assert set(found) == {"video_velocity", "audio_velocity"}
    assert max(found.values()) < graphs.TOLERANCES["denoise"]


@each
def test_decoders_match_torch(tmp_path: Path, config: PocketConfig) -> None:
    encoders = Encoders(config).eval()
    _awake(encoders)
    video, audio = graphs.write_decoders(tmp_path, encoders, config)
    found = difference(
        tmp_path / "decode_video.onnx", video, graphs.decode_video_calls(config, CHUNKS), video.states(config)
    )
    assert set(found) == {"frames"}
    assert found["frames"] <= graphs.TOLERANCES["decode_video"]
    found = difference(
        tmp_path / "decode_audio.onnx", audio, graphs.decode_audio_calls(config, CHUNKS), audio.states(config)
    )
    assert set(found) == {"samples"}
    assert found["samples"] < graphs.TOLERANCES["decode_audio"]


def test_the_picture_encoder_matches_torch_and_training(tmp_path: Path) -> None:
    encoders = Encoders(TINY).eval()
    _awake(encoders)
    module = graphs.write_encoder(tmp_path / "encode_picture.onnx", encoders, TINY)
    calls = graphs.encode_picture_calls(TINY, CHUNKS)
    found = difference(tmp_path / "encode_picture.onnx", module, calls, {})
    assert set(found) == {"latent"}
    assert found["latent"] < graphs.TOLERANCES["encode_picture"]
    # Training encodes four equal pictures, in bfloat16.
    picture = torch.from_numpy(calls[0]["picture"])
    with torch.no_grad():
        (still,) = module(picture)
        trained = encoders.encode_video(picture.expand(4, -1, -1, -1))
    assert (still - trained).norm() / trained.norm() < 0.02
