"""Every place where this package changes an object of aiortc 1.16 or aioice 0.13 beyond their public interface.

Each function changes one object, never a module, and has a test over a real connection that fails when a new
version of aiortc no longer works this way. (`path` and `sender` read some of their attributes; they say which.)
"""

import contextlib
import logging
import struct
import time
from collections.abc import Callable
from typing import Any, Final

from aioice import Candidate, Connection
from aiortc import RTCCertificate, RTCDtlsTransport, RTCPeerConnection, RTCRtpTransceiver
from OpenSSL import SSL

from streamgen.webrtc.dtls_records import records
from streamgen.webrtc.sctp_gate import SctpGate, SctpViolationError
from streamgen.webrtc.sender import TrackSender

logger = logging.getLogger(__name__)

LOOPBACK: Final = "127.0.0.1"
MOST_UNREAD: Final = 256
"""Datagrams of a connection that wait to be read; those that come then are dropped. A handshake is a dozen, and nobody
reads before ICE is done."""

DTLS_CIPHERS: Final = (
    b"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES128-SHA:ECDHE-ECDSA-AES256-SHA"
    b":ECDHE-RSA-AES128-GCM-SHA256"
)
"""aiortc's own and one for RSA. No more than that: a long list makes the first message of a handshake two datagrams."""


def stand_in(transceiver: RTCRtpTransceiver, sender: TrackSender) -> None:
    """Put a sender of ours in the place of aiortc's. To be called right after `addTransceiver`.

    The receiver beside it gets nothing (a viewer sends no media), so what it would estimate the bandwidth with goes: it
    is a thousand objects for each viewer, at which every collection of garbage would look.
    """
    transceiver.receiver._RTCRtpReceiver__remote_bitrate_estimator = None  # type: ignore[attr-defined]
    sender._stream_id = transceiver.sender._stream_id
    transceiver.receiver._set_rtcp_ssrc(sender._ssrc)
    transceiver._RTCRtpTransceiver__sender = sender  # type: ignore[attr-defined]


def take_rsa_certificates(peer: RTCPeerConnection) -> None:
    """Let the viewer have an RSA certificate, as GStreamer has.

    aiortc knows ECDSA only, which is what browsers have: this side calls (it answers `a=setup:active`), and whoever
    is called needs a cipher that fits its own certificate. To be called before `setRemoteDescription`.
    """
    for certificate in peer._RTCPeerConnection__certificates:  # type: ignore[attr-defined]
        certificate._create_ssl_context = _with_rsa(certificate)


def offer_loopback(peer: RTCPeerConnection, *, always: bool) -> None:
    """Let ICE use 127.0.0.1: always, or only on a machine that has no other address.

    aioice leaves loopback out, which is right for a network. On the same machine 127.0.0.1 works whatever a firewall
    or VPN does to the other addresses. (Chromium uses it as a remote address only: on a machine with no other
    interface it gathers nothing, and no WebRTC works in it.) To be called between `setRemoteDescription`, which decides
    which transports remain, and gathering; as are the next two.
    """
    for ice in _connections(peer):
        ice.get_component_candidates = _with_loopback(ice, always=always)  # type: ignore[method-assign]


def endure_nonsense(peer: RTCPeerConnection) -> None:
    """Let no datagram, whoever sends it, end a connection, take memory without bound or write to the log.

    aioice takes datagrams from any address and passes on what is no STUN; aiortc's reading stops for ever at an empty
    one, and at a REMB that names more streams than it holds. Of a datagram of many DTLS records it reads one, and keeps
    the others for ever. A STUN attribute of a wrong length is an error of the event loop. RTP is not read at all: a
    viewer sends none. To be called before `on_sign_of_life`.
    """
    for ice in _connections(peer):
        ice.data_received = _bounded(ice)  # type: ignore[method-assign]
        ice.get_component_candidates = _with_patient_sockets(ice)  # type: ignore[method-assign]
    for dtls in _transports(peer):
        _endure_feedback(dtls)


