import numpy as np
import pytest
from numpy.typing import NDArray

from streamgen.errors import UnsupportedRateError
from streamgen.media.audio_encoder import FADE_SAMPLES, OPUS_DELAY_SAMPLES, AudioEncoder, OpusStream, silence
from streamgen.packets import AudioPacket
from tests.media.decoding import decode_opus

CHUNK = 7_680
RATE = 24_000


def tone(chunk: int, hz: tuple[float, float] = (440.0, 660.0)) -> NDArray[np.float32]:
    time_s = (chunk * CHUNK + np.arange(CHUNK)) / RATE
    return np.stack([0.3 * np.sin(2 * np.pi * f * time_s) for f in hz]).astype(np.float32)


def test_packets_per_chunk_are_constant_and_pts_are_continuous() -> None:
    encoder = AudioEncoder(RATE, 2)
    chunks = [encoder.encode(tone(index)) for index in range(6)]
    assert [len(packets) for packets in chunks] == [16] * 6
    pts = [packet.pts for packets in chunks for packet in packets]
    assert pts == list(range(-encoder.delay, -encoder.delay + 960 * 96, 960))


def test_decoded_sound_belongs_to_its_pts_within_a_sample() -> None:
    encoder = AudioEncoder(RATE, 2)
    click_at = CHUNK + 1_234  # sample at 24 kHz
    sound = np.zeros((2, 3 * CHUNK), np.float32)
    burst = np.hanning(48) * np.sin(np.arange(48) * 1.1)
    sound[:, click_at : click_at + 48] = 0.8 * burst

    packets = [packet for chunk in np.split(sound, 3, axis=1) for packet in encoder.encode(chunk)]
    heard = decode_opus(packet.data for packet in packets)

    # Where the decoded sound matches the burst best, in samples at 48 kHz from the first packet's pts.
    template = np.interp(np.arange(96) / 2, np.arange(48), burst)
    lag = int(np.argmax(np.correlate(heard[0], template, mode="valid")))
    assert abs(packets[0].pts + lag - 2 * click_at) <= 1


def test_opus_looks_ahead_by_the_stated_samples() -> None:
    encoder = OpusStream()
    sound = np.zeros((2, 20 * 960), np.float32)
    burst = np.hanning(96) * np.sin(np.arange(96) * 0.55)
    sound[:, 9_000:9_096] = 0.8 * burst
    heard = decode_opus([encoder.encode(block) for block in np.split(sound, 20, axis=1)])
    lag = int(np.argmax(np.correlate(heard[0], burst, mode="valid")))
    assert lag - 9_000 == OPUS_DELAY_SAMPLES


def test_tones_keep_frequency_level_and_side() -> None:
    encoder = AudioEncoder(RATE, 2)
    heard = decode_opus(packet.data for index in range(4) for packet in encoder.encode(tone(index)))
    for channel, hz in enumerate((440.0, 660.0)):
        part = heard[channel, 9_600:57_600]
        spectrum = np.abs(np.fft.rfft(part * np.hanning(len(part))))
        assert np.argmax(spectrum) * 48_000 / len(part) == pytest.approx(hz, abs=1.0)
        assert np.sqrt(2 * np.mean(part**2)) == pytest.approx(0.3, rel=0.05)


def test_no_click_at_the_joints_of_chunks() -> None:
    encoder = AudioEncoder(RATE, 2)
    heard = decode_opus(packet.data for index in range(6) for packet in encoder.encode(tone(index)))
    # A click is a jump that a 440 Hz tone never makes.
    steps = np.abs(np.diff(heard[0, 9_600:]))
    assert steps.max() < 1.15 * 0.3 * 2 * np.pi * 440 / 48_000


def test_mono_is_heard_on_both_sides() -> None:
    encoder = AudioEncoder(RATE, 1)
    heard = decode_opus(packet.data for index in range(3) for packet in encoder.encode(tone(index)[:1]))
    np.testing.assert_allclose(heard[0], heard[1], atol=1e-3)
    assert np.abs(heard).max() > 0.2


