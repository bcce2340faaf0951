"""Air, sky, what falls, and the places on land."""

from __future__ import annotations

from dataclasses import fields, replace
from itertools import pairwise

import numpy as np
import pytest

from streamgen_export.pocket.world.air import Air, air_of, blend
from streamgen_export.pocket.world.attributes import NONE, OUTDOORS, TIMES, WEATHERS
from streamgen_export.pocket.world.attributes import PLACES as ALL_PLACES
from streamgen_export.pocket.world.land_places import PLACES
from streamgen_export.pocket.world.places import place
from streamgen_export.pocket.world.precipitation import Precipitation
from streamgen_export.pocket.world.screen import Plane, Screen
from streamgen_export.pocket.world.sky import Sky
from streamgen_export.pocket.world.view import Place, View

SCREEN = Screen(112, 64)


def drawn(scene: Place, air: Air, *, time_s: float = 5.0, pan: float = 40.0, screen: Screen = SCREEN) -> Plane:
    """A picture of a place without subjects; what no one paints stays NaN."""
    canvas = np.full((screen.height, screen.width, 3), np.nan, np.float32)
    view = View(screen, air, time_s, 0.0, pan)
    scene.sky(canvas, view)
    scene.land(canvas, view)
    scene.before(canvas, view)
    return canvas


def brightness(picture: Plane) -> float:
    return float(picture.mean())


@pytest.mark.parametrize("time", [NONE, *TIMES])
@pytest.mark.parametrize("weather", [NONE, *WEATHERS])
def test_every_air_is_within_range(time: str, weather: str) -> None:
    air = air_of(time, weather)
    for field in fields(Air):
        value = getattr(air, field.name)
        numbers = value if isinstance(value, tuple) else (value,)
        assert all(0.0 <= number <= 1.0 for number in numbers), field.name
    assert air is air_of(time, weather)


def test_a_blend_ends_at_both_airs() -> None:
    day, storm = air_of("day", "clear"), air_of("night", "storm")
    assert blend(day, storm, 0.0) == day
    assert blend(day, storm, 1.0).rain == storm.rain == 1.0
    assert blend(day, storm, 0.5).zenith[2] == pytest.approx((day.zenith[2] + storm.zenith[2]) / 2)


@pytest.mark.parametrize("name", PLACES)
def test_a_place_fills_every_pixel_in_every_air(name: str) -> None:
    scene = place(SCREEN, name, 1, NONE)
    seen = {}
    for time in TIMES:
        for weather in OUTDOORS[name]:
            picture = drawn(scene, air_of(time, weather))
            assert picture.dtype == np.float32
            assert picture.min() >= -0.01
            assert picture.max() <= 1.25
            assert brightness(picture) > 0.04
            seen[time, weather] = picture
    assert brightness(seen["night", "clear"]) < 0.6 * brightness(seen["day", "clear"])
    assert brightness(seen["day", "storm"]) < 0.8 * brightness(seen["day", "clear"])


@pytest.mark.parametrize("name", PLACES)
def test_a_place_is_a_pure_function_of_its_view(name: str) -> None:
    air = air_of("dawn", "cloudy")
    first = drawn(PLACES[name](SCREEN, 0), air)
    again = PLACES[name](SCREEN, 0)
    drawn(again, air_of("night", "storm" if "rain" not in OUTDOORS[name] else "rain"), time_s=30.0, pan=300.0)
    assert np.array_equal(first, drawn(again, air))
    assert not np.array_equal(first, drawn(PLACES[name](SCREEN, 1), air))


@pytest.mark.parametrize("name", PLACES)
def test_air_and_time_change_a_place_without_jumps(name: str) -> None:
    scene = place(SCREEN, name, 0, NONE)
    day, storm = air_of("day", "clear"), air_of("night", "storm")
    steps = [drawn(scene, blend(day, storm, share)) for share in np.linspace(0.0, 1.0, 14)]
    whole = np.abs(steps[0] - steps[-1]).mean()
    assert max(np.abs(b - a).mean() for a, b in pairwise(steps)) < 0.25 * whole
    clear = [drawn(scene, day, time_s=5.0 + 0.06 * n, pan=40.0) for n in range(4)]
    assert max(np.abs(b - a).mean() for a, b in pairwise(clear)) < 0.02


