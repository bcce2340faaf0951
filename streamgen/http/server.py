"""Runs one channel behind HTTP until a signal ends it.

Start: listener, channel (with its generator process), viewers, integrations, HTTP. End, in reverse: HTTP and WebSockets
get `SHUTDOWN_S` to finish, then OSC, webhook and chat, the viewers' connections, then the generator and everything else
of the channel.
"""

import asyncio
import contextlib
import ipaddress
import logging
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Final, Literal, Self
from urllib.parse import quote

import uvicorn
from fastapi import FastAPI

from streamgen.access.limits import Limits
from streamgen.channel import Channel
from streamgen.garbage import GarbageCollection
from streamgen.http.app import CHANNEL, create_app, rates
from streamgen.http.auth import OperatorAccess, everybody_is_trusted, is_loopback
from streamgen.http.descriptors import steering_room
from streamgen.http.listener import page_url
from streamgen.http.voting import OpenVoting, kept_going, open_voting
from streamgen.integrations.running import integrations
from streamgen.integrations.set_up import integration_settings
from streamgen.log.writer import ChannelLog
from streamgen.moderation.external import External, ExternalSettings
from streamgen.moderation.lists import read_lists
from streamgen.moderation.path import Moderation
from streamgen.moderation.rules import Rules
from streamgen.moderation.similarity import Similarity, embed_with, read_policies
from streamgen.moderation.verdict import Verdict
from streamgen.protocol import MAX_TRANSPORT_BYTES
from streamgen.settings import Settings
from streamgen.webrtc.ports import MediaNetwork, PortPool
from streamgen.webrtc.whep import WhepLimits, WhepServer

logger = logging.getLogger(__name__)

SHUTDOWN_S: Final = 3
WS_PING_S: Final = 20.0  # a client that does not answer for as long again is gone


async def run(
    settings: Settings, bundle: Path, listener: socket.socket, announce: Callable[[str, str | None], None]
) -> None:
    """Serve until SIGINT or SIGTERM. Closes `listener`.

    `announce` is called once the server answers, with the address of the page and the operator's link, which is
    None where everybody may steer.
    """
    access = OperatorAccess.for_settings(settings)
    url = page_url(settings.host, listener.getsockname()[1])
    operator_link = None if access.token is None else f"{url}?token={quote(access.token, safe='')}"
    task = asyncio.current_task()
    assert task is not None
    with contextlib.closing(listener), _StopSignals(task.cancel) as signals:
        async with (
            moderation(settings, bundle) as judge,
            _log(settings) as log,
            _voting(settings, moderated=judge is not None) as opened,
            _channel(settings, bundle, moderated=judge is not None, log=log, opened=opened) as channel,
            _judging(channel, judge),
            kept_going(channel.steering, opened),
        ):
            room = steering_room(settings.max_steering, settings.max_viewers)
            whep = WhepServer(
                channel.fanout,
                _limits(settings),
                media_time_s=lambda: channel.media_time_s,
                network=_network(settings),
            )
            limits = Limits(rates(settings))
            running = integrations(channel.steering, integration_settings(settings), channel=CHANNEL, limits=limits)
            async with whep, running as outside, GarbageCollection():
                app = create_app(
                    channel, settings, whep=whep, access=access, max_steering=room, limits=limits, outside=outside
                )
                server = _Server(_configuration(app, settings), lambda: announce(url, operator_link))
                signals.on_stop = server.stop
                async with _on_air(channel, server.stop):
                    await server.serve(sockets=[listener])


Judge = Callable[[str], Awaitable[Verdict]]
MODERATION_PAUSE_S: Final = 1.0  # before it is started again, so that a lasting failure does not take the loop


@contextlib.asynccontextmanager
async def moderation(settings: Settings, bundle: Path) -> AsyncIterator[Judge | None]:
    """What judges texts on this server; None where nothing is moderated.

    Raises:
        ModerationError: a list cannot be read.
        BundleError: the bundle cannot encode texts.
    """
    mode = settings.moderation
    if mode is None:
        mode = "off" if everybody_is_trusted(settings) else "auto"
    if mode == "off":
        yield None
        return
    lists = read_lists(settings.moderation_lists)
    policies, version = read_policies(lists.categories)

    def similarity() -> Similarity:
        """Embeds a few hundred sentences. Imports what a server without moderation does not need in its memory."""
        from streamgen_engines.bundle import Bundle, bundled
        from streamgen_engines.runtimes import OnnxRuntimeCpu
        from streamgen_engines.text import TextEncoder

        opened = Bundle.open(bundle, settings.texts.absent)
        if not opened.manifest.abilities.pooled:  # its text graph gives nothing by which texts could be compared
            opened = bundled()
        encoder = TextEncoder(opened, OnnxRuntimeCpu())
        return Similarity(policies, embed_with(encoder), version=version)

    compared = await asyncio.to_thread(similarity)
    outside = None
    if settings.moderation_url is not None:
        token = settings.moderation_token.get_secret_value() if settings.moderation_token is not None else ""
        on_failure: Literal["hold", "refuse"] = "refuse" if mode == "auto" else "hold"
        outside = External(ExternalSettings(settings.moderation_url, token, on_failure=on_failure))
    path = Moderation(Rules(lists), compared, outside, mode=mode)
    try:
        yield path.judge
    finally:
        await path.close()


