"""Published layouts, and files that are none."""

import json
import pickle
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from streamgen_export.wan import umt5_checkpoint
from streamgen_export.wan.umt5_checkpoint import CheckpointError, open_checkpoint
from tests.export.wan.test_umt5 import reference
from tests.export.wan.tiny_umt5 import CONFIG, save_shards, wan_layout, weights


def same(source: Path, made: dict[str, Tensor], atol: float = 0) -> None:
    opened = open_checkpoint(source)
    assert opened.config == CONFIG
    for name in CONFIG.shapes():
        torch.testing.assert_close(opened.tensor(name), made[name], atol=atol, rtol=atol)


@pytest.fixture
def wan(tmp_path: Path) -> Path:
    torch.save(wan_layout(weights()), tmp_path / "models_t5_umt5-xxl-enc-bf16.pth")
    return tmp_path / "models_t5_umt5-xxl-enc-bf16.pth"


def test_wans_own_file(wan: Path) -> None:
    same(wan, weights())


def test_wans_layout_in_safetensors_and_bfloat16(tmp_path: Path) -> None:
    made = {name: tensor.to(torch.bfloat16) for name, tensor in wan_layout(weights()).items()}
    save_file(made, tmp_path / "umt5.safetensors")
    same(tmp_path / "umt5.safetensors", weights(), atol=1e-2)


@pytest.mark.parametrize("shards", [1, 3])
def test_shards_of_transformers(tmp_path: Path, shards: int) -> None:
    state = {name: tensor.clone() for name, tensor in reference(weights()).state_dict().items()}
    state |= {"decoder.final_layer_norm.weight": torch.ones(4), "lm_head.weight": torch.ones(4)}
    same(save_shards(tmp_path / "text_encoder", state, shards), weights())


def test_one_file_of_transformers_in_a_folder(tmp_path: Path) -> None:
    state = reference(weights()).state_dict()
    state.pop("encoder.embed_tokens.weight", None)  # shared, so that one of the two is written
    save_file({name: tensor.clone() for name, tensor in state.items()}, tmp_path / "model.safetensors")
    same(tmp_path, weights())


def test_the_table_comes_in_pieces(wan: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(umt5_checkpoint, "ROWS_AT_ONCE", 10)
    blocks = list(open_checkpoint(wan).blocks("embedding"))
    assert [len(block) for block in blocks] == [10] * 6 + [4]
    torch.testing.assert_close(torch.cat(blocks), weights()["embedding"])


def refused(source: Path, match: str) -> None:
    with pytest.raises(CheckpointError, match=match):
        open_checkpoint(source)


def test_what_is_not_there(tmp_path: Path) -> None:
    refused(tmp_path / "no.pth", r"there is no .*no\.pth; give Wan's models_t5")
    refused(tmp_path, r"holds 0 files \*\.safetensors and no model\.safetensors\.index\.json")


def test_tensors_that_are_missing_and_unexpected_are_named(tmp_path: Path) -> None:
    made = wan_layout(weights())
    del made["blocks.1.ffn.fc2.weight"]
    made["blocks.1.ffn.fc3.weight"] = torch.ones(2)
    torch.save(made, tmp_path / "w.pth")
    refused(tmp_path / "w.pth", r"1 tensors are missing: blocks\.1\.ffn\.fc2\.weight; 1 are unexpected: .*fc3")


def test_t5_is_not_umt5(tmp_path: Path) -> None:
    state = dict(reference(weights()).state_dict())
    del state["encoder.block.1.layer.0.SelfAttention.relative_attention_bias.weight"]
    torch.save(state, tmp_path / "t5.bin")
    refused(tmp_path / "t5.bin", "T5 and mT5 share the position biases of their first layer")


def test_a_video_model_is_not_a_text_encoder(tmp_path: Path) -> None:
    torch.save({"patch_embedding.weight": torch.ones(2)}, tmp_path / "video.pth")
    refused(tmp_path / "video.pth", "it holds patch_embedding.weight .*a video model, whose text encoder is a file")


def test_shapes_and_types_that_are_wrong_are_named(tmp_path: Path) -> None:
    made = wan_layout(weights())
    made["blocks.0.attn.k.weight"] = torch.ones(32, 31)
    torch.save(made, tmp_path / "w.pth")
    refused(tmp_path / "w.pth", r"blocks\.0\.attn\.k\.weight is \[32, 31\], should be \[32, 32\]")
    made = wan_layout(weights())
    made["blocks.0.attn.k.weight"] = made["blocks.0.attn.k.weight"].to(torch.float8_e4m3fn)
    torch.save(made, tmp_path / "w.pth")
    refused(tmp_path / "w.pth", r"is torch\.float8_e4m3fn, should be bfloat16")


@pytest.mark.parametrize("keep", [0.1, 0.9, 0.999])
def test_a_file_that_is_cut_short(wan: Path, tmp_path: Path, keep: float) -> None:
    raw = wan.read_bytes()
    (tmp_path / "cut.pth").write_bytes(raw[: int(len(raw) * keep)])
    refused(tmp_path / "cut.pth", "cut short|cannot be read")
    save_file(wan_layout(weights()), tmp_path / "whole.safetensors")
    raw = (tmp_path / "whole.safetensors").read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(raw[: int(len(raw) * keep)])
    refused(tmp_path / "cut.safetensors", "cannot be read .*download it again")


class Evil:
    def __reduce__(self) -> tuple[object, ...]:
        return print, ("executed",)


def test_code_in_a_file_is_not_executed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"token_embedding.weight": Evil()}, tmp_path / "evil.pth")
    refused(tmp_path / "evil.pth", "would run code when it is opened")
    (tmp_path / "old.pth").write_bytes(pickle.dumps(Evil()))
    refused(tmp_path / "old.pth", "not a torch archive")
    with zipfile.ZipFile(tmp_path / "zip.pth", "w") as archive:
        archive.writestr("x", "y")
    refused(tmp_path / "zip.pth", "cannot be read")
    assert "executed" not in capsys.readouterr().out


def test_an_index_that_is_none_or_names_what_is_not_there(tmp_path: Path) -> None:
    folder = save_shards(tmp_path / "shards", wan_layout(weights()))
    (folder / "model-00002-of-00002.safetensors").unlink()
    refused(folder, r"lacks model-00002-of-00002\.safetensors, which .* names; download the rest")
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"x": "../../etc/passwd"}}))
    refused(folder, "lacks ../../etc/passwd")
    for text in ("{", "[]", '{"weight_map": 3}'):
        index.write_text(text)
        refused(folder, "is no index of shards")


def test_numbers_that_are_none_are_told_when_they_are_read(tmp_path: Path) -> None:
    made = wan_layout(weights())
    made["blocks.1.attn.v.weight"][3, 4] = float("nan")
    torch.save(made, tmp_path / "w.pth")
    opened = open_checkpoint(tmp_path / "w.pth")
    with pytest.raises(CheckpointError, match=r"blocks\.1\.attn\.v\.weight holds values that are not finite"):
        opened.tensor("layers.1.value")
