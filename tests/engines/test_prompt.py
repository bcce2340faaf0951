"""Blends of encoded texts, and what the bundled model makes of them."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamgen_engines.bundle import Bundle, bundled
from streamgen_engines.chunk import Latents
from streamgen_engines.condition import ALONE_IN_TRANSITION
from streamgen_engines.errors import PromptError
from streamgen_engines.families import Condition, PocketGenerator
from streamgen_engines.host_sampler import HostSampler
from streamgen_engines.manifest import Text, Tokenizer
from streamgen_engines.prompt import MAX_BLENDED, PADDING_BIAS, Prompt, blend, moved, null_prompt, same, transition
from streamgen_engines.runtimes import OnnxRuntimeCpu
from streamgen_engines.text import TextEncoder

PLACES = 6


def prompt(text: str) -> Prompt:
    """As many tokens as the text has letters, made of numbers that the text decides."""
    random = np.random.default_rng(list(text.encode()))
    filled = np.arange(PLACES) < len(text)
    pooled = random.standard_normal((1, 8)).astype(np.float32)
    return Prompt(
        text,
        (random.standard_normal((1, PLACES, 8)) * filled[None, :, None]).astype(np.float32),
        np.where(filled, 0.0, PADDING_BIAS).astype(np.float32)[None],
        pooled / np.linalg.norm(pooled),
    )


def attended(
    query: np.ndarray[tuple[int], np.dtype[np.float64]], given: Prompt
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """What cross-attention reads: values are the tokens themselves."""
    scores = given.context[0].astype(float) @ query + given.context_bias[0]
    weights = np.exp(scores - scores.max())
    result: np.ndarray[tuple[int], np.dtype[np.float64]] = weights @ given.context[0] / weights.sum()
    return result


A, B, C = prompt("aaa"), prompt("bbbbb"), prompt("c")
shares = st.floats(0, 1)


def test_the_ends_are_the_prompts_themselves() -> None:
    assert blend([(A, 2.0), (B, 0.0)]) is A
    assert blend([(A, 2.0), (A, 1.0)]) is A
    assert transition(A, B, 0.0) is A
    assert transition(A, B, 1.0) is B
    assert transition(A, B, 7.0) is B
    assert transition(A, A, 0.3) is A


@settings(deadline=None)
@given(shares)
def test_a_transition_is_continuous(share: float) -> None:
    query = np.linspace(-1, 1, 8)
    near = transition(A, B, min(share + 1e-4, 1.0)), transition(A, B, share)
    assert np.abs(attended(query, near[0]) - attended(query, near[1])).max() < 1e-2
    assert np.abs(near[0].pooled - near[1].pooled).max() < 1e-2


@settings(deadline=None)
@given(shares, shares)
def test_shares_add_up_and_blends_of_blends_are_flat(one: float, two: float) -> None:
    nested = transition(transition(A, B, one), C, two)
    found = dict(nested.shares)
    expected = {"aaa": (1 - one) * (1 - two), "bbbbb": one * (1 - two), "c": two}
    assert found == pytest.approx({text: share for text, share in expected.items() if share > 0})
    assert sum(found.values()) == pytest.approx(1)
    assert all(not alone.parts for alone, _ in nested.alone)


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from([A, B, C]), st.floats(0.01, 100)), min_size=1, max_size=5))
def test_a_blend_is_made_again_from_its_shares(weighted: list[tuple[Prompt, float]]) -> None:
    made = blend(weighted)
    again = blend([({"aaa": A, "bbbbb": B, "c": C}[text], share) for text, share in made.shares])
    assert again.shares == made.shares
    for name in ("context", "context_bias", "pooled"):
        np.testing.assert_array_equal(getattr(again, name), getattr(made, name))


def test_no_text_counts_too() -> None:
    nothing = null_prompt(Text(max_tokens=PLACES, width=8, tokenizer=Tokenizer(file="t", sha256="0" * 64)))
    lengths = [float(np.linalg.norm(transition(nothing, A, share).pooled)) for share in (0.0, 0.25, 0.5, 1.0)]
    assert lengths == pytest.approx([0.0, 0.25, 0.5, 1.0], abs=1e-6)


def test_a_transition_that_is_turned_again_and_again_stays_bounded() -> None:
    reached = A
    for i in range(40):
        reached = transition(reached, prompt(f"{i:02d}"), 0.3)
        assert len(reached.alone) <= MAX_BLENDED
        assert sum(share for _, share in reached.alone) == pytest.approx(1)
    assert [text for text, _ in reached.shares] == [f"{i:02d}" for i in range(40 - MAX_BLENDED, 40)]


def test_how_much_another_prompt_moves() -> None:
    half = transition(A, B, 0.5)
    assert [moved(A, A), moved(A, B), moved(A, half), moved(half, B)] == [0.0, 1.0, 0.5, 0.5]
    assert moved(half, transition(A, B, 0.6)) == pytest.approx(0.1)
    thirds = blend([(A, 1), (B, 1), (C, 1)])
    assert moved(thirds, blend([(A, 1), (B, 1), (C, 1)])) == 0.0  # whatever a third rounds to
    assert same(thirds, blend([(A, 2), (B, 2), (C, 2)]))
    assert not same(thirds, half)


@pytest.mark.parametrize("weight", [-1.0, float("nan"), float("inf"), 0.0])
def test_weights_that_mean_nothing_are_refused(weight: float) -> None:
    with pytest.raises(PromptError, match="weight"):
        blend([(A, weight)])
    with pytest.raises(PromptError, match="not a number"):
        transition(A, B, float("nan"))


# The bundled model ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shipped() -> Bundle:
    return bundled()


@pytest.fixture(scope="module")
def texts(shipped: Bundle) -> Callable[[str], Prompt]:
    return TextEncoder(shipped, OnnxRuntimeCpu()).encode


def distance(a: Latents, b: Latents) -> float:
    return float(np.linalg.norm(a.video - b.video))


def test_a_blend_lies_closer_to_its_exact_blend_than_to_either_text(
    shipped: Bundle, texts: Callable[[str], Prompt]
) -> None:
    """Figures of the module's documentation; 1 is the distance between the two texts."""
    generator = PocketGenerator(shipped, OnnxRuntimeCpu(), seed=3)
    sampler = generator._chunks
    assert isinstance(sampler, HostSampler)
    off = []
    for one, other in (
        ("a red ball bounces on the sand", "rain over a city at night"),
        ("a campfire in a forest at night, crackling", "fish swim over a coral reef"),
    ):
        a, b = texts(one), texts(other)
        for share in (0.25, 0.5, 0.75):
            x = generator._noise()
            half = transition(a, b, share)
            for sigma in (1.0, 0.75):
                velocities = [
                    sampler._told(x, sigma, generator._recipe(Condition(told, exact=exact)))
                    for told, exact in ((a, False), (b, False), (half, False), (half, True))
                ]
                off.append(distance(velocities[2], velocities[3]) / distance(velocities[0], velocities[1]))
    assert np.mean(off) < 0.45


