"""Who somebody is that nobody gave a token, for whatever counts everybody once.

There are three kinds of voter, from strong to weak:

- `token:SUBJECT`: of a signed token. Nobody can be a second one without a second token.
- `visitor:ID`: of a signed cookie, made at the first connection. Clearing the cookie makes somebody new, so new ones
  are limited by address (`Limits.new_visitor`); within that limit one person can be several.
- `address:ADDRESS`: of an address (an IPv6 one counts as its /64) that is over that limit: all of its newcomers
  together are one.

A name that a client chooses for itself identifies nobody, because it can be another one each time.
"""

import secrets
from dataclasses import dataclass
from typing import Final

from streamgen.access.errors import WrongTokenError
from streamgen.access.keys import TokenKeys
from streamgen.access.limits import Limits, visitor_address
from streamgen.access.roles import Grant

AUDIENCE: Final = "streamgen-visitor"  # a cookie is no token, and no token a cookie
COOKIE: Final = "streamgen_visitor"
LIFETIME_S: Final = 30 * 86_400

_ID_BYTES: Final = 12


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody who has a cookie, or gets this one now."""

    id: str
    cookie: str

    @property
    def voter(self) -> str:
        """The name under which they are counted once."""
        return f"visitor:{self.id}"


def new_visitor(keys: TokenKeys, now_s: float) -> Visitor:
    """Somebody who has not been here before. `now_s` is a Unix time."""
    name = secrets.token_urlsafe(_ID_BYTES)
    return Visitor(name, keys.sign({"sub": name, "exp": int(now_s) + LIFETIME_S}, AUDIENCE))


def known_visitor(keys: TokenKeys, cookie: str | None, now_s: float) -> Visitor | None:
    """Who sent this cookie; None for nobody, a cookie that was not signed here, or one whose time is over."""
    if not cookie:
        return None
    try:
        claims = keys.verify(cookie, AUDIENCE)
    except WrongTokenError:
        return None
    if not isinstance(claims["exp"], int) or now_s >= claims["exp"]:
        return None
    return Visitor(claims["sub"], cookie)


@dataclass(frozen=True, slots=True)
class Identity:
    """Under which name somebody is counted once, and the cookie that they are to be given, if any."""

    voter: str
    new_cookie: str | None = None


def identify(
    grant: Grant, *, cookie: str | None, host: str | None, keys: TokenKeys, limits: Limits, wall_s: float, now_s: float
) -> Identity:
    """Who connects from the address `host` with this grant and this cookie.

    `wall_s` is the Unix time and `now_s` that of the limits' monotonic clock.
    """
    if grant.subject is not None:
        return Identity(f"token:{grant.subject}")
    visitor = known_visitor(keys, cookie, wall_s)
    if visitor is not None:
        return Identity(visitor.voter)
    if limits.new_visitor(host, now_s):
        visitor = new_visitor(keys, wall_s)
        return Identity(visitor.voter, visitor.cookie)
    return Identity(f"address:{visitor_address(host)}")
