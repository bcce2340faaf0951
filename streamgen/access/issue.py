"""Making tokens for people, and writing them as a list of links."""

import csv
import io
import re
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from streamgen.access.keys import TokenKeys
from streamgen.access.roles import ROLES, Role
from streamgen.access.tokens import Claims, checked_name, new_token_id, sign_token

DEFAULT_LIFETIME_S: Final = 12 * 3_600
MAX_LIFETIME_S: Final = 366 * 86_400
MAX_COUNT: Final = 10_000

_UNITS_S: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_DURATION: Final = re.compile(r"([0-9]{1,8})([smhd])", re.ASCII)
_NAME_BYTES: Final = 6


@dataclass(frozen=True, slots=True)
class Issued:
    """One token and what it says."""

    claims: Claims
    token: str

    def link(self, page: str) -> str:
        """The page's address with the token in its fragment, which browsers send to no server and no log holds."""
        return f"{page}#token={self.token}"


def read_duration(text: str) -> int:
    """Seconds of a duration such as `90s`, `30m`, `12h` or `7d`. Raises `ValueError`."""
    match = _DURATION.fullmatch(text.strip())
    seconds = int(match[1]) * _UNITS_S[match[2]] if match is not None else 0
    if not 0 < seconds <= MAX_LIFETIME_S:
        raise ValueError(f"write 90s, 30m, 12h or 7d, at most {MAX_LIFETIME_S // 86_400}d")
    return seconds


def read_roles(names: Iterable[str]) -> frozenset[Role]:
    """Roles by their names. Raises `ValueError`."""
    given = tuple(names)
    unknown = [name for name in given if name not in ROLES]
    if unknown or not given:
        wrong = f"there is no role {unknown[0]}" if unknown else "name at least one role"
        raise ValueError(f"{wrong}; there are {', '.join(ROLES)}")
    return frozenset(role for role in ROLES if role in given)


def subjects(subject: str | None, count: int) -> tuple[str, ...]:
    """Names for so many people: `subject` itself for one, `subject-1` and so on for more, random ones without it.

    Raises `ValueError` for a count or a name that cannot be.
    """
    if not 1 <= count <= MAX_COUNT:
        raise ValueError(f"count goes from 1 to {MAX_COUNT}")
    if subject is None:
        return tuple(f"guest-{secrets.token_hex(_NAME_BYTES)}" for _ in range(count))
    if count == 1:
        return (checked_name(subject),)
    width = len(str(count))
    return tuple(checked_name(f"{subject}-{number:0{width}}") for number in range(1, count + 1))


def issue(
    keys: TokenKeys,
    names: Iterable[str],
    *,
    roles: frozenset[Role],
    lifetime_s: float,
    now_s: float,
    channel: str | None = None,
) -> Iterator[Issued]:
    """A token for each of these subjects, from the Unix time `now_s` on."""
    for name in names:
        claims = Claims(roles, name, now_s + lifetime_s, now_s, channel, new_token_id())
        yield Issued(claims, sign_token(keys, claims))


def as_csv(every: Iterable[Issued], page: str) -> str:
    """Subject, roles, end (Unix time, s), token and link of each, with a line of names above."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(("subject", "roles", "expires", "token", "link"))
    for each in every:
        roles = " ".join(role for role in ROLES if role in each.claims.roles)
        rows.writerow((each.claims.subject, roles, int(each.claims.expires_at), each.token, each.link(page)))
    return text.getvalue()
