"""The sizes fit together exactly: a chunk of pictures and a chunk of sound last equally long."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
import torch

from streamgen_export.pocket.config import CONFIGS, POCKET, POCKET_SMALL, SMOKE, PocketConfig
from streamgen_export.pocket.transformer import JointTransformer
from streamgen_export.pocket.world.attributes import (
    ALL_MOTIONS,
    CAMERAS,
    COLOURS,
    MOODS,
    PACES,
    PALETTES,
    PLACES,
    STYLES,
    SUBJECTS,
    TEMPOS,
    TIMES,
    WEATHERS,
)

both = pytest.mark.parametrize("config", [POCKET, POCKET_SMALL], ids=lambda config: config.name)


@both
def test_a_chunk_is_exact_on_both_sides(config: PocketConfig) -> None:
    numerator, denominator = config.fps
    pictures = Fraction(config.frames_per_chunk * denominator, numerator)
    assert pictures == Fraction(config.samples_per_chunk, config.sample_rate) == Fraction(6, 25)


@both
def test_a_chunk_is_a_whole_number_of_opus_packets_and_rtp_ticks(config: PocketConfig) -> None:
    assert config.samples_per_chunk * 48_000 % (config.sample_rate * 960) == 0
    assert 90_000 * config.fps[1] % config.fps[0] == 0


@both
def test_tokens_of_a_chunk(config: PocketConfig) -> None:
    assert (config.video_tokens, config.audio_tokens, config.tokens, config.slots) == (28, 3, 31, 7)


def test_what_the_page_of_the_models_says_of_the_sizes_is_so() -> None:
    page = (Path(__file__).parents[2] / "docs" / "models.md").read_text()
    with torch.device("meta"):
        counts = {config.name: JointTransformer(config) for config in (POCKET, POCKET_SMALL)}
    millions = {sum(p.numel() for p in model.parameters()) / 1e6 for model in counts.values()}
    assert {f"{count:.1f}" for count in millions} == {"19.5"}
    assert "19.5 M parameters, width 384, 8 layers, window 5, sink 1" in page
    assert f"{POCKET_SMALL.video_tokens} of picture, {POCKET_SMALL.audio_tokens} of sound" in page
    assert f"{POCKET.video_tokens} of picture, {POCKET.audio_tokens} of sound" in page
    seen = (len(PLACES), len(TIMES), len(WEATHERS), len(SUBJECTS), len(COLOURS), len(ALL_MOTIONS), len(PACES))
    assert seen == (18, 4, 6, 22, 9, 10, 3)
    assert (len(CAMERAS), len(STYLES), len(PALETTES), len(MOODS) - 1, len(TEMPOS)) == (5, 6, 5, 5, 3)
    told = " ".join(page.split())
    assert "18 places, four times of day, six weathers" in told
    assert "22 subjects in nine colours, ten motions at three paces" in told
    assert "five cameras, six drawing styles, five palettes, five moods of music in three tempos" in told


@both
def test_controls_of_a_chunk(config: PocketConfig) -> None:
    assert (config.controls, config.control_frames) == (91, 24)


def test_commands_know_the_members_by_their_names_and_not_the_one_for_trying_things_out() -> None:
    assert {name: config.name for name, config in CONFIGS.items()} == {name: name for name in CONFIGS}
    assert POCKET.smaller in CONFIGS
    assert SMOKE.name not in CONFIGS
    assert (SMOKE.rows, SMOKE.columns, SMOKE.tokens) == (POCKET.rows, POCKET.columns, POCKET.tokens)


@pytest.mark.parametrize(
    "wrong",
    [{"width": 440}, {"height": 240}, {"heads": 5}, {"upscale": 4}, {"decoder_depths": (1, 1)}, {"audio_latents": 7}],
)
def test_sizes_that_do_not_fit_together_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"whole number|divide|samples|stages|decoder"):
        replace(POCKET, **wrong)  # type: ignore[arg-type]
