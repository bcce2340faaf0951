"""What strangers and viewers may send to a real connection: nothing harms the server, or anybody else who watches."""

import asyncio
import logging
import socket
import struct
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from random import Random
from typing import Any, TypeAlias

import pytest
from aiortc.rtp import (
    RTCP_PSFB_APP,
    RTCP_PSFB_FIR,
    RTCP_PSFB_PLI,
    RTCP_RTPFB_NACK,
    AnyRtcpPacket,
    RtcpPsfbPacket,
    RtcpReceiverInfo,
    RtcpRrPacket,
    RtcpRtpfbPacket,
    pack_remb_fci,
)

from streamgen.webrtc.offer import Offer
from streamgen.webrtc.seams import MOST_UNREAD
from streamgen.webrtc.viewer import Viewer
from tests.webrtc.loopback import Player, Programme, until

Address: TypeAlias = tuple[Any, ...]


@asynccontextmanager
async def watching(programme: Programme) -> AsyncIterator[tuple[Player, Viewer]]:
    async with Player() as player:
        offer = Offer.read(await player.offer())
        async with Viewer(programme.fanout.add(offer.codec), offer) as viewer:
            await player.accept(await viewer.answer())
            await programme.play_until(lambda: len(player.video.frames) >= 3)
            yield player, viewer


