"""Every place where this package reaches into aiortc 1.16 and aioice 0.13 beyond their public interface.

Each function changes one object, never a module, and has a test over a real connection that fails when a new
version of aiortc no longer works this way.
"""

from collections.abc import Callable
from typing import Any, Final

from aioice import Candidate, Connection
from aiortc import RTCPeerConnection, RTCRtpSender
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from aiortc.rtcrtpsender import RTCEncodedFrame

UINT32_MASK: Final = 0xFFFF_FFFF
LOOPBACK: Final = "127.0.0.1"


class _AbsoluteTimestamp(int):
    """An RTP timestamp that is final: adding aiortc's random origin to it changes nothing."""

    def __add__(self, origin: int) -> int:
        return int(self)

    # Python asks the right operand first when it is a subclass of the left one's class, so `int + this` is ours.
    __radd__ = __add__


def send_with_offset(sender: RTCRtpSender, offset: int) -> None:
    """Make RTP timestamp = (offset + pts) mod 2^32, with pts in ticks of the RTP clock.

    aiortc adds a random origin that it draws when sending begins and keeps in a local variable, whereas the
    viewer must learn the offset from the answer. The offset must be as random as the origin (RFC 3550, section
    5.1). Sender reports follow, because aiortc takes them from the packets that it sent.
    """
    next_encoded_frame = sender._next_encoded_frame

    async def next_frame_with_offset(codec: RTCRtpCodecParameters) -> RTCEncodedFrame | None:
        frame = await next_encoded_frame(codec)
        if frame is not None:
            frame.timestamp = _AbsoluteTimestamp((offset + frame.timestamp) & UINT32_MASK)
        return frame

    sender._next_encoded_frame = next_frame_with_offset  # type: ignore[method-assign]


def on_keyframe_request(sender: RTCRtpSender, callback: Callable[[], None]) -> None:
    """Call back for each PLI and FIR. aiortc ignores them for packets that are encoded already."""
    sender._send_keyframe = callback  # type: ignore[method-assign]


def offer_loopback(peer: RTCPeerConnection, *, always: bool) -> None:
    """Let ICE use 127.0.0.1: always, or only on a machine that has no other address.

    aioice leaves loopback out, which is right for a network and leaves an unplugged laptop without a stream.
    To be called before gathering.
    """
    for transceiver in peer.getTransceivers():
        ice: Connection = transceiver.sender.transport.transport._connection
        ice.get_component_candidates = _with_loopback(ice, always=always)  # type: ignore[method-assign]


def _with_loopback(ice: Connection, *, always: bool) -> Any:
    get_component_candidates = ice.get_component_candidates

    async def get_with_loopback(component: int, addresses: list[str]) -> list[Candidate]:
        if always or not addresses:
            addresses = [*addresses, LOOPBACK]
        return await get_component_candidates(component=component, addresses=addresses)

    return get_with_loopback
