"""The thin form of a prompt: it becomes a `prompt.set` like any other, and its final answer one `prompt_ack`."""

from collections.abc import Callable

from streamgen.protocol import (
    Applied,
    Prompt,
    PromptAck,
    PromptSet,
    Rejected,
    ServerMessage,
    Superseded,
)


class ThinPrompts:
    """Prompts without an id, by whoever sent them: one of these per connection.

    Bounded by the requests that can be open: each that ends is forgotten.
    """

    def __init__(self, new_id: Callable[[], str]) -> None:
        """`new_id` gives ids that nobody else has."""
        self._new_id = new_id
        self._texts: dict[str, str] = {}

    def ask(self, prompt: Prompt) -> PromptSet:
        """The request that it stands for."""
        asked = PromptSet(id=self._new_id(), text=prompt.text)
        self._texts[asked.id] = prompt.text
        return asked

    def heard(self, message: ServerMessage) -> ServerMessage | None:
        """What this connection is told in place of a message; None: nothing yet."""
        id = getattr(message, "id", None)
        text = self._texts.get(id) if isinstance(id, str) else None
        if id is None or text is None:
            return message
        match message:
            case Applied():
                ack = PromptAck(text=text, success=True, chunk=message.chunk, media_time=message.media_time)
            case Rejected():
                ack = PromptAck(text=text, success=False, error=message.message, retry_after_s=message.retry_after_s)
            case Superseded():
                ack = PromptAck(text=text, success=False, error="a later prompt took its place")
            case _:
                return None
        del self._texts[id]
        return ack
