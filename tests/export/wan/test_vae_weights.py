"""Published layouts, and files that are something else."""

import importlib
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from streamgen_export.wan.vae import WanDecoder
from streamgen_export.wan.vae_config import WAN_VAE
from streamgen_export.wan.vae_weights import (
    DIFFUSERS_FILE,
    WeightsError,
    diffusers_names,
    published,
    read_taehv_decoder,
    read_wan_decoder,
    taehv_names,
    wan_names,
)
from tests.export.wan.tiny_vae import TAEHV, VAE, tiny_taehv, tiny_vae


def wan_file() -> dict[str, Tensor]:
    """As the published file has it: the decoder, and an encoder that is not looked at."""
    names = wan_names(VAE)
    tensors = {published(own, names): tensor.clone() for own, tensor in tiny_vae().state_dict().items()}
    return {**tensors, "encoder.conv1.weight": torch.zeros(2), "conv1.bias": torch.zeros(32)}


def taehv_file() -> dict[str, Tensor]:
    names = taehv_names(TAEHV)
    tensors = {published(own, names): tensor.clone() for own, tensor in tiny_taehv().state_dict().items()}
    return {**tensors, "encoder.0.weight": torch.zeros(2)}


def same(found: torch.nn.Module, right: torch.nn.Module) -> bool:
    theirs = right.state_dict()
    return all(torch.equal(tensor, theirs[name]) for name, tensor in found.state_dict().items())


def test_wans_own_file(tmp_path: Path) -> None:
    torch.save(wan_file(), tmp_path / "Wan2.1_VAE.pth")
    assert same(read_wan_decoder(tmp_path / "Wan2.1_VAE.pth", VAE), tiny_vae())


def test_half_precision_files_become_float32(tmp_path: Path) -> None:
    torch.save({name: tensor.bfloat16() for name, tensor in wan_file().items()}, tmp_path / "vae.pth")
    decoder = read_wan_decoder(tmp_path / "vae.pth", VAE)
    assert {parameter.dtype for parameter in decoder.parameters()} == {torch.float32}


