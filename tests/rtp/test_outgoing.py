"""One viewer's stream: continuity over everything that happens to it."""

import itertools

import pytest
from aiortc.codecs.vpx import VpxPayloadDescriptor
from aiortc.rtcrtpparameters import RTCRtpHeaderExtensionParameters, RTCRtpParameters
from aiortc.rtp import HeaderExtensionsMap, RtpPacket, unwrap_rtx

from streamgen.packets import Layer
from streamgen.rtp.outgoing import HISTORY_S, OutgoingAudio, OutgoingVideo, Picture, StreamFormat

PICTURE = 5400
FULL, HALF = Layer("vp8", 0), Layer("vp8", 2)
SEND_TIME_ID = 3
FORM = StreamFormat(ssrc=0xDEAD_BEEF, payload_type=97, rtx=(98, 0xFEED_F00D), send_time_id=SEND_TIME_ID)

EXTENSIONS = HeaderExtensionsMap()
EXTENSIONS.configure(
    RTCRtpParameters(
        headerExtensions=[
            RTCRtpHeaderExtensionParameters(
                id=SEND_TIME_ID, uri="http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
            )
        ]
    )
)


def picture(number: int, packets: int = 3, layer: Layer = FULL) -> Picture:
    bodies = tuple(bytes([number % 256, index]) * 10 for index in range(packets))
    return Picture(layer, number * PICTURE, number == 0, bodies)


def stream(form: StreamFormat = FORM, *, sequence: int = 65_530, picture_id: int = 0x7FFE) -> OutgoingVideo:
    return OutgoingVideo(form, 0xFFFF_FF00, sequence=sequence, picture_id=picture_id, rtx_sequence=7)


def parsed(packets: list[bytes]) -> list[RtpPacket]:
    return [RtpPacket.parse(packet, EXTENSIONS) for packet in packets]


def test_numbers_go_on_across_layers_stalls_and_wraps() -> None:
    video = stream()
    layers = itertools.cycle([FULL, FULL, HALF])
    packets = [p for n in (0, 1, 2, 40, 41, 42) for p in parsed(video.packets(picture(n, layer=next(layers))))]
    numbers = [packet.sequence_number for packet in packets]
    assert numbers == [(65_530 + i) & 0xFFFF for i in range(18)]
    ids = [VpxPayloadDescriptor.parse(packet.payload)[0].picture_id for packet in packets]
    assert ids == [(0x7FFE + i // 3) & 0x7FFF for i in range(18)]
    assert {packet.ssrc for packet in packets} == {0xDEAD_BEEF}


def test_time_stamps_are_the_media_time_plus_the_offset() -> None:
    video = stream()
    stamps = [parsed(video.packets(picture(n)))[0].timestamp for n in (0, 1, 500)]
    assert stamps == [(0xFFFF_FF00 + n * PICTURE) & 0xFFFF_FFFF for n in (0, 1, 500)]


def test_the_last_packet_of_a_picture_carries_the_marker() -> None:
    assert [packet.marker for packet in parsed(stream().packets(picture(0)))] == [0, 0, 1]


def test_the_time_of_sending_is_told_where_it_was_negotiated() -> None:
    (packet,) = parsed(stream().packets(picture(0, packets=1), send_time=0x1_234567))
    assert packet.extensions.abs_send_time == 0x234567
    plain = StreamFormat(ssrc=1, payload_type=97)
    (packet,) = parsed(stream(plain).packets(picture(0, packets=1), send_time=5))
    assert packet.extensions.abs_send_time is None
    assert VpxPayloadDescriptor.parse(packet.payload)[1] == picture(0).bodies[0]


def test_a_lost_packet_comes_again_on_the_stream_of_retransmissions() -> None:
    video = stream()
    sent = [packet for n in range(10) for packet in parsed(video.packets(picture(n)))]
    for count, lost in enumerate((sent[0], sent[7], sent[29])):
        again = video.again(lost.sequence_number)
        assert again is not None
        packet = RtpPacket.parse(again, EXTENSIONS)
        assert (packet.ssrc, packet.payload_type, packet.sequence_number) == (0xFEED_F00D, 98, 7 + count)
        original = unwrap_rtx(packet, payload_type=97, ssrc=0xDEAD_BEEF)
        assert original.payload == lost.payload
        assert (original.sequence_number, original.timestamp, original.marker) == (
            lost.sequence_number,
            lost.timestamp,
            lost.marker,
        )


def test_without_retransmission_stream_the_very_packet_comes_again() -> None:
    video = stream(StreamFormat(ssrc=5, payload_type=97))
    packets = video.packets(picture(0))
    assert video.again(65_531) == packets[1]
    assert not video.can_probe


@pytest.mark.parametrize("sequence", [65_529, 4, 30_000])
def test_what_was_never_sent_does_not_come_again(sequence: int) -> None:
    video = stream()
    for number in range(3):
        video.packets(picture(number))  # 65530 to 65535, then 0 to 2
    assert video.again(sequence) is None
    assert video.size_of(sequence) == 0


def test_the_size_of_a_retransmission_is_known_before_it_is_made() -> None:
    video = stream()
    video.packets(picture(0))
    again = video.again(65_530)
    assert again is not None
    # The VP8 descriptor and the original number are not counted.
    assert len(again) - video.size_of(65_530) == 4 + 2


def test_history_lasts_for_its_time_and_does_not_grow() -> None:
    video = stream(sequence=0)
    per_second = 90_000 // PICTURE
    for number in range(100 * per_second):
        video.packets(picture(number, packets=1))
        if number > 5 * per_second:
            recent = (number - int(HISTORY_S * per_second) + 1) & 0xFFFF
            assert video.again(recent) is not None
    assert len(video._history) <= 2 * HISTORY_S * per_second + 65
    assert len(video._history) == len(video._firsts)


def test_probes_are_copies_of_the_newest() -> None:
    video = stream()
    for number in range(4):
        video.packets(picture(number))
    newest = list(video.newest(5))
    assert newest == [(65_530 + 11 - i) & 0xFFFF for i in range(5)]
    assert list(stream().newest(5)) == []


def test_h264_payloads_go_out_as_they_are() -> None:
    video = stream(StreamFormat(ssrc=5, payload_type=99))
    bodies = (b"\x65abc", b"\x41de")
    packets = parsed(video.packets(Picture(Layer("h264", 0), 0, True, bodies)))
    assert tuple(packet.payload for packet in packets) == bodies


def test_counts_are_of_payloads() -> None:
    video = stream()
    video.packets(picture(0))
    assert (video.packets_sent, video.octets_sent, video.last_pts) == (3, 3 * 24, 0)
    sound = OutgoingAudio(StreamFormat(ssrc=9, payload_type=96), 5, sequence=65_535)
    sound.packet(b"abc", 0)
    sound.packet(b"de", 960)
    assert (sound.packets_sent, sound.octets_sent, sound.last_pts) == (2, 5, 960)


def test_sound_is_numbered_and_stamped_and_marks_its_start() -> None:
    sound = OutgoingAudio(StreamFormat(ssrc=9, payload_type=96), 0xFFFF_FFFF, sequence=65_535)
    first, second = parsed([sound.packet(b"abc", 960), sound.packet(b"de", 1920)])
    assert (first.sequence_number, first.timestamp, first.marker, first.payload) == (65_535, 959, 1, b"abc")
    assert (second.sequence_number, second.timestamp, second.marker, second.payload) == (0, 1919, 0, b"de")
