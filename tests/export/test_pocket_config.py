"""The sizes fit together exactly: a chunk of pictures and a chunk of sound last equally long."""

from dataclasses import replace
from fractions import Fraction

import pytest

from streamgen_export.pocket.config import NANO, POCKET, PocketConfig

both = pytest.mark.parametrize("config", [NANO, POCKET], ids=lambda config: config.name)


@pytest.mark.parametrize(("config", "lasts"), [(NANO, Fraction(8, 25)), (POCKET, Fraction(6, 25))])
def test_a_chunk_is_exact_on_both_sides(config: PocketConfig, lasts: Fraction) -> None:
    numerator, denominator = config.fps
    pictures = Fraction(config.frames_per_chunk * denominator, numerator)
    assert pictures == Fraction(config.samples_per_chunk, config.sample_rate) == lasts


@both
def test_a_chunk_is_a_whole_number_of_opus_packets_and_rtp_ticks(config: PocketConfig) -> None:
    assert config.samples_per_chunk * 48_000 % (config.sample_rate * 960) == 0
    assert 90_000 * config.fps[1] % config.fps[0] == 0


def test_tokens_of_a_chunk() -> None:
    assert (NANO.video_tokens, NANO.audio_tokens, NANO.tokens, NANO.slots) == (30, 4, 34, 8)
    assert (POCKET.video_tokens, POCKET.audio_tokens, POCKET.tokens, POCKET.slots) == (112, 3, 115, 7)


def test_controls_of_a_chunk() -> None:
    assert (NANO.controls, NANO.control_frames) == (89, 32)
    assert (POCKET.controls, POCKET.control_frames) == (91, 24)


@pytest.mark.parametrize("wrong", [{"width": 440}, {"height": 240}, {"heads": 5}, {"crop": 100}, {"audio_latents": 7}])
def test_sizes_that_do_not_fit_together_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"whole number|divide|samples"):
        replace(POCKET, **wrong)  # type: ignore[arg-type]
