"""The JSON of messages, made once for all connections that get the same one."""

from collections import deque
from typing import Final

from streamgen.protocol import AudienceOverlay, Buffering, Chunk, Health, ServerMessage, State, Timeline, encode

REMEMBERED: Final = 16  # messages to everybody; full-policy: the oldest is forgotten, and encoded again if it must


class EncodedOnce:
    """Remembers the text of the latest messages that go to many. A message is known by its identity."""

    def __init__(self) -> None:
        self._latest: deque[tuple[ServerMessage, str]] = deque(maxlen=REMEMBERED)

    def text(self, message: ServerMessage) -> str:
        """The JSON text of a message, one line."""
        if not isinstance(message, State | Chunk | Buffering | AudienceOverlay | Timeline | Health):
            return encode(message)  # to one client; remembering it would push out what goes to all
        for known, text in self._latest:
            if known is message:
                return text
        text = encode(message)
        self._latest.appendleft((message, text))
        return text
