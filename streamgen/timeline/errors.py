"""Why a timeline, or a change of one, is refused."""

from typing import Literal, TypeAlias

from streamgen.errors import StreamgenError

TimelineReason: TypeAlias = Literal[
    "not_json",
    "missing",
    "unknown_field",
    "unknown_type",
    "wrong_type",
    "empty",
    "too_long",
    "out_of_range",
    "invalid",
    "unsupported_version",
    "id_reused",
    "unknown_id",
    "too_many",
    "no_tempo",
]


class TimelineError(StreamgenError):
    """A timeline that cannot be read, or a change that has no effect.

    `field` names the place ("entries.3.at.beat"), `reason` is for programs, `message` tells people what to do.
    """

    def __init__(self, field: str, reason: TimelineReason, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.reason: TimelineReason = reason
        self.message = message
