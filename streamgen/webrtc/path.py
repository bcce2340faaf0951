"""The way of packets to one viewer: SRTP, then the socket of the nominated ICE pair, without waiting for anything.

aiortc's own way is a coroutine per packet through three layers, and one system call each. Here the packets of a picture
are protected in a row and handed to the kernel in one call where it can split them (UDP segmentation offload, Linux).

This file reaches into aiortc 1.16 and aioice 0.13: the SRTP session of `RTCDtlsTransport`, the nominated pair of
`aioice.Connection`. All methods belong to the event loop's thread.
"""

import contextlib
import errno
import os
import socket
import struct
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from aiortc import RTCDtlsTransport
from aiortc.rtcdtlstransport import State

from streamgen.webrtc.srtp import Protect, protector

SOL_UDP: Final = 17
UDP_SEGMENT: Final = 103  # linux/udp.h
MOST_SEGMENTS: Final = 64
MOST_BYTES: Final = 60_000  # of a datagram before the kernel splits it
_SEGMENT_SIZE: Final = struct.Struct("H")
_NO_SEGMENTATION: Final = frozenset({errno.EIO, errno.EINVAL, errno.ENOPROTOOPT, errno.EOPNOTSUPP})


class DatagramPath:
    """Protects RTP and RTCP packets and sends them over the nominated pair, whichever that is at the time.

    Attributes:
        packets: handed to the network.
        octets: of them, SRTP included.
        refused: packets that the network did not take because its buffers were full, or that were too old to be sent
            again; they are lost.
    """

    def __init__(
        self,
        dtls: RTCDtlsTransport,
        *,
        segmentation: bool = True,
        protect_with: Callable[[Any], Protect] = protector,
    ) -> None:
        """Send over the transport that `dtls` protects.

        Args:
            dtls: of the connection.
            segmentation: allows one system call for many packets, where the machine can do that.
            protect_with: makes what protects packets from the SRTP session.
        """
        self._protect_with = protect_with
        self._dtls = dtls
        self._segmentation = segmentation and hasattr(socket, "MSG_DONTWAIT")
        self._closed = False
        self._session: Any = None
        self._protect: Protect = list
        self._pair: Any = None
        self._address: tuple[str, int] = ("", 0)
        self._socket: socket.socket | None = None
        self.packets = 0
        self.octets = 0
        self.refused = 0

    def send(self, packets: Sequence[bytes]) -> None:
        """Send RTP packets in this order; those that cannot be sent now are lost."""
        dtls = self._dtls
        if dtls._state is not State.CONNECTED or self._closed:
            return
        if (session := dtls._tx_srtp) is not self._session:
            self._session, self._protect = session, self._protect_with(session)
        protected = self._protect(packets)
        self.refused += len(packets) - len(protected)
        self._hand_over(protected)

    def send_report(self, packet: bytes) -> None:
        """Send a compound RTCP packet."""
        if self._dtls._state is State.CONNECTED and not self._closed:
            self._hand_over([self._dtls._tx_srtp.protect_rtcp(packet)])

    def close(self) -> None:
        """Give back what is open; nothing is sent after it. Idempotent."""
        self._closed = True
        self._let_go()

    def _let_go(self) -> None:
        self._pair = None
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _hand_over(self, packets: list[bytes]) -> None:
        pair = self._dtls.transport._connection._nominated.get(1)
        if pair is not self._pair:
            self._take(pair)
        if pair is None:
            return
        self.packets += len(packets)
        for packet in packets:
            self.octets += len(packet)
        if self._socket is None:
            # A relay (TURN) wraps packets itself.
            for packet in packets:
                with contextlib.suppress(OSError):
                    pair.protocol.transport.sendto(packet, self._address)
        elif self._segmentation and len(packets) > 1:
            for run in runs(packets):
                self._send_run(self._socket, run, self._address)
        else:
            self._send_each(self._socket, packets, self._address)

    def _take(self, pair: Any) -> None:
        """Another pair is nominated, or none."""
        before = self._pair
        if pair is None or before is None or pair.protocol is not before.protocol:
            self._let_go()
            if pair is not None:
                self._open(pair.protocol)
        self._pair = pair
        if pair is not None:
            self._address = pair.remote_addr

    def _open(self, protocol: Any) -> None:
        """The pair's socket under a descriptor of our own: loops differ in what they let one do with theirs."""
        theirs = protocol.transport.get_extra_info("socket")
        if theirs is not None and theirs.fileno() >= 0:
            self._socket = socket.socket(fileno=os.dup(theirs.fileno()))
            self._socket.setblocking(False)

    def _send_run(self, sock: socket.socket, run: Sequence[bytes], address: tuple[str, int]) -> None:
        if len(run) == 1:
            self._send_each(sock, run, address)
            return
        size = [(SOL_UDP, UDP_SEGMENT, _SEGMENT_SIZE.pack(len(run[0])))]
        try:
            sock.sendmsg(run, size, socket.MSG_DONTWAIT, address)
        except BlockingIOError:
            self.refused += len(run)
        except OSError as error:
            if error.errno in _NO_SEGMENTATION:
                self._segmentation = False
                self._send_each(sock, run, address)

    def _send_each(self, sock: socket.socket, packets: Sequence[bytes], address: tuple[str, int]) -> None:
        for packet in packets:
            try:
                sock.sendto(packet, address)
            except BlockingIOError:
                self.refused += 1
            except OSError:
                # A network that is gone is noticed by ICE, which ends the viewer.
                return


def runs(packets: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    """Successive packets that one segmented datagram can hold: of equal size, only the last may be shorter."""
    begin = 0
    while begin < len(packets):
        size = len(packets[begin])
        most = begin + max(1, min(MOST_SEGMENTS, MOST_BYTES // size))
        end = begin + 1
        while end < min(most, len(packets)) and len(packets[end]) == size:
            end += 1
        if end < min(most, len(packets)) and len(packets[end]) < size:
            end += 1
        yield packets[begin:end]
        begin = end
