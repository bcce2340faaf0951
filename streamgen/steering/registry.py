"""Every request that the channel remembers: the open ones, and so many that are finished. Free of I/O.

An id belongs to the client that chose it. On the channel each request has one more, unique there: the same, unless
somebody else has chosen it as well.
"""

import re
from collections import deque

from streamgen.protocol import ServerMessage
from streamgen.steering.effects import Delivery
from streamgen.steering.open_request import OpenRequest, Request
from streamgen.steering.programme import START_ID


class Registry:
    """Requests by client and id, and by their id on the channel."""

    def __init__(self, max_finished: int, reserved: re.Pattern[str] | None = None) -> None:
        """The latest `max_finished` that are finished are remembered: sent again, they get the same answers.

        No id on the channel matches `reserved` as a whole.
        """
        self._reserved = reserved
        self._max_finished = max_finished
        self._requests: dict[tuple[str, str], OpenRequest] = {}
        self._channel_ids: dict[str, OpenRequest] = {}
        self._finished: deque[OpenRequest] = deque()
        self._order = 0

    def __len__(self) -> int:
        return len(self._requests)

    def find(self, client: str, id: str) -> OpenRequest | None:
        """A request by the id that its client gave it; of several, which edit one entry, the latest."""
        return self._requests.get((client, id))

    def on_channel(self, channel_id: str | None) -> OpenRequest | None:
        """A request by its id on the channel."""
        return None if channel_id is None else self._channel_ids.get(channel_id)

    def add(self, client: str, message: Request, in_play: frozenset[str] = frozenset()) -> OpenRequest:
        """Remember a new request; it is the newest.

        Its id on the channel is none of `in_play`: of requests that are forgotten, and whose prompts play on.
        """
        request = OpenRequest(client, message, self.unused_id(message.id, in_play), 0, "received")
        self.renew(request)
        self._requests[client, message.id] = request
        self._channel_ids[request.channel_id] = request
        return request

    def renew(self, request: OpenRequest) -> None:
        """From now on it counts as the newest."""
        self._order += 1
        request.order = self._order

    def finish(self, request: OpenRequest) -> None:
        """It has had its final answer; the one that had its own longest ago may be forgotten."""
        self._finished.append(request)
        while len(self._finished) > self._max_finished:
            forgotten = self._finished.popleft()
            key = (forgotten.client, forgotten.message.id)
            if self._requests.get(key) is forgotten:  # and not an edit of it
                del self._requests[key]
            del self._channel_ids[forgotten.channel_id]

    def unused_id(self, wanted: str, in_play: frozenset[str]) -> str:
        """An id on the channel that nothing else has, like the one that is wanted."""
        taken = in_play | {START_ID}
        free = self._reserved is None or self._reserved.fullmatch(wanted) is None
        if free and wanted not in self._channel_ids and wanted not in taken:
            return wanted
        channel_id = f"{wanted}~{self._order + 1}"
        while (
            channel_id in self._channel_ids or channel_id in taken
        ):  # only when a client chose an id of this very form
            channel_id += "~"
        return channel_id


def answer(request: OpenRequest, message: ServerMessage) -> Delivery:
    """Say something to the one who asked, and keep it for when the same is asked again.

    A repeated `queued` (after a restart, or with a new estimate) replaces the one before it.
    """
    request.answers = [each for each in request.answers if each.type != message.type]
    request.answers.append(message)
    return Delivery(request.client, message)
