"""Weights in every published layout, and every file that is not what was asked for."""

import dataclasses
import json
import os
import pickle
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from streamgen_export.wan.checkpoint import load
from streamgen_export.wan.config import TINY, WAN_1_3B, WanConfig
from streamgen_export.wan.errors import CheckpointError, UnsafeCheckpointError
from streamgen_export.wan.names import diffusers, plain
from streamgen_export.wan.transformer import CausalWan
from streamgen_export.wan.variants import CAUSVID, KREA, LONGLIVE, SELF_FORCING, STREAMDIFFUSIONV2, Variant
from tests.export.wan.tiny import save_pt, save_safetensors, tiny, weights

Named = dict[str, Tensor]


def prefixed(prefix: str, tensors: Named) -> Named:
    return {prefix + name: each for name, each in tensors.items()}


def wrapped(tensors: Named) -> Named:
    """As sharded training with checkpointing and compiling saves it."""
    inside = "_fsdp_wrapped_module._checkpoint_wrapped_module."
    return {
        "model._orig_mod." + re.sub(r"^(blocks\.\d+\.)", rf"\1{inside}", name): each for name, each in tensors.items()
    }


def sharded(folder: Path, tensors: Named) -> Path:
    names = sorted(tensors)
    parts = {"a-00001-of-00002.safetensors": names[::2], "a-00002-of-00002.safetensors": names[1::2]}
    for file, part in parts.items():
        save_safetensors(folder / file, {name: tensors[name] for name in part})
    index = folder / "a.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {name: file for file, part in parts.items() for name in part}}))
    return index


def layout_causvid(folder: Path, tensors: Named) -> Path:
    return save_pt(folder / "model.pt", {"generator": prefixed("model.", tensors), "critic": {"x": torch.zeros(1)}})


def layout_self_forcing(folder: Path, tensors: Named) -> Path:
    raw = {name: torch.zeros_like(each) for name, each in tensors.items()}
    return save_pt(
        folder / "self_forcing_dmd.pt",
        {"generator": prefixed("model.", raw), "generator_ema": wrapped(tensors), "step": 600},
    )


def layout_streamdiffusion(folder: Path, tensors: Named) -> Path:
    return save_pt(folder / "model.pt", tensors)


def layout_krea(folder: Path, tensors: Named) -> Path:
    return save_safetensors(folder / "krea.safetensors", prefixed("model.", tensors))


def layout_folder(folder: Path, tensors: Named) -> Path:
    return layout_causvid(folder, tensors).parent


def layout_diffusers(folder: Path, tensors: Named) -> Path:
    return sharded(folder, {diffusers(name): each for name, each in tensors.items()})


def layout_other_tool(folder: Path, tensors: Named) -> Path:
    return save_safetensors(folder / "wan.sft", prefixed("model.diffusion_model.", tensors))


LAYOUTS: list[tuple[Variant, Callable[[Path, Named], Path]]] = [
    (CAUSVID, layout_causvid),
    (SELF_FORCING, layout_self_forcing),
    (STREAMDIFFUSIONV2, layout_streamdiffusion),
    (KREA, layout_krea),
    (CAUSVID, layout_folder),
    (SELF_FORCING, layout_diffusers),
    (SELF_FORCING, layout_other_tool),
]


def same(model: CausalWan, tensors: Named) -> None:
    found = dict(model.named_parameters())
    assert found.keys() == tensors.keys()
    for name, each in tensors.items():
        torch.testing.assert_close(found[name].float(), each.float(), rtol=0, atol=0)


@pytest.mark.parametrize(("variant", "layout"), LAYOUTS, ids=[layout.__name__ for _, layout in LAYOUTS])
def test_every_published_layout_is_read(
    tmp_path: Path, variant: Variant, layout: Callable[[Path, Named], Path]
) -> None:
    tensors = weights(tiny())
    loaded = load(layout(tmp_path, tensors), variant, config=TINY)
    same(loaded.model, tensors)
    assert loaded.dtypes == {"float32": len(tensors)}
    assert loaded.changed == 0
    assert not any(parameter.requires_grad for parameter in loaded.model.parameters())


@pytest.mark.parametrize("name", ["blocks.3.norm3.bias", "blocks.11.cross_attn.o.weight", "head.head.bias"])
def test_names_come_back(name: str) -> None:
    assert plain(name) == plain(diffusers(name)) == plain("generator.model." + name) == name