@contextlib.asynccontextmanager
async def _on_air(channel: Channel, stop: Callable[[], None]) -> AsyncIterator[None]:
    """While it is entered, a channel that ends by itself ends the server: one without media must not look healthy."""

    async def watch() -> None:
        try:
            await channel.wait_closed()
        except Exception:
            logger.exception("the channel has failed; the server ends, so that whoever runs it can start it again")
            stop()
            raise

    watching = asyncio.create_task(watch(), name="channel on air")
    try:
        yield
    finally:
        watching.cancel()
        await asyncio.wait([watching])
    if not watching.cancelled() and (error := watching.exception()) is not None:
        raise error


@contextlib.asynccontextmanager
async def _judging(channel: Channel, judge: Judge | None) -> AsyncIterator[None]:
    """While it is entered, the channel's prompts are judged."""
    if judge is None:
        yield
        return
    task = asyncio.create_task(keep_judging(lambda: channel.steering.moderate(judge)), name="moderation")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def keep_judging(moderate: Callable[[], Awaitable[None]], *, pause_s: float = MODERATION_PAUSE_S) -> None:
    """Have prompts judged until it is cancelled, come what may: without it no prompt would ever be let through."""
    while True:
        try:
            await moderate()
        except Exception:  # the task's outermost edge
            logger.exception("moderation failed; it is started again")
        else:
            logger.error("moderation ended by itself; it is started again")
        await asyncio.sleep(pause_s)


@contextlib.asynccontextmanager
async def _log(settings: Settings) -> AsyncIterator[ChannelLog | None]:
    """The channel's log, open; None without a folder for it.

    Raises:
        LogUnavailableError: the folder cannot be written, or another server writes there.
    """
    if settings.log_folder is None:
        yield None
        return
    log = await asyncio.to_thread(ChannelLog(settings.log_folder, CHANNEL).__enter__)
    try:
        yield log
    finally:
        await asyncio.to_thread(log.close)


@contextlib.asynccontextmanager
async def _voting(settings: Settings, *, moderated: bool) -> AsyncIterator[OpenVoting | None]:
    """The channel's vote, where an audience takes part."""
    yield await asyncio.to_thread(open_voting, settings, CHANNEL, moderated=moderated)


def _channel(
    settings: Settings, bundle: Path, *, moderated: bool, log: ChannelLog | None, opened: OpenVoting | None
) -> Channel:
    return Channel(
        bundle,
        name=CHANNEL,
        prompt=settings.prompt,
        seed=settings.seed,
        picture=settings.picture,
        guidance=settings.guidance,
        scale=settings.scale,
        upscale=settings.upscale,
        bitrate=settings.video_bitrate,
        threads=settings.threads,
        runtime=settings.runtime,
        gpu=settings.gpu,
        texts=settings.texts,
        moderated=moderated,
        voting=None if opened is None else opened.voting,
        log=log,
    )


def _limits(settings: Settings) -> WhepLimits:
    return WhepLimits(
        max_viewers=settings.max_viewers,
        joins_per_s=settings.joins_per_s,
        address_joins_per_s=settings.address_joins_per_s,
        include_loopback=is_loopback(settings.host),
    )


def _network(settings: Settings) -> MediaNetwork:
    return MediaNetwork(
        ports=PortPool(settings.udp_ports) if settings.udp_ports is not None else None,
        public_addresses=tuple(ipaddress.ip_address(each) for each in settings.public_address),
        ipv6=settings.ipv6,
    )


def _configuration(app: FastAPI, settings: Settings) -> uvicorn.Config:
    # At "info" uvicorn logs the address of each WebSocket, and with it the operator's token.
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    # And httpx that of each request, such as of the webhook, in which others have their secrets.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    return uvicorn.Config(
        app,
        ws="websockets-sansio",
        ws_max_size=MAX_TRANSPORT_BYTES,
        ws_ping_interval=WS_PING_S,
        ws_ping_timeout=WS_PING_S,
        # Thousands of clients get the same few hundred bytes: compressing each copy would cost more than sending it.
        ws_per_message_deflate=False,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=SHUTDOWN_S,
        # Who sends X-Forwarded-For decides under which address it counts, so only named proxies may. (uvicorn's own
        # default believes everybody on this machine.)
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=list(settings.trusted_proxies),
    )


class _Server(uvicorn.Server):
    """uvicorn without signal handlers of its own: its way of raising them again would skip our shutdown."""

    def __init__(self, config: uvicorn.Config, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._started = started

    def stop(self) -> None:
        """Stop accepting, let what is under way end, return from `serve`."""
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to answer, and say so."""
        await super().startup(sockets)
        self._started()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave them to `run`."""
        yield


class _StopSignals:
    """While it is entered, the first SIGINT or SIGTERM calls `on_stop`, and a further one `cancel`."""

    def __init__(self, cancel: Callable[[], object]) -> None:
        self.on_stop = cancel
        self._cancel = cancel
        self._stopping = False

    def __enter__(self) -> Self:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stop)
        return self

    def __exit__(self, *_: object) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)

    def _stop(self) -> None:
        logger.info("stopping")
        if self._stopping:
            self._cancel()
        else:
            self._stopping = True
            self.on_stop()
