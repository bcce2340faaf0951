"""What a webhook tells, read from what the channel says to everybody. Free of I/O.

An event happens once: what is told again on joining anew, or with the next chunk of the same prompt, is none.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from pydantic import JsonValue

from streamgen.protocol import AudienceOverlay, Chunk, ServerMessage, State, Status

EventType: TypeAlias = Literal["prompt.applied", "vote.decided", "status.changed"]

MAX_REMEMBERED: Final = 256  # ids of prompts that have been told; the oldest is forgotten
EVENT_TYPES: Final[tuple[EventType, ...]] = ("prompt.applied", "vote.decided", "status.changed")


@dataclass(frozen=True, slots=True)
class WebhookEvent:
    """Something that happened. `content` is the `data` of the message."""

    type: EventType
    content: Mapping[str, JsonValue]


class EventReader:
    """Reads the messages of one channel in order."""

    def __init__(self, channel: str) -> None:
        self._channel = channel
        self._status: Status | None = None
        # Not only the newest: where picture and sound follow different prompts, a new generator plays the picture's id.
        self._applied: deque[str] = deque(maxlen=MAX_REMEMBERED)
        self._joined = False
        self._decided: tuple[str, str] | None = None  # round and stage of the last vote that was decided

    def read(self, message: ServerMessage) -> tuple[WebhookEvent, ...]:
        """The events that this message tells."""
        match message:
            case State():
                return self._of_state(message)
            case Chunk():
                return self._of_chunk(message)
            case AudienceOverlay():
                return self._of_vote(message)
            case _:
                return ()

    def _of_state(self, state: State) -> tuple[WebhookEvent, ...]:
        events: list[WebhookEvent] = []
        if state.status != self._status:
            if self._status is not None:
                content: dict[str, JsonValue] = {"status": state.status, "before": self._status}
                events.append(self._event("status.changed", content | {"media_time": state.media_time}))
            self._status = state.status
        if not self._joined and state.prompt_id is not None:
            self._applied.append(state.prompt_id)
        self._joined = True
        return tuple(events)

    def _of_chunk(self, chunk: Chunk) -> tuple[WebhookEvent, ...]:
        if chunk.prompt_id is None or chunk.prompt_id in self._applied:
            return ()
        self._applied.append(chunk.prompt_id)
        content: dict[str, JsonValue] = {
            "prompt": chunk.prompt,
            "prompt_id": chunk.prompt_id,
            "chunk": chunk.index,
            "media_time": chunk.media_time,
        }
        return (self._event("prompt.applied", content),)

    def _of_vote(self, vote: AudienceOverlay) -> tuple[WebhookEvent, ...]:
        place = (vote.round, vote.stage)
        if vote.phase != "result" or place == self._decided:
            return ()
        self._decided = place
        options: list[JsonValue] = [
            {
                "id": option.id,
                "text": option.text,
                "votes": option.votes,
                "won": option.id in vote.winners,
                "names": list(option.names),
            }
            for option in vote.options
        ]
        content: dict[str, JsonValue] = {
            "round": vote.round,
            "stage": vote.stage,
            "decided_by": vote.decided_by,
            "voters": vote.voters,
            "options": options,
        }
        return (self._event("vote.decided", content),)

    def _event(self, type: EventType, content: Mapping[str, JsonValue]) -> WebhookEvent:
        return WebhookEvent(type, {"channel": self._channel, **content})
