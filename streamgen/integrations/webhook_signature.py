"""Signatures of webhook messages: HMAC-SHA256 by the Standard Webhooks specification, version 1. Free of I/O.

What is signed is `ID.TIMESTAMP.BODY`, so that a receiver can refuse what is old and what it has seen.
"""

import base64
import binascii
import hashlib
import hmac
from typing import Final

PREFIX: Final = "whsec_"
MIN_KEY_BYTES: Final = 24
MAX_KEY_BYTES: Final = 64


def read_secret(text: str) -> bytes:
    """The key in a secret such as `whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw`. Raises `ValueError` with what is wrong."""
    wanted = f"write {PREFIX} and {MIN_KEY_BYTES} to {MAX_KEY_BYTES} random bytes in base64"
    example = f"echo {PREFIX}$(openssl rand -base64 32)"
    if not text.startswith(PREFIX):
        raise ValueError(f"{wanted}: {example}")
    try:
        key = base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        raise ValueError(f"what follows {PREFIX} is no base64; {wanted}: {example}") from None
    if not MIN_KEY_BYTES <= len(key) <= MAX_KEY_BYTES:
        raise ValueError(f"the key has {len(key)} bytes; {wanted}: {example}")
    return key


def signature(key: bytes, id: str, timestamp_s: int, body: bytes) -> str:
    """The header `webhook-signature`. `timestamp_s` is the Unix time of this attempt."""
    signed = b".".join((id.encode(), str(timestamp_s).encode(), body))
    return f"v1,{base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()}"


def verify(key: bytes, headers: dict[str, str], body: bytes, *, now_s: float, tolerance_s: float = 300.0) -> bool:
    """What a receiver does: whether these headers (names in lower case) hold for this body at the Unix time `now_s`."""
    id, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not id or not (timestamp.isascii() and timestamp.isdigit()) or len(timestamp) > 12:
        return False
    if abs(now_s - int(timestamp)) > tolerance_s:
        return False
    expected = signature(key, id, int(timestamp), body)
    return any(hmac.compare_digest(expected, each) for each in headers.get("webhook-signature", "").split(" "))