def bound_data_channels(peer: RTCPeerConnection, *, clock_s: Callable[[], float] = time.monotonic) -> None:
    """Let nothing that a viewer sends over SCTP end its connection, hold up the loop or take memory without bound.

    aiortc reads each packet as it comes, and an error while it does ends the whole connection. Here a packet is read
    only if a gate of its own admits it; what is wrong ends the viewer's data channels, and its media go on. To be
    called between `setRemoteDescription` and `setLocalDescription`; an offer without data channels changes nothing.
    """
    if (sctp := peer.sctp) is None:
        return
    gate = SctpGate()
    handle_data = sctp._handle_data

    async def handle_admitted(data: bytes) -> None:
        try:
            if not gate.admits(data, newest_tsn=sctp._last_received_tsn, now_s=clock_s()):
                return
            await handle_data(data)
            gate.check_kept(
                streams=len(sctp._inbound_streams),
                fragments=sum(len(each.reassembly) for each in sctp._inbound_streams.values()),
                channels=len(sctp._data_channels),
            )
        except SctpViolationError as error:
            logger.info("a viewer's data channels are closed, because it sent %s", error)
            await end_data_channels(peer)
        except Exception:  # whatever aiortc's code runs into with a packet that nobody sends who means well
            logger.info("a viewer's data channels are closed: a packet could not be read", exc_info=True)
            await end_data_channels(peer)

    send_chunk = sctp._send_chunk

    async def send_while_open(chunk: Any) -> None:
        # aiortc sends from tasks and timers that nobody awaits; that the viewer is gone is seen elsewhere.
        with contextlib.suppress(ConnectionError):
            await send_chunk(chunk)

    sctp._handle_data = handle_admitted  # type: ignore[method-assign]
    sctp._send_chunk = send_while_open  # type: ignore[method-assign]


async def end_data_channels(peer: RTCPeerConnection) -> None:
    """Close all data channels of a viewer for good, and keep nothing that waits to be sent. Idempotent."""
    if (sctp := peer.sctp) is None:
        return
    await sctp.stop()
    # A retransmission that is due already would start its timer again, and go on for ever.
    for queue in (sctp._outbound_queue, sctp._sent_queue, sctp._data_channel_queue):
        queue.clear()
    sctp._forward_tsn_chunk = None
    for stream in sctp._inbound_streams.values():
        stream.reassembly.clear()


def on_sign_of_life(peer: RTCPeerConnection, callback: Callable[[], None]) -> None:
    """Call back for what can only come from the viewer: checks of the path that know its password, and its RTCP.

    What a stranger sends to the same socket does not count.
    """
    for ice in _connections(peer):
        _calling(ice, "check_incoming", callback)
    for dtls in _transports(peer):
        _calling(dtls, "_handle_rtcp_data", callback)


def _connections(peer: RTCPeerConnection) -> list[Connection]:
    """The ICE connections of all transports, each once."""
    return [dtls.transport._connection for dtls in _transports(peer)]


def _transports(peer: RTCPeerConnection) -> list[RTCDtlsTransport]:
    """The DTLS transports of all sections, each once."""
    found = [transceiver.sender.transport for transceiver in peer.getTransceivers()]
    return list({id(dtls): dtls for dtls in found}.values())


def _calling(it: Connection | RTCDtlsTransport, name: str, callback: Callable[[], None]) -> None:
    theirs = getattr(it, name)

    def call(*arguments: Any, **named: Any) -> Any:
        callback()
        return theirs(*arguments, **named)

    setattr(it, name, call)


def _with_rsa(certificate: RTCCertificate) -> Any:
    create_ssl_context = certificate._create_ssl_context

    def create(*arguments: Any, **named: Any) -> SSL.Context:
        context = create_ssl_context(*arguments, **named)
        context.set_cipher_list(DTLS_CIPHERS)
        return context

    return create


def _with_loopback(ice: Connection, *, always: bool) -> Any:
    get_component_candidates = ice.get_component_candidates

    async def get_with_loopback(component: int, addresses: list[str]) -> list[Candidate]:
        if always or not addresses:
            addresses = [*addresses, LOOPBACK]
        return await get_component_candidates(component=component, addresses=addresses)

    return get_with_loopback


def _with_patient_sockets(ice: Connection) -> Any:
    get_component_candidates = ice.get_component_candidates

    async def get_with_patience(*arguments: Any, **named: Any) -> list[Candidate]:
        candidates = await get_component_candidates(*arguments, **named)
        for protocol in ice._protocols:
            protocol.datagram_received = _patient(protocol.datagram_received)  # type: ignore[method-assign]
        return candidates

    return get_with_patience


def _patient(datagram_received: Callable[..., None]) -> Callable[..., None]:
    def receive(data: bytes | str, addr: tuple[Any, ...]) -> None:
        try:
            datagram_received(data, addr)
        except struct.error:
            return  # an attribute of STUN that is shorter than its kind

    return receive


def _bounded(ice: Connection) -> Any:
    data_received = ice.data_received

    def receive(data: bytes, component: int) -> None:
        for record in records(data):
            if record and ice._queue.qsize() < MOST_UNREAD:
                data_received(record, component)

    return receive


def _endure_feedback(dtls: RTCDtlsTransport) -> None:
    handle_rtcp_data = dtls._handle_rtcp_data

    async def handle_rtcp(data: bytes) -> None:
        try:
            await handle_rtcp_data(data)
        except struct.error:
            return  # a field is longer than what there is of it

    async def ignore_rtp(data: bytes, arrival_time_ms: int) -> None:
        return

    dtls._handle_rtcp_data = handle_rtcp  # type: ignore[method-assign]
    dtls._handle_rtp_data = ignore_rtp  # type: ignore[method-assign]