def test_fade_continues_the_sound_and_ends_in_silence() -> None:
    encoder = AudioEncoder(RATE, 2)
    packets = [packet.data for index in range(4) for packet in encoder.encode(tone(index))]
    fade = encoder.fade()
    heard = decode_opus([*packets, *fade, *([silence()] * 5)])

    start = len(packets) * 960
    end = start + len(fade) * 960
    steps = np.abs(np.diff(heard[0, start - 960 : end]))
    # The mirror turns the slope over, which a step of twice the tone's steepest bounds.
    assert steps.max() < 2.5 * 0.3 * 2 * np.pi * 440 / 48_000
    assert np.abs(heard[:, start : start + 480]).max() > 0.2
    assert np.abs(heard[:, start + OPUS_DELAY_SAMPLES + FADE_SAMPLES + 240 : end]).max() < 5e-3
    assert np.abs(heard[:, end + 960 :]).max() < 1e-3


def test_fade_does_not_disturb_the_stream() -> None:
    plain, with_fades = AudioEncoder(RATE, 2), AudioEncoder(RATE, 2)
    expected: list[AudioPacket] = []
    found: list[AudioPacket] = []
    for index in range(4):
        expected += plain.encode(tone(index))
        found += with_fades.encode(tone(index))
        with_fades.fade()
    assert found == expected


def test_silence_is_silent() -> None:
    assert np.abs(decode_opus([silence()] * 20)).max() < 1e-4


def test_rate_that_does_not_fit_is_refused() -> None:
    with pytest.raises(UnsupportedRateError):
        AudioEncoder(44_100, 2)


def test_chunks_of_half_packets_give_one_more_in_turn_and_lose_nothing() -> None:
    whole, halves = AudioEncoder(RATE, 2), AudioEncoder(RATE, 2)
    half = CHUNK // 2 + 240  # 8.5 packets
    sound = np.concatenate([tone(index) for index in range(9)], axis=1)[:, : 16 * half]
    expected = [packet for part in np.split(sound, 8, axis=1) for packet in whole.encode(part)]
    parts = [halves.encode(part) for part in np.split(sound, 16, axis=1)]
    assert [len(packets) for packets in parts] == [8, 9] * 8
    assert [packet for packets in parts for packet in packets] == expected


@pytest.mark.parametrize("chunks", [1, 2], ids=["half a packet waits", "none does"])
def test_a_fade_begins_with_the_sound_that_waits_for_its_packet(chunks: int) -> None:
    encoder = AudioEncoder(RATE, 2)
    half = CHUNK + 240  # 16.5 packets
    sound = np.concatenate([tone(index) for index in range(4)], axis=1)
    packets = [packet.data for n in range(chunks) for packet in encoder.encode(sound[:, n * half : (n + 1) * half])]
    fade = encoder.fade()
    heard = decode_opus([*packets, *fade, *([silence()] * 5)])
    start = len(packets) * 960
    ends = 2 * chunks * half  # of the real sound, at 48 kHz
    assert ends - start == (480 if chunks == 1 else 0)
    steps = np.abs(np.diff(heard[0, start - 960 : start + len(fade) * 960]))
    assert steps.max() < 2.5 * 0.3 * 2 * np.pi * 440 / 48_000
    lag = OPUS_DELAY_SAMPLES  # after the resampler, where the fade begins
    fresh = AudioEncoder(RATE, 2)
    going_on = decode_opus(packet.data for packet in fresh.encode(sound))
    # What waited is heard as it would have been, but for how a codec rounds it beside the fade that follows.
    waited, expected = heard[:, start : ends + lag], going_on[:, start : ends + lag]
    assert np.linalg.norm(waited - expected) < 0.35 * np.linalg.norm(expected)
    assert np.linalg.norm(waited - going_on[:, start + 480 : ends + lag + 480]) > np.linalg.norm(expected)
    assert np.abs(heard[:, ends + lag + FADE_SAMPLES + 240 :]).max() < 5e-3
