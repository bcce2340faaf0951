"""Prompts that are accepted and not in the media yet: of each side the latest wins. Free of I/O.

What holds: a prompt is only overridden once each of its sides, picture and sound, has a later one, waiting or applied.
"""

from collections.abc import Iterator

from streamgen.protocol import PromptSet
from streamgen.sides import SIDES_OF, Side
from streamgen.steering.open_request import OpenRequest


class OpenPrompts:
    """Open prompts by their ids on the channel, oldest first.

    At most `limit`: one more, and the oldest that is overridden has to go. All but two are, as there are two sides.
    """

    def __init__(self, limit: int) -> None:
        assert limit >= len(SIDES_OF["av"]), "each side may have one"
        self._limit = limit
        self._open: dict[str, OpenRequest] = {}
        self._applied: dict[Side, int] = {}  # order of the latest that was applied

    def __iter__(self) -> Iterator[OpenRequest]:
        return iter(list(self._open.values()))

    def __len__(self) -> int:
        return len(self._open)

    def get(self, channel_id: str | None) -> OpenRequest | None:
        """An open prompt by its id on the channel."""
        return None if channel_id is None else self._open.get(channel_id)

    @property
    def newest(self) -> OpenRequest | None:
        """The one that was accepted last."""
        return next(reversed(self._open.values()), None)

    def add(self, request: OpenRequest) -> list[OpenRequest]:
        """It is accepted, and the newest; returns what has to go for it."""
        self._open[request.channel_id] = request
        return self.overridden[:1] if len(self._open) > self._limit else []

    def applied(self, request: OpenRequest) -> list[OpenRequest]:
        """It is in the media; returns what waits and is overridden now by it or by others that came before it."""
        for side in _sides(request):
            self._applied[side] = max(request.order, self._applied.get(side, 0))
        return [each for each in self._open.values() if each.order < request.order and self.is_overridden(each)]

    def drop(self, request: OpenRequest) -> None:
        """It has had its final answer."""
        self._open.pop(request.channel_id, None)

    @property
    def overridden(self) -> list[OpenRequest]:
        """Those of which later ones leave nothing, oldest first."""
        return [each for each in self._open.values() if self.is_overridden(each)]

    def is_overridden(self, request: OpenRequest) -> bool:
        """Whether each of its sides has a later one."""
        later = {side for side, order in self._applied.items() if order > request.order}
        for each in self._open.values():
            if each.order > request.order:
                later |= _sides(each)
        return _sides(request) <= later


def _sides(request: OpenRequest) -> frozenset[Side]:
    assert isinstance(request.message, PromptSet)
    return SIDES_OF[request.message.target]
