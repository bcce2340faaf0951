"""Weights of compact networks are read with what they say of themselves, and files of other models refused."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from streamgen_export.upscaler.checkpoint import load
from streamgen_export.wan.errors import CheckpointError, UnsafeCheckpointError
from tests.export.upscaler.compact import random_net, save


@pytest.mark.parametrize("entry", ["params", "params_ema", None])
@pytest.mark.parametrize(("features", "convolutions", "factor"), [(8, 2, 2), (5, 1, 3), (6, 4, 4), (4, 0, 2)])
def test_the_size_of_the_network_is_read_from_shapes(
    tmp_path: Path, entry: str | None, features: int, convolutions: int, factor: int
) -> None:
    net = random_net(features, convolutions, factor)
    found = load(save(net, tmp_path / "net.pth", entry=entry))
    assert (found.features, len(found.convolutions), found.factor) == (features, convolutions + 2, factor)
    assert len(found.slopes) == convolutions + 1
    assert found.parameters == sum(each.numel() for each in net.parameters())
    state = net.state_dict()
    np.testing.assert_array_equal(found.convolutions[-1][0], state[f"body.{2 * convolutions + 2}.weight"])
    np.testing.assert_array_equal(found.slopes[0], state["body.1.weight"])


def test_published_sizes_have_their_parameters(tmp_path: Path) -> None:
    """0.62 and 1.2 million, of 16 and 32 convolutions of 64 features."""
    small, large = (load(save(random_net(64, count, 4), tmp_path / f"{count}.pth")) for count in (16, 32))
    assert (round(small.parameters / 1e6, 2), round(large.parameters / 1e6, 2)) == (0.62, 1.21)


def test_the_smoothed_weights_are_taken_where_there_are_both(tmp_path: Path) -> None:
    one, other = random_net(seed=1), random_net(seed=2)
    torch.save({"params": one.state_dict(), "params_ema": other.state_dict()}, tmp_path / "net.pth")
    found = load(tmp_path / "net.pth")
    np.testing.assert_array_equal(found.convolutions[0][0], other.state_dict()["body.0.weight"])


def test_safetensors_and_half_precision_are_read(tmp_path: Path) -> None:
    state = {name: each.half() for name, each in random_net().state_dict().items()}
    save_file(state, tmp_path / "net.safetensors")
    found = load(tmp_path / "net.safetensors")
    assert found.convolutions[0][0].dtype == np.float32
    np.testing.assert_array_equal(found.convolutions[0][0], state["body.0.weight"].float())


def test_a_file_of_another_model_is_refused_with_what_is_missing_and_what_is_unexpected(tmp_path: Path) -> None:
    state = {"conv_first.weight": torch.zeros(64, 3, 3, 3), "body.0.rdb1.conv1.weight": torch.zeros(32, 64, 3, 3)}
    torch.save({"params_ema": state}, tmp_path / "x4plus.pth")
    with pytest.raises(CheckpointError) as refused:
        load(tmp_path / "x4plus.pth")
    said = str(refused.value)
    assert "53 missing (body.0.weight, body.0.bias, body.1.weight, body.2.weight, ...)" in said
    assert "2 unexpected (conv_first.weight, body.0.rdb1.conv1.weight)" in said
    assert "RRDBNet" in said


def test_every_tensor_that_does_not_fit_is_named(tmp_path: Path) -> None:
    state = dict(random_net(8, 2, 2).state_dict())
    del state["body.2.bias"]
    state["body.1.weight"] = torch.zeros(1)
    state["body.4.weight"] = torch.zeros(8, 8, 3, 3, dtype=torch.int32)
    state["step"] = torch.zeros(1)
    torch.save(state, tmp_path / "net.pth")
    with pytest.raises(CheckpointError) as refused:
        load(tmp_path / "net.pth")
    said = str(refused.value)
    assert "1 missing (body.2.bias)" in said
    assert "1 unexpected (step)" in said
    assert "1 wrongly shaped (body.1.weight [1] in place of [8])" in said
    assert "1 not of numbers (body.4.weight)" in said


@pytest.mark.parametrize("channels", [3, 13, 75])
def test_a_factor_that_no_bundle_has_is_refused(tmp_path: Path, channels: int) -> None:
    state = dict(random_net(8, 2, 2).state_dict())
    state["body.6.weight"], state["body.6.bias"] = torch.zeros(channels, 8, 3, 3), torch.zeros(channels)
    torch.save(state, tmp_path / "net.pth")
    with pytest.raises(CheckpointError, match=f"last convolution has {channels} channels; .* 2, 3 or 4 times"):
        load(tmp_path / "net.pth")


def test_numbers_that_are_none_are_refused(tmp_path: Path) -> None:
    state = dict(random_net().state_dict())
    state["body.3.weight"][0] = float("nan")
    torch.save(state, tmp_path / "net.pth")
    with pytest.raises(CheckpointError, match=r"body\.3\.weight holds NaN"):
        load(tmp_path / "net.pth")


class Command:
    def __reduce__(self) -> tuple[object, tuple[str, ...]]:
        return print, ("this code was run",)


def test_a_file_with_more_than_weights_is_refused_and_nothing_is_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save({"params": random_net().state_dict(), "more": Command()}, tmp_path / "net.pth")
    with pytest.raises(UnsafeCheckpointError, match="more than weights"):
        load(tmp_path / "net.pth")
    assert capsys.readouterr().out == ""


def test_a_file_that_is_missing_or_no_file_of_weights_is_told(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such file"):
        load(tmp_path / "net.pth")
    (tmp_path / "old.pth").write_bytes(pickle.dumps({"params": {}}))
    with pytest.raises(CheckpointError, match=r"PyTorch before 1\.6"):
        load(tmp_path / "old.pth")
