"""One viewer's RTP stream: own SSRC, sequence numbers and picture ids over payloads that all viewers share.

Sequence numbers and VP8 picture ids go on without a gap whatever layer a picture is of and however long nothing came;
time stamps are the channel's media time plus an offset, so they need no rewriting at all. What was sent is remembered
as references to the shared payloads, so a history of seconds costs each viewer a few hundred bytes.

I/O-free: packets come out as bytes that SRTP has not protected yet.
"""

import struct
from bisect import bisect_right
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from streamgen.packets import VIDEO_CLOCK_HZ, Layer
from streamgen.rtp.payloads import payloads_of, vp8_descriptor
from streamgen.rtp.redundancy import MOST_COPIES, red_payload

HISTORY_S: Final = 3.0
"""How far back a lost packet can still be sent again; by then its picture has long been shown or given up."""
PICTURE_ID_MASK: Final = 0x7FFF
SEQUENCE_MASK: Final = 0xFFFF
UINT32_MASK: Final = 0xFFFF_FFFF

_VERSION: Final = 0x80
_EXTENDED: Final = 0x10
_MARKER: Final = 0x80
_HEADER: Final = struct.Struct("!BBHII")
_HEADER_AND_TIME: Final = struct.Struct("!BBHIIHHI")
_ONE_BYTE_EXTENSIONS: Final = 0xBEDE  # RFC 8285, section 4.2
_SEND_TIME_MASK: Final = 0xFF_FFFF


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """An encoded picture as the payloads that every viewer of its layer gets.

    Attributes:
        layer: which encoding it is of.
        pts: media time in ticks of 90 kHz.
        keyframe: whether it can be decoded on its own.
        bodies: payloads; those of VP8 lack the descriptor.
    """

    layer: Layer
    pts: int
    keyframe: bool
    bodies: tuple[bytes, ...]

    @classmethod
    def of(cls, layer: Layer, pts: int, keyframe: bool, data: bytes) -> "Picture":
        """Packetise a picture."""
        return cls(layer, pts, keyframe, payloads_of(layer.codec, data))


@dataclass(frozen=True, slots=True)
class StreamFormat:
    """What was negotiated for a stream.

    Attributes:
        ssrc: of the stream.
        payload_type: of its packets.
        rtx: payload type and SSRC of retransmissions (RFC 4588); None: lost packets are sent again as they were.
        send_time_id: id of the header extension abs-send-time, by which a browser measures the path; None: not used.
        red: payload type of packets that repeat earlier ones (RFC 2198); None: the viewer does not understand them.
    """

    ssrc: int
    payload_type: int
    rtx: tuple[int, int] | None = None
    send_time_id: int | None = None
    red: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _Sent:
    picture: Picture
    timestamp: int
    picture_id: int


