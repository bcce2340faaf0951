"""When the next generator starts after one that ended: after a pause that doubles with every failure in a row."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Final, NoReturn

from streamgen.errors import GenerationError

logger = logging.getLogger(__name__)

FIRST_RESTART_S: Final = 0.25
MAX_RESTART_S: Final = 10.0
SETTLED_S: Final = 30.0  # a generator that lived this long starts the pauses anew


class Restarts:
    """Keeps generators going, one after the other.

    Attributes:
        count: how many have been started in place of another.
    """

    def __init__(
        self,
        first_pause_s: float = FIRST_RESTART_S,
        *,
        now_s: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Count from zero.

        Args:
            first_pause_s: before the first restart, in seconds; doubled with every failure in a row.
            now_s, sleep: the clock.
        """
        self.count = 0
        self._first_pause_s = first_pause_s
        self._now_s = now_s
        self._sleep = sleep

    async def keep_going(self, run: Callable[[], Awaitable[None]]) -> NoReturn:
        """Run one generator after the other until this is cancelled; `run` is the life of one, and ends by raising."""
        pause_s = self._first_pause_s
        while True:
            started_s = self._now_s()
            try:
                await run()
            except GenerationError as error:
                logger.error("%s", error)
            except Exception:
                logger.exception("the generator's supervision failed")
            if self._now_s() - started_s >= SETTLED_S:
                pause_s = self._first_pause_s
            logger.warning("the slate plays; the generator starts again in %.2f s", pause_s)
            await self._sleep(pause_s)
            pause_s = min(2 * pause_s, MAX_RESTART_S)
            self.count += 1
