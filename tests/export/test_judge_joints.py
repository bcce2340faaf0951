"""Seams between chunks are found where they are put in, and only there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from streamgen_export.pocket.judge.joints import joints
from streamgen_export.pocket.judge.takes import Take
from streamgen_export.pocket.scenes.world import PICTURES_PER_CHUNK, SAMPLES_PER_CHUNK
from tests.export.judge_material import BLUE_SEA, SEA, take


def steady(jump: float) -> Take:
    """Even motion and noise, with an extra jump of brightness and level at each joint."""
    rng = np.random.default_rng(0)
    chunks = 6
    video = np.zeros((chunks * PICTURES_PER_CHUNK, 8, 8, 3), np.uint8)
    audio = 0.1 * rng.standard_normal((2, chunks * SAMPLES_PER_CHUNK)).astype(np.float32)
    for index in range(len(video)):
        video[index] = 20 + 2 * index + int(jump * (index // PICTURES_PER_CHUNK))
    for chunk in range(chunks):
        audio[:, chunk * SAMPLES_PER_CHUNK : (chunk + 1) * SAMPLES_PER_CHUNK] *= 1 + jump * (chunk % 2)
    return Take(video, audio, (SEA,) * chunks, ("p",) * chunks)


def test_even_material_has_no_seam_and_a_jump_is_one() -> None:
    even = joints([steady(0)])
    assert even.joints == 5
    assert even.picture == pytest.approx(1.0)
    assert even.sound_flux == pytest.approx(1.0, abs=0.15)
    jumping = joints([steady(6)])
    assert jumping.picture == pytest.approx(4.0)
    assert jumping.sound_flux is not None
    assert jumping.sound_flux > 1.5


def test_a_click_at_every_joint_shows_in_the_samples() -> None:
    clicking = steady(0)
    audio = np.zeros_like(clicking.audio) + np.sin(np.arange(clicking.audio.shape[1]) / 20).astype(np.float32) * 0.1
    smooth = joints([replace(clicking, audio=audio)])
    clicked = audio.copy()
    clicked[:, ::SAMPLES_PER_CHUNK] += 0.1
    found = joints([replace(clicking, audio=clicked)])
    assert smooth.sound_step is not None
    assert found.sound_step is not None
    assert smooth.sound_step < 2
    assert found.sound_step > 5


def test_a_change_of_prompt_is_not_a_seam() -> None:
    changed = replace(steady(6), wanted=(SEA,) * 3 + (BLUE_SEA,) * 3)
    assert joints([changed]).joints == 4


def test_nothing_to_compare_is_none() -> None:
    one = replace(take((SEA,)), video=np.zeros((4, 8, 8, 3), np.uint8))
    assert joints([one]).picture is None
