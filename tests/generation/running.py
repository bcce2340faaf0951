"""Runs real generator processes for tests."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import psutil

from streamgen.generation.process import GeneratorProcess, GeneratorSettings
from streamgen.packets import (
    EncodedChunk,
    Event,
    Layer,
    SetEpoch,
    SetLayers,
)

LIMIT_S = 240.0  # of any wait: far beyond what it takes, even on a machine that is busy with other things


@asynccontextmanager
async def running(settings: GeneratorSettings) -> AsyncIterator[GeneratorProcess]:
    """A generator that has its epoch, under a time limit."""
    async with asyncio.timeout(LIMIT_S), GeneratorProcess(settings) as generator:
        generator.send(SetLayers(frozenset({Layer("vp8", 0)})))
        generator.send(SetEpoch(time.monotonic_ns()))
        yield generator


async def reached(condition: Callable[[], bool]) -> None:
    """Wait for something outside of the event loop; the caller's time limit bounds it."""
    while not condition():  # noqa: ASYNC110 - no event tells it
        await asyncio.sleep(0.01)


async def gone(pid: int) -> None:
    """Wait until a process has ended."""
    await reached(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)


async def until(generator: GeneratorProcess, wanted: Callable[[Event], bool]) -> list[Event]:
    """Events up to and with the first one that is wanted."""
    events: list[Event] = []
    async for event in generator:
        events.append(event)
        if wanted(event):
            return events
    raise AssertionError("the generator ended")


def shows(name: str) -> Callable[[Event], bool]:
    """Whether an event is the first chunk that shows a prompt."""
    return lambda event: isinstance(event, EncodedChunk) and name in event.record.applied


def is_chunk(event: Event, index: int) -> bool:
    return isinstance(event, EncodedChunk) and event.index == index
