"""Weights as a small file: they come back nearly as they were, and a training goes on from them."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from streamgen_export.pocket import checkpoint
from streamgen_export.pocket.config import POCKET, PocketConfig
from streamgen_export.pocket.encoders import Encoders, load_encoders
from streamgen_export.pocket.export import GUARD_FILE, guard_for
from streamgen_export.pocket.train_transformer import TransformerTraining
from streamgen_export.pocket.transformer import JointTransformer
from streamgen_export.pocket.weights import WeightsError, packed, read_weights, take_over, unpacked, write_weights

THIN = replace(POCKET, dim=48, layers=2, heads=2, text_narrow=16)


def a_run(folder: Path, config: PocketConfig) -> tuple[Encoders, JointTransformer]:
    torch.manual_seed(5)
    encoders, model = Encoders(config), JointTransformer(config)
    checkpoint.save(folder / "encoders.pt", encoders.state_dict())
    checkpoint.save(folder / "transformer.pt", {"ema": model.state_dict()})
    (folder / GUARD_FILE).write_text(json.dumps({"limit": 4.5}))
    return encoders, model


def test_large_tensors_are_rounded_by_rows_and_small_ones_kept() -> None:
    torch.manual_seed(0)
    tensors = {"a.weight": torch.randn(64, 64) * torch.logspace(-3, 2, 64)[:, None], "a.bias": torch.randn(64)}
    small = packed(tensors)
    assert small["a.weight.code"].dtype == torch.int8
    back = unpacked(small)
    assert back.keys() == tensors.keys()
    torch.testing.assert_close(back["a.bias"], tensors["a.bias"], rtol=0, atol=0)
    off = (back["a.weight"] - tensors["a.weight"]).abs().amax(1) / tensors["a.weight"].abs().amax(1)
    assert off.max() <= 0.5 / 127 + 1e-6


def test_a_run_comes_back_from_its_weights(tmp_path: Path) -> None:
    encoders, model = a_run(tmp_path / "run", THIN)
    file = tmp_path / "out" / "weights.safetensors"
    write_weights(file, THIN, tmp_path / "run")
    whole = sum((tmp_path / "run" / name).stat().st_size for name in ("encoders.pt", "transformer.pt"))
    assert file.stat().st_size < 0.3 * whole
    read = read_weights(file, THIN)
    for was, now in zip((encoders, model), read, strict=True):
        for name, value in was.state_dict().items():
            torch.testing.assert_close(
                now.state_dict()[name], value, rtol=0, atol=float(value.abs().max()) / 200 + 1e-7
            )
    take_over(file, THIN, tmp_path / "next")
    assert guard_for(tmp_path / "next") == {"limit": 4.5}
    training = TransformerTraining(THIN, tmp_path / "next", 1)
    assert training.restore() == 0
    assert training.step == 0
    torch.testing.assert_close(load_encoders(THIN, tmp_path / "next").state_dict(), read[0].state_dict())
    torch.testing.assert_close(training.averaged().state_dict(), read[1].state_dict())


def test_weights_of_another_model_are_refused(tmp_path: Path) -> None:
    a_run(tmp_path / "run", THIN)
    file = tmp_path / "weights.safetensors"
    write_weights(file, THIN, tmp_path / "run")
    with pytest.raises(WeightsError, match=r"transformer of pocket"):
        read_weights(file, replace(THIN, layers=3))
