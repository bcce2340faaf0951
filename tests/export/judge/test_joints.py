"""Seams between chunks are found where they are put in, and only there."""

from __future__ import annotations

import numpy as np
import pytest

from streamgen_export.pocket.judge.joints import joints, seams
from streamgen_export.pocket.judge.takes import Footage, Take, taken
from streamgen_export.pocket.world.formats import PICTURES_PER_CHUNK
from tests.export.judge.material import BLUE, FORM, MEADOW, brief

CHUNKS = 6


def steady(jump: float, changes: bool = False) -> Take:
    """Even motion and noise, with an extra jump of brightness and level at each joint."""
    rng = np.random.default_rng(0)
    parts: list[Footage] = []
    for chunk in range(CHUNKS):
        video = np.zeros((PICTURES_PER_CHUNK, 8, 8, 3), np.uint8)
        for picture in range(PICTURES_PER_CHUNK):
            video[picture] = 20 + 2 * (chunk * PICTURES_PER_CHUNK + picture) + int(jump * chunk)
        audio = 0.1 * rng.standard_normal((2, FORM.samples_per_chunk)).astype(np.float32)
        parts.append((video, audio * np.float32(1 + jump * (chunk % 2))))
    wanted = (MEADOW,) * 3 + (BLUE if changes else MEADOW,) * 3
    return taken(FORM, brief(wanted), parts)


def test_even_material_has_no_seam_and_a_jump_is_one() -> None:
    even = joints([seams(steady(0))])
    assert even.joints == CHUNKS - 1
    assert even.picture == pytest.approx(1.0)
    assert even.sound_flux == pytest.approx(1.0, abs=0.15)
    jumping = joints([seams(steady(6))])
    assert jumping.picture == pytest.approx(4.0)
    assert jumping.sound_flux is not None
    assert jumping.sound_flux > 1.5


def test_the_chunks_around_a_change_are_not_looked_at() -> None:
    # Joints before chunks 3 and 4 are left out of five.
    assert joints([seams(steady(6, changes=True))]).joints == 3


def test_nothing_to_compare_is_none() -> None:
    assert joints([]).picture is None
