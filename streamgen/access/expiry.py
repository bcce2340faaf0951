"""Waiting for a moment of the wall clock, such as the end of a token."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

CHECK_S: Final = 0.5  # the wall clock can be set, and stands still while a machine sleeps: look at it this often


async def until(
    moment_s: float,
    *,
    wall_s: Callable[[], float] = time.time,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> None:
    """Return once the Unix time `moment_s` has come, at most `CHECK_S` late."""
    while (left_s := moment_s - wall_s()) > 0.0:
        await sleep(min(left_s, CHECK_S))
