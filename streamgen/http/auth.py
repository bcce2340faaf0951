"""Who may do what: reads the tokens that requests carry.

The operator: everybody on this machine, or whoever holds the operator's token. A server that listens on the loopback
address only is reachable from its own machine, so there is no token. Any other server has one: given in the settings,
or generated anew at each start. It allows everything.

Everybody else: what a signed token says (`streamgen.access.tokens`), watching with the viewers' token, and without any
token what the setting `anonymous` lets everybody do.
"""

import ipaddress
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Self

from streamgen.access.errors import WrongTokenError as WrongTokenError
from streamgen.access.keys import TokenKeys
from streamgen.access.roles import Grant, Role, permissions
from streamgen.access.tokens import read_token
from streamgen.protocol import Permission
from streamgen.settings import Settings

CHANNEL: Final = "main"

ADMIN: Final = Grant(frozenset({"admin"}))
WATCHER: Final = Grant(frozenset({"watch"}))
EVERYTHING: Final[frozenset[Permission]] = ADMIN.can
WATCHING: Final[frozenset[Permission]] = WATCHER.can

_TOKEN_BYTES: Final = 24


def is_loopback(host: str) -> bool:
    """Whether this name or address always means the machine itself."""
    name = host.strip("[]").lower()
    if name == "localhost" or name.endswith(".localhost"):  # RFC 6761, section 6.3
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def anonymous_roles(settings: Settings) -> frozenset[Role]:
    """What somebody without a token may do: as set, or watch unless there is a token for viewers."""
    if settings.anonymous is not None:
        return frozenset(settings.anonymous)
    return frozenset() if settings.viewer_token is not None else frozenset({"watch"})


def token_keys(settings: Settings) -> TokenKeys | None:
    """The keys of signed tokens; None without a secret in the settings."""
    if settings.token_secret is None:
        return None
    every = (settings.token_secret, *settings.token_secrets_previous)
    return TokenKeys([each.get_secret_value() for each in every])


def everybody_is_trusted(settings: Settings) -> bool:
    """Whether only this machine reaches the server, and nothing says that not all who get there may do everything.

    Reverse proxies and names for them mean that others come in through them, whatever the address; so do pages of other
    sites that are allowed. A token for viewers, signed tokens or a say about anonymous visitors make a difference
    between people.
    """
    return is_loopback(settings.host) and not (
        settings.allowed_hosts
        or settings.trusted_proxies
        or settings.allowed_origins
        or settings.viewer_token is not None
        or settings.token_secret is not None
        or settings.anonymous is not None
    )


@dataclass(frozen=True, slots=True)
class OperatorAccess:
    """Decides what a client may do. `token` None: everybody who gets here may do everything."""

    token: str | None
    viewer_token: str | None = None  # allows watching, and nothing else; shared by all viewers
    keys: TokenKeys | None = None  # of signed tokens
    anonymous: frozenset[Role] = frozenset({"watch"})  # what somebody without a token may do
    channel: str = CHANNEL
    wall_s: Callable[[], float] = field(default=time.time, compare=False)

    @classmethod
    def for_settings(cls, settings: Settings) -> Self:
        """The token of the settings, or a new one where one is needed."""
        viewer_token = settings.viewer_token.get_secret_value() if settings.viewer_token is not None else None
        token: str | None = None
        if settings.operator_token is not None:
            token = settings.operator_token.get_secret_value()
        elif not everybody_is_trusted(settings):
            token = secrets.token_urlsafe(_TOKEN_BYTES)
        return cls(token, viewer_token, token_keys(settings), anonymous_roles(settings))

    def grant(self, authorization: str | None, query_token: str | None = None) -> Grant:
        """What a client may do that sent this `Authorization` header and this `token` in its address.

        Raises `WrongTokenError` for a token that is given and does not hold.
        """
        if self.token is None:
            return ADMIN
        given = query_token or bearer(authorization)
        if given is None:
            return Grant(self.anonymous)
        if _same(given, self.token):
            return ADMIN
        if self.viewer_token is not None and _same(given, self.viewer_token):
            return WATCHER
        if self.keys is None or given.count(".") != 2:  # a signed token has three parts
            raise WrongTokenError("Wrong token: open the link that you were given, or that the server printed")
        claims = read_token(self.keys, given, channel=self.channel, now_s=self.wall_s())
        return Grant(claims.roles, claims.subject, claims.expires_at)

    def permissions(self, authorization: str | None, query_token: str | None) -> frozenset[Permission]:
        """What `grant` allows in the steering protocol. Raises `WrongTokenError`."""
        return self.grant(authorization, query_token).can


@dataclass(frozen=True, slots=True)
class ViewerAccess:
    """Decides who may watch. `restricted` None: everybody who gets here, whatever token comes along."""

    restricted: OperatorAccess | None = None

    @classmethod
    def for_settings(cls, settings: Settings, operator: OperatorAccess) -> Self:
        """Everybody, or those whose token allows it: the viewers', the operator's, a signed one."""
        if "watch" in permissions(anonymous_roles(settings)):
            return cls()
        viewer_token = settings.viewer_token.get_secret_value() if settings.viewer_token is not None else None
        # Without an operator's token a new one, which nobody has: None would let everybody in.
        token = operator.token if operator.token is not None else secrets.token_urlsafe(_TOKEN_BYTES)
        return cls(
            OperatorAccess(token, viewer_token, operator.keys, frozenset(), operator.channel, wall_s=operator.wall_s)
        )

    @property
    def tokens(self) -> tuple[str, ...]:
        """The tokens of the settings that allow watching."""
        if self.restricted is None:
            return ()
        every = (self.restricted.viewer_token, self.restricted.token)
        return tuple(token for token in every if token is not None)

    def check(self, authorization: str | None) -> float | None:
        """Until when the client that sent this `Authorization` header may watch: a Unix time (s), None without an end.

        Where watching is open it has no end for anybody: a token that is over takes nothing away there. Raises
        `WrongTokenError` for who may not watch.
        """
        if self.restricted is None:
            return None
        grant = self.restricted.grant(authorization)
        if "watch" not in grant.can:
            if bearer(authorization) is None:
                raise WrongTokenError("watching needs a token; send it as Authorization: Bearer", "lacking")
            raise WrongTokenError("this token does not allow watching; ask for one with the role watch", "lacking")
        return grant.expires_at

    def allows(self, authorization: str | None) -> bool:
        """Whether the client that sent this `Authorization` header may watch."""
        try:
            self.check(authorization)
        except WrongTokenError:
            return False
        return True


def challenge(error: WrongTokenError, authorization: str | None) -> tuple[int, str]:
    """Status and `WWW-Authenticate` of the answer to a request that was refused (RFC 6750, section 3).

    The challenge names an error only if a token came.
    """
    if bearer(authorization) is None:
        return 401, "Bearer"
    if error.fault == "lacking":
        return 403, 'Bearer error="insufficient_scope"'
    return 401, 'Bearer error="invalid_token"'


def bearer(authorization: str | None) -> str | None:
    """The token of an `Authorization: Bearer` header (RFC 6750, section 2.1)."""
    scheme, _, credentials = (authorization or "").partition(" ")
    return credentials.strip() or None if scheme.lower() == "bearer" else None


def _same(given: str, token: str) -> bool:
    """Compare in constant time, as bytes: `compare_digest` refuses text that is not ASCII."""
    return secrets.compare_digest(given.encode("utf-8", "replace"), token.encode())
