"""The task that tells those who look after a channel how it goes, once a second."""

import asyncio
import logging
from collections.abc import Callable

import psutil

from streamgen.steering.health import EVERY_S, Readings
from streamgen.steering.hub import SteeringHub

logger = logging.getLogger(__name__)


async def tell_health(steering: SteeringHub, read: Callable[[int], Readings]) -> None:
    """Tell it until it is cancelled. `read` takes the resident memory of this process, in bytes."""
    process = psutil.Process()
    while True:
        await asyncio.sleep(EVERY_S)
        try:
            steering.report_health(read(process.memory_info().rss))
        except Exception:  # the task's outermost edge: what cannot be told may not end the channel
            logger.exception("the channel's health could not be told")
