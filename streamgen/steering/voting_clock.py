"""The task that lets a vote go on when its time has come."""

import asyncio
import logging
from typing import Final, Protocol

logger = logging.getLogger(__name__)

AGAIN_S: Final = 1.0


class Ticked(Protocol):
    """What is kept going: the steering hub."""

    def tick_audience(self) -> float | None:
        """Do what is due; returns in how many seconds something is next, None for not before a request."""

    async def audience_changed(self) -> None:
        """Return once something may be due earlier than it was, or at once if that happened since the last call."""


async def keep_time(hub: Ticked) -> None:
    """Tick until it is cancelled."""
    while True:
        try:
            wait_s = hub.tick_audience()
        except Exception:  # the task's outermost edge: the vote has to end all the same
            logger.exception("the vote could not go on in time; it is tried again")
            wait_s = AGAIN_S
        try:
            async with asyncio.timeout(wait_s):
                await hub.audience_changed()
        except TimeoutError:
            pass
