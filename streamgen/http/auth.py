"""Who may steer, and who may watch.

Steering: everybody on this machine, or whoever holds the operator's token. A server that listens on the loopback
address only is reachable from its own machine, so there is no token. Any other server has one: given in the settings,
or generated anew at each start.

Watching: everybody, unless the settings give a token for viewers. The operator's token allows watching as well.
"""

import ipaddress
import secrets
from dataclasses import dataclass
from typing import Final, Self

from streamgen.protocol import Permission
from streamgen.settings import Settings

EVERYTHING: Final[frozenset[Permission]] = frozenset({"prompt", "config", "panic"})
WATCHING: Final[frozenset[Permission]] = frozenset()

_TOKEN_BYTES: Final = 24


class WrongTokenError(Exception):
    """A token was given, and it is nobody's."""


def is_loopback(host: str) -> bool:
    """Whether this name or address always means the machine itself."""
    name = host.strip("[]").lower()
    if name == "localhost" or name.endswith(".localhost"):  # RFC 6761, section 6.3
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class OperatorAccess:
    """Decides what a client may do. `token` None: everybody who gets here may do everything."""

    token: str | None
    viewer_token: str | None = None  # allows what everybody may; given by a page that a viewer's link opened

    @classmethod
    def for_settings(cls, settings: Settings) -> Self:
        """The token of the settings, or a new one where one is needed."""
        viewer_token = settings.viewer_token.get_secret_value() if settings.viewer_token is not None else None
        if settings.operator_token is not None:
            return cls(settings.operator_token.get_secret_value(), viewer_token)
        # Names for a reverse proxy mean that others come in through it, whatever the address; a token for viewers
        # means that not everybody is trusted.
        if is_loopback(settings.host) and not settings.allowed_hosts and viewer_token is None:
            return cls(None)
        return cls(secrets.token_urlsafe(_TOKEN_BYTES), viewer_token)

    def permissions(self, authorization: str | None, query_token: str | None) -> frozenset[Permission]:
        """What a client may do that sent this `Authorization` header and this `token` in its address.

        Raises `WrongTokenError` for a token that is given and wrong.
        """
        if self.token is None:
            return EVERYTHING
        given = query_token or bearer(authorization)
        if given is None:
            return WATCHING
        if _same(given, self.token):
            return EVERYTHING
        if self.viewer_token is not None and _same(given, self.viewer_token):
            return WATCHING
        raise WrongTokenError


@dataclass(frozen=True, slots=True)
class ViewerAccess:
    """Decides who may watch. No `tokens`: everybody who gets here."""

    tokens: tuple[str, ...] = ()

    @classmethod
    def for_settings(cls, settings: Settings, operator: OperatorAccess) -> Self:
        """The viewers' token of the settings, and beside it the operator's."""
        if settings.viewer_token is None:
            return cls()
        every = (settings.viewer_token.get_secret_value(), operator.token)
        return cls(tuple(token for token in every if token is not None))

    def allows(self, authorization: str | None) -> bool:
        """Whether the client that sent this `Authorization` header may watch."""
        given = bearer(authorization)
        return not self.tokens or (given is not None and any([_same(given, token) for token in self.tokens]))


def bearer(authorization: str | None) -> str | None:
    """The token of an `Authorization: Bearer` header (RFC 6750, section 2.1)."""
    scheme, _, credentials = (authorization or "").partition(" ")
    return credentials.strip() or None if scheme.lower() == "bearer" else None


def _same(given: str, token: str) -> bool:
    """Compare in constant time, as bytes: `compare_digest` refuses text that is not ASCII."""
    return secrets.compare_digest(given.encode("utf-8", "replace"), token.encode())
