"""The one form in which a prompt is stored, shown and encoded, and what is no prompt. Clients import it, too."""

import unicodedata
from typing import Annotated, Final, TypeAlias

from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError

MAX_TEXT_CHARS: Final = 500  # of a prompt, after normalisation


def normalise_text(text: str) -> str:
    """Bring a prompt into the one form that is stored, shown and encoded.

    Unicode NFC; control characters, line breaks and runs of white space become one space; trimmed. Words of any
    language, emoji and joiners stay as they are.
    """
    composed = unicodedata.normalize("NFC", text)
    visible = "".join(" " if unicodedata.category(char) in {"Cc", "Zl", "Zp"} else char for char in composed)
    return " ".join(visible.split())


def _prompt_text(value: object) -> object:
    if not isinstance(value, str):
        return value
    # Normalising is linear but not free: a text this far over the limit cannot shrink below it by trimming alone
    # in any honest use, so it is refused before any work is spent on it.
    if len(value) > 8 * MAX_TEXT_CHARS:
        raise _too_long(len(value))
    text = normalise_text(value)
    if len(text) > MAX_TEXT_CHARS:
        raise _too_long(len(text))
    # A text of joiners and direction marks only is as empty as one of spaces.
    if all(unicodedata.category(char) in {"Cf", "Zs"} for char in text):
        raise PydanticCustomError("empty", "the text is empty; describe what should be seen and heard")
    return text


def _too_long(length: int) -> PydanticCustomError:
    return PydanticCustomError(
        "too_long",
        "the text has {length} characters, at most {limit} are allowed; shorten it",
        {"length": length, "limit": MAX_TEXT_CHARS},
    )


PromptText: TypeAlias = Annotated[str, BeforeValidator(_prompt_text)]
