"""Signals and uvicorn's configuration; the whole server runs in tests/e2e/test_server.py."""

import asyncio
import logging
import os
import signal

import pytest
from fastapi import FastAPI

from streamgen.http import server
from streamgen.protocol import MAX_TRANSPORT_BYTES
from streamgen.settings import Settings


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_the_first_signal_stops_and_the_next_one_does_not_wait(number: signal.Signals) -> None:
    heard: list[str] = []
    arrived = asyncio.Event()

    def hear(what: str) -> None:
        heard.append(what)
        arrived.set()

    with server._StopSignals(lambda: hear("cancel")) as signals:
        signals.on_stop = lambda: hear("stop")
        for _ in range(3):
            arrived.clear()
            os.kill(os.getpid(), number)
            async with asyncio.timeout(10):
                await arrived.wait()
    assert heard == ["stop", "cancel", "cancel"]
    assert not asyncio.get_running_loop().remove_signal_handler(number)  # it is as it was before


async def test_a_signal_before_there_is_a_server_ends_the_start() -> None:
    async def start() -> None:
        task = asyncio.current_task()
        assert task is not None
        with server._StopSignals(task.cancel):
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.Event().wait()

    with pytest.raises(asyncio.CancelledError):
        async with asyncio.timeout(10):
            await asyncio.create_task(start())


def test_uvicorn_neither_logs_tokens_nor_takes_endless_frames() -> None:
    configuration = server._configuration(FastAPI(), Settings())
    assert configuration.ws_max_size == MAX_TRANSPORT_BYTES
    assert not configuration.access_log
    assert not logging.getLogger("uvicorn.error").isEnabledFor(logging.INFO)
