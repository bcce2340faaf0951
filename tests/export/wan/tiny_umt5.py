"""A UMT5 of a few thousand weights, and files as they are published."""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from torch import Tensor

from streamgen_export.wan.umt5 import Umt5Config, Umt5Encoder, random_weights

CONFIG = Umt5Config(layers=2, width=32, heads=4, head_width=8, feed=80, vocabulary=64)
TOKENS = 512
LAYER = {
    "attention_gain": "norm1",
    "query": "attn.q",
    "key": "attn.k",
    "value": "attn.v",
    "output": "attn.o",
    "positions": "pos_embedding.embedding",
    "feed_gain": "norm2",
    "gate": "ffn.gate.0",
    "widen": "ffn.fc1",
    "narrow": "ffn.fc2",
}


def encoder(weights: dict[str, Tensor], tokens: int = TOKENS, config: Umt5Config = CONFIG) -> Umt5Encoder:
    module = Umt5Encoder(config, tokens)
    module.load_state_dict(weights)
    return module.eval()


def weights(seed: int = 0, config: Umt5Config = CONFIG) -> dict[str, Tensor]:
    return random_weights(config, seed)


def wan_layout(made: dict[str, Tensor]) -> dict[str, Tensor]:
    """The names and orientation of Wan's own file."""
    found = {"token_embedding.weight": made["embedding"], "norm.weight": made["gain"]}
    for name, tensor in made.items():
        if name.startswith("layers."):
            _, index, kind = name.split(".")
            stored = tensor[:, :-1].T if kind == "positions" else tensor.T if tensor.ndim == 2 else tensor
            found[f"blocks.{index}.{LAYER[kind]}.weight"] = stored.contiguous()
    return found


def save_shards(folder: Path, tensors: dict[str, Tensor], shards: int = 2) -> Path:
    """As transformers writes a large model."""
    folder.mkdir(parents=True)
    names = sorted(tensors)
    places: dict[str, str] = {}
    for shard in range(shards):
        file = f"model-{shard + 1:05}-of-{shards:05}.safetensors"
        part = names[shard::shards]
        save_file({name: tensors[name].clone().contiguous() for name in part}, folder / file)
        places |= dict.fromkeys(part, file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))
    return folder


def feed(count: int, tokens: int = TOKENS, seed: int = 0, vocabulary: int = CONFIG.vocabulary) -> dict[str, Tensor]:
    """`count` tokens and padding."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.zeros((1, tokens), dtype=torch.int64)
    mask = torch.zeros((1, tokens), dtype=torch.int64)
    ids[0, :count] = torch.randint(2, vocabulary, (count,), generator=generator)
    mask[0, :count] = 1
    return {"input_ids": ids, "attention_mask": mask}


def tiny_tokenizer() -> Tokenizer:
    """Unigram, as UMT5's: padding is 0, the end is 1, what is unknown 2."""
    pieces = [
        ("<pad>", 0.0),
        ("</s>", 0.0),
        ("<unk>", 0.0),
        ("\u2581", -2.0),
        ("\u2581red", -4.0),
        ("\u2581ball", -4.5),
    ]
    pieces += [(letter, -6.0) for letter in "abcdefghijklmnopqrstuvwxyz'\""]
    tokenizer = Tokenizer(models.Unigram(pieces, 2, False))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.add_special_tokens(["<pad>", "</s>"])
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return tokenizer
