"""Encoded pictures to RTP payloads, once for all viewers (RFC 7741 for VP8, RFC 6184 for H.264).

A VP8 payload begins with a descriptor that holds the picture id, which is each viewer's own: what is made here is
the rest of it, and `outgoing` puts the descriptor in front. Pieces of a picture are of equal size except the last, so
that a whole picture can be handed to the kernel in one call (UDP segmentation offload).
"""

from collections.abc import Iterator
from typing import Final

from streamgen.packets import VideoCodec

MAX_PAYLOAD_BYTES: Final = 1_176
"""With 20 bytes of RTP header, 16 of SRTP, 8 of UDP and 40 of IPv6 a packet stays under 1,280 bytes, the least that
every IPv6 link carries, with room for the 4 bytes of a TURN channel."""
VP8_DESCRIPTOR_BYTES: Final = 4

_NAL_TYPE: Final = 0x1F
_NAL_IMPORTANCE: Final = 0xE0
_STAP_A: Final = 24
_FU_A: Final = 28
_FU_START: Final = 0x80
_FU_END: Final = 0x40
_START_CODE: Final = b"\x00\x00\x01"
_ACCESS_UNIT_DELIMITER: Final = 9


def payloads_of(codec: VideoCodec, picture: bytes, most: int = MAX_PAYLOAD_BYTES) -> tuple[bytes, ...]:
    """What of a picture goes into which packet; the last of them carries the marker.

    Args:
        codec: of the picture.
        picture: a whole VP8 frame, or an H.264 access unit in Annex B form.
        most: bytes of a payload, the VP8 descriptor included.
    """
    if codec == "vp8":
        return tuple(_pieces(picture, most - VP8_DESCRIPTOR_BYTES))
    return tuple(_h264(picture, most))


def vp8_descriptor(picture_id: int, *, first: bool) -> bytes:
    """The payload descriptor of RFC 7741, section 4.2, with a picture id of 15 bits."""
    start = 0x90 if first else 0x80  # X, and S where a partition starts
    return bytes((start, 0x80, 0x80 | picture_id >> 8 & 0x7F, picture_id & 0xFF))


def nal_units(access_unit: bytes) -> Iterator[bytes]:
    """The NAL units between the start codes of an access unit in Annex B form (H.264, annex B.1)."""
    begin = access_unit.find(_START_CODE)
    while begin >= 0:
        begin += len(_START_CODE)
        end = access_unit.find(_START_CODE, begin)
        # Zeros before a start code belong to it, and none ends a NAL unit.
        unit = access_unit[begin:].rstrip(b"\x00") if end < 0 else access_unit[begin:end].rstrip(b"\x00")
        if unit:
            yield unit
        begin = end


def _pieces(data: bytes, most: int) -> Iterator[bytes]:
    """As few as possible, of equal size except the last."""
    count = max(1, -(-len(data) // most))
    size = max(1, -(-len(data) // count))
    for begin in range(0, len(data), size):
        yield data[begin : begin + size]


def _h264(access_unit: bytes, most: int) -> Iterator[bytes]:
    """Small units share a packet (STAP-A), large ones take several (FU-A), others one each."""
    together: list[bytes] = []
    for unit in nal_units(access_unit):
        if unit[0] & _NAL_TYPE == _ACCESS_UNIT_DELIMITER:
            continue  # the marker says it
        size = 1 + sum(2 + len(each) for each in (*together, unit))
        if size <= most:
            together.append(unit)
            continue
        yield from _together(together)
        together = []
        if len(unit) > most:
            yield from _fragments(unit, most)
        else:
            together.append(unit)
    yield from _together(together)


def _together(units: list[bytes]) -> Iterator[bytes]:
    """RFC 6184, section 5.7.1, or the single unit as it is (5.6)."""
    if len(units) == 1:
        yield units[0]
    elif units:
        importance = max(unit[0] & _NAL_IMPORTANCE for unit in units)
        yield bytes((importance | _STAP_A,)) + b"".join(len(unit).to_bytes(2, "big") + unit for unit in units)


def _fragments(unit: bytes, most: int) -> Iterator[bytes]:
    """RFC 6184, section 5.8."""
    indicator = unit[0] & _NAL_IMPORTANCE | _FU_A
    kind = unit[0] & _NAL_TYPE
    pieces = list(_pieces(unit[1:], most - 2))
    for number, piece in enumerate(pieces):
        edge = _FU_START if number == 0 else _FU_END if number == len(pieces) - 1 else 0
        yield bytes((indicator, edge | kind)) + piece
