"""STUN and TURN servers for viewers, with TURN credentials that each viewer gets anew. Free of I/O.

The scheme is coturn's shared secret ("A REST API for Access To TURN Services", draft-uberti-behave-turn-rest-00,
section 2.2): the user name says until when it holds, and the password is its HMAC under a secret that only the two
servers know. So nobody has to ask anybody for an account, and a credential that is passed on soon ends.
"""

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass, field
from typing import Final

DEFAULT_TTL_S: Final = 86_400

# RFC 7064, section 3.1 and RFC 7065, section 3.1, without what would have to be escaped in a header.
_HOST: Final = r"(?:[A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?"
_STUN: Final = re.compile(rf"stuns?:{_HOST}")
_TURN: Final = re.compile(rf"turns?:{_HOST}(?:\?transport=(?:udp|tcp))?")


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user name and a password for a TURN server."""

    username: str  # "expiry:name", expiry in Unix seconds
    password: str


def credentials(secret: str, *, name: str, now_s: int, ttl_s: int) -> Credentials:
    """Credentials that hold until `now_s + ttl_s`.

    Args:
        secret: coturn's `static-auth-secret`.
        name: tells this viewer from others in the TURN server's log; random, since it reaches the viewer.
        now_s: Unix time. The TURN server compares with its own clock, so this is wall time on purpose.
        ttl_s: how long an allocation can be made or renewed with them.
    """
    username = f"{now_s + ttl_s}:{name}"
    digest = hmac.new(secret.encode(), username.encode(), hashlib.sha1).digest()
    return Credentials(username, base64.b64encode(digest).decode("ascii"))


def is_stun_url(url: str) -> bool:
    """Whether this is the URL of a STUN server (RFC 7064), such as `stun:stun.example.net:3478`."""
    return _STUN.fullmatch(url) is not None


def is_turn_url(url: str) -> bool:
    """Whether this is the URL of a TURN server (RFC 7065), such as `turn:turn.example.net:3478?transport=udp`."""
    return _TURN.fullmatch(url) is not None


@dataclass(frozen=True, slots=True)
class IceServers:
    """The servers that viewers are told to use."""

    stun_urls: tuple[str, ...] = ()
    turn_urls: tuple[str, ...] = ()
    turn_secret: str = field(default="", repr=False)
    turn_ttl_s: int = DEFAULT_TTL_S

    def links(self, *, name: str, now_s: int) -> tuple[str, ...]:
        """Values of `Link` headers (RFC 9725, section 4.6), one per server; `name` and `now_s` as in `credentials`."""
        stun = tuple(f'<{url}>; rel="ice-server"' for url in self.stun_urls)
        if not self.turn_urls:
            return stun
        login = credentials(self.turn_secret, name=name, now_s=now_s, ttl_s=self.turn_ttl_s)
        attributes = (
            f'rel="ice-server"; username="{login.username}"; credential="{login.password}"; credential-type="password"'
        )
        return (*stun, *(f"<{url}>; {attributes}" for url in self.turn_urls))