def test_half_precision_halves_what_is_heavy_only(tmp_path: Path) -> None:
    stored = {name: each.bfloat16() for name, each in weights(tiny()).items()}
    path = save_safetensors(tmp_path / "w.safetensors", stored)
    loaded = load(path, SELF_FORCING, config=TINY, precision="fp16")
    assert loaded.dtypes == {"bfloat16": len(stored)}
    halves = {name for name, each in loaded.model.named_parameters() if each.dtype == torch.float16}
    assert "blocks.0.self_attn.q.weight" in halves
    assert "text_embedding.2.bias" in halves
    for sensitive in ("norm_q", "norm3", "modulation", "time_", "head.", "patch_embedding"):
        assert not [name for name in halves if sensitive in name], sensitive


def test_weights_that_keep_their_type_stay_in_the_file(tmp_path: Path) -> None:
    path = save_pt(tmp_path / "model.pt", {"generator": weights(tiny())})
    load(path, CAUSVID, config=TINY, available_bytes=0)  # nothing needs memory of its own
    with pytest.raises(CheckpointError, match="GB of memory"):
        load(path, CAUSVID, config=TINY, precision="fp16", available_bytes=1000)


def test_a_change_of_the_model_never_reaches_the_file(tmp_path: Path) -> None:
    path = save_pt(tmp_path / "model.pt", {"generator": weights(tiny())})
    before = path.read_bytes()
    model = load(path, CAUSVID, config=TINY).model
    with torch.no_grad():
        model.head.head.weight.zero_()
    assert path.read_bytes() == before


# LoRA


def lora_of(tensors: Named, rank: int = 2) -> tuple[Named, Named]:
    """A change of every linear of every block as peft names it, and the weights with it."""
    generator = torch.Generator().manual_seed(7)
    parts: Named = {}
    changed = dict(tensors)
    for name, weight in tensors.items():
        if name.startswith("blocks.") and weight.dim() == 2:
            down = torch.randn(rank, weight.shape[1], generator=generator)
            up = torch.randn(weight.shape[0], rank, generator=generator)
            stem = "base_model.model." + name.removesuffix(".weight")
            parts |= {f"{stem}.lora_A.weight": down, f"{stem}.lora_B.weight": up}
            changed[name] = weight + up @ down
    return parts, changed


