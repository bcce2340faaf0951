"""Texts as Wan cleans them before they are cut into tokens (`wan/modules/tokenizers.py`, clean="whitespace").

The captions that Wan learnt went through this, so a prompt has to. Broken encodings are mended, typographic quotes
become straight ones, full-width letters ordinary ones (all that is ftfy's `fix_text`), HTML entities become characters,
and every run of white space becomes one space. ftfy is a dependency and not imitated: most of it could be written in
some fifty lines, but the part that mends broken encodings could not, and tokens must not depend on who cleans.
"""

import html
import re
from typing import Final

import ftfy

MAX_CHARACTERS: Final = 8_192
"""Of a longer text only the beginning is read: 512 tokens of 16 characters, which is what a token has at most."""
CLEANING: Final = 1
"""Raise it when the result changes: embeddings are kept under it."""
_SPACE: Final = re.compile(r"\s+")


def readable(text: str) -> str:
    """The part of a text that is read; half a surrogate pair (possible in JSON) becomes a question mark."""
    return text[:MAX_CHARACTERS].encode("utf-8", "replace").decode("utf-8")


def cleaned(text: str) -> str:
    """A text as it is given to the tokenizer."""
    text = ftfy.fix_text(readable(text))
    # Twice, as Wan does: texts that were escaped once too often are common on the web.
    text = html.unescape(html.unescape(text))
    return _SPACE.sub(" ", text).strip()
