"""Who asked for what, and the answers that they were given: each request gets exactly one final one. Free of I/O."""

import re
from collections import Counter
from collections.abc import Callable

from streamgen.packets import VIDEO_CLOCK_HZ
from streamgen.protocol import Accepted, Applied, Reason, Received, Rejected, ServerMessage, Stage, Superseded
from streamgen.steering.effects import Delivery
from streamgen.steering.on_air import OnAir
from streamgen.steering.open_request import OpenRequest, Request
from streamgen.steering.registry import Registry, answer


class Ledger:
    """The requests of a channel.

    Attributes:
        registry: those that are remembered.
        outcomes: how many requests reached each final answer.
        rejections: why requests were rejected.
    """

    def __init__(
        self,
        max_finished: int,
        on_air: OnAir,
        in_play: Callable[[], frozenset[str]],
        reserved: re.Pattern[str] | None = None,
    ) -> None:
        """`in_play` gives the ids of prompts that play or wait: no other request may get one of them.

        No id on the channel matches `reserved` as a whole.
        """
        self.registry = Registry(max_finished, reserved)
        self.outcomes: Counter[Stage] = Counter()
        self.rejections: Counter[Reason] = Counter()
        self._on_air = on_air
        self._in_play = in_play

    @property
    def chunk(self) -> int | None:
        """Of the channel, the one that plays; None before the first."""
        return self._on_air.chunk

    def receive(self, client: str, message: Request) -> tuple[OpenRequest, Delivery]:
        """Remember a new request; it is the newest."""
        request = self.registry.add(client, message, self._in_play())
        return request, answer(request, Received(id=message.id))

    def unused_id(self, wanted: str) -> str:
        """An id for something on the channel that is no request."""
        return self.registry.unused_id(wanted, self._in_play())

    def at_once(self, client: str, message: Request, media_time_s: float) -> list[Delivery]:
        """The whole life of a request that acts at once, and waits for no chunk."""
        request, received = self.receive(client, message)
        return [received, *self.done(request, media_time_s)]

    def done(self, request: OpenRequest, media_time_s: float) -> list[Delivery]:
        """A request that was received is accepted, and acts at once."""
        id, rtp_video = request.message.id, round(media_time_s * VIDEO_CLOCK_HZ)
        applied = Applied(id=id, chunk=self.chunk, media_time=media_time_s, rtp_video=rtp_video)
        return [answer(request, Accepted(id=id)), self.finish(request, "applied", applied)]

    def refuse(self, client: str, id: str, reason: Reason, field: str | None, message: str) -> tuple[Delivery, ...]:
        """A request without effect. It is not remembered: what forbids it may be gone when it comes again."""
        self.outcomes["rejected"] += 1
        self.rejections[reason] += 1
        rejected = Delivery(client, Rejected(id=id, reason=reason, field=field, message=message))
        if reason == "id_reused":  # `received` of this id has been said, about the request that owns it
            return (rejected,)
        return (Delivery(client, Received(id=id)), rejected)

    def reject(self, request: OpenRequest, reason: Reason, field: str | None, message: str) -> Delivery:
        """A request that was received, and gets no further."""
        return self.finish(
            request, "rejected", Rejected(id=request.message.id, reason=reason, field=field, message=message)
        )

    def supersede(self, request: OpenRequest, by: str) -> Delivery:
        """Another, `by` its id on the channel, took its place."""
        winner = self.registry.on_channel(by)
        # In the words of the one who asked: its own id where the winner is its own request too.
        by_id = winner.message.id if winner is not None and winner.client == request.client else by
        return self.finish(request, "superseded", Superseded(id=request.message.id, by=by_id))

    def finish(self, request: OpenRequest, stage: Stage, message: ServerMessage) -> Delivery:
        """Its final answer."""
        request.stage = stage
        request.eta_ms = None
        self.outcomes[stage] += 1
        if isinstance(message, Rejected):
            self.rejections[message.reason] += 1
        self.registry.finish(request)
        return answer(request, message)


def repeated(client: str, request: OpenRequest) -> tuple[Delivery, ...]:
    """All that was said about a request, for one that is sent again."""
    return tuple(Delivery(client, said) for said in request.answers)