def test_the_nearest_ground_follows_the_pan() -> None:
    scene = place(SCREEN, "meadow", 0, NONE)
    air = air_of("day", "clear")
    pixels = 8
    before, after = drawn(scene, air, pan=0.0), drawn(scene, air, pan=pixels / SCREEN.unit)
    assert np.allclose(before[-4:, pixels:], after[-4:, :-pixels], atol=1e-5)
    assert not np.allclose(before[-4:], after[-4:], atol=1e-3)
    far = slice(SCREEN.row(44), SCREEN.row(50))
    assert not np.allclose(before[far, pixels:], after[far, :-pixels], atol=1e-2), "the sky stays where it is"


def test_snow_lies_on_the_ground_and_lamps_are_lit_at_night() -> None:
    village = place(SCREEN, "village", 0, NONE)
    snowy = air_of("day", "snow")
    ground = slice(SCREEN.row(78), None)
    bare = drawn(village, replace(snowy, lying=0.0, snow=0.0))[ground]
    assert brightness(drawn(village, replace(snowy, snow=0.0))[ground]) > brightness(bare) + 0.15
    night = air_of("night", "clear")
    shine = drawn(village, night) - drawn(village, replace(night, lamps=0.0))
    assert shine.min() > -1e-5
    assert shine[..., 0].max() > 0.4


def test_nothing_falls_in_clear_air_and_rain_repeats_every_chunk() -> None:
    falling = Precipitation(SCREEN, "test")
    clear = np.full((64, 112, 3), 0.4, np.float32)
    for draw in (falling.far, falling.near):
        draw(clear, View(SCREEN, air_of("day", "clear"), 3.0, 0.0))
    assert np.array_equal(clear, np.full_like(clear, 0.4))
    air = replace(air_of("day", "rain"), distance=0.0)
    pictures = []
    for time_s in (1.0, 1.24, 1.06):
        canvas = np.full((64, 112, 3), 0.4, np.float32)
        falling.near(canvas, View(SCREEN, air, time_s, 0.0))
        pictures.append(canvas)
    assert np.allclose(pictures[0], pictures[1])
    assert np.abs(pictures[0] - pictures[2]).max() > 0.05


def test_snow_drifts_without_a_jump_where_it_repeats() -> None:
    falling = Precipitation(SCREEN, "test")
    air = replace(air_of("day", "snow"), distance=0.0)
    moved = []
    before = None
    for n in range(160):
        canvas = np.full((64, 112, 3), 0.3, np.float32)
        falling.near(canvas, View(SCREEN, air, 0.06 * n, 0.0))
        if before is not None:
            moved.append(float(np.abs(canvas - before).mean()))
        before = canvas
    assert max(moved) < 1.6 * float(np.median(moved))


def test_the_sun_stands_on_its_side_of_the_sky() -> None:
    for variant in range(3):
        sky = Sky(SCREEN, "test", variant)
        canvas = SCREEN.blank()
        sky.draw(canvas, View(SCREEN, air_of("day", NONE), 0.0, 0.0))
        column = int(canvas[: SCREEN.row(sky.horizon)].sum(axis=(0, 2)).argmax())
        assert abs(column / SCREEN.unit - sky.sun_x) < 6.0
        assert (sky.sun_x > SCREEN.span / 2) == (sky.side > 0)


@pytest.mark.parametrize("screen", [Screen(160, 96), Screen(90, 64)])
def test_other_sizes_work(screen: Screen) -> None:
    picture = drawn(PLACES["city"](screen, 2), air_of("night", "rain"), screen=screen)
    assert np.isfinite(picture).all()


def test_every_place_has_a_maker() -> None:
    for name in ALL_PLACES:
        assert callable(place(SCREEN, name, 0, NONE).land)
    assert place(SCREEN, "desert", 0, NONE) is place(SCREEN, "desert", 0, NONE)
