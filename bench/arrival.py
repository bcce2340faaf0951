"""When media arrives: a WHEP session that looks at RTP and RTCP packets and decodes nothing.

This is the check on the server alone that does not rest on a browser's own statistics.
"""

import asyncio
import time
from dataclasses import dataclass
from typing import Any, Final

import httpx
from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpReceiver, RTCSessionDescription
from aiortc.rtp import RtcpSrPacket, RtpPacket

from bench.figures import Arrival
from streamgen_client.rtp import AUDIO_CLOCK_HZ, VIDEO_CLOCK_HZ, RtpTimeline

CONNECT_LIMIT_S: Final = 20.0
_NTP_FRACTION: Final = 1 << 32


@dataclass(frozen=True, slots=True)
class Report:
    """One RTCP sender report: which time of the sender's clock it gives to a media time."""

    media_s: float
    ntp_s: float

    @property
    def origin_s(self) -> float:
        """The sender's time of media time 0."""
        return self.ntp_s - self.media_s


@dataclass
class Heard:
    """What arrived, in the order of arrival; times are `time.monotonic()`."""

    pictures: list[Arrival]
    sounds: list[Arrival]
    video_reports: list[Report]
    audio_reports: list[Report]


async def listen(url: str, seconds: float) -> Heard:
    """Watch `url` (of WHEP) for some seconds. Raises `httpx.HTTPError` or `TimeoutError`."""
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    session: str | None = None
    async with httpx.AsyncClient(timeout=CONNECT_LIMIT_S) as http:
        try:
            video = peer.addTransceiver("video", direction="recvonly").receiver
            audio = peer.addTransceiver("audio", direction="recvonly").receiver
            await peer.setLocalDescription(await peer.createOffer())
            offer = peer.localDescription.sdp
            response = await http.post(url, content=offer.encode(), headers={"Content-Type": "application/sdp"})
            response.raise_for_status()
            session = str(response.url.join(response.headers["Location"]))
            near_s = float(response.headers.get("Streamgen-Media-Time", "0"))
            ears = (
                _Ear(video, RtpTimeline(int(response.headers["Streamgen-Rtp-Offset"]), VIDEO_CLOCK_HZ, near_s)),
                _Ear(audio, RtpTimeline(int(response.headers["Streamgen-Rtp-Offset-Audio"]), AUDIO_CLOCK_HZ, near_s)),
            )
            await peer.setRemoteDescription(RTCSessionDescription(sdp=response.text, type="answer"))
            async with asyncio.timeout(CONNECT_LIMIT_S):
                await asyncio.gather(*(ear.first.wait() for ear in ears))
            await asyncio.sleep(seconds)
        finally:
            if session is not None:
                await http.delete(session)
            await peer.close()
    pictures, sounds = ears
    return Heard(pictures.arrivals(), sounds.arrivals(), pictures.reports, sounds.reports)


class _Ear:
    """Takes one receiver's packets before aiortc's jitter buffer and decoder, which see none of them."""

    def __init__(self, receiver: RTCRtpReceiver, timeline: RtpTimeline) -> None:
        self.first = asyncio.Event()
        self.reports: list[Report] = []
        self._timeline = timeline
        self._complete: dict[int, float] = {}  # pts -> when its last packet came
        # aiortc 1.16 has no public place to see packets; these two are where its transport hands them over.
        seam: Any = receiver
        seam._handle_rtp_packet = self._rtp
        seam._handle_rtcp_packet = self._rtcp

    def arrivals(self) -> list[Arrival]:
        """In the order of arrival."""
        found = [Arrival(pts / self._timeline.clock_hz, at_s) for pts, at_s in self._complete.items()]
        return sorted(found, key=lambda arrival: arrival.at_s)

    async def _rtp(self, packet: RtpPacket, arrival_time_ms: int) -> None:
        self._complete[self._timeline.pts(packet.timestamp)] = time.monotonic()
        self.first.set()

    async def _rtcp(self, packet: object) -> None:
        if isinstance(packet, RtcpSrPacket) and self.first.is_set():
            sent = packet.sender_info
            media_s = self._timeline.pts(sent.rtp_timestamp) / self._timeline.clock_hz
            self.reports.append(Report(media_s, sent.ntp_timestamp / _NTP_FRACTION))
