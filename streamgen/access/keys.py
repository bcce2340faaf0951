"""Signing and checking of tokens with the server's secrets: JSON Web Tokens (RFC 7519) of PyJWT.

The algorithm is HS256 and nothing else, whatever a token says of itself (RFC 8725, section 3.1). The program that
issues a token and the one that checks it share their settings, so a key pair would guard nothing more, and one
secret fits into an environment variable.

Several secrets make a rotation: the first one signs, all are accepted. Taking a secret out of the settings ends
every token that it signed.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import jwt

from streamgen.access.errors import WrongTokenError

ALGORITHM: Final = "HS256"
ISSUER: Final = "streamgen"
MIN_SECRET_CHARS: Final = 32  # RFC 7518, section 3.2: a key of HS256 has at least 256 bits
MAX_SECRETS: Final = 5  # each costs one HMAC per wrong token
MAX_TOKEN_CHARS: Final = 2048  # checked before anything is decoded; a token of this server has about 300


class TokenKeys:
    """The secrets of one server. `secrets`: the one that signs, then older ones that are still accepted."""

    def __init__(self, secrets: Sequence[str]) -> None:
        if not 0 < len(secrets) <= MAX_SECRETS or min(map(len, secrets)) < MIN_SECRET_CHARS:
            raise ValueError(f"give 1 to {MAX_SECRETS} secrets of at least {MIN_SECRET_CHARS} characters")
        # As they are, so that any program that has a secret can issue tokens with any JWT library.
        self._keys = tuple(each.encode("utf-8", "surrogateescape") for each in secrets)

    def sign(self, claims: Mapping[str, Any], audience: str) -> str:
        """A token with these claims, for one purpose."""
        return jwt.encode({**claims, "iss": ISSUER, "aud": audience}, self._keys[0], algorithm=ALGORITHM)

    def verify(self, token: str, audience: str) -> dict[str, Any]:
        """The claims of a token that was signed with one of the secrets for this purpose; times are not looked at.

        Raises `WrongTokenError`, and nothing else, for anything else.
        """
        if len(token) > MAX_TOKEN_CHARS:
            raise WrongTokenError(f"a token has at most {MAX_TOKEN_CHARS} characters; copy it as it is", "too_long")
        if not token.isascii():
            raise _malformed()
        for key in self._keys:
            try:
                return jwt.decode(
                    token,
                    key,
                    algorithms=[ALGORITHM],
                    audience=audience,
                    issuer=ISSUER,
                    # Times are compared by the caller, with a clock of its own.
                    options={
                        "verify_exp": False,
                        "verify_nbf": False,
                        "verify_iat": False,
                        "require": ["iss", "aud", "exp", "sub"],
                    },
                )
            except jwt.InvalidSignatureError:
                continue
            except (jwt.InvalidAudienceError, jwt.InvalidIssuerError):
                raise WrongTokenError(
                    "this token is for something else; open the right link", "wrong_purpose"
                ) from None
            except jwt.PyJWTError:
                raise _malformed() from None
        raise WrongTokenError(
            "the token's signature is wrong: it is another server's, or withdrawn; ask for a new one", "wrong_signature"
        )


def _malformed() -> WrongTokenError:
    return WrongTokenError("this is no token of this server; copy the whole link that you were given", "malformed")
