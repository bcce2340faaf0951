"""Bounds hold for whatever is encoded, and they are not so loose that nothing would be left in half precision."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from streamgen_export.wan.umt5 import LINEARS, Umt5Config
from streamgen_export.wan.umt5_ranges import LARGEST_HALF, LayerRanges, layer_ranges
from tests.export.wan.tiny_umt5 import weights

CONFIG = Umt5Config(layers=1, width=64, heads=4, head_width=16, feed=160, vocabulary=16)


def layer(seed: int = 0) -> dict[str, Tensor]:
    return {name.rpartition(".")[2]: tensor for name, tensor in weights(seed, CONFIG).items() if "layers" in name}


def bounds(made: dict[str, Tensor]) -> LayerRanges:
    return layer_ranges(lambda name: made[name], CONFIG.heads)


def normed(made: dict[str, Tensor], gain: str, x: Tensor) -> Tensor:
    return F.rms_norm(x, (CONFIG.width,), eps=1e-6) * made[gain]


def worst_inputs(columns: Tensor) -> Tensor:
    """Tokens that point along the columns: a product cannot be larger than with these."""
    return torch.cat([columns.T, torch.randn(500, CONFIG.width, generator=torch.Generator().manual_seed(3)) * 50])


@pytest.mark.parametrize("seed", range(3))
def test_no_product_exceeds_its_bound_and_some_reach_it(seed: int) -> None:
    made = layer(seed)
    found = bounds(made)
    assert set(found.results) == set(found.operands) == set(LINEARS)
    for name, gain in (("query", "attention_gain"), ("key", "attention_gain"), ("gate", "feed_gain")):
        columns = made[gain][:, None] * made[name]
        largest = float((normed(made, gain, worst_inputs(columns)) @ made[name]).abs().max())
        assert 0.99 * found.results[name] < largest <= found.results[name] * 1.0001
    x = normed(made, "feed_gain", worst_inputs(made["feed_gain"][:, None] * made["gate"]))
    operand = F.gelu(x @ made["gate"], approximate="tanh") * (x @ made["widen"])
    assert float(operand.abs().max()) <= found.operands["narrow"]
    assert float((operand @ made["narrow"]).abs().max()) <= found.results["narrow"]


def test_scores_and_attended_values_stay_within_their_bounds() -> None:
    made = layer()
    found = bounds(made)
    x = normed(made, "attention_gain", worst_inputs(made["attention_gain"][:, None] * made["key"]))
    query, key, value = (
        (x @ made[name]).reshape(-1, CONFIG.heads, CONFIG.head_width).transpose(0, 1)
        for name in ("query", "key", "value")
    )
    scores = query @ key.transpose(1, 2)
    assert float(scores.abs().max()) <= found.scores
    attended = (scores.softmax(-1) @ value).transpose(0, 1).flatten(1)
    assert float(attended.abs().max()) <= found.operands["output"]
    assert float((attended @ made["output"]).abs().max()) <= found.results["output"]


def test_weights_at_the_start_of_training_are_safe_but_for_the_last_product() -> None:
    """By the deviations of Wan's init: at UMT5-XXL's size too, reckoned as in `layer_ranges`."""
    assert bounds(layer()).unsafe() == set()
    # 64 from each of gate and widened; then 10240 terms of that product times a weight of 0.8 * 10240 ** -0.5.
    assert 64 * 64 * 10_240 * 0.8 * 10_240**-0.5 > LARGEST_HALF > 64 * 64


def test_what_is_unsafe_is_named() -> None:
    made = layer()
    made["narrow"] = made["narrow"] * 1e4
    assert bounds(made).unsafe() == {"narrow"}
    made["query"] = made["query"] * 1e4
    assert bounds(made).unsafe() == {"narrow", "attention"}
    made["query"] = made["query"] * 1e4
    assert bounds(made).unsafe() == {"narrow", "attention", "query"}
