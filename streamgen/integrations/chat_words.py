"""What somebody in a chat wants: to propose a text, to vote for an option, or nothing of ours. Free of I/O.

!propose a fox in the snow      propose it
!vote 2                         vote for the second option
2                               the same, while there is a vote
"""

import re
import unicodedata
from dataclasses import dataclass
from typing import Final, TypeAlias

MAX_OPTION: Final = 99

_UNSEEN: Final = dict.fromkeys((0x34F, 0xE0000, 0xE0001))
_NUMBER: Final = re.compile(r"#?0*([1-9][0-9]?)", re.ASCII)


@dataclass(frozen=True, slots=True)
class WantsToPropose:
    """The text as it was written, without the command; it may be empty or too long."""

    text: str


@dataclass(frozen=True, slots=True)
class WantsToVote:
    """For the option at this place; the first is 1."""

    option: int


Wish: TypeAlias = WantsToPropose | WantsToVote


def read_wish(text: str, *, voting: bool) -> Wish | None:
    """What this line of a chat asks for. `voting`: whether a number alone is a vote."""
    words = _plain(text)
    command, _, rest = words.partition(" ")
    match command.casefold():
        case "!propose":
            return WantsToPropose(rest)
        case "!vote":
            option = _option(rest)
        case _:
            option = _option(words) if voting else None
    return None if option is None else WantsToVote(option)


def _plain(text: str) -> str:
    """Without the unseen characters that chat clients add to send a line twice, and with single spaces."""
    return " ".join(text.translate(_UNSEEN).split())


def _option(text: str) -> int | None:
    found = _NUMBER.fullmatch(unicodedata.normalize("NFKC", text) if len(text) <= 8 else text)
    return None if found is None else int(found[1])
