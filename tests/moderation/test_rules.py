import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamgen.moderation.lists import parse_lists, read_lists
from streamgen.moderation.rules import Rules

LIST = """
version = 1
[categories.weather]
decision = "refuse"
told = "No weather here."
[categories.season]
decision = "hold"
told = "No seasons here."
[[entries]]
category = "weather"
language = "en"
words = ["rain", "storm*", "*wind", "*cloud*", "heavy snow", "typhoon", "雨", "비 오는"]
unsure = ["fog"]
patterns = [" sun(?:ny)? (?:day|days) "]
[[entries]]
category = "season"
language = "en"
words = ["winter"]
[[exceptions]]
language = "en"
words = ["rain check", "storm trooper*", "été rain"]
patterns = [" brain ?storm[^ ]* "]
"""


@pytest.fixture(scope="module")
def rules() -> Rules:
    return Rules(parse_lists([("list", LIST)]))


@pytest.fixture(scope="module")
def default() -> Rules:
    return Rules(read_lists())


@pytest.mark.parametrize(
    ("text", "decision", "rule"),
    [
        ("it rains", "allow", None),
        ("a train", "allow", None),
        ("Rain!", "refuse", "weather/en: rain"),
        ("stormy", "refuse", "weather/en: storm*"),
        ("brainstorm", "allow", None),
        ("a whirlwind", "refuse", "weather/en: *wind"),
        ("winding", "allow", None),
        ("overclouded", "refuse", "weather/en: *cloud*"),
        ("heavy, heavy snow", "refuse", "weather/en: heavy snow"),
        ("heavy wet snow", "allow", None),
        ("sunny days", "refuse", "weather/en:  sun(?:ny)? (?:day|days) "),
        ("sunny daydream", "allow", None),
        ("大雨の夜", "refuse", "weather/en: 雨"),
        ("오늘 비 오는 날", "refuse", "weather/en: 비 오는"),
        ("fog", "hold", "weather/en: fog"),
        ("winter", "hold", "season/en: winter"),
        ("r*in", "refuse", "weather/en: rain"),
        ("r***", "allow", None),
        ("*ain", "allow", None),
        ("st*rmy", "refuse", "weather/en: storm*"),
        ("ty phoon", "refuse", "weather/en: typhoon"),
        ("ra in", "allow", None),  # too short to be read across a gap
        ("b r a i n s", "hold", "weather/en: rain"),  # inside a run of letters: perhaps
        ("r a i n", "refuse", "weather/en: rain"),
    ],
)
def test_words_and_patterns(rules: Rules, text: str, decision: str, rule: str | None) -> None:
    verdict = rules.judge(text)
    assert verdict.decision == decision
    assert [evidence.rule for evidence in verdict.evidence][:1] == ([] if rule is None else [rule])


@pytest.mark.parametrize(
    ("text", "decision"),
    [
        ("a rain check", "allow"),
        ("a rain check in the rain", "refuse"),
        ("r4in check", "allow"),
        ("two storm troopers", "allow"),
        ("brain storming", "allow"),
        ("brain storm and a storm", "refuse"),
        ("été rain", "allow"),
        ("ete rain", "allow"),
    ],
)
def test_an_exception_covers_its_own_place_only(rules: Rules, text: str, decision: str) -> None:
    assert rules.judge(text).decision == decision


def test_the_strictest_comes_first_with_all_evidence(rules: Rules) -> None:
    verdict = rules.judge("winter fog and rain")
    assert (verdict.decision, verdict.category, verdict.told) == ("refuse", "weather", "No weather here.")
    assert [evidence.rule for evidence in verdict.evidence] == [
        "weather/en: rain", "weather/en: fog", "season/en: winter",
    ]  # fmt: skip
    assert verdict.evidence[0].matched == "rain (plain)"


def test_the_one_who_asked_is_not_told_the_word(rules: Rules) -> None:
    assert "rain" not in rules.judge("rain").told


def test_evidence_is_bounded() -> None:
    words = [f"word{one}{two}" for one in "abcdefgh" for two in "abcdefgh"]
    head = 'version = 1\n[categories.a]\ndecision = "refuse"\ntold = "No."\n'
    entries = f'[[entries]]\ncategory = "a"\nlanguage = "en"\nwords = {json.dumps(words)}\n'
    found = Rules(parse_lists([("list", head + entries)])).judge(" ".join(words))
    assert len(found.evidence) == 16


@pytest.mark.parametrize(
    "word", ["pоrn", "p0rn", "p.o.r.n", "ｐｏｒｎ", "po\u200brn", "pooorn", "p*rn", "пoрнo", "порно"]
)
def test_evasions_of_the_default_list(default: Rules, word: str) -> None:
    assert default.judge(f"please {word} now").decision == "refuse"


def test_requests_about_children_outrank_the_rest(default: Rules) -> None:
    assert default.judge("a naked child").category == "minors"


@settings(deadline=None)
@given(st.text(max_size=120))
def test_no_text_breaks_the_matcher(text: str) -> None:
    verdict = Rules(parse_lists([("list", LIST)])).judge(text)
    assert (verdict.decision == "allow") == (verdict.evidence == ())


@settings(deadline=None)
@given(st.text(alphabet=" abcdeio", max_size=40))
def test_a_word_is_found_in_whatever_stands_around_it(text: str) -> None:
    assert Rules(parse_lists([("list", LIST)])).judge(f"{text} typhoon {text}").decision == "refuse"
