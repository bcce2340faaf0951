"""What can go wrong for a client.

ClientError
├── UnreachableError     no server answers, or no media path to it was found
├── RefusedError         the server answered, and said no
├── ConnectionLostError  a connection that was up has ended
├── RejectedError        the server (or this client, before sending) rejects a request
├── SupersededError      a later prompt took the place of this one
├── MessageTooLongError  longer than a data channel carries
└── OutboxFullError      too many requests wait to be sent
"""

from streamgen.protocol import Rejected, Superseded


class ClientError(Exception):
    """Root of every error that this package raises on purpose."""


class UnreachableError(ClientError):
    """No server answers at that address, or no media path to it was found."""


class RefusedError(ClientError):
    """The server does not want this client, or not now.

    `status` is that of HTTP, or the WebSocket close code. `retry_after_s` is None when trying again will not help.
    """

    def __init__(self, detail: str, *, status: int, retry_after_s: float | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.status = status
        self.retry_after_s = retry_after_s


class ConnectionLostError(ClientError):
    """A connection that was up has ended, and not because this side closed it."""


class RejectedError(ClientError):
    """A request without effect; `answer` names the reason and the field."""

    def __init__(self, answer: Rejected) -> None:
        super().__init__(answer.message)
        self.answer = answer


class SupersededError(ClientError):
    """The prompt will not be shown, because the one with id `answer.by` came after it."""

    def __init__(self, answer: Superseded) -> None:
        super().__init__(f"prompt {answer.id} was superseded by {answer.by} before it could be shown")
        self.answer = answer


class MessageTooLongError(ClientError):
    """A message that this line cannot carry. Others can be sent as before."""


class OutboxFullError(ClientError):
    """More requests than may wait to be sent."""
