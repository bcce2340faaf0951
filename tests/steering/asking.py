"""A session that is steered, and what it answers to whom."""

from collections.abc import Iterable
from typing import TypeVar

from streamgen.protocol import Permission, ServerMessage
from streamgen.steering.effects import Effects
from streamgen.steering.session import SteeringSession

ALL: frozenset[Permission] = frozenset({"prompt", "config"})


Message = TypeVar("Message", bound=ServerMessage)


def running(prompt: str = "calm sea") -> SteeringSession:
    session = SteeringSession("main", prompt=prompt)
    session.generator_ready()
    return session


def to(effects: Effects, client: str) -> list[ServerMessage]:
    """What is meant for this client alone, in order."""
    return [each.message for each in effects.deliveries if each.client == client]


def everybody(effects: Effects, kind: type[Message]) -> list[Message]:
    return [each.message for each in effects.deliveries if each.client is None and isinstance(each.message, kind)]


def types(messages: Iterable[ServerMessage]) -> list[str]:
    return [message.type for message in messages]
