"""The settings in force, and the requests that changed them and are not seen in a chunk yet. Free of I/O."""

import math

from streamgen.packets import ChunkRecord
from streamgen.protocol import Config, ConfigUpdate
from streamgen.steering.open_request import OpenRequest


class ConfigChanges:
    """Requests for other settings on their way; at most one per field of the settings.

    Attributes:
        config: the settings in force: those of the last request.
    """

    def __init__(self) -> None:
        self.config = Config()
        self._open: list[OpenRequest] = []

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

    def force(self, guidance: float | None, seed: int | None) -> None:
        """These hold from now on, though nobody asks for them now."""
        given = {"guidance": guidance, "seed": seed}
        self.config = self.config.model_copy(update={name: value for name, value in given.items() if value is not None})

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
