"""The encoder against transformers' UMT5EncoderModel, which we did not write."""

import pytest
import torch
from torch import Tensor
from transformers import UMT5Config, UMT5EncoderModel

from streamgen_export.wan.umt5 import PAD_BIAS, Umt5Config, position_buckets
from tests.export.wan.tiny_umt5 import CONFIG, TOKENS, encoder, feed, weights

TRANSFORMERS = {
    "query": "layer.0.SelfAttention.q",
    "key": "layer.0.SelfAttention.k",
    "value": "layer.0.SelfAttention.v",
    "output": "layer.0.SelfAttention.o",
    "positions": "layer.0.SelfAttention.relative_attention_bias",
    "attention_gain": "layer.0.layer_norm",
    "gate": "layer.1.DenseReluDense.wi_0",
    "widen": "layer.1.DenseReluDense.wi_1",
    "narrow": "layer.1.DenseReluDense.wo",
    "feed_gain": "layer.1.layer_norm",
}


def reference(made: dict[str, Tensor], config: Umt5Config = CONFIG) -> UMT5EncoderModel:
    model = UMT5EncoderModel(
        UMT5Config(
            vocab_size=config.vocabulary,
            d_model=config.width,
            d_kv=config.head_width,
            d_ff=config.feed,
            num_layers=config.layers,
            num_heads=config.heads,
            feed_forward_proj="gated-gelu",
            attn_implementation="eager",
        )
    ).eval()
    found = {"shared.weight": made["embedding"], "encoder.embed_tokens.weight": made["embedding"]}
    found["encoder.final_layer_norm.weight"] = made["gain"]
    for name, tensor in made.items():
        if name.startswith("layers."):
            _, index, kind = name.split(".")
            stored = tensor[:, :-1].T if kind == "positions" else tensor.T if tensor.ndim == 2 else tensor
            found[f"encoder.block.{index}.{TRANSFORMERS[kind]}.weight"] = stored
    model.load_state_dict(found)
    return model


@pytest.mark.parametrize("count", [1, 2, 9, 40, 300, TOKENS])
def test_it_is_the_published_encoder(count: int) -> None:
    made = weights(count)
    for index in range(CONFIG.layers):  # biases that matter: those of training's start are next to nothing
        made[f"layers.{index}.positions"][:, :-1] *= 30
    asked = feed(count, seed=count)
    with torch.no_grad():
        true = reference(made)(**asked).last_hidden_state[0, :count]
        got = encoder(made)(**asked)
    torch.testing.assert_close(got[0, :count], true, atol=2e-5, rtol=1e-4)
    assert not got[0, count:].any()


def test_what_stands_in_the_padding_does_not_matter() -> None:
    made, asked = weights(), feed(7)
    other = {**asked, "input_ids": torch.where(asked["attention_mask"] == 1, asked["input_ids"], 9)}
    with torch.no_grad():
        torch.testing.assert_close(encoder(made)(**other), encoder(made)(**asked), atol=0, rtol=0)


def test_fewer_places_give_the_same_context() -> None:
    made = weights()
    with torch.no_grad():
        short = encoder(made, tokens=64)(**feed(20, tokens=64))
        torch.testing.assert_close(short[0, :20], encoder(made)(**feed(20))[0, :20], atol=1e-5, rtol=1e-5)


def test_each_layer_has_biases_of_its_own() -> None:
    made, asked = weights(), feed(30)
    with torch.no_grad():
        before = encoder(made)(**asked)
        made["layers.1.positions"] = made["layers.1.positions"] + torch.linspace(-3, 3, CONFIG.buckets + 1)
        made["layers.1.positions"][:, -1] = PAD_BIAS
        assert (encoder(made)(**asked) - before).abs().max() > 0.05


def test_directions_have_buckets_of_their_own_and_the_farthest_share_one() -> None:
    buckets = position_buckets(TOKENS, CONFIG)
    assert buckets[200, 200] == 0
    assert buckets[200, 199] == 1
    assert buckets[200, 201] == 17
    assert buckets[511, 0] == buckets[511, 511 - 128] == 15
    assert buckets[0, 511] == 31
    assert set(buckets.unique().tolist()) == set(range(32)) - {16}


def test_the_published_size() -> None:
    config = Umt5Config()
    numbers = sum(torch.Size(shape).numel() for shape in config.shapes().values())
    assert numbers == 5_680_910_336 + 24 * 64  # a column for padding in each layer
    assert config.attention_width == config.width == 4096
