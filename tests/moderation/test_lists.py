from pathlib import Path

import pytest

from streamgen.moderation.errors import RuleListError
from streamgen.moderation.lists import parse_lists, read_lists

HEAD = 'version = 1\n[categories.weather]\ndecision = "refuse"\ntold = "No weather here."\n'
LANGUAGES = {"en", "de", "fr", "es", "it", "pt", "nl", "pl", "ru", "tr", "ar", "zh", "ja", "ko"}
CATEGORIES = {"minors", "sexual", "violence", "self_harm", "hate", "extremism", "drugs", "harassment"}


def test_the_default_list_holds_every_category_in_every_language() -> None:
    lists = read_lists()
    assert set(lists.categories) == CATEGORIES
    held = {(rule.category.name, rule.language) for rule in lists.rules if rule.category}
    assert held == {(category, language) for category in CATEGORIES for language in LANGUAGES}


def test_what_is_told_names_no_word_of_the_list() -> None:
    lists = read_lists()
    words = {" ".join(rule.words) for rule in lists.rules if rule.words and not rule.words[0].endswith("*")}
    for category in lists.categories.values():
        told = {word.strip(".,;").lower() for word in category.told.split()}
        assert not told & (words - {"sexual", "nudity", "gore"}), category.name  # those name the subject itself


def test_a_second_list_adds_and_overrides(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text(
        'version = 1\n[categories.drugs]\ndecision = "refuse"\ntold = "Never."\n'
        '[[entries]]\ncategory = "drugs"\nlanguage = "en"\nwords = ["sugar"]\n'
    )
    lists = read_lists([own])
    assert lists.categories["drugs"].decision == "refuse"
    assert any(rule.words == ("sugar",) for rule in lists.rules)
    assert lists.version != read_lists().version
    assert [rule.words for rule in read_lists([own], default=False).rules] == [("sugar",)]


def test_terms_are_filled_in() -> None:
    terms = '[terms.en]\nrain = "rain|hail"\n'
    entries = '[[entries]]\ncategory = "weather"\nlanguage = "en"\npatterns = [" <rain>s "]\n'
    assert parse_lists([("a", HEAD + terms + entries)]).rules[0].pattern.search(" it hails again ")


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ('words = ["..."]', "no letters"),
        ('words = ["ra*n"]', "inside a word"),
        ('patterns = ["\\\\brain"]', "write a space"),
        ('patterns = ["(rain"]', "RE2"),
        ('patterns = ["(?=rain)x"]', "RE2"),
        ('patterns = ["(a)\\\\1"]', "RE2"),
        ('patterns = [" *"]', "everything"),
        ('patterns = [" <rain> "]', "[terms.en]"),
        ('wrods = ["rain"]', "wrods"),
        ("words = [3]", "words"),
    ],
)
def test_a_mistake_is_told_with_its_place(entry: str, said: str) -> None:
    text = HEAD + f'[[entries]]\ncategory = "weather"\nlanguage = "en"\n{entry}\n'
    with pytest.raises(RuleListError) as error:
        parse_lists([("own.toml", text)])
    assert said in str(error.value)
    assert "own.toml" in str(error.value)


def test_what_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(RuleListError, match=r"missing\.toml"):
        read_lists([tmp_path / "missing.toml"])
    with pytest.raises(RuleListError, match="TOML"):
        parse_lists([("own.toml", "version = ")])
    with pytest.raises(RuleListError, match="version"):
        parse_lists([("own.toml", "version = 2")])
    with pytest.raises(RuleListError, match=r"categories\.fog"):
        parse_lists([("own.toml", HEAD + '[[entries]]\ncategory = "fog"\nlanguage = "en"\nwords = ["fog"]\n')])


def test_too_many_entries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamgen.moderation.lists.MAX_ENTRIES", 1)
    with pytest.raises(RuleListError, match="keep to 1"):
        parse_lists([("a", HEAD + '[[entries]]\ncategory="weather"\nlanguage="en"\nwords=["rain", "hail"]\n')])