@contextmanager
def stranger(to: Address) -> Iterator[socket.socket]:
    """A socket of somebody who has nothing to do with the connection, but knows a port of the server."""
    family = socket.AF_INET6 if ":" in to[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.connect(to)
        yield sock


def nonsense(seed: int) -> Iterator[bytes]:
    """Random datagrams: of each kind that a first byte promises, with right and wrong lengths."""
    random = Random(seed)
    yield b""
    for first in (0, 1, 20, 22, 23, 63, 64, 127, 128, 143, 191, 192, 255):
        for size in (0, 1, 2, 3, 11, 12, 19, 20, 100, 1200):
            yield bytes((first,)) + random.randbytes(size)
    for packet_type in range(192, 209):  # RTCP, in SRTP that is none
        yield bytes((0x81, packet_type)) + random.randbytes(40)
    for method in (0x0001, 0x0101, 0x0111, 0x0003):
        for attribute in (0x0006, 0x0008, 0x0009, 0x0020, 0x0024, 0x0025, 0x8028, 0x8029, 0x802A):
            for size in (0, 1, 4, 20):  # STUN, with attributes that are shorter or longer than their kind
                body = struct.pack("!HH", attribute, size) + random.randbytes(size + (-size & 3))
                yield struct.pack("!HHI12s", method, len(body), 0x2112A442, random.randbytes(12)) + body


async def test_a_strangers_datagrams_disturb_nobody(caplog: pytest.LogCaptureFixture) -> None:
    programme = Programme("vp8")
    async with watching(programme) as (player, viewer), watching(programme) as (other, _):
        with caplog.at_level(logging.WARNING), stranger(nominated(viewer)) as sock:
            for number, datagram in enumerate(nonsense(seed=1)):
                sock.send(datagram)
                if number % 20 == 0:
                    programme.release()
                await asyncio.sleep(0)
            for each in (player, other):
                seen = len(each.video.frames)
                await programme.play_until(lambda each=each, seen=seen: len(each.video.frames) >= seen + 20)  # type: ignore[misc]
        assert viewer.connected
        assert other.video.gaps == other.audio.gaps == player.video.gaps == 0
        assert [record.getMessage() for record in caplog.records] == []


async def test_a_stranger_does_not_keep_a_vanished_viewer(monkeypatch: pytest.MonkeyPatch) -> None:
    programme = Programme("vp8")
    async with Player() as player:
        offer = Offer.read(await player.offer())
        async with Viewer(programme.fanout.add(offer.codec), offer, silence_s=0.5) as viewer:
            await player.accept(await viewer.answer())
            await programme.play_until(lambda: len(player.video.frames) >= 1)
            for transceiver in player.peer.getTransceivers():
                for protocol in transceiver.receiver.transport.transport._connection._protocols:
                    monkeypatch.setattr(protocol.transport, "sendto", lambda data, address=None: None)
            ended = asyncio.create_task(viewer.wait_closed())
            with stranger(nominated(viewer)) as sock:
                async with asyncio.timeout(60):
                    while not ended.done():
                        # Once the viewer is gone its socket is closed, and the system says so before `ended` does.
                        with suppress(ConnectionRefusedError):
                            for datagram in nonsense(seed=2):
                                sock.send(datagram)
                        await asyncio.sleep(0.05)


async def test_what_nobody_reads_yet_is_not_kept_without_bound() -> None:
    programme = Programme("vp8")
    async with Player() as player:
        offer = Offer.read(await player.offer())
        async with Viewer(programme.fanout.add(offer.codec), offer) as viewer:
            await viewer.answer()
            (ice,) = {each.transport.transport._connection for each in viewer._senders.values()}
            with stranger(ice._protocols[0].transport.get_extra_info("sockname")) as sock:
                async with asyncio.timeout(60):
                    while ice._queue.qsize() < MOST_UNREAD:
                        sock.send(b"\x80" * 1000)
                        await asyncio.sleep(0)
                for _ in range(200):
                    sock.send(b"\x80" * 1000)
                    await asyncio.sleep(0.001)
            assert ice._queue.qsize() == MOST_UNREAD


def mutated(random: Random, ssrc: int) -> bytes:
    """A compound of RTCP as a browser sends it, with some bytes changed, added or cut off."""
    block = RtcpReceiverInfo(
        ssrc, *(random.randrange(256) for _ in range(2)), *(random.getrandbits(32) for _ in range(4))
    )
    packets: tuple[AnyRtcpPacket, ...] = (
        RtcpRrPacket(ssrc=1, reports=[block] * random.randrange(4)),
        RtcpPsfbPacket(RTCP_PSFB_APP, ssrc=1, media_ssrc=0, fci=pack_remb_fci(random.getrandbits(30), [ssrc])),
        RtcpRtpfbPacket(RTCP_RTPFB_NACK, ssrc=1, media_ssrc=ssrc, lost=sorted(random.sample(range(60_000), 20))),
        RtcpPsfbPacket(random.choice((RTCP_PSFB_PLI, RTCP_PSFB_FIR)), ssrc=1, media_ssrc=ssrc),
    )
    data = bytearray(b"".join(bytes(packet) for packet in random.sample(packets, random.randrange(1, 5))))
    for _ in range(random.randrange(6)):
        data[random.randrange(2, len(data))] = random.randrange(256)
    end = random.choice((len(data), len(data), random.randrange(8, len(data) + 1)))
    return bytes(data[:end])


async def test_a_viewers_mutated_feedback_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    programme = Programme("vp8")
    random = Random(1)
    async with watching(programme) as (player, viewer), watching(programme) as (other, _):
        ssrc = viewer._senders["video"]._ssrc
        with caplog.at_level(logging.WARNING):
            for number in range(600):
                await player.video._receiver.transport._send_rtp(mutated(random, ssrc))
                if number % 10 == 0:
                    programme.release()
                await asyncio.sleep(0)
            for each in (player, other):
                seen = len(each.video.frames)
                await programme.play_until(lambda each=each, seen=seen: len(each.video.frames) >= seen + 20)  # type: ignore[misc]
        assert viewer.connected
        assert other.video.gaps == other.audio.gaps == 0
        assert [record.getMessage() for record in caplog.records] == []


async def test_media_that_a_viewer_sends_is_not_read() -> None:
    programme = Programme("vp8")
    async with watching(programme) as (player, viewer):
        # Header extensions of one byte each: too few for what most of them mean (RFC 8285, section 4.2).
        elements = b"".join(bytes((each << 4, 0)) for each in range(1, 15))
        extensions = struct.pack("!HH", 0xBEDE, len(elements) // 4) + elements
        for number in range(100):
            header = struct.pack("!BBHII", 0x90, 96 + number % 30, number, number, 1)
            await player.video._receiver.transport._send_rtp(header + extensions + bytes(20))
            await asyncio.sleep(0)
        seen = len(player.video.frames)
        await programme.play_until(lambda: len(player.video.frames) >= seen + 10)
        assert viewer.connected


async def test_a_flood_of_keyframe_requests_costs_one_keyframe() -> None:
    stopped: list[int] = []  # the fan-out's clock, when it is
    programme = Programme("vp8", now_ns=lambda: stopped[0] if stopped else time.monotonic_ns())
    async with watching(programme) as (player, viewer):
        stopped.append(time.monotonic_ns())
        keyframes = len(programme.keyframes)
        before = programme.fanout.stats()
        for number in range(500):
            await player.video.ask_for_keyframe()
            if number % 50 == 0:
                programme.release()
            await asyncio.sleep(0)
        await until(lambda: programme.fanout.stats().keyframe_requests >= before.keyframe_requests + 400)
        after = programme.fanout.stats()
        # One may pass; the rest waits for the pause after it.
        assert after.keyframe_requests_forwarded <= before.keyframe_requests_forwarded + 1
        assert len(programme.keyframes) <= keyframes + 1
        assert viewer.connected


def nominated(viewer: Viewer) -> Address:
    """The server's end of the connection."""
    (ice,) = {each.transport.transport._connection for each in viewer._senders.values()}
    address: Address = ice._nominated[1].protocol.transport.get_extra_info("sockname")
    return address
