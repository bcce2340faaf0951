"""One request's life on the client's side. Free of I/O."""

import asyncio
from collections.abc import AsyncIterator, Generator
from typing import Final, TypeAlias

from streamgen.protocol import Accepted, Applied, Held, Queued, Received, Rejected, Superseded
from streamgen_client.errors import ClientError, RejectedError, SupersededError

LifeEvent: TypeAlias = Received | Held | Accepted | Queued | Rejected | Applied | Superseded

MAX_EVENTS: Final = 64  # an honest life has six; further ones that are not final are ignored


class Request:
    """A prompt or a change of settings on its way into the media.

    Await it for `Applied`; iterate over it for every event of its life, from the first, as often as wanted:

        request = steering.prompt("a calm sea at night")
        async for event in request:
            print(event.type)
        applied = await request

    Awaiting raises `RejectedError`, `SupersededError`, or `ConnectionLostError` when the outcome will never be known.
    """

    def __init__(self, request_id: str) -> None:
        self.id = request_id
        # When it was handed to the connection, on the clock of `time.monotonic()`; None before.
        self.sent_s: float | None = None
        self._events: list[LifeEvent] = []
        self._final: Applied | Superseded | Rejected | ClientError | None = None
        self._changed = asyncio.Event()

    @property
    def done(self) -> bool:
        """Whether the outcome is there."""
        return self._final is not None

    @property
    def events(self) -> tuple[LifeEvent, ...]:
        """The events so far."""
        return tuple(self._events)

    def __await__(self) -> Generator[object, None, Applied]:
        return self._outcome().__await__()

    async def __aiter__(self) -> AsyncIterator[LifeEvent]:
        """The events so far, then those to come. Ends after the final one; raises when the connection is lost."""
        position = 0
        while True:
            while position < len(self._events):
                yield self._events[position]
                position += 1
            if isinstance(self._final, ClientError):
                raise self._final
            if self._final is not None:
                return
            self._changed.clear()
            await self._changed.wait()

    def take(self, event: LifeEvent) -> None:
        """An event that carries this request's id."""
        if self.done:
            return
        if isinstance(event, Applied | Superseded | Rejected):
            self._final = event
        elif len(self._events) >= MAX_EVENTS:
            return
        self._events.append(event)
        self._changed.set()

    def fail(self, error: ClientError) -> None:
        """There will be no further event."""
        if not self.done:
            self._final = error
            self._changed.set()

    async def _outcome(self) -> Applied:
        while self._final is None:
            self._changed.clear()
            await self._changed.wait()
        match self._final:
            case Applied():
                return self._final
            case Rejected():
                raise RejectedError(self._final)
            case Superseded():
                raise SupersededError(self._final)
            case _:
                raise self._final
