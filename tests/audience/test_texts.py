import pytest

from streamgen.audience.effects import RefusedError
from streamgen.audience.texts import fold, proposal_text


def test_a_text_is_kept_in_one_form() -> None:
    assert proposal_text("  Rain \n on   glass ", 20) == "Rain on glass"


@pytest.mark.parametrize("text", ["", " \n\t", "\u200d", "\u200e \u200f"])
def test_nothing_to_see_is_empty(text: str) -> None:
    with pytest.raises(RefusedError) as caught:
        proposal_text(text, 20)
    assert caught.value.reason == "empty"


def test_the_limit_counts_what_is_kept() -> None:
    assert proposal_text("a" * 20 + "   ", 20) == "a" * 20
    for text in ("a" * 21, " " * 1000):
        with pytest.raises(RefusedError, match="at most 20") as caught:
            proposal_text(text, 20)
        assert caught.value.reason == "too_long"
    with pytest.raises(RefusedError, match="the name has"):
        proposal_text("a" * 21, 20, "name")


@pytest.mark.parametrize("other", ["RAIN ON GLASS", "rain  on\u00a0glass", "ｒａｉｎ on glass"])
def test_case_spaces_and_compatible_forms_are_the_same(other: str) -> None:
    assert fold(other) == fold("Rain on glass")


def test_other_words_are_not() -> None:
    assert fold("rain on grass") != fold("rain on glass")
    assert fold("STRASSE") == fold("straße")
