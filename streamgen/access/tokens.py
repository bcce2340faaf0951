"""What a token says: who somebody is, which roles that is, on which channel and until when.

    {"iss": "streamgen", "aud": "streamgen", "sub": "seat-12", "roles": ["propose", "vote"], "channel": "main",
     "nbf": 1785400000, "exp": 1785443200, "jti": "kq0Tq1l3bJ5x"}

`channel`, `nbf` and `jti` may be missing. `streamgen token` issues them.
"""

import math
import secrets
from dataclasses import dataclass
from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from streamgen.access.errors import WrongTokenError
from streamgen.access.keys import TokenKeys
from streamgen.access.roles import ROLES, Role

AUDIENCE: Final = "streamgen"
MAX_NAME_CHARS: Final = 64  # of a subject, a channel, an id
# Only at the beginning, for a machine that issues and whose clock is ahead. The end is exact: it means the same to a
# client that comes and to one that is connected.
LEEWAY_S: Final = 30.0

_ID_BYTES: Final = 9


@dataclass(frozen=True, slots=True)
class Claims:
    """The content of a token. Times are Unix times in seconds."""

    roles: frozenset[Role]
    subject: str  # one subject is one voter, however many tokens and connections it has
    expires_at: float
    not_before: float
    channel: str | None = None  # None: every channel of the server
    token_id: str = ""


def new_token_id() -> str:
    """An id that no other token has."""
    return secrets.token_urlsafe(_ID_BYTES)


def checked_name(value: str) -> str:
    """A subject or a channel as it came, if it can be one. Raises `ValueError`."""
    if not (0 < len(value) <= MAX_NAME_CHARS and value.isprintable()):
        raise ValueError(f"give 1 to {MAX_NAME_CHARS} printable characters")
    return value


class _Payload(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")

    roles: Annotated[list[Role], Field(min_length=1, max_length=len(ROLES))]
    sub: Annotated[str, AfterValidator(checked_name)]
    exp: Annotated[float, Field(allow_inf_nan=False)]
    nbf: Annotated[float, Field(allow_inf_nan=False)] = -math.inf
    channel: Annotated[str, AfterValidator(checked_name)] | None = None
    jti: Annotated[str, Field(max_length=MAX_NAME_CHARS)] = ""


def sign_token(keys: TokenKeys, claims: Claims) -> str:
    """The token that says `claims`. Raises `ValueError` for claims that no server would accept."""
    if not claims.roles:
        raise ValueError(f"a token needs a role; there are {', '.join(ROLES)}")
    checked_name(claims.subject)
    payload = {
        "roles": [role for role in ROLES if role in claims.roles],
        "sub": claims.subject,
        "exp": math.floor(claims.expires_at),
        "nbf": math.floor(claims.not_before),
        "jti": claims.token_id,
    }
    if claims.channel is not None:
        payload["channel"] = checked_name(claims.channel)
    return keys.sign(payload, AUDIENCE)


def read_token(keys: TokenKeys, token: str, *, channel: str, now_s: float) -> Claims:
    """The claims of a token that holds on this channel at the Unix time `now_s`.

    Raises `WrongTokenError`, and nothing else, for any other text.
    """
    signed = keys.verify(token, AUDIENCE)
    try:
        payload = _Payload.model_validate(signed)
    except ValidationError as error:
        field = ".".join(str(step) for step in error.errors(include_url=False)[0]["loc"])
        raise WrongTokenError(f"the token's {field[:20]} cannot be used; ask for a new one", "malformed") from None
    if now_s >= payload.exp:
        raise expired()
    if now_s < payload.nbf - LEEWAY_S:
        raise WrongTokenError("the token is not valid yet; come when it begins, or check the clock", "not_yet_valid")
    if payload.channel not in (None, channel):
        raise WrongTokenError("the token is for another channel; open the link of that one", "other_channel")
    return Claims(
        roles=frozenset(payload.roles),
        subject=payload.sub,
        expires_at=payload.exp,
        not_before=payload.nbf,
        channel=payload.channel,
        token_id=payload.jti,
    )


def expired() -> WrongTokenError:
    """The token's time is over."""
    return WrongTokenError("your token has expired; ask whoever runs this server for a new one", "expired")