class OutgoingVideo:
    """The video stream of one viewer.

    Attributes:
        packets_sent: of media, without retransmissions.
        octets_sent: of their payloads.
    """

    def __init__(self, form: StreamFormat, offset: int, *, sequence: int, picture_id: int, rtx_sequence: int) -> None:
        """Begin a stream.

        Args:
            form: what was negotiated.
            offset: RTP time stamp of media time 0.
            sequence: number of the first packet, picture_id: of the first picture, rtx_sequence: of the first
                retransmission; all random (RFC 3550, section 5.1).
        """
        self._form = form
        self._offset = offset
        self._next = sequence  # not wrapped, so that history is in order
        self._picture_id = picture_id
        self._rtx_next = rtx_sequence
        self._last_pts: int | None = None
        self._firsts: list[int] = []  # number of the first packet of each picture of the history
        self._history: list[_Sent] = []
        self.packets_sent = 0
        self.octets_sent = 0

    @property
    def last_pts(self) -> int | None:
        """Media time (90 kHz ticks) of the newest picture sent."""
        return self._last_pts

    def packets(self, picture: Picture, send_time: int = 0) -> list[bytes]:
        """The packets of the next picture; pictures come in the order of their pts.

        Args:
            picture: to send.
            send_time: for abs-send-time: seconds in 6.18 fixed point; only differences matter.
        """
        timestamp = (self._offset + picture.pts) & UINT32_MASK
        sent = _Sent(picture, timestamp, self._picture_id)
        first = self._next
        count = len(picture.bodies)
        made = self._packets(sent, first, send_time)
        self._next += count
        self._picture_id = (self._picture_id + 1) & PICTURE_ID_MASK
        self._last_pts = picture.pts
        self.packets_sent += count
        self.octets_sent += sum(map(len, made)) - count * self._header_bytes
        self._firsts.append(first)
        self._history.append(sent)
        self._forget(picture.pts)
        return made

    def again(self, sequence: int, send_time: int = 0) -> bytes | None:
        """A packet that was lost; None when it is not in the history (any more, or it never was).

        Args:
            sequence: the number that the viewer misses, 16 bits.
            send_time: as for `packets`.
        """
        found = self._find(sequence)
        if found is None:
            return None
        sent, index, number = found
        if self._form.rtx is None:
            return self._packet(sent, index, number, send_time)
        return self._retransmission(sent, index, number, send_time)

    def size_of(self, sequence: int) -> int:
        """Bytes that sending this packet again would take; 0 when it is not in the history."""
        found = self._find(sequence)
        if found is None:
            return 0
        sent, index, _ = found
        return self._header_bytes + len(sent.picture.bodies[index])

    def newest(self, count: int) -> Iterator[int]:
        """Sequence numbers of the newest packets, the newest first: copies of them probe the path."""
        if self._firsts:
            for number in range(self._next - 1, max(self._firsts[0], self._next - count) - 1, -1):
                yield number & SEQUENCE_MASK

    @property
    def can_probe(self) -> bool:
        """Whether copies may be sent that the viewer tells from media (RFC 4588)."""
        return self._form.rtx is not None

    def _find(self, sequence: int) -> tuple[_Sent, int, int] | None:
        """Picture, index of the packet in it, and its number that has not wrapped."""
        number = self._next - ((self._next - sequence) & SEQUENCE_MASK)
        found = bisect_right(self._firsts, number) - 1
        if found < 0 or number >= self._next:
            return None
        index = number - self._firsts[found]
        sent = self._history[found]
        return (sent, index, number) if index < len(sent.picture.bodies) else None

    @property
    def _header_bytes(self) -> int:
        return _HEADER.size if self._form.send_time_id is None else _HEADER_AND_TIME.size

    def _packets(self, sent: _Sent, first: int, send_time: int) -> list[bytes]:
        """What `_packet` makes of each index in turn, without calls in between: it runs for each viewer and picture."""
        form, bodies, timestamp = self._form, sent.picture.bodies, sent.timestamp
        ssrc, payload_type, send_time_id = form.ssrc, form.payload_type, form.send_time_id
        last = len(bodies) - 1
        beginning = rest = b""
        if sent.picture.layer.codec == "vp8":
            beginning = vp8_descriptor(sent.picture_id, first=True)
            rest = vp8_descriptor(sent.picture_id, first=False)
        made = []
        extension: tuple[int, ...] = ()
        if send_time_id is None:
            pack, version = _HEADER.pack, _VERSION
        else:
            pack, version = _HEADER_AND_TIME.pack, _VERSION | _EXTENDED
            extension = (_ONE_BYTE_EXTENSIONS, 1, send_time_id << 28 | 2 << 24 | send_time & _SEND_TIME_MASK)
        for index, body in enumerate(bodies):
            type_and_marker = payload_type | _MARKER if index == last else payload_type
            header = pack(version, type_and_marker, (first + index) & SEQUENCE_MASK, timestamp, ssrc, *extension)
            made.append(b"".join((header, rest if index else beginning, body)))
        return made

    def _packet(self, sent: _Sent, index: int, number: int, send_time: int) -> bytes:
        marker = _MARKER if index == len(sent.picture.bodies) - 1 else 0
        header = self._header(marker | self._form.payload_type, number, sent.timestamp, self._form.ssrc, send_time)
        return header + self._payload(sent, index)

    def _retransmission(self, sent: _Sent, index: int, number: int, send_time: int) -> bytes:
        """RFC 4588, section 4: a stream of its own, with the original number in front of the payload."""
        assert self._form.rtx is not None
        payload_type, ssrc = self._form.rtx
        marker = _MARKER if index == len(sent.picture.bodies) - 1 else 0
        header = self._header(marker | payload_type, self._rtx_next, sent.timestamp, ssrc, send_time)
        self._rtx_next += 1
        return header + (number & SEQUENCE_MASK).to_bytes(2, "big") + self._payload(sent, index)

    def _header(self, type_and_marker: int, number: int, timestamp: int, ssrc: int, send_time: int) -> bytes:
        sequence = number & SEQUENCE_MASK
        send_time_id = self._form.send_time_id
        if send_time_id is None:
            return _HEADER.pack(_VERSION, type_and_marker, sequence, timestamp, ssrc)
        stamp = send_time_id << 28 | 2 << 24 | send_time & _SEND_TIME_MASK
        return _HEADER_AND_TIME.pack(
            _VERSION | _EXTENDED, type_and_marker, sequence, timestamp, ssrc, _ONE_BYTE_EXTENSIONS, 1, stamp
        )

    def _payload(self, sent: _Sent, index: int) -> bytes:
        body = sent.picture.bodies[index]
        if sent.picture.layer.codec == "vp8":
            return vp8_descriptor(sent.picture_id, first=index == 0) + body
        return body

    def _forget(self, pts: int) -> None:
        oldest = pts - round(HISTORY_S * VIDEO_CLOCK_HZ)
        # Seldom and many at once: taking one off the front of a list each time would move all others.
        if len(self._history) > 64 and self._history[len(self._history) // 2].picture.pts < oldest:
            keep = next(i for i, sent in enumerate(self._history) if sent.picture.pts >= oldest)
            del self._history[:keep], self._firsts[:keep]


class OutgoingAudio:
    """The audio stream of one viewer. Sound is not sent again: by then it is too late to be heard.

    Attributes:
        copies: earlier payloads that each packet repeats, where the viewer understands that.
        packets_sent: so far.
        octets_sent: of their payloads.
    """

    def __init__(self, form: StreamFormat, offset: int, *, sequence: int) -> None:
        """`offset` is the RTP time stamp of media time 0, `sequence` the number of the first packet."""
        self._form = form
        self._offset = offset
        self._next = sequence
        self._last_pts: int | None = None
        self._earlier: deque[tuple[int, bytes]] = deque(maxlen=MOST_COPIES)  # pts and payload
        self.copies = 0
        self.packets_sent = 0
        self.octets_sent = 0

    @property
    def last_pts(self) -> int | None:
        """Media time (samples at 48 kHz) of the newest packet sent."""
        return self._last_pts

    def packet(self, payload: bytes, pts: int) -> bytes:
        """The next packet. The first carries the marker: a talk spurt begins (RFC 3551, section 4.1)."""
        marker = _MARKER if self._last_pts is None else 0
        payload_type = self._form.payload_type
        if self._form.red is not None:
            single = payload
            if self.copies and self._earlier:
                earlier = list(self._earlier)[-self.copies :]
                payload = red_payload(payload_type, payload, [(pts - before, copy) for before, copy in earlier])
                payload_type = self._form.red
            self._earlier.append((pts, single))
        header = _HEADER.pack(
            _VERSION,
            marker | payload_type,
            self._next & SEQUENCE_MASK,
            (self._offset + pts) & UINT32_MASK,
            self._form.ssrc,
        )
        self._next += 1
        self._last_pts = pts
        self.packets_sent += 1
        self.octets_sent += len(payload)
        return header + payload
