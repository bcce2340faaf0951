from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from streamgen.moderation.errors import RuleListError
from streamgen.moderation.lists import Category, read_lists
from streamgen.moderation.similarity import MAX_WINDOWS, Policy, Similarity, read_policies, windows
from streamgen_engines.chunk import Float32Array

REFUSED = Category("storms", "refuse", "No storms here.")
AXES = ("storm", "breeze", "garden")


def embed(texts: Sequence[str]) -> Float32Array:
    """A text is the mix of the axes that it names, each as often as it does; without any it is like nothing."""
    rows = np.array([[text.split().count(axis) for axis in AXES] for text in texts], np.float32)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)  # type: ignore[no-any-return]


def policy(*, least: float = 0.2, hold: float = 0.1, refuse: float = 0.5, category: Category = REFUSED) -> Policy:
    return Policy(category, ("storm",), ("breeze",), least, hold, refuse)


@pytest.mark.parametrize(
    ("text", "decision"),
    [
        ("a storm", "refuse"),
        ("a breeze", "allow"),
        ("a garden", "allow"),
        ("storm breeze", "allow"),  # as near to the harmless as to the other
        ("storm storm breeze", "hold"),
        ("nothing of it", "allow"),
    ],
)
def test_what_counts_is_the_side_that_a_text_is_on(text: str, decision: str) -> None:
    assert Similarity([policy()], embed).judge(text).decision == decision


def test_the_evidence_holds_sentence_and_margin() -> None:
    verdict = Similarity([policy()], embed).judge("Stórm!")
    assert (verdict.category, verdict.told) == ("storms", "No storms here.")
    assert [(piece.rule, piece.matched, piece.score) for piece in verdict.evidence] == [("storms", "storm", 1.0)]


def test_far_away_texts_do_not_count() -> None:
    text = "storm garden garden garden garden garden garden"
    assert Similarity([policy(least=0.1)], embed).judge(text).decision == "hold"
    assert Similarity([policy(least=0.3)], embed).judge(text).decision == "allow"


def test_a_category_that_holds_never_refuses() -> None:
    held = Category("storms", "hold", "No.")
    assert Similarity([policy(category=held)], embed).judge("storm").decision == "hold"


def test_pleasant_words_do_not_hide_others() -> None:
    pleasant = " ".join(["garden"] * 30)
    assert embed([f"{pleasant} storm"])[0, 0] < 0.05  # one embedding of all of it would not see it
    assert Similarity([policy(least=0.05, hold=0.05)], embed).judge(f"{pleasant} storm").decision == "hold"


def test_windows_overlap_and_hold_every_word() -> None:
    words = [f"w{n}" for n in range(83)]
    found = windows(" ".join(words))
    assert [word for word in words if not any(word in window.split() for window in found)] == []
    assert max(len(window.split()) for window in found) == 16
    assert windows("one two") == ("one two",)
    assert len(windows("x " * 250)) <= MAX_WINDOWS


def test_the_last_word_of_the_longest_text_is_looked_at() -> None:
    text = "x " * 249 + "storm"
    assert "storm" in windows(text)[-1]


def test_scripts_that_the_encoder_does_not_know_are_left_to_others() -> None:
    similarity = Similarity([policy()], embed)
    assert similarity.scores("буря storm над морем") == ()
    assert similarity.scores("海の上の嵐") == ()
    assert similarity.scores("123") == ()


@pytest.mark.parametrize("wrong", [np.ones((1, 3)), np.full((1, 3), np.nan), np.zeros((2, 3)), np.zeros(3)])
def test_an_embedding_that_is_none_is_an_error(wrong: Float32Array) -> None:
    with pytest.raises(ValueError, match="embed gave"):
        Similarity([policy()], lambda texts: wrong.astype(np.float32))


def test_the_policies_that_ship_fit_the_lists_that_ship() -> None:
    categories = read_lists().categories
    policies, version = read_policies(categories)
    assert {each.category.name for each in policies} == set(categories)
    assert len(version) == 16
    for each in policies:
        assert not set(each.sentences) & set(each.harmless)
        assert 0 < each.hold < each.refuse


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("version = 1\npolicies = 3", "policies"),
        ("version = ", "TOML"),
        (
            'version = 1\n[[policies]]\ncategory="fog"\nsentences=["fog"]\nharmless=["sun"]\nhold=0.1\nrefuse=0.2',
            r"categories\.fog",
        ),
        (
            'version = 1\n[[policies]]\ncategory="storms"\nsentences=["fog"]\nharmless=["sun"]\nhold=0.3\nrefuse=0.2',
            "below hold",
        ),
    ],
)
def test_a_mistake_is_told(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "own.toml"
    path.write_text(text)
    with pytest.raises(RuleListError, match=said):
        read_policies({"storms": REFUSED}, path)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(RuleListError, match=r"none\.toml"):
        read_policies({}, tmp_path / "none.toml")
