"""The errors of moderation, a branch of the server's error tree.

    StreamgenError
    └── ModerationError
        ├── RuleListError       a list of words and patterns, or of policies, cannot be read
        └── ExternalError       the external service gave no usable answer

`ExternalError` never reaches a caller of `Moderation.judge`: there it becomes a verdict that does not allow.
"""

from streamgen.errors import StreamgenError


class ModerationError(StreamgenError):
    """Something about moderation went wrong."""


class RuleListError(ModerationError):
    """A list cannot be read; the message names the file and the place."""


class ExternalError(ModerationError):
    """The external service gave no usable answer: unreachable, too slow, too long, or not understood."""
