import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pythonosc.osc_bundle_builder import IMMEDIATELY, OscBundleBuilder
from pythonosc.osc_message_builder import OscMessageBuilder

from streamgen.integrations.osc_datagram import (
    MAX_CALLS,
    MAX_DATAGRAM_BYTES,
    MAX_DEPTH,
    MalformedOscError,
    OscCall,
    read_datagram,
    write_call,
)

HEADER = b"#bundle\0" + bytes(7) + b"\1"


def bundle(*elements: bytes) -> bytes:
    return HEADER + b"".join(struct.pack(">i", len(each)) + each for each in elements)


def test_a_message_of_the_library_is_read() -> None:
    builder = OscMessageBuilder("/streamgen/main/prompt")
    builder.add_arg("ein Fuchs im Schnee ❄")
    builder.add_arg(0.5)
    builder.add_arg(7)
    builder.add_arg(True)
    (call,) = read_datagram(builder.build().dgram)
    assert call == OscCall("/streamgen/main/prompt", ("ein Fuchs im Schnee ❄", 0.5, 7, True))


def test_a_bundle_of_the_library_is_read_in_order() -> None:
    inner = OscBundleBuilder(IMMEDIATELY)
    for name in ("/b", "/c"):
        inner.add_content(OscMessageBuilder(name).build())
    outer = OscBundleBuilder(IMMEDIATELY)
    outer.add_content(OscMessageBuilder("/a").build())
    outer.add_content(inner.build())
    outer.add_content(OscMessageBuilder("/d").build())
    assert [call.address for call in read_datagram(outer.build().dgram)] == ["/a", "/b", "/c", "/d"]


def test_old_senders_leave_the_tags_out() -> None:
    assert read_datagram(b"/go\0") == (OscCall("/go"),)


@pytest.mark.parametrize(
    "datagram",
    [
        b"",
        b"GET / HTTP/1.1\r\n\r\n",
        b"/go",
        b"/go\0,x\0\0",  # a tag that OSC does not have
        b"/go\0,[i]\0\0\0\0\0\0\0\1",  # arrays are of no use here
        b"/go\0,i\0\0\0\0",  # half a number
        b"/go\0,s\0\0\xff\xfe\0\0",  # no UTF-8
        b"/go\0,s\0\0abcd",  # a text without an end
        b"/go\0,f\0\0\x7f\xc0\0\0",  # NaN
        b"/go\0," + b"i" * 18 + b"\0" + bytes(80),
        HEADER[:12],
        HEADER + b"\0\0",
        HEADER + struct.pack(">i", -4),  # the library's own reader never ends here
        HEADER + struct.pack(">i", -2_147_483_648) + bytes(64),
        HEADER + struct.pack(">i", 0),
        HEADER + struct.pack(">i", 64) + b"/go\0",
        bundle(b"/go\0") + b"\0",
        bytes(MAX_DATAGRAM_BYTES + 4),
        bundle(*[b"/go\0"] * (MAX_CALLS + 1)),
    ],
)
def test_what_is_no_osc_is_said_to_be_none(datagram: bytes) -> None:
    with pytest.raises(MalformedOscError):
        read_datagram(datagram)


def test_bundles_in_bundles_have_an_end() -> None:
    datagram = b"/go\0"
    for _ in range(MAX_DEPTH):
        datagram = bundle(datagram)
    assert read_datagram(datagram) == (OscCall("/go"),)
    with pytest.raises(MalformedOscError, match="in one another"):
        read_datagram(bundle(datagram))


@given(st.one_of(st.binary(max_size=200), st.binary(max_size=120).map(lambda tail: HEADER + tail)))
def test_whatever_comes_is_read_or_refused(datagram: bytes) -> None:
    with contextlib.suppress(MalformedOscError):
        assert len(read_datagram(datagram)) <= MAX_CALLS


@given(st.binary(max_size=64), st.sampled_from([b",s", b",i", b",f", b",d", b",h", b",sif", b",TFN"]))
def test_whatever_follows_good_tags_is_read_or_refused(tail: bytes, tags: bytes) -> None:
    padded = tags + bytes(4 - len(tags) % 4)
    with contextlib.suppress(MalformedOscError):
        (call,) = read_datagram(b"/go\0" + padded + tail)
        assert call.address == "/go"


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=300))
def test_what_is_written_can_be_read(text: str) -> None:
    assert read_datagram(write_call("/a", "sif", text, -3, 0.25)) == (OscCall("/a", (text, -3, 0.25)),)


def test_a_zero_in_a_text_does_not_end_it() -> None:
    assert read_datagram(write_call("/a", "s", "a\0b")) == (OscCall("/a", ("a b",)),)
