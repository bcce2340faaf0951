"""What can be wrong with a token."""

from typing import Literal, TypeAlias

from streamgen.errors import StreamgenError

Fault: TypeAlias = Literal[
    "unknown",  # nobody's: neither a token of the settings nor a signed one
    "too_long",
    "malformed",
    "wrong_signature",
    "wrong_purpose",  # signed by this server, but for something else
    "not_yet_valid",
    "expired",
    "other_channel",
    "lacking",  # valid, but its roles do not allow what is asked for
]


class WrongTokenError(StreamgenError):
    """A token was given that does not hold here. `fault` is for programs; the message fits a WebSocket's close."""

    def __init__(self, message: str, fault: Fault = "unknown") -> None:
        super().__init__(message)
        self.fault: Fault = fault
