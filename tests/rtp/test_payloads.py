"""Payload formats, against aiortc's own parsers: what a receiver that we did not write makes of them."""

import random

import pytest
from aiortc.codecs.h264 import H264PayloadDescriptor
from aiortc.codecs.vpx import VpxPayloadDescriptor

from streamgen.rtp.payloads import MAX_PAYLOAD_BYTES, nal_units, payloads_of, vp8_descriptor

START = b"\x00\x00\x00\x01"


def noise(size: int, seed: int = 1) -> bytes:
    # No zeros, so that nothing in it looks like a start code.
    return bytes(random.Random(seed).randrange(1, 256) for _ in range(size))


@pytest.mark.parametrize("size", [1, 1171, 1172, 1173, 2344, 2345, 40_000])
def test_a_vp8_picture_comes_together_again(size: int) -> None:
    frame = noise(size)
    bodies = payloads_of("vp8", frame)
    together = b""
    for index, body in enumerate(bodies):
        payload = vp8_descriptor(0x1234, first=index == 0) + body
        assert len(payload) <= MAX_PAYLOAD_BYTES
        descriptor, rest = VpxPayloadDescriptor.parse(payload)
        assert (descriptor.partition_start, descriptor.partition_id) == (int(index == 0), 0)
        assert descriptor.picture_id == 0x1234
        together += rest
    assert together == frame


@pytest.mark.parametrize("size", [1173, 5000, 40_001])
def test_pieces_are_few_and_of_equal_size_but_the_last(size: int) -> None:
    sizes = [len(body) for body in payloads_of("vp8", noise(size))]
    assert len(sizes) == -(-size // (MAX_PAYLOAD_BYTES - 4))
    assert len(set(sizes[:-1])) == 1
    assert sizes[-1] <= sizes[0]


@pytest.mark.parametrize("picture_id", [0, 127, 128, 0x7FFF])
def test_picture_ids_have_fifteen_bits(picture_id: int) -> None:
    descriptor, rest = VpxPayloadDescriptor.parse(vp8_descriptor(picture_id, first=False) + b"x")
    assert (descriptor.picture_id, descriptor.partition_start, rest) == (picture_id, 0, b"x")


def h264_of(*units: bytes) -> bytes:
    return b"".join(START + unit for unit in units)


def received(payloads: tuple[bytes, ...]) -> bytes:
    """What aiortc's depacketiser makes of them: Annex B again."""
    return b"".join(H264PayloadDescriptor.parse(payload)[1] for payload in payloads)


@pytest.mark.parametrize("size", [30, 1175, 1176, 1177, 9_999, 40_000])
def test_an_h264_picture_comes_together_again(size: int) -> None:
    units = (b"\x67" + noise(20, 2), b"\x68" + noise(4, 3), b"\x65" + noise(size))
    payloads = payloads_of("h264", h264_of(*units))
    assert received(payloads) == h264_of(*units)
    assert max(map(len, payloads)) <= MAX_PAYLOAD_BYTES


def test_parameter_sets_share_a_packet() -> None:
    first, *_ = payloads_of("h264", h264_of(b"\x67" + noise(20), b"\x68" + noise(4), b"\x65" + noise(5000)))
    assert first[0] & 0x1F == 24
    assert first[0] & 0x60 == 0x60  # the importance of the most important unit


def test_fragments_mark_their_start_and_end() -> None:
    payloads = payloads_of("h264", h264_of(b"\x65" + noise(4000)))
    edges = [payload[1] & 0xC0 for payload in payloads]
    assert edges == [0x80, *[0] * (len(payloads) - 2), 0x40]
    assert {payload[0] for payload in payloads} == {0x60 | 28}
    assert {payload[1] & 0x1F for payload in payloads} == {5}


def test_access_unit_delimiters_are_left_out() -> None:
    assert payloads_of("h264", h264_of(b"\x09\xf0", b"\x41" + noise(30))) == (b"\x41" + noise(30),)


def test_start_codes_of_three_and_four_bytes_and_trailing_zeros() -> None:
    stream = b"\x00\x00\x01\x67a" + b"\x00\x00\x00\x01\x68b" + b"\x00\x00\x01\x65c\x00\x00"
    assert list(nal_units(stream)) == [b"\x67a", b"\x68b", b"\x65c"]
    assert list(nal_units(b"no start code")) == []
