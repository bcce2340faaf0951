"""The requests whose outcome is to come, by id. Free of I/O.

An edit of a scheduled entry has the id of the request that made the entry. Of several with one id the newest is
answered, with one exception: a request that an edit takes the place of is superseded by its own id.
"""

from collections import OrderedDict
from typing import Final

from streamgen.protocol import Superseded
from streamgen_client.errors import ClientError, ConnectionLostError
from streamgen_client.request import LifeEvent, Request

REMEMBERED_REQUESTS: Final = 1024  # further ones push out the oldest, which then fails


class OpenRequests:
    """Requests that were sent and have had no final answer."""

    def __init__(self) -> None:
        self._requests: OrderedDict[str, list[Request]] = OrderedDict()  # of each id the oldest first

    def __len__(self) -> int:
        return sum(len(some) for some in self._requests.values())

    def add(self, request: Request) -> None:
        """It is sent. Full-policy: the oldest fails."""
        self._requests.setdefault(request.id, []).append(request)
        if len(self) > REMEMBERED_REQUESTS:
            oldest = next(iter(self._requests.values()))[0]
            self._forget(oldest)
            oldest.fail(ConnectionLostError("too many later requests; the outcome of this one is not followed"))

    def take(self, event: LifeEvent) -> None:
        """An answer came."""
        some = self._requests.get(event.id or "")
        if not some:
            return
        replaced = isinstance(event, Superseded) and event.by == event.id
        request = some[0] if replaced else some[-1]
        request.take(event)
        if request.done:
            self._forget(request)

    def fail(self, error: ClientError) -> None:
        """There will be no more answers."""
        for some in self._requests.values():
            for request in some:
                request.fail(error)
        self._requests.clear()

    def _forget(self, request: Request) -> None:
        some = self._requests[request.id]
        some.remove(request)
        if not some:
            del self._requests[request.id]
