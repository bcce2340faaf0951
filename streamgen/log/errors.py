"""Errors of the log and of replays.

StreamgenError
└── LogError
    ├── LogUnavailableError   the folder cannot be written, or another channel writes there
    └── ReplayError           a log cannot be made into latents again
"""

from streamgen.errors import StreamgenError


class LogError(StreamgenError):
    """Something about a channel's log went wrong."""


class LogUnavailableError(LogError):
    """The log's folder cannot be written, or another channel writes there."""


class ReplayError(LogError):
    """A log cannot be made into latents again."""
