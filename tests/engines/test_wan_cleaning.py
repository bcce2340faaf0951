"""Texts are cleaned as Wan's tokenizer does: what that is was taken from its published code, step by step."""

import html
import re

import ftfy
import pytest

from streamgen_engines.families.wan_cleaning import MAX_CHARACTERS, cleaned, readable


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("  a red\n\tball \u00a0 rolls ", "a red ball rolls"),
        ("“curly” and ‘single’ quotes", "\"curly\" and 'single' quotes"),
        ("Ｆｕｌｌ　ｗｉｄｔｈ", "Full width"),
        ("ﬁne ﬂow", "fine flow"),
        ("sÃ£o paulo, cafÃ©", "são paulo, café"),
        ("rock &amp;amp; roll &lt;3", "rock & roll <3"),
        ("e\u0301te\u0301", "été"),
        ("\x1b[31mred\x1b[0m \x00end", "red end"),
        ("", ""),
        (" \n ", ""),
        ("東京の夜", "東京の夜"),
    ],
)
def test_what_becomes_of_texts(text: str, clean: str) -> None:
    assert cleaned(text) == clean
    # Wan's steps, in its order.
    step = html.unescape(html.unescape(ftfy.fix_text(text))).strip()
    assert re.sub(r"\s+", " ", step).strip() == clean


def test_half_a_surrogate_pair_is_no_error() -> None:
    assert cleaned("a \ud800 b") == "a ? b"
    cleaned("&#xD800; \ud83d").encode()


def test_of_a_long_text_the_beginning_is_read() -> None:
    assert len(readable("x" * 100_000)) == MAX_CHARACTERS
    assert cleaned("ab " * 100_000).startswith("ab ab")
    assert len(cleaned("ab " * 100_000)) <= MAX_CHARACTERS
