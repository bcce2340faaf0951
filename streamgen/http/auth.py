"""Who may steer: everybody on this machine, or whoever holds the operator's token.

A server that listens on the loopback address only is reachable from its own machine, so there is no token. Any
other server has one: given in the settings, or generated anew at each start. Watching never needs it.
"""

import ipaddress
import secrets
from dataclasses import dataclass
from typing import Final, Self

from streamgen.protocol import Permission
from streamgen.settings import Settings

EVERYTHING: Final[frozenset[Permission]] = frozenset({"prompt", "config"})
WATCHING: Final[frozenset[Permission]] = frozenset()

_TOKEN_BYTES: Final = 24


class WrongTokenError(Exception):
    """A token was given, and it is not the operator's."""


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

    @classmethod
    def for_settings(cls, settings: Settings) -> Self:
        """The token of the settings, or a new one where one is needed."""
        if settings.operator_token is not None:
            return cls(settings.operator_token.get_secret_value())
        # Names for a reverse proxy mean that others come in through it, whatever the address.
        if is_loopback(settings.host) and not settings.allowed_hosts:
            return cls(None)
        return cls(secrets.token_urlsafe(_TOKEN_BYTES))

    def permissions(self, authorization: str | None, query_token: str | None) -> frozenset[Permission]:
        """What a client may do that sent this `Authorization` header and this `token` in its address.

        Raises `WrongTokenError` for a token that is given and wrong.
        """
        if self.token is None:
            return EVERYTHING
        given = query_token or _bearer(authorization)
        if given is None:
            return WATCHING
        # As bytes: compare_digest refuses text that is not ASCII.
        if not secrets.compare_digest(given.encode("utf-8", "replace"), self.token.encode()):
            raise WrongTokenError
        return EVERYTHING


def _bearer(authorization: str | None) -> str | None:
    scheme, _, credentials = (authorization or "").partition(" ")
    return credentials.strip() or None if scheme.lower() == "bearer" else None
