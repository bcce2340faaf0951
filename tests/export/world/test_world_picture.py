"""Whole pictures of the world: pure, of any size, and turning from one segment into the next without a jump."""

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from streamgen_export.pocket.world.attributes import NONE, Attributes
from streamgen_export.pocket.world.clip import render_clip
from streamgen_export.pocket.world.formats import Format
from streamgen_export.pocket.world.picture import FADE_PICTURES, render_pictures
from streamgen_export.pocket.world.world import World, sample_world

SMALL = Format(112, 64, Fraction(50, 3))
MEADOW = Attributes("meadow", "day", "clear")


def world(*shown: Attributes, seed: int = 4) -> World:
    return replace(sample_world(seed, SMALL, chunks=len(shown)), attributes=shown)


def luminance(rgb: NDArray[np.uint8]) -> NDArray[np.float64]:
    means: NDArray[np.float64] = rgb.mean(axis=(1, 2, 3))
    return means


def test_a_clip_is_a_pure_function_of_its_seed_and_has_everything() -> None:
    one, two = (render_clip(21, SMALL, chunks=3) for _ in range(2))
    np.testing.assert_array_equal(one.pictures.rgb, two.pictures.rgb)
    np.testing.assert_array_equal(one.controls.tones, two.controls.tones)
    assert one.captions == two.captions
    assert one.pictures.rgb.shape == (12, 64, 112, 3)
    assert one.pictures.subject.shape == (12, 64, 112)
    assert len(one.controls.tones) == len(one.controls.noise) == len(one.controls.balance) == 3 * 24


def test_night_falls_gradually() -> None:
    night = replace(MEADOW, time="night")
    light = luminance(render_pictures(world(MEADOW, *(night,) * 3)).rgb)
    assert light[-1] < 0.6 * light[0]
    falling = light[3 : 4 + FADE_PICTURES]
    assert (np.diff(falling) < 1).all(), "it only gets darker"
    assert np.abs(np.diff(falling)).max() < 0.35 * (light[0] - light[-1])
    np.testing.assert_allclose(light[4 + FADE_PICTURES - 1 :], light[-1], rtol=0.03)


def test_another_place_dissolves() -> None:
    space = Attributes("space")
    rgb = render_pictures(world(MEADOW, *(space,) * 3)).rgb.astype(float)
    start, end = rgb[3], rgb[-1]
    towards = [float(((p - start) * (end - start)).sum() / ((end - start) ** 2).sum()) for p in rgb[4:12]]
    assert (np.diff(towards) > -0.02).all()
    assert 0.3 < towards[3] < 0.7
    assert towards[-1] > 0.9


def test_the_cover_is_where_the_subject_is() -> None:
    with_ball = replace(MEADOW, subject="ball", colour="red", motion="floats", side="right")
    shown, empty = (render_pictures(world(a, seed=9)) for a in (with_ball, MEADOW))
    assert not empty.subject.any()
    cover = shown.subject[0] > 200
    assert 0.02 < cover.mean() < 0.3
    difference = np.abs(shown.rgb[0].astype(int) - empty.rgb[0]).sum(axis=2)
    assert difference[cover].mean() > 20 * difference[:, :28].mean()
    assert np.nonzero(cover)[1].mean() > 0.55 * 112


CHANGED: dict[str, Callable[[Attributes], Attributes]] = {
    "style": lambda a: replace(a, style="ink"),
    "palette": lambda a: replace(a, palette="mono"),
    "weather": lambda a: replace(a, weather="snow"),
    "happening": lambda a: replace(a, time="night", happening="aurora"),
    "camera": lambda a: replace(a, camera="zoom"),
}


@pytest.mark.parametrize("name", sorted(CHANGED))
def test_every_attribute_shows(name: str) -> None:
    other = CHANGED[name](MEADOW)
    before = replace(MEADOW, time="night") if name == "happening" else MEADOW
    one, two = (render_pictures(world(a, a, a)).rgb.astype(int) for a in (before, other))
    assert np.abs(one - two).mean() > 2


def test_a_panning_camera_moves_the_ground_and_a_still_one_does_not() -> None:
    def moved(camera: str) -> float:
        rgb = render_pictures(world(*(replace(MEADOW, camera=camera),) * 2)).rgb[:, 50:].astype(int)
        return float(np.abs(rgb[-1] - rgb[0]).mean())

    assert moved("right") > 4 * moved("still")


def test_a_storm_lightens_the_land_for_a_moment() -> None:
    storm = replace(MEADOW, time="night", weather="storm", subject=NONE)
    stormy = replace(world(*(storm,) * 4), contact_phase=4)
    light = luminance(render_pictures(stormy).rgb)
    assert light[4] > light[3] + 4
    assert abs(light[15] - light[3]) < 3
