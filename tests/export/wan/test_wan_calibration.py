"""Ranges of activations: what linears read in a stream, the model left as it was, and what cannot be measured."""

from typing import cast

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from streamgen_export.wan.calibration import COLUMNS, ROWS, CalibrationError, Recipe, measure, small
from streamgen_export.wan.config import TINY, RingShape
from streamgen_export.wan.feeds import pass_inputs, random_context
from streamgen_export.wan.precision import fp8_names, int8_names, to_fp8
from streamgen_export.wan.streaming import Denoise, PromptKv
from streamgen_export.wan.variants import VARIANTS
from tests.export.wan.tiny import SHAPES, tiny

SHAPE = SHAPES["three frames, sink"]
CONTEXTS = [torch.from_numpy(random_context(TINY, seed=seed)) for seed in range(2)]
ONCE = Recipe((1.0,), clean_pass=False, chunks=1)


def test_it_is_the_largest_number_that_each_linear_reads() -> None:
    model = tiny()
    found = measure(model, SHAPE, CONTEXTS[:1], ONCE)
    assert list(found) == list(fp8_names(model))
    seen = dict.fromkeys(found, 0.0)

    def watched(name: str) -> None:
        def watch(_: nn.Module, given: tuple[Tensor, ...]) -> None:
            seen[name] = float(given[0].abs().max())

        model.get_submodule(name).register_forward_pre_hook(watch)

    for name in found:
        watched(name)
    module = Denoise(model, SHAPE)
    latent = np.random.default_rng(ONCE.seed).standard_normal(module.inputs()["latent"], np.float32)
    feed = (torch.from_numpy(np.asarray(each)) for each in pass_inputs(TINY, SHAPE, 0, latent, 1.0).values())
    with torch.no_grad():
        module(*feed, *PromptKv(model)(CONTEXTS[0]), *(torch.zeros(size) for size in module.states().values()))
    assert seen == pytest.approx(found, rel=1e-5)


def test_queries_keys_and_values_read_the_same_and_later_chunks_read_more() -> None:
    model = tiny()
    short, long = (measure(model, SHAPE, CONTEXTS[:1], Recipe((1.0, 0.5), True, chunks)) for chunks in (1, 4))
    for layer in range(TINY.layers):
        own = [short[f"blocks.{layer}.self_attn.{part}"] for part in "qkv"]
        assert own[0] == own[1] == own[2]
    assert all(long[name] >= short[name] for name in short)
    assert any(long[name] > short[name] for name in short)


def test_the_model_stays_what_it_was() -> None:
    model = tiny()
    before = {name: (type(each), id(each)) for name, each in model.named_modules()}
    measure(model, SHAPE, CONTEXTS, ONCE)
    assert {name: (type(each), id(each)) for name, each in model.named_modules()} == before


def test_a_float16_model_is_measured_as_float32_would_be() -> None:
    exact, half = measure(tiny(), SHAPE, CONTEXTS, ONCE), measure(tiny().halve(), SHAPE, CONTEXTS, ONCE)
    for name, largest in exact.items():
        assert half[name] == pytest.approx(largest, rel=0.02)


def test_numbers_that_are_none_are_told() -> None:
    model = tiny()
    cast(nn.Linear, model.get_submodule("blocks.1.ffn.0")).weight[0, 0] = float("nan")
    with pytest.raises(CalibrationError, match=r"blocks\.\d.* read numbers up to nan"):
        measure(model, SHAPE, CONTEXTS, ONCE)
    assert isinstance(model.get_submodule("blocks.1.ffn.0"), nn.Linear)  # as it was


def test_there_must_be_a_text_and_all_linears_must_be_measured() -> None:
    with pytest.raises(CalibrationError, match="at least one text"):
        measure(tiny(), SHAPE, [], ONCE)
    ranges = measure(tiny(), SHAPE, CONTEXTS, ONCE)
    ranges.pop("blocks.0.ffn.2")
    with pytest.raises(ValueError, match=r"1 linears were not measured \(the first: blocks\.0\.ffn\.2\)"):
        to_fp8(tiny().halve(), ranges)


def test_latents_of_calibrations_are_small_and_rings_of_all_variants_fit() -> None:
    for variant in VARIANTS.values():
        shape = small(variant.ring(60, 104))
        assert (shape.height, shape.width, shape.frames) == (ROWS, COLUMNS, variant.ring(60, 104).frames)
    tight = RingShape(3, 3, 0, 4, 6)
    assert small(tight) == tight


def test_the_text_keeps_what_it_has() -> None:
    eighth, integer = set(fp8_names(tiny())), set(int8_names(tiny()))
    assert integer - eighth == {f"blocks.{layer}.cross_attn.{part}" for layer in range(TINY.layers) for part in "kv"}
    assert len(eighth) == 8 * TINY.layers
