"""Mixes of keys and values: the same numbers as the plain formula, in memory that is used again."""

from typing import Any

import numpy as np
import pytest

from streamgen_engines.families.wan.prompt_mix import Arrays, PromptMix
from streamgen_engines.prompt import Prompt, blend

SHAPES = {"prompt_key_0": (1, 2, 5, 8), "prompt_value_0": (1, 2, 5, 8), "prompt_key_1": (1, 3, 4, 2)}


def told(seed: int, dtype: str) -> Arrays:
    random = np.random.default_rng(seed)
    return {name: (3 * random.standard_normal(shape)).astype(dtype) for name, shape in SHAPES.items()}


def plain(parts: list[tuple[Arrays, float]]) -> Arrays:
    mixed: Arrays = {}
    for name, first in parts[0][0].items():
        total = sum(np.float32(share) * arrays[name].astype(np.float32) for arrays, share in parts)
        mixed[name] = np.asarray(total).astype(first.dtype)
    return mixed


def equal(one: Arrays, two: Arrays) -> bool:
    return one.keys() == two.keys() and all(
        np.array_equal(one[name], two[name]) and one[name].dtype == two[name].dtype for name in one
    )


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_mixes_are_those_of_the_plain_formula_bit_for_bit(dtype: str) -> None:
    sea, fire, snow = (told(seed, dtype) for seed in range(3))
    kept = [{name: array.copy() for name, array in each.items()} for each in (sea, fire, snow)]
    mix = PromptMix()
    for share in (0.25, 0.5, 0.9):
        made = mix.of([("sea", sea, 1 - share), ("fire", fire, share)])
        assert equal(made, plain([(sea, 1 - share), (fire, share)]))
    parts = [("sea", sea, 0.2), ("fire", fire, 0.3), ("snow", snow, 0.5)]  # turned on its way
    assert equal(mix.of(parts), plain([(arrays, share) for _, arrays, share in parts]))
    mix.forget()
    assert equal(mix.of([("sea", fire, 0.5), ("fire", sea, 0.5)]), plain([(fire, 0.5), (sea, 0.5)]))
    assert all(equal(each, before) for each, before in zip((sea, fire, snow), kept, strict=True))


def test_what_is_held_stays_as_it_is_while_the_next_one_is_made() -> None:
    sea, fire = told(0, "float16"), told(1, "float16")
    mix = PromptMix()
    held = mix.of([("sea", sea, 0.7), ("fire", fire, 0.3)])
    mix.of([("sea", sea, 0.4), ("fire", fire, 0.6)])
    assert equal(held, plain([(sea, 0.7), (fire, 0.3)]))


def test_the_steps_of_a_transition_allocate_nothing_and_change_the_type_of_each_text_once() -> None:
    converted: list[str] = []

    class Counted(np.ndarray[Any, Any]):
        def astype(self, *arguments: Any, **more: Any) -> Any:
            converted.append("")
            return np.asarray(self).astype(*arguments, **more)

    sea, fire = ({name: array.view(Counted) for name, array in told(seed, "float16").items()} for seed in range(2))
    mix = PromptMix()
    made = [mix.of([("sea", sea, 1 - share), ("fire", fire, share)]) for share in (0.2, 0.4, 0.6, 0.8)]
    assert len(converted) == 2 * len(SHAPES)
    for name in SHAPES:
        first, second = made[0][name], made[1][name]
        assert not np.shares_memory(first, second)
        assert made[2][name] is first
        assert made[3][name] is second


@pytest.mark.parametrize("pooled", [0, 8])
def test_a_blend_mixes_hidden_states_only_where_a_model_is_told_them(pooled: int) -> None:
    random = np.random.default_rng(0)

    def prompt(text: str) -> Prompt:
        context = random.standard_normal((1, 4, 6)).astype(np.float32)
        return Prompt(text, context, np.zeros((1, 4), np.float32), np.ones((1, pooled), np.float32))

    sea, fire = prompt("sea"), prompt("fire")
    half = blend([(sea, 1), (fire, 1)])
    if pooled:
        np.testing.assert_allclose(half.context, (sea.context + fire.context) / 2, atol=1e-6)
    else:
        assert half.context.shape == (1, 0, 6)
    again = blend([(half, 1), (sea, 1)])  # blends of blends go back to the texts
    assert (again.context.shape, dict(again.shares)) == (half.context.shape, {"sea": 0.75, "fire": 0.25})
    assert [part.context is each.context for (part, _), each in zip(half.alone, (sea, fire), strict=True)] == [True] * 2
