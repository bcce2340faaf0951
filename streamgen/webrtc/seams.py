"""Every place where this package reaches into aiortc 1.16 and aioice 0.13 beyond their public interface.

Each function changes one object, never a module, and has a test over a real connection that fails when a new
version of aiortc no longer works this way.
"""

from collections.abc import Callable
from typing import Any, Final

from aioice import Candidate, Connection
from aiortc import RTCPeerConnection, RTCRtpSender
from aiortc.clock import current_ntp_time
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from aiortc.rtcrtpsender import RTCEncodedFrame
from aiortc.rtp import AnyRtcpPacket, RtcpSrPacket

from streamgen.packets import AUDIO_CLOCK_HZ, VIDEO_CLOCK_HZ
from streamgen.webrtc.timeline import ReportTimeline

UINT32_MASK: Final = 0xFFFF_FFFF
LOOPBACK: Final = "127.0.0.1"


class _AbsoluteTimestamp(int):
    """An RTP timestamp that is final: adding aiortc's random origin to it changes nothing."""

    def __add__(self, origin: int) -> int:
        return int(self)

    # Python asks the right operand first when it is a subclass of the left one's class, so `int + this` is ours.
    __radd__ = __add__


def send_on_timeline(sender: RTCRtpSender, offset: int, timeline: ReportTimeline) -> None:
    """Make RTP timestamp = (offset + pts) mod 2^32, with pts in ticks of the RTP clock, and report by `timeline`.

    aiortc adds a random origin that it draws when sending begins and keeps in a local variable, whereas the
    viewer must learn the offset from the answer. The offset must be as random as the origin (RFC 3550, section
    5.1). aiortc's sender reports pair the last RTP timestamp with the time of sending; here they pair it with the
    time at which it was due. A report before the first packet would be one of media that does not exist: it waits.
    """
    clock_hz = VIDEO_CLOCK_HZ if sender.kind == "video" else AUDIO_CLOCK_HZ
    next_encoded_frame = sender._next_encoded_frame
    send_rtcp = sender._send_rtcp
    sent_pts: int | None = None

    async def next_frame_with_offset(codec: RTCRtpCodecParameters) -> RTCEncodedFrame | None:
        nonlocal sent_pts
        frame = await next_encoded_frame(codec)
        if frame is not None:
            sent_pts = frame.timestamp
            timeline.anchor(sent_pts, clock_hz, current_ntp_time())
            frame.timestamp = _AbsoluteTimestamp((offset + sent_pts) & UINT32_MASK)
        return frame

    async def send_rtcp_on_timeline(packets: list[AnyRtcpPacket]) -> None:
        for packet in packets:
            if isinstance(packet, RtcpSrPacket):
                if sent_pts is None:
                    return
                packet.sender_info.rtp_timestamp = (offset + sent_pts) & UINT32_MASK
                packet.sender_info.ntp_timestamp = timeline.ntp(sent_pts, clock_hz)
                # The receiver's reports quote this, and aiortc measures the round trip only when it matches.
                sender._RTCRtpSender__lsr = packet.sender_info.ntp_timestamp >> 16 & UINT32_MASK  # type: ignore[attr-defined]
        await send_rtcp(packets)

    sender._next_encoded_frame = next_frame_with_offset  # type: ignore[method-assign]
    sender._send_rtcp = send_rtcp_on_timeline  # type: ignore[method-assign]


def on_keyframe_request(sender: RTCRtpSender, callback: Callable[[], None]) -> None:
    """Call back for each PLI and FIR. aiortc ignores them for packets that are encoded already."""
    sender._send_keyframe = callback  # type: ignore[method-assign]


def offer_loopback(peer: RTCPeerConnection, *, always: bool) -> None:
    """Let ICE use 127.0.0.1: always, or only on a machine that has no other address.

    aioice leaves loopback out, which is right for a network. On the same machine 127.0.0.1 works whatever a firewall
    or VPN does to the other addresses. (Chromium uses it as a remote address only: on a machine with no other
    interface it gathers nothing, and no WebRTC works in it.) To be called before gathering.
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