def test_files_from_before_archives(tmp_path: Path) -> None:
    torch.save(wan_file(), tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    assert same(read_wan_decoder(tmp_path / "old.pth", VAE), tiny_vae())


def test_the_names_are_those_that_diffusers_converts(tmp_path: Path) -> None:
    """diffusers knows Wan's own layout too: what it makes of our names is its layout, tensor by tensor."""
    converter: Any = importlib.import_module("diffusers.loaders.single_file_utils")
    own_names, theirs = wan_names(WAN_VAE), diffusers_names(WAN_VAE)
    with torch.device("meta"):
        own = list(WanDecoder().state_dict())
    numbered = {published(name, own_names): torch.tensor(place) for place, name in enumerate(own)}
    converted = converter.convert_wan_vae_to_diffusers(numbered)
    assert {name: int(tensor) for name, tensor in converted.items()} == {
        published(name, theirs): place for place, name in enumerate(own)
    }


@pytest.mark.parametrize("folder", [False, True])
def test_diffusers_file(tmp_path: Path, folder: bool) -> None:
    torch.manual_seed(0)
    theirs: Any = importlib.import_module("diffusers").AutoencoderKLWan(base_dim=VAE.base)
    save_file(theirs.state_dict(), tmp_path / DIFFUSERS_FILE)
    decoder = read_wan_decoder(tmp_path if folder else tmp_path / DIFFUSERS_FILE, VAE)
    assert torch.equal(decoder.conv_out.weight, theirs.decoder.conv_out.weight)
    assert torch.equal(decoder.attention.proj.weight, theirs.decoder.mid_block.attentions[0].proj.weight)


def test_taehvs_file(tmp_path: Path) -> None:
    torch.save(taehv_file(), tmp_path / "taew2_1.pth")
    assert same(read_taehv_decoder(tmp_path / "taew2_1.pth", TAEHV), tiny_taehv())


def test_of_two_pictures_where_one_is_made_the_later_counts(tmp_path: Path) -> None:
    tensors = taehv_file()
    later = tensors["decoder.7.conv.weight"]
    tensors["decoder.7.conv.weight"] = torch.cat((torch.full_like(later, 9.0), later))
    torch.save(tensors, tmp_path / "taew2_1.pth")
    assert same(read_taehv_decoder(tmp_path / "taew2_1.pth", TAEHV), tiny_taehv())


def test_what_is_missing_unexpected_or_of_another_shape_is_named(tmp_path: Path) -> None:
    tensors = wan_file()
    del tensors["decoder.upsamples.3.time_conv.bias"]
    tensors["decoder.upsamples.99.residual.2.weight"] = torch.zeros(1)
    tensors["decoder.conv1.weight"] = torch.zeros(1, 2, 3)
    torch.save(tensors, tmp_path / "vae.pth")
    with pytest.raises(WeightsError) as caught:
        read_wan_decoder(tmp_path / "vae.pth", VAE)
    said = str(caught.value)
    assert "is missing: decoder.upsamples.3.time_conv.bias" in said
    assert "is unexpected: decoder.upsamples.99.residual.2.weight" in said
    assert "decoder.conv1.weight (is [1, 2, 3], should be [32, 16, 3, 3, 3])" in said
    assert "Wan2.1_VAE.pth" in said


def test_the_other_decoders_file(tmp_path: Path) -> None:
    torch.save(taehv_file(), tmp_path / "taew2_1.pth")
    torch.save(wan_file(), tmp_path / "vae.pth")
    with pytest.raises(WeightsError, match=r"is missing: conv2.weight, .* more\).*is unexpected: decoder.1.weight"):
        read_wan_decoder(tmp_path / "taew2_1.pth", VAE)
    with pytest.raises(WeightsError, match=r"taew2_1\.pth"):
        read_taehv_decoder(tmp_path / "vae.pth", TAEHV)


def test_the_tiny_file_is_not_the_published_one(tmp_path: Path) -> None:
    torch.save(wan_file(), tmp_path / "vae.pth")
    with pytest.raises(WeightsError, match="has another shape"):
        read_wan_decoder(tmp_path / "vae.pth")


def test_numbers_that_are_none(tmp_path: Path) -> None:
    tensors = wan_file()
    tensors["decoder.head.2.bias"][1] = torch.nan
    torch.save(tensors, tmp_path / "vae.pth")
    with pytest.raises(WeightsError, match=r"is not finite: decoder.head.2.bias. Download"):
        read_wan_decoder(tmp_path / "vae.pth", VAE)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_file_that_is_cut_short(tmp_path: Path, suffix: str) -> None:
    whole, path = tmp_path / f"whole{suffix}", tmp_path / f"vae{suffix}"
    if suffix == ".pth":
        torch.save(wan_file(), whole)
    else:
        save_file(wan_file(), whole)
    path.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with pytest.raises(WeightsError, match=r"cut short or damaged .* download it again"):
        read_wan_decoder(path, VAE)


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("this ran",)


def test_code_in_a_pickle_does_not_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"decoder.conv1.weight": Evil()}, tmp_path / "archive.pth")
    (tmp_path / "plain.pth").write_bytes(pickle.dumps(Evil(), protocol=2))
    for name in ("archive.pth", "plain.pth"):
        with pytest.raises(WeightsError, match="what would run code is not read"):
            read_wan_decoder(tmp_path / name, VAE)
    assert "this ran" not in capsys.readouterr().out


@pytest.mark.parametrize("content", [{"step": 3}, [1, 2], {"state_dict": {"decoder.1.weight": torch.zeros(1)}}])
def test_something_else_than_tensors(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "vae.pth")
    with pytest.raises(WeightsError, match="not a plain list of tensors"):
        read_wan_decoder(tmp_path / "vae.pth", VAE)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="is not there"):
        read_wan_decoder(tmp_path / "vae.pth", VAE)
    with pytest.raises(WeightsError, match=f"{DIFFUSERS_FILE} is not there"):
        read_wan_decoder(tmp_path, VAE)
