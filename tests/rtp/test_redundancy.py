import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgen.rtp.outgoing import OutgoingAudio, StreamFormat
from streamgen.rtp.redundancy import CALM_S, LONGEST_COPY, MOST_COPIES, Redundancy, red_payload

OPUS, RED = 111, 63


def read(payload: bytes) -> list[tuple[int, int, bytes]]:
    """Payload type, ticks back and data of each block, as RFC 2198 lays them out."""
    blocks, place = [], 0
    while payload[place] & 0x80:
        word = int.from_bytes(payload[place : place + 4], "big")
        blocks.append((word >> 24 & 0x7F, word >> 10 & 0x3FFF, word & 0x3FF))
        place += 4
    last = payload[place] & 0x7F
    place += 1
    found = []
    for payload_type, back, size in blocks:
        found.append((payload_type, back, payload[place : place + size]))
        place += size
    return [*found, (last, 0, payload[place:])]


def test_the_layout_is_that_of_rfc_2198() -> None:
    # F=1, block PT=111, offset 960, length 3; F=0, PT=111; then the blocks.
    assert red_payload(OPUS, b"now", [(960, b"old")]) == b"\xef\x0f\x00\x03" + b"\x6f" + b"old" + b"now"


@given(
    st.binary(max_size=400),
    st.lists(st.tuples(st.integers(1, 16_383), st.binary(min_size=1, max_size=LONGEST_COPY)), max_size=MOST_COPIES),
)
def test_what_is_packed_can_be_read(payload: bytes, earlier: list[tuple[int, bytes]]) -> None:
    assert read(red_payload(OPUS, payload, earlier)) == [
        *((OPUS, back, copy) for back, copy in earlier),
        (OPUS, 0, payload),
    ]


def test_what_red_cannot_express_is_left_out() -> None:
    earlier = [(16_384, b"too far back"), (960, bytes(LONGEST_COPY + 1)), (480, b"fits"), (0, b"of now"), (20, b"")]
    assert read(red_payload(OPUS, b"now", earlier)) == [(OPUS, 480, b"fits"), (OPUS, 0, b"now")]


def test_copies_come_with_losses_and_go_slowly() -> None:
    redundancy = Redundancy()
    seen = []
    for second, loss in [
        (0, 0.0),
        (1, 0.01),
        (2, 0.0),
        (3, 0.2),
        (4, 0.01),
        (12, 0.0),
        (13, 0.0),
        (14, 0.0),
        (24, 0.0),
    ]:
        redundancy.report(loss, float(second))
        seen.append(redundancy.copies)
    assert seen == [0, 1, 1, 2, 2, 2, 1, 1, 0]
    assert CALM_S == 10


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 30)), max_size=60))
def test_copies_stay_within_bounds(reports: list[tuple[float, float]]) -> None:
    redundancy, now_s = Redundancy(), 0.0
    for loss, pause_s in reports:
        now_s += pause_s
        redundancy.report(loss, now_s)
        assert 0 <= redundancy.copies <= MOST_COPIES
        assert redundancy.copies >= (loss >= 0.005)


def sent(stream: OutgoingAudio, number: int) -> tuple[int, int, bytes]:
    """Payload type, sequence number and payload."""
    packet = stream.packet(b"sound %d" % number, number * 960)
    return packet[1] & 0x7F, int.from_bytes(packet[2:4], "big"), packet[12:]


def test_a_stream_repeats_what_it_sent_and_counts_it() -> None:
    stream = OutgoingAudio(StreamFormat(ssrc=9, payload_type=OPUS, red=RED), 0, sequence=10)
    assert sent(stream, 0) == (OPUS, 10, b"sound 0")
    stream.copies = 1
    payload_type, sequence, payload = sent(stream, 1)
    assert (payload_type, sequence) == (RED, 11)
    assert read(payload) == [(OPUS, 960, b"sound 0"), (OPUS, 0, b"sound 1")]
    stream.copies = 2
    assert read(sent(stream, 2)[2]) == [(OPUS, 1920, b"sound 0"), (OPUS, 960, b"sound 1"), (OPUS, 0, b"sound 2")]
    stream.copies = 0
    assert sent(stream, 3) == (OPUS, 13, b"sound 3")
    assert stream.octets_sent == 7 + len(payload) + (4 * 2 + 1 + 3 * 7) + 7


@pytest.mark.parametrize("copies", [1, 2])
def test_nothing_is_repeated_for_a_viewer_who_would_not_understand(copies: int) -> None:
    stream = OutgoingAudio(StreamFormat(ssrc=9, payload_type=OPUS), 0, sequence=10)
    stream.copies = copies
    assert [sent(stream, number) for number in range(2)] == [(OPUS, 10, b"sound 0"), (OPUS, 11, b"sound 1")]
