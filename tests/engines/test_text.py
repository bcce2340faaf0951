"""Prompts: what is encoded, remembered, cut, mixed and refused."""

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import FrozenInstanceError
from pathlib import Path

import numpy as np
import pytest

from streamgen_engines.bundle import Bundle
from streamgen_engines.errors import BundleError, GraphMismatchError, PromptError
from streamgen_engines.manifest import State
from streamgen_engines.runtimes import Engine, OnnxRuntimeCpu
from streamgen_engines.text import MAX_CHARACTERS, PADDING_BIAS, Prompt, TextEncoder, null_prompt
from tests.counting_engine import CountingEngine
from tests.tiny_bundle import sha256


class CountingRuntime:
    """The CPU runtime, with the runs of its one graph counted."""

    name = "counting"

    def __init__(self) -> None:
        self.loaded: list[CountingEngine] = []

    def load(
        self,
        path: Path,
        states: Sequence[State] = (),
        *,
        threads: int = 1,
        in_place: bool = False,
        held: Sequence[str] = (),
    ) -> Engine:
        self.loaded.append(
            CountingEngine(OnnxRuntimeCpu().load(path, states, threads=threads, in_place=in_place, held=held))
        )
        return self.loaded[-1]

    @property
    def runs(self) -> int:
        return sum(engine.runs for engine in self.loaded)


@pytest.fixture(scope="module")
def encoder(tiny: Bundle) -> TextEncoder:
    return TextEncoder(tiny, OnnxRuntimeCpu())


def same(a: Prompt, b: Prompt) -> bool:
    return (
        np.array_equal(a.context, b.context)
        and np.array_equal(a.context_bias, b.context_bias)
        and np.array_equal(a.pooled, b.pooled)
    )


def test_shapes_are_those_of_the_manifest(tiny: Bundle, encoder: TextEncoder) -> None:
    text = tiny.manifest.text
    for prompt in (encoder.encode("a red ball"), encoder.encode(""), encoder.blend([("sea", 1), ("fire", 2)])):
        assert prompt.context.shape == (1, text.max_tokens, text.width)
        assert prompt.context_bias.shape == (1, text.max_tokens)
        assert prompt.pooled.shape == (1, text.width)
        assert {a.dtype.name for a in (prompt.context, prompt.context_bias, prompt.pooled)} == {"float32"}


def test_padding_is_masked_and_empty(encoder: TextEncoder) -> None:
    prompt = encoder.encode("a red ball")  # and the two marks around it
    assert prompt.context_bias[0].tolist() == [0.0] * 5 + [PADDING_BIAS] * 27
    assert np.abs(prompt.context[0, :5]).min(axis=1).shape == (5,)
    assert (np.abs(prompt.context[0, :5]).sum(axis=1) > 0).all()
    assert not prompt.context[0, 5:].any()
    assert np.linalg.norm(prompt.pooled) == pytest.approx(1, abs=1e-4)


def test_meaning_counts_not_letters(encoder: TextEncoder) -> None:
    cat, kitten, storm = (
        encoder.encode(text).pooled[0] for text in ("a cat sleeps", "a kitten is asleep", "a violent thunderstorm")
    )
    assert cat @ kitten > 0.6 > 0.3 > cat @ storm


@pytest.mark.parametrize("text", ["", "   ", "\n\t"])
def test_no_text_is_the_null_prompt(tiny: Bundle, encoder: TextEncoder, text: str) -> None:
    prompt = encoder.encode(text)
    assert same(prompt, null_prompt(tiny.manifest.text))
    assert not prompt.context.any()
    assert not prompt.pooled.any()
    assert prompt.context_bias[0].tolist() == [0.0] + [PADDING_BIAS] * 31


@pytest.mark.parametrize(
    "text", ["赤いボールが跳ねる", "мяч прыгает", "כדור אדום", "🔥🔥🔥", "\ud800 half a pair", "\0\x1b["]
)
def test_what_it_does_not_know_degrades(encoder: TextEncoder, text: str) -> None:
    prompt = encoder.encode(text)
    assert np.isfinite(prompt.context).all()
    assert np.linalg.norm(prompt.pooled) == pytest.approx(1, abs=1e-4)


def test_a_long_text_is_cut(tiny: Bundle, encoder: TextEncoder) -> None:
    start = "a red ball on the sea at night " * 10
    long = encoder.encode(start + "x" * 100_000)
    assert (long.context_bias == 0).all()
    assert len(long.text) <= MAX_CHARACTERS
    assert same(long, encoder.encode(start))  # the tokens end long before


def test_a_text_is_encoded_once(tiny: Bundle) -> None:
    runtime = CountingRuntime()
    encoder = TextEncoder(tiny, runtime)
    first = encoder.encode("fire")
    assert encoder.encode("  fire ") is first
    assert runtime.runs == 1


