"""Signals, and what the settings become; the whole server runs in tests/e2e/test_server.py."""

import asyncio
import ipaddress
import logging
import os
import signal

import pytest
from fastapi import FastAPI, Request
from starlette.types import Message

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


async def test_moderation_that_fails_or_ends_is_started_again(caplog: pytest.LogCaptureFixture) -> None:
    starts: list[int] = []
    third = asyncio.Event()

    async def moderate() -> None:
        starts.append(len(starts))
        match len(starts):
            case 1:
                raise RuntimeError("it broke")
            case 3:
                third.set()
                await asyncio.Event().wait()

    task = asyncio.create_task(server.keep_judging(moderate, pause_s=0.0))
    async with asyncio.timeout(10):
        await third.wait()
    task.cancel()
    await asyncio.wait([task])
    assert (task.cancelled(), len(starts)) == (True, 3)
    assert [each.getMessage() for each in caplog.records] == [
        "moderation failed; it is started again",
        "moderation ended by itself; it is started again",
    ]


def test_uvicorn_neither_logs_tokens_nor_takes_endless_frames() -> None:
    configuration = server._configuration(FastAPI(), Settings())
    assert configuration.ws_max_size == MAX_TRANSPORT_BYTES
    assert not configuration.access_log
    assert not logging.getLogger("uvicorn.error").isEnabledFor(logging.INFO)
    assert not logging.getLogger("httpx").isEnabledFor(logging.INFO)


@pytest.mark.parametrize(
    ("proxies", "seen"),
    [
        ("", "127.0.0.1"),
        ("10.0.0.5", "127.0.0.1"),
        ("127.0.0.1", "198.51.100.9"),
        ("127.0.0.0/8, 198.51.100.0/24", "192.0.2.7"),
    ],
)
async def test_only_named_proxies_say_where_a_viewer_comes_from(proxies: str, seen: str) -> None:
    app = FastAPI()

    @app.get("/")
    async def address(request: Request) -> str:
        assert request.client is not None
        return request.client.host

    configuration = server._configuration(app, Settings(trusted_proxies=proxies))  # type: ignore[arg-type]
    configuration.load()
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    # The first address is what the client said of itself, the last what the nearest proxy saw.
    forwarded = (b"x-forwarded-for", b"203.0.113.99, 192.0.2.7, 198.51.100.9")
    scope = {
        "type": "http", "method": "GET", "path": "/", "raw_path": b"/", "query_string": b"", "http_version": "1.1",
        "scheme": "http", "server": ("localhost", 8000), "client": ("127.0.0.1", 4711), "headers": [forwarded],
    }  # fmt: skip
    await configuration.loaded_app(scope, receive, send)
    assert sent[1]["body"].decode().strip('"') == seen


def test_limits_and_network_follow_the_settings() -> None:
    settings = Settings(
        host="0.0.0.0",
        max_viewers=7,
        joins_per_s=3.5,
        address_joins_per_s=0.5,
        udp_ports="40000-40009",  # type: ignore[arg-type]
        public_address="203.0.113.9, 2001:db8::9",  # type: ignore[arg-type]
        ipv6=False,
    )
    limits = server._limits(settings)
    assert (limits.max_viewers, limits.joins_per_s, limits.address_joins_per_s) == (7, 3.5, 0.5)
    assert not limits.include_loopback
    network = server._network(settings)
    assert network.ports is not None
    assert network.ports.free == 10
    assert network.public_addresses == (ipaddress.ip_address("203.0.113.9"), ipaddress.ip_address("2001:db8::9"))
    assert not network.ipv6


def test_by_default_any_port_and_every_address_is_used() -> None:
    network = server._network(Settings())
    assert (network.ports, network.public_addresses, network.ipv6) == (None, (), True)
    assert server._limits(Settings()).include_loopback
