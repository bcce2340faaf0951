"""The sizes fit together exactly: a chunk of pictures and a chunk of sound last equally long."""

from fractions import Fraction

from streamgen_export.pocket.config import NANO


def test_a_chunk_is_exact_on_both_sides() -> None:
    numerator, denominator = NANO.fps
    pictures = Fraction(NANO.frames_per_chunk * denominator, numerator)
    assert pictures == Fraction(NANO.samples_per_chunk, NANO.sample_rate) == Fraction(8, 25)


def test_a_chunk_is_a_whole_number_of_opus_packets_and_rtp_ticks() -> None:
    assert NANO.samples_per_chunk * 48_000 % (NANO.sample_rate * 960) == 0
    assert 90_000 * NANO.fps[1] % NANO.fps[0] == 0


def test_tokens_of_a_chunk() -> None:
    assert (NANO.video_tokens, NANO.audio_tokens, NANO.tokens, NANO.slots) == (30, 4, 34, 8)
