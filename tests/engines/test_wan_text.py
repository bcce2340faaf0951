"""Wan's texts: what is encoded, cut, kept, shared and refused."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from streamgen_engines.bundle import Bundle
from streamgen_engines.embedding_cache import EmbeddingCache
from streamgen_engines.errors import BundleError, GraphMismatchError, PromptError
from streamgen_engines.families.wan_text import EncodedText, WanTextEncoder
from streamgen_engines.manifest import State
from streamgen_engines.runtimes import Engine, OnnxRuntimeCpu
from tests.counting_engine import CountingEngine
from tests.engines.wan_texts import PLACES, digest, expected, text_graph, write_bundle


class CountingRuntime:
    """The CPU runtime under a name of its own, with runs counted."""

    def __init__(self, name: str = "counting") -> None:
        self.name = name
        self.threads = 0
        self.engines: list[CountingEngine] = []

    def load(
        self,
        path: Path,
        states: Sequence[State] = (),
        *,
        threads: int = 1,
        in_place: bool = False,
        held: Sequence[str] = (),
    ) -> Engine:
        self.threads = threads
        self.engines.append(
            CountingEngine(OnnxRuntimeCpu().load(path, states, threads=threads, in_place=in_place, held=held))
        )
        return self.engines[-1]

    @property
    def runs(self) -> int:
        return sum(engine.runs for engine in self.engines)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return write_bundle(tmp_path_factory.mktemp("bundles") / "texts")


def test_a_context_is_zero_where_there_is_no_token(bundle: Bundle) -> None:
    encoded = WanTextEncoder(bundle, OnnxRuntimeCpu()).encode("a b")
    np.testing.assert_array_equal(encoded.context, expected([4, 3, 5, 1]))
    assert (encoded.text, encoded.tokens) == ("a b", 4)
    assert encoded.context.dtype == np.float32
    with pytest.raises(ValueError, match="read-only"):
        encoded.context[0, 0, 0] = 1


@pytest.mark.parametrize("text", ["", "  ", "\n"])
def test_no_text_is_the_end_alone(bundle: Bundle, text: str) -> None:
    encoded = WanTextEncoder(bundle, OnnxRuntimeCpu()).encode(text)
    np.testing.assert_array_equal(encoded.context, expected([1]))


def test_a_long_text_is_cut_and_keeps_its_end(bundle: Bundle) -> None:
    encoder = WanTextEncoder(bundle, OnnxRuntimeCpu())
    encoded = encoder.encode("c" * 5000)
    np.testing.assert_array_equal(encoded.context, expected([6] * (PLACES - 1) + [1]))
    np.testing.assert_array_equal(encoder.encode("c" * (PLACES - 1)).context, encoded.context)
    assert encoder.encode("c" * (PLACES - 2)).tokens == PLACES - 1


@pytest.mark.parametrize("text", ["赤い", "мяч", "🔥🔥", "\ud800 half", "\0\x1b[", "</s> <pad>"])
def test_what_it_does_not_know_degrades(bundle: Bundle, text: str) -> None:
    assert WanTextEncoder(bundle, OnnxRuntimeCpu()).encode(text).tokens >= 1


def test_a_text_is_encoded_once_however_it_is_written(bundle: Bundle) -> None:
    runtime = CountingRuntime()
    encoder = WanTextEncoder(bundle, runtime, threads=2)
    first = encoder.encode("a &amp; “b”")
    assert first.text == 'a & "b"'
    for same in ("  a & \n “b” ", 'a &amp;amp; "b"'):
        np.testing.assert_array_equal(encoder.encode(same).context, first.context)
    assert (runtime.runs, runtime.threads) == (1, 2)


def test_a_kept_text_is_what_it_was(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "b", text_graph(scale=1 / 3))
    runtime, folder = CountingRuntime(), tmp_path / "kept"
    fresh = WanTextEncoder(bundle, runtime, cache=EmbeddingCache(folder)).encode("ab")
    kept = WanTextEncoder(bundle, runtime, cache=EmbeddingCache(folder)).encode("ab")
    assert runtime.runs == 1
    np.testing.assert_array_equal(kept.context, fresh.context)
    np.testing.assert_allclose(fresh.context, expected([4, 5, 1]) / 3, rtol=1e-3)


def test_another_graph_tokenizer_or_runtime_is_another_encoder(tmp_path: Path, bundle: Bundle) -> None:
    cache = EmbeddingCache(tmp_path / "kept")
    other = write_bundle(tmp_path / "other", text_graph(scale=2.0))
    cut = write_bundle(tmp_path / "cut")
    tokenizer = cut.tokenizer_path
    tokenizer.write_text(tokenizer.read_text().replace('"▁"', '"\u2582"', 1))
    manifest = cut.root / "manifest.json"
    manifest.write_text(manifest.read_text().replace(cut.manifest.text.tokenizer.sha256, digest(tokenizer)))
    encoders = [
        WanTextEncoder(bundle, CountingRuntime("x"), cache=cache),
        WanTextEncoder(other, CountingRuntime("x"), cache=cache),
        WanTextEncoder(Bundle.open(cut.root), CountingRuntime("x"), cache=cache),
        WanTextEncoder(bundle, CountingRuntime("y"), cache=cache),
    ]
    assert len({encoder.identity for encoder in encoders}) == 4
    assert WanTextEncoder(bundle, CountingRuntime("x")).identity == encoders[0].identity
    np.testing.assert_array_equal(encoders[0].encode("ab").context, expected([4, 5, 1]))
    np.testing.assert_array_equal(encoders[1].encode("ab").context, 2 * expected([4, 5, 1]))


def test_threads_may_share_it_and_the_same_text_is_encoded_once(bundle: Bundle) -> None:
    runtime = CountingRuntime()
    encoder = WanTextEncoder(bundle, runtime)
    texts = [letter * (1 + number) for number, letter in enumerate("abcdefgh")]
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(encoder.encode, texts * 6))
    assert runtime.runs == len(texts)
    for number, encoded in enumerate(found):
        text = texts[number % len(texts)]
        np.testing.assert_array_equal(encoded.context, expected([ord(text[0]) - ord("a") + 4] * len(text) + [1]))


def test_a_graph_of_fewer_tokens_cuts_sooner(tmp_path: Path) -> None:
    encoder = WanTextEncoder(write_bundle(tmp_path / "b", text_graph(tokens=4)), OnnxRuntimeCpu())
    np.testing.assert_array_equal(encoder.encode("abcdefgh").context, expected([4, 5, 6, 1]))
    assert (encoder.places, encoder.width) == (PLACES, 4)


def test_a_graph_that_is_not_the_manifests_is_refused(tmp_path: Path) -> None:
    with pytest.raises(GraphMismatchError, match=r"takes 32 tokens, field text\.max_tokens says 16"):
        WanTextEncoder(write_bundle(tmp_path / "a", text_graph(tokens=32)), OnnxRuntimeCpu())
    bundle = write_bundle(tmp_path / "b")
    manifest = bundle.root / "manifest.json"
    manifest.write_text(
        manifest.read_text().replace('"width": 4}', '"width": 5}').replace('"width": 4,', '"width": 5,')
    )
    with pytest.raises(GraphMismatchError, match=r"context is float32\[1, 16, 4\], should be float32\[1, 16, 5\]"):
        WanTextEncoder(Bundle.open(bundle.root), OnnxRuntimeCpu())


def test_a_tokenizer_that_is_none_is_told_before_the_graph_is_loaded(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "b")
    bundle.tokenizer_path.write_text("{}")
    runtime = CountingRuntime()
    with pytest.raises(BundleError, match=r"field text\.tokenizer\) is not a tokenizer"):
        WanTextEncoder(bundle, runtime)
    assert not runtime.engines


@pytest.mark.parametrize("scale", [float("inf"), float("nan"), 1e6])
def test_numbers_that_cannot_be_kept_fail_the_prompt_alone(tmp_path: Path, scale: float) -> None:
    encoder = WanTextEncoder(write_bundle(tmp_path / "b", text_graph(scale=scale)), OnnxRuntimeCpu())
    with pytest.raises(PromptError, match="export the text encoder as bf16 or int8"):
        encoder.encode("ab")


def test_rows_become_a_context() -> None:
    encoded = EncodedText.from_rows("x", np.ones((2, 3), np.float16), 4)
    assert encoded.context.tolist() == [[[1.0] * 3, [1.0] * 3, [0.0] * 3, [0.0] * 3]]
