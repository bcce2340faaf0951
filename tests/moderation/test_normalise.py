import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamgen.moderation.normalise import MAX_TEXT_CHARS, bare, forms, plain, too_long


def readings(text: str) -> set[str]:
    return {word for form in forms(text) for word in form.text.split()}


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("ｗｏｒｄ", "word"),  # fullwidth
        ("𝔀𝓸𝓻𝓭", "word"),  # mathematical
        ("🇼🇴🇷🇩", "word"),  # regional indicators
        ("🆆🅾🆁🅳", "word"),  # squared
        ("ᴡᴏʀᴅ", "word"),  # small capitals
        ("w\u200bo\u2060r\u00add", "word"),  # characters that are not drawn
        ("\u202eword\u202c", "word"),  # a direction that is turned
        ("w\u0336o\u0336r\u0336d\u0336", "word"),  # struck through
        ("w\u0301\u0302\u0303o\u0301rd", "word"),  # a pile of marks
        ("wоrd", "word"),  # Cyrillic о
        ("WОRD", "word"),  # and its capital
        ("ѕех", "sex"),  # nothing but Cyrillic, and reads as Latin
        ("слoвo", "слово"),  # Latin o inside a Russian word
        ("сл0во", "слово"),
        ("w0rd", "word"),
        ("h3ll0", "hello"),
        ("$@me", "same"),
        ("b1ll", "bill"),
        ("b1ue", "blue"),
        ("w o r d", "word"),
        ("w.o.r.d", "word"),
        ("w-0-r-d", "word"),
        ("wo.rd", "word"),
        ("woooord", "word"),
        ("boooook", "book"),
        ("har bour", "harbour"),
        ("w*rd", "w*rd"),
        ("色 情", "色情"),
        ("كـلـمة", "كلمه"),
        ("والكلمات", "كلمات"),
        ("ÇIÇEK", "çiçek"),
        ("ÇİÇEK", "çiçek"),
    ],
)
def test_a_trick_is_undone_in_some_form(text: str, word: str) -> None:
    assert word in readings(text)


def test_words_of_a_spelled_text_are_told_apart_by_the_wider_gap() -> None:
    assert " calm sea " in {form.text for form in forms("c a l m   s e a")}


def test_spelled_letters_count_inside_only_as_unsure() -> None:
    (spelled,) = [form for form in forms("a b c d") if form.inside]
    assert spelled.text.strip() == "abcd"
    assert not spelled.whole


@pytest.mark.parametrize(
    "text", ["спокойное море", "τα βουνά", "голая скала", "夜明けの海", "새벽 바다", "बारिश की रात", "đêm mưa"]
)
def test_the_plain_form_keeps_honest_words_of_every_script(text: str) -> None:
    assert plain(text) == f" {unicodedata.normalize('NFC', text)} "
    assert forms(text)[0].text == plain(text)


def test_accents_stay_in_the_plain_form_and_go_in_the_bare_one() -> None:
    assert plain("Coño") == " coño "
    assert bare("Coño") == "cono"


def test_a_pictogram_is_a_word() -> None:
    assert plain("sea🌊sun☀\ufe0f") == " sea 🌊 sun ☀ "


def test_equal_readings_come_once() -> None:
    texts = [(form.text, form.whole) for form in forms("a calm sea at dawn")]
    assert len(texts) == len(set(texts))
    assert forms("...") == ()


def test_too_long_counts_what_is_drawn() -> None:
    assert not too_long("a" * MAX_TEXT_CHARS)
    assert too_long("a" * (MAX_TEXT_CHARS + 1))
    assert too_long("\ufdfa" * 100)  # one character, eighteen letters
    assert not too_long("\ufdfa" * 10)


@settings(deadline=None)
@given(st.text(max_size=MAX_TEXT_CHARS))
def test_forms_keep_their_shape_and_are_bounded(text: str) -> None:
    found = forms(text)
    assert len(found) <= 15
    for form in found:
        assert form.text == f" {' '.join(form.text.split())} "
        assert len(form.text) <= 36 * len(text) + 40  # 18 letters to a character at most, and a space to each


@settings(deadline=None)
@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=60))
def test_the_plain_form_of_a_plain_form_is_itself(text: str) -> None:
    once = plain(text)
    assert plain(once) == plain(plain(once))


@settings(deadline=None)
@given(st.text(alphabet="abcdefghijklmnopqrstuvwxyz ", min_size=1, max_size=80), st.data())
def test_undrawn_characters_change_nothing(text: str, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(text)))
    hidden = data.draw(st.sampled_from("\u200b\u200c\u200d\u2060\ufeff\u00ad\u202e\ufe0f\u034f"))
    assert plain(text[:place] + hidden + text[place:]) == plain(text)
