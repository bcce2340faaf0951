"""The vote on the disk, so that a server that starts again goes on with it.

One JSON file, replaced as a whole once a second at most while something changes, and once more at the end. So a server
that stops loses nothing, and one that is killed what came within the last second.
"""

import asyncio
import json
import logging
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel

from streamgen.audience.effects import AudienceStateError

logger = logging.getLogger(__name__)

STORE_INTERVAL_S: Final = 1.0
SHARE_OF_TIME: Final = 0.02  # that storing may take; with many voters it is done less often


class VotingFile:
    """The vote on the disk: one JSON file, replaced as a whole, so that it is never half written."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> dict[str, Any] | None:
        """What was stored; None for nothing.

        Raises:
            AudienceStateError: the file cannot be read.
        """
        try:
            document = json.loads(self.path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise AudienceStateError(f"the stored audience {self.path} cannot be read ({error})") from error
        if not isinstance(document, dict):
            raise AudienceStateError(f"the stored audience {self.path} is no JSON object")
        return document

    def set_aside(self) -> Path:
        """Give a file that cannot be continued another name, so that nothing is lost; returns that name."""
        aside = self.path.with_suffix(".unused.json")
        os.replace(self.path, aside)
        return aside

    def write(self, text: str) -> None:
        """Replace what was stored by this JSON. Raises `OSError`."""
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", dir=self.path.parent, prefix=f".{self.path.name}.", delete=False
        ) as file:
            try:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
                os.replace(file.name, self.path)
            except BaseException:
                os.unlink(file.name)
                raise


class VotingKeeper:
    """Stores the vote while it changes. Taking the state belongs to the event loop; JSON and disk have a thread."""

    def __init__(
        self,
        file: VotingFile,
        take: Callable[[], BaseModel],
        version: Callable[[], object],
        *,
        interval_s: float = STORE_INTERVAL_S,
    ) -> None:
        """`take` returns values that change no more, `version` another one after each change worth storing."""
        self._file = file
        self._take = take
        self._version = version
        self._interval_s = interval_s
        self._stored: object = None
        self.failures = 0  # of writing, since the start

    async def run(self) -> None:
        """Store after changes until it is cancelled."""
        clock = asyncio.get_running_loop().time
        while True:
            began_s = clock()
            await self.store()
            await asyncio.sleep(max(self._interval_s, (clock() - began_s) / SHARE_OF_TIME))

    async def store(self) -> None:
        """Store now, if something has changed. A disk that does not take it is said, and tried again later."""
        version = self._version()
        if version == self._stored:
            return
        state = self._take()
        try:
            await asyncio.to_thread(lambda: self._file.write(state.model_dump_json()))
        except OSError as error:
            self.failures += 1
            logger.error("the audience cannot be stored in %s: %s", self._file.path, error)
        else:
            self._stored = version
