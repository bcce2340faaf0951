"""The form in which a proposal's text is kept, and the form in which two of them are compared."""

import unicodedata

from streamgen.audience.effects import RefusedError
from streamgen.protocol import normalise_text


def proposal_text(text: str, limit: int, what: str = "text") -> str:
    """The text in the one form that is stored and shown. Raises `RefusedError` when it is empty or too long."""
    # So far over the limit no honest text shrinks below it; no work is spent on it.
    normal = normalise_text(text) if len(text) <= 8 * limit else text
    if len(normal) > limit:
        raise RefusedError(
            "too_long", f"the {what} has {len(normal)} characters, at most {limit} are allowed; shorten it"
        )
    # A text of joiners and direction marks only is as empty as one of spaces.
    if all(unicodedata.category(char) in {"Cf", "Zs"} for char in normal):
        raise RefusedError("empty", f"the {what} is empty; write something that can be seen")
    return normal


def fold(text: str) -> str:
    """Equal for texts that differ in case, spaces or Unicode's compatible forms only."""
    return " ".join(unicodedata.normalize("NFKC", text.casefold()).split())