def test_memory_is_bounded_and_the_least_recent_goes(tiny: Bundle) -> None:
    runtime = CountingRuntime()
    encoder = TextEncoder(tiny, runtime, cached=2)
    a, _ = encoder.encode("a"), encoder.encode("b")
    assert encoder.encode("a") is a  # so b is the older now
    encoder.encode("c")
    assert runtime.runs == 3
    assert encoder.encode("a") is a
    assert runtime.runs == 3
    encoder.encode("b")
    assert runtime.runs == 4
    for i in range(20):
        encoder.encode(f"text {i}")
    assert len(encoder._cache) == 2


def test_threads_may_share_it(tiny: Bundle, encoder: TextEncoder) -> None:
    texts = [f"a ball number {i}" for i in range(8)]
    expected = [encoder.encode(text) for text in texts]
    shared = TextEncoder(tiny, OnnxRuntimeCpu(), cached=3)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(shared.encode, texts * 5))
    for i, prompt in enumerate(found):
        assert same(prompt, expected[i % len(texts)])


def test_a_prompt_cannot_be_changed(encoder: TextEncoder) -> None:
    prompt = encoder.encode("fire")
    with pytest.raises(ValueError, match="read-only"):
        prompt.pooled[0, 0] = 1
    with pytest.raises(FrozenInstanceError):
        prompt.text = "water"  # type: ignore[misc]


def test_a_blend_of_one_is_its_encoding(encoder: TextEncoder) -> None:
    prompt = encoder.encode("a red ball")
    assert encoder.blend([("a red ball", 0.3)]) is prompt
    assert encoder.blend([("a red ball", 2), ("the sea", 0)]) is prompt
    twice = encoder.blend([("a red ball", 1), ("a red ball", 3)])
    np.testing.assert_allclose(twice.context, prompt.context, atol=1e-6)
    np.testing.assert_allclose(twice.context_bias, prompt.context_bias, atol=1e-6)
    np.testing.assert_allclose(twice.pooled, prompt.pooled, atol=1e-4)


def test_a_blend_lies_between_its_parts(encoder: TextEncoder) -> None:
    ball, sea = encoder.encode("a red ball"), encoder.encode("calm sea at night")
    towards = [
        encoder.blend([("a red ball", 1 - w), ("calm sea at night", w)]).pooled[0] @ sea.pooled[0]
        for w in (0.0, 0.25, 0.5, 0.75, 1.0)
    ]
    assert towards == sorted(towards)
    half = encoder.blend([("a red ball", 5), ("calm sea at night", 5)])
    assert half.pooled[0] @ sea.pooled[0] == pytest.approx(half.pooled[0] @ ball.pooled[0], abs=1e-4)
    np.testing.assert_allclose(half.context[0, :5], (ball.context + sea.context)[0, :5] / 2, atol=1e-5)
    assert half.text == "0.5 a red ball + 0.5 calm sea at night"


def test_a_place_that_one_text_fills_is_attended_by_its_weight(encoder: TextEncoder) -> None:
    blend = encoder.blend([("a red ball", 1), ("calm sea at night", 3)])  # 5 and 6 places
    assert blend.context_bias[0, :5].tolist() == [0.0] * 5
    assert blend.context_bias[0, 5] == pytest.approx(np.log(0.75))
    assert (blend.context_bias[0, 6:] == PADDING_BIAS).all()
    np.testing.assert_allclose(blend.context[0, 5], encoder.encode("calm sea at night").context[0, 5], atol=1e-5)


@pytest.mark.parametrize(
    "weighted",
    [[], [("a", 0.0)], [("a", -1.0), ("b", 2.0)], [("a", float("nan"))], [("a", float("inf"))], [("a", 1e308)] * 9],
)
def test_weights_that_mean_nothing_are_refused(encoder: TextEncoder, weighted: list[tuple[str, float]]) -> None:
    with pytest.raises(PromptError, match="weight"):
        encoder.blend(weighted)


def reopen(folder: Path, raw: dict[str, object]) -> Bundle:
    (folder / "manifest.json").write_text(json.dumps(raw))
    return Bundle.open(folder)


def test_a_tokenizer_that_is_none_is_refused(folder: Path) -> None:
    raw = json.loads((folder / "manifest.json").read_text())
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer.json").write_text("{}")
    raw["text"]["tokenizer"]["sha256"] = sha256(folder / "tokenizer.json")
    with pytest.raises(BundleError, match=r"field text\.tokenizer\) is not a tokenizer .* export the bundle again"):
        TextEncoder(reopen(folder, raw), OnnxRuntimeCpu())


def test_a_text_graph_of_other_sizes_is_refused(folder: Path) -> None:
    raw = json.loads((folder / "manifest.json").read_text())
    raw["text"]["max_tokens"] = 48
    with pytest.raises(GraphMismatchError, match=r"graphs\.text does not fit .*input_ids is int64\[1, 32\]"):
        TextEncoder(reopen(folder, raw), OnnxRuntimeCpu())


def test_a_blend_of_too_many_texts_is_refused(encoder: TextEncoder) -> None:
    with pytest.raises(PromptError, match="9 texts, at most 8"):
        encoder.blend([(str(i), 1.0) for i in range(9)])
    assert len(encoder.blend([*((str(i), 1.0) for i in range(8)), ("9", 0.0)]).shares) == 8
