"""Datagrams of several DTLS records."""

import struct

import pytest

from streamgen.webrtc.dtls_records import records


def record(kind: int, content: bytes) -> bytes:
    return struct.pack("!BHHHLH", kind, 0xFEFD, 1, 0, 7, len(content)) + content


@pytest.mark.parametrize("parts", [[b"a"], [b"a", b""], [b"x" * 300, b"y", b"z" * 1000], [b"a"] * 90])
def test_records_are_cut_apart_and_nothing_is_lost(parts: list[bytes]) -> None:
    every = [record(20 + number % 5, part) for number, part in enumerate(parts)]
    assert records(b"".join(every)) == every


@pytest.mark.parametrize(
    "rest",
    [b"\x17", b"\x17\xfe", record(23, b"abc")[:-1], b"\x80\x01rtp", b"\x3fabc", b"\x17\x03\x03" + bytes(20), bytes(5)],
)
def test_what_is_no_record_stays_in_one_piece(rest: bytes) -> None:
    assert records(rest) == [rest]
    assert records(record(23, b"abc") + rest) == [record(23, b"abc"), rest]


def test_nothing_stays_nothing() -> None:
    assert records(b"") == [b""]
