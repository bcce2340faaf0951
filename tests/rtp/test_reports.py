from random import Random

import pytest
from aiortc.rtp import (
    AnyRtcpPacket,
    RtcpByePacket,
    RtcpPacket,
    RtcpReceiverInfo,
    RtcpRrPacket,
    RtcpSdesPacket,
    RtcpSrPacket,
)
from hypothesis import given
from hypothesis import strategies as st

from streamgen.packets import AUDIO_CLOCK_HZ, VIDEO_CLOCK_HZ
from streamgen.rtp.reports import INTERVAL_S, REMEMBERED_REPORTS, RTT_KEPT, SenderReports
from streamgen.webrtc.timeline import ReportTimeline

SSRC = 0x1234_5678
OFFSET = 0xFFFF_0000
SECOND = 1 << 32  # NTP, 32.32 fixed point
EPOCH_NTP = 4_000_000_000 * SECOND  # of media time 0


def anchored() -> ReportTimeline:
    timeline = ReportTimeline()
    timeline.anchor(0, VIDEO_CLOCK_HZ, EPOCH_NTP)
    return timeline


def stream(
    *, ssrc: int = SSRC, clock_hz: int = VIDEO_CLOCK_HZ, timeline: ReportTimeline | None = None
) -> SenderReports:
    return SenderReports(
        ssrc=ssrc,
        cname="viewer 7",
        clock_hz=clock_hz,
        offset=OFFSET,
        timeline=anchored() if timeline is None else timeline,
    )


def sending() -> SenderReports:
    reports = stream()
    reports.sent(1000)
    return reports


def sender_report(compound: bytes) -> RtcpSrPacket:
    packet: AnyRtcpPacket = RtcpPacket.parse(compound)[0]
    assert isinstance(packet, RtcpSrPacket)
    return packet


def quoted(compound: bytes) -> int:
    """LSR of a receiver that got this report: the middle 32 bits of its NTP time."""
    return sender_report(compound).sender_info.ntp_timestamp >> 16 & 0xFFFF_FFFF


def reception(
    *, lsr: int = 0, delay_s: float = 0.0, lost: int = 0, fraction: int = 0, ssrc: int = SSRC
) -> RtcpReceiverInfo:
    return RtcpReceiverInfo(
        ssrc=ssrc,
        fraction_lost=fraction,
        packets_lost=lost,
        highest_sequence=1,
        jitter=900,
        lsr=lsr,
        dlsr=round(delay_s * 65_536),
    )


def test_no_report_of_media_that_does_not_exist() -> None:
    reports = stream(timeline=ReportTimeline())  # which would refuse to give a time
    assert reports.report(0, 0.0) == b""


def test_report_pairs_rtp_and_ntp_time_of_one_moment_and_counts() -> None:
    reports = stream()
    for size in (1000, 200, 30):
        reports.sent(size)
    packets = RtcpPacket.parse(reports.report(10 * VIDEO_CLOCK_HZ, 500.0))
    assert [type(packet) for packet in packets] == [RtcpSrPacket, RtcpSdesPacket]
    report, names = packets
    assert isinstance(report, RtcpSrPacket)
    assert isinstance(names, RtcpSdesPacket)
    assert report.ssrc == SSRC
    assert report.reports == []
    assert report.sender_info.ntp_timestamp == EPOCH_NTP + 10 * SECOND
    assert report.sender_info.rtp_timestamp == (OFFSET + 900_000) % (1 << 32)
    assert (report.sender_info.packet_count, report.sender_info.octet_count) == (3, 1230)
    assert [(chunk.ssrc, chunk.items) for chunk in names.chunks] == [(SSRC, [(1, b"viewer 7")])]


def test_picture_and_sound_of_one_moment_have_one_ntp_time() -> None:
    timeline = anchored()
    times = []
    for clock_hz in (VIDEO_CLOCK_HZ, AUDIO_CLOCK_HZ):
        reports = stream(clock_hz=clock_hz, timeline=timeline)
        reports.sent(100)
        times.append(sender_report(reports.report(3 * clock_hz, 1.0)).sender_info.ntp_timestamp)
    assert times[0] == times[1]


def test_counts_wrap_at_32_bits() -> None:
    reports = stream()
    reports.packets, reports.octets = (1 << 32) - 1, (1 << 32) - 1
    reports.sent(11)
    info = sender_report(reports.report(0, 0.0)).sender_info
    assert (info.packet_count, info.octet_count) == (0, 10)


@given(st.integers(0, 1 << 48), st.sampled_from([VIDEO_CLOCK_HZ, AUDIO_CLOCK_HZ]))
def test_any_media_time_makes_a_report_that_can_be_read(pts: int, clock_hz: int) -> None:
    reports = stream(clock_hz=clock_hz)
    reports.sent(100)
    info = sender_report(reports.report(pts, 0.0)).sender_info
    assert info.rtp_timestamp == (OFFSET + pts) % (1 << 32)
    since_epoch = (info.ntp_timestamp - EPOCH_NTP) % (1 << 64)  # the era may end on the way
    assert since_epoch == (pts << 32) // clock_hz % (1 << 64)


def test_goodbye_is_a_whole_compound() -> None:
    packets = RtcpPacket.parse(stream().goodbye())
    assert [type(packet) for packet in packets] == [RtcpRrPacket, RtcpSdesPacket, RtcpByePacket]
    assert isinstance(packets[2], RtcpByePacket)
    assert packets[2].sources == [SSRC]


