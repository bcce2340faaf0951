"""The settings in force, and the requests that changed them and are not seen in a chunk yet. Free of I/O."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from streamgen.packets import ChunkRecord
from streamgen.protocol import Config, ConfigUpdate
from streamgen.steering.open_request import OpenRequest

SETTLING_CHUNKS: Final = 8  # far more than are made ahead


@dataclass(frozen=True, slots=True)
class _Forced:
    settings: Mapping[str, float | int]
    by: str
    until: int  # chunk of the channel
    waiting: tuple[OpenRequest, ...]


class ConfigChanges:
    """Requests for other settings on their way; at most one per field of the settings.

    Attributes:
        config: the settings in force: those of the last request.
    """

    def __init__(self) -> None:
        self.config = Config()
        self._open: list[OpenRequest] = []
        self._forced: list[_Forced] = []  # by the timeline, while requests for the same settings wait

    @property
    def open(self) -> tuple[OpenRequest, ...]:
        """Those that no chunk has shown yet."""
        return tuple(self._open)

    def take(self, request: OpenRequest) -> list[OpenRequest]:
        """These settings hold from now on; returns the requests of which nothing is left to be seen."""
        given = _asked(request).model_dump(include={"guidance", "seed"}, exclude_none=True)
        for older in self._open:
            older.unseen -= given.keys()
        overridden = [older for older in self._open if not older.unseen]
        request.unseen = set(given)
        self._open.append(request)
        self.config = self.config.model_copy(update=given)
        return overridden

    def force(self, settings: Mapping[str, float | int], *, by: str, place: int) -> None:
        """The timeline changed these with a chunk of the channel, `by` naming what did.

        A request that waits may have come to the generator before that or after it: which, the next chunks show.
        """
        waiting = tuple(each for each in self._open if each.unseen & settings.keys())
        asked = {field for each in waiting for field in each.unseen}
        self.config = self.config.model_copy(update={k: v for k, v in settings.items() if k not in asked})
        if waiting:
            self._forced.append(_Forced(settings, by, place + SETTLING_CHUNKS, waiting))

    def overridden(self, place: int) -> list[tuple[OpenRequest, str]]:
        """Requests that no chunk has shown since the timeline changed the same settings, and by what."""
        lost = []
        for forced in [each for each in self._forced if each.until <= place]:
            self._forced.remove(forced)
            for request in forced.waiting:
                gone = {field for field in request.unseen & forced.settings.keys() if request in self._open}
                asked = _asked(request).model_dump()
                held = {field for field in gone if getattr(self.config, field) == asked[field]}
                self.config = self.config.model_copy(update={field: forced.settings[field] for field in held})
                request.unseen -= gone
                if gone and not request.unseen:
                    lost.append((request, forced.by))
        return lost

    def seen(self, record: ChunkRecord) -> list[OpenRequest]:
        """The requests whose settings this chunk was made with."""
        return [request for request in self._open if not request.unseen - _shown(_asked(request), record)]

    def drop(self, request: OpenRequest) -> None:
        """It has had its final answer."""
        if request in self._open:
            self._open.remove(request)


def _asked(request: OpenRequest) -> ConfigUpdate:
    assert isinstance(request.message, ConfigUpdate)
    return request.message


def _shown(asked: ConfigUpdate, record: ChunkRecord) -> set[str]:
    shown = set()
    if asked.guidance is not None and math.isclose(record.guidance, asked.guidance, rel_tol=1e-6):
        shown.add("guidance")
    if asked.seed is not None and record.seed == asked.seed:
        shown.add("seed")
    return shown