@pytest.mark.parametrize("nested", [True, False])
def test_longlives_lora_is_added(tmp_path: Path, nested: bool) -> None:
    tensors = weights(tiny())
    parts, changed = lora_of(tensors)
    base = save_pt(tmp_path / "longlive_base.pt", {"generator": prefixed("model.", tensors)})
    lora = save_pt(tmp_path / "lora.pt", {"generator_lora": parts} if nested else parts)
    loaded = load(base, LONGLIVE, lora=lora, config=TINY)
    assert loaded.changed == len(parts) // 2 == 10 * TINY.layers
    for name, each in changed.items():
        torch.testing.assert_close(loaded.model.get_parameter(name).detach(), each, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("called", ["blocks.0.ffn.0", "diffusion_model.blocks.0.ffn.0", "blocks.0.ffn.net.0.proj"])
def test_a_lora_may_say_its_own_scale_and_have_names_of_other_tools(tmp_path: Path, called: str) -> None:
    tensors = weights(tiny())
    name = "blocks.0.ffn.0"
    down, up = torch.ones(4, TINY.width), torch.ones(TINY.feed_forward, 4)
    lora = {f"{called}.lora_down.weight": down, f"{called}.lora_up.weight": up, f"{called}.alpha": torch.tensor(2.0)}
    base = save_pt(tmp_path / "base.pt", {"generator": tensors})
    loaded = load(base, LONGLIVE, lora=save_safetensors(tmp_path / "l.safetensors", lora), config=TINY)
    expected = tensors[f"{name}.weight"] + 0.5 * up @ down
    torch.testing.assert_close(loaded.model.get_parameter(f"{name}.weight").detach(), expected)


@pytest.mark.parametrize(
    ("parts", "fault"),
    [
        ({"blocks.0.ffn.0.weight": torch.ones(1)}, "no LoRA is in this file"),
        ({"blocks.0.ffn.0.lora_A.weight": torch.ones(2, 96)}, "only one of its two halves"),
        ({"a.lora_A.weight": torch.ones(2, 96), "a.lora_B.weight": torch.ones(96, 2)}, "the model has no a.weight"),
        (
            {"blocks.0.ffn.0.lora_A.weight": torch.ones(2, 5), "blocks.0.ffn.0.lora_B.weight": torch.ones(192, 2)},
            r"blocks.0.ffn.0.weight is \[192, 96\], and the LoRA is for \[192, 5\]",
        ),
    ],
)
def test_a_lora_of_another_model_is_refused(tmp_path: Path, parts: Named, fault: str) -> None:
    base = save_pt(tmp_path / "base.pt", {"generator": weights(tiny())})
    with pytest.raises(CheckpointError, match=fault):
        load(base, LONGLIVE, lora=save_pt(tmp_path / "lora.pt", parts), config=TINY)


# what is not these weights


def refused(path: Path, *words: str, config: WanConfig = TINY, variant: Variant = SELF_FORCING) -> str:
    with pytest.raises(CheckpointError) as caught:
        load(path, variant, config=config)
    said = str(caught.value)
    for word in words:
        assert word in said, said
    return said


def test_missing_unexpected_and_wrong_tensors_are_named(tmp_path: Path) -> None:
    tensors = weights(tiny())
    del tensors["head.head.bias"]
    tensors["extra.weight"] = torch.zeros(1)
    tensors["blocks.1.modulation"] = torch.zeros(1, 5, 96)
    refused(
        save_pt(tmp_path / "m.pt", {"generator": tensors}),
        "1 missing (head.head.bias)",
        "1 unexpected (extra.weight)",
        "1 wrongly shaped (blocks.1.modulation [1, 5, 96] in place of [1, 6, 96])",
    )


def test_of_many_the_first_are_named_and_all_are_counted(tmp_path: Path) -> None:
    tensors = {name: each for name, each in weights(tiny()).items() if not name.startswith("blocks.")}
    said = refused(save_pt(tmp_path / "m.pt", tensors), " missing (blocks.0.modulation, ", ", ...)")
    count = int(re.findall(r"(\d+) missing", said)[0])
    assert count == len(weights(tiny())) - len(tensors)


def hollow(config: WanConfig) -> Named:
    """Names and shapes of a size, in no memory: the storage of every tensor is one number."""
    with torch.device("meta"):
        model = CausalWan(config)
    return {name: torch.zeros(()).expand(each.shape) for name, each in model.named_parameters()}


def test_another_size_is_told(tmp_path: Path) -> None:
    path = save_pt(tmp_path / "m.pt", {"generator": hollow(WAN_1_3B)})
    refused(path, "It is Wan in size 1.3B, and 14B was asked for", config=KREA.config)
    refused(path, "It is Wan in size 1.3B, and tiny was asked for")


def test_a_size_that_was_not_published_is_described(tmp_path: Path) -> None:
    deeper = dataclasses.replace(TINY, layers=3)
    refused(save_pt(tmp_path / "m.pt", hollow(deeper)), "It has 3 blocks of width 96, and tiny has 2 of width 96.")


@pytest.mark.parametrize(
    ("tensors", "guess"),
    [
        ({"decoder.upsamples.0.residual.0.gamma": torch.zeros(1)}, "It is Wan's VAE"),
        ({"token_embedding.weight": torch.zeros(1), "blocks.0.attn.q.weight": torch.zeros(1)}, "a text encoder"),
        ({"decoder.1.weight": torch.zeros(1)}, "It is TAEHV"),
        ({"blocks.0.ffn.0.lora_A.weight": torch.zeros(1, 1)}, "It is a LoRA"),
        ({"unet.conv.weight": torch.zeros(1)}, "Nothing in it looks like Wan's transformer"),
        ({"img_emb.proj.0.weight": torch.zeros(1)}, "image-to-video"),
        ({"vace_patch_embedding.weight": torch.zeros(1)}, "with controls"),
        ({"blocks.0.ffn.0.scale_weight": torch.zeros(1)}, "quantised"),
    ],
)
def test_another_model_is_told(tmp_path: Path, tensors: Named, guess: str) -> None:
    refused(save_safetensors(tmp_path / "m.safetensors", tensors), guess)


def test_a_model_with_other_latents_is_told(tmp_path: Path) -> None:
    tensors = hollow(TINY)
    tensors["patch_embedding.weight"] = torch.zeros(96, 48, 1, 2, 2)
    refused(save_pt(tmp_path / "m.pt", tensors), "48 channels, not 16", "Wan 2.2's TI2V-5B")


def test_integers_are_no_weights(tmp_path: Path) -> None:
    tensors = weights(tiny())
    tensors["head.head.bias"] = tensors["head.head.bias"].to(torch.int8)
    refused(save_pt(tmp_path / "m.pt", tensors), "1 not of numbers (head.head.bias)")


@pytest.mark.parametrize("kind", ["pt", "safetensors"])
@pytest.mark.parametrize("left", [0.5, 0.999])
def test_a_file_cut_short_is_told(tmp_path: Path, kind: str, left: float) -> None:
    save = {"pt": save_pt, "safetensors": save_safetensors}[kind]
    path = save(tmp_path / f"m.{kind}", weights(tiny()))
    os.truncate(path, int(path.stat().st_size * left))
    refused(path, "cut short or damaged after", "download it again")


def test_damaged_numbers_are_told(tmp_path: Path) -> None:
    tensors = weights(tiny())
    tensors["blocks.1.ffn.2.bias"][3] = torch.nan
    refused(save_pt(tmp_path / "m.pt", tensors), "blocks.1.ffn.2.bias holds NaN or infinity")


def test_numbers_too_large_for_half_precision_are_told(tmp_path: Path) -> None:
    tensors = weights(tiny())
    tensors["blocks.1.ffn.2.bias"][3] = 1e6
    path = save_pt(tmp_path / "m.pt", tensors)
    load(path, SELF_FORCING, config=TINY)
    with pytest.raises(CheckpointError, match=r"blocks\.1\.ffn\.2\.bias has numbers too large for float16"):
        load(path, SELF_FORCING, config=TINY, precision="fp16")


class Payload:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (f"touch '{self.path}'",)


def test_a_pickle_that_would_run_code_is_refused_before_it_runs(tmp_path: Path) -> None:
    trace = tmp_path / "ran"
    path = save_pt(tmp_path / "m.pt", {"generator": weights(tiny()), "config": Payload(trace)})
    with pytest.raises(UnsafeCheckpointError, match=r"more than weights \(posix\.system\).*nothing was run"):
        load(path, SELF_FORCING, config=TINY)
    assert not trace.exists()


def test_an_old_pickle_is_not_even_opened(tmp_path: Path) -> None:
    trace, path = tmp_path / "ran", tmp_path / "m.pt"
    path.write_bytes(pickle.dumps(Payload(trace)))
    refused(path, "a pickle of PyTorch before 1.6")
    assert not trace.exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
        (b"<!DOCTYPE html><html>", "a web page"),
        (b"GGUF\x03\x00\x00\x00 something else entirely", "another kind of file"),
    ],
)
def test_what_is_no_weights_at_all_is_told(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "m.pt"
    path.write_bytes(content)
    refused(path, said)


def test_entries_of_another_variant_are_told(tmp_path: Path) -> None:
    path = save_pt(tmp_path / "m.pt", {"critic": {"x": torch.zeros(1)}, "step": 3})
    refused(path, "none of generator_ema, generator is in this file, but critic, step")
    torch.save([1, 2], tmp_path / "l.pt")
    refused(tmp_path / "l.pt", "it holds a list")


def test_the_same_tensor_twice_is_refused(tmp_path: Path) -> None:
    tensors = weights(tiny())
    refused(save_pt(tmp_path / "m.pt", tensors | prefixed("model.", tensors)), "two tensors are ")


def test_folders_and_paths_that_say_too_little(tmp_path: Path) -> None:
    refused(tmp_path / "none.pt", "no such file")
    refused(tmp_path, "no file of weights is in this folder")
    for name in ("a.pt", "b.safetensors"):
        (tmp_path / name).touch()
    refused(tmp_path, "2 files could be meant (a.pt, b.safetensors)")


def test_shards_that_do_not_fit_together(tmp_path: Path) -> None:
    index = sharded(tmp_path, weights(tiny()))
    shard = tmp_path / "a-00002-of-00002.safetensors"
    kept = tmp_path / "kept"
    shutil.move(shard, kept)
    refused(index, "1 of 2 shards are not beside it (a-00002-of-00002.safetensors)")
    save_safetensors(shard, {"other": torch.zeros(1)})
    refused(index, "are not in the shard that should hold them")
    index.write_text("{}")
    refused(index, "not an index of shards")
    index.write_text(json.dumps({"weight_map": {"a": "../kept"}}))
    refused(index, "'../kept', which is not a file beside it")
