"""A range of UDP ports, as it is written in the settings and in a firewall's rules. Free of I/O."""

import re
from dataclasses import dataclass
from typing import Final

LAST_PORT: Final = 65_535
FIRST_FREE_PORT: Final = 1024  # the ones below need rights that a media server should not have

_TEXT: Final = re.compile(r"\s*([0-9]{1,5})\s*-\s*([0-9]{1,5})\s*", re.ASCII)


@dataclass(frozen=True, slots=True)
class PortRange:
    """The ports `first` to `last`, both included."""

    first: int
    last: int

    @classmethod
    def read(cls, text: str) -> "PortRange":
        """A range such as `40000-40100`. Raises `ValueError` with what is wrong with it."""
        match = _TEXT.fullmatch(text)
        if match is None:
            raise ValueError('write the range as two port numbers, such as "40000-40100"')
        first, last = int(match[1]), int(match[2])
        if not FIRST_FREE_PORT <= first <= last <= LAST_PORT:
            raise ValueError(f"use ports from {FIRST_FREE_PORT} to {LAST_PORT}, the lower one first")
        return cls(first, last)

    def __len__(self) -> int:
        return self.last - self.first + 1

    def __str__(self) -> str:
        return f"{self.first}-{self.last}"
