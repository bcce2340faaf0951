"""What the core of steering asks its caller to do. Values only."""

from dataclasses import dataclass

from streamgen.packets import Command
from streamgen.protocol import PanicAction, ServerMessage


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message for every connection of `client`, else of the person `voter`, and for everybody where both are None."""

    client: str | None
    message: ServerMessage
    voter: str | None = None
    logged: bool = True  # whether the log says of it what was decided


@dataclass(frozen=True, slots=True)
class Screening:
    """Texts of a prompt that wait for a verdict: call `judged` with it."""

    channel_id: str
    texts: tuple[str, ...]
    document: bool = False  # of a whole timeline, for which no prompt is to wait


@dataclass(frozen=True, slots=True)
class Effects:
    """What the caller has to do: cover the programme, send the messages in order, tell the generator, have judged."""

    deliveries: tuple[Delivery, ...] = ()
    commands: tuple[Command, ...] = ()
    panic: PanicAction | None = None
    screening: Screening | None = None