@pytest.mark.parametrize("cname", ["", "x" * 256])
def test_name_that_does_not_fit_is_refused(cname: str) -> None:
    with pytest.raises(ValueError, match="CNAME"):
        SenderReports(ssrc=1, cname=cname, clock_hz=VIDEO_CLOCK_HZ, offset=0, timeline=anchored())


def test_intervals_lie_between_half_and_one_and_a_half() -> None:
    random = Random(7)
    intervals = [SenderReports.next_interval_s(random) for _ in range(2000)]
    assert 0.5 * INTERVAL_S <= min(intervals) < 0.52 * INTERVAL_S
    assert 1.48 * INTERVAL_S < max(intervals) <= 1.5 * INTERVAL_S
    assert sum(intervals) / len(intervals) == pytest.approx(INTERVAL_S, rel=0.03)


def test_round_trip_is_the_time_away_less_the_time_held() -> None:
    reports = sending()
    lsr = quoted(reports.report(90_000, 500.0))
    heard = reports.received(reception(lsr=lsr, delay_s=0.5), 500.58)
    assert heard is not None
    assert heard.rtt_s == pytest.approx(0.08, abs=1e-4)
    assert heard.smoothed_rtt_s == heard.rtt_s


def test_media_that_is_late_does_not_lengthen_the_round_trip() -> None:
    reports = sending()
    lsr = quoted(reports.report(0, 500.0))  # NTP time says media time 0, whenever that was
    heard = reports.received(reception(lsr=lsr, delay_s=0.25), 500.375)
    assert heard is not None
    assert heard.rtt_s == 0.125


def test_round_trips_are_smoothed() -> None:
    reports = sending()
    for number, rtt_s in enumerate((0.125, 0.25)):
        lsr = quoted(reports.report(number * 90_000, 500.0 + number))
        reports.received(reception(lsr=lsr, delay_s=0.25), 500.25 + number + rtt_s)
    assert reports.smoothed_rtt_s == pytest.approx(RTT_KEPT * 0.125 + (1 - RTT_KEPT) * 0.25)


def test_only_the_first_answer_to_a_report_gives_a_round_trip() -> None:
    reports = sending()
    lsr = quoted(reports.report(90_000, 500.0))
    first = reports.received(reception(lsr=lsr, delay_s=0.25), 500.5)
    again = reports.received(reception(lsr=lsr, delay_s=0.5), 500.75)
    assert first is not None
    assert again is not None
    assert (first.rtt_s, again.rtt_s) == (0.25, None)
    assert again.smoothed_rtt_s == 0.25


def test_older_reports_are_remembered_but_not_all() -> None:
    reports = sending()
    quotes = [quoted(reports.report(number * 90_000, 500.0 + number)) for number in range(REMEMBERED_REPORTS + 1)]
    now_s = 500.0 + REMEMBERED_REPORTS
    forgotten = reports.received(reception(lsr=quotes[0], delay_s=0.5), now_s)
    assert forgotten is not None
    assert forgotten.rtt_s is None
    oldest = reports.received(reception(lsr=quotes[1], delay_s=REMEMBERED_REPORTS - 1.25), now_s)
    assert oldest is not None
    assert oldest.rtt_s == 0.25


def test_reports_with_the_same_time_give_no_round_trip() -> None:
    reports = sending()
    for now_s in (500.0, 501.0, 502.0):
        lsr = quoted(reports.report(90_000, now_s))
        heard = reports.received(reception(lsr=lsr, delay_s=0.5), now_s + 0.75)
        assert heard is not None
        assert heard.rtt_s == (0.25 if now_s == 500.0 else None)


@pytest.mark.parametrize(("delay_s", "arrival_s"), [(0.0, 500.5), (3.0, 500.5)])
def test_impossible_times_give_no_round_trip(delay_s: float, arrival_s: float) -> None:
    reports = sending()
    lsr = quoted(reports.report(90_000, 500.0))
    heard = reports.received(reception(lsr=lsr, delay_s=delay_s), arrival_s)
    assert heard is not None
    assert heard.rtt_s is None
    assert reports.smoothed_rtt_s is None


def test_rounding_does_not_make_a_round_trip_negative() -> None:
    reports = sending()
    lsr = quoted(reports.report(90_000, 500.0))
    heard = reports.received(reception(lsr=lsr, delay_s=0.5005), 500.5)
    assert heard is not None
    assert heard.rtt_s == 0.0


def test_loss_and_jitter_are_read_in_their_units() -> None:
    heard = sending().received(reception(fraction=64, lost=-3), 1.0)
    assert heard is not None
    assert (heard.fraction_lost, heard.packets_lost, heard.jitter_s) == (0.25, -3, 0.01)
    assert (heard.rtt_s, heard.smoothed_rtt_s) == (None, None)


def test_report_of_another_stream_is_none_of_ours() -> None:
    assert sending().received(reception(ssrc=SSRC + 1), 1.0) is None


@given(
    st.lists(st.tuples(st.integers(0, 1 << 32 - 1), st.integers(0, 1 << 32 - 1), st.floats(0, 1e6)), max_size=20),
)
def test_whatever_a_viewer_reports_the_round_trip_stays_possible(blocks: list[tuple[int, int, float]]) -> None:
    reports = sending()
    known = [quoted(reports.report(number * 90_000, float(number))) for number in range(3)]
    for lsr, dlsr, after_s in blocks:
        block = reception(lsr=known[lsr % 3] if lsr % 2 else lsr)
        block.dlsr = dlsr
        heard = reports.received(block, 2.0 + after_s)
        assert heard is not None
        if heard.rtt_s is not None:
            assert 0 <= heard.rtt_s <= 2.0 + after_s
    assert reports.smoothed_rtt_s is None or reports.smoothed_rtt_s >= 0