def test_a_transition_arrives_where_it_would_not_if_all_of_the_past_were_seen(
    shipped: Bundle, texts: Callable[[str], Prompt]
) -> None:
    before, after = texts("a red ball bounces on the sand"), texts("rain over a city at night")
    generator = PocketGenerator(shipped, OnnxRuntimeCpu())

    def run(to: Prompt, *, helped: bool) -> list[Latents]:
        generator.reset(3)
        for _ in range(3):
            generator.step(Condition(before))
        for i in range(1, 5):
            condition = Condition(transition(before, to, i / 4))
            if helped:
                keep = 0 if i == 4 else None
                condition = Condition(condition.prompt, keep=keep, alone_above=ALONE_IN_TRANSITION)
            generator.step(condition)
        return [Latents(chunk.video, chunk.audio) for chunk in (generator.step(Condition(to)) for _ in range(2))]

    stayed = run(before, helped=False)
    generator.reset(3)
    arrived = [generator.step(Condition(after)) for _ in range(3)][1:]
    way = np.mean([x.video for x in arrived], axis=0) - np.mean([x.video for x in stayed], axis=0)

    def along(made: list[Latents]) -> float:
        reached = np.mean([x.video for x in made], axis=0) - np.mean([x.video for x in stayed], axis=0)
        return float((reached * way).sum() / (way**2).sum())

    assert along(run(after, helped=True)) > along(run(after, helped=False)) + 0.1
