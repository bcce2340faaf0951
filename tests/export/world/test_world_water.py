"""The places of water, space and fire: what they show, that they move smoothly, and that they have no end."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from streamgen_export.pocket.world.air import Air, air_of
from streamgen_export.pocket.world.attributes import times_of, weathers_of
from streamgen_export.pocket.world.breakers import Breakers
from streamgen_export.pocket.world.coast import coast
from streamgen_export.pocket.world.glow_places import PLACES as GLOW_PLACES
from streamgen_export.pocket.world.screen import WATERLINE, Plane, Screen, f32
from streamgen_export.pocket.world.view import Place, View
from streamgen_export.pocket.world.water import Water
from streamgen_export.pocket.world.water_places import PLACES as WATER_PLACES

SMALL = Screen(112, 64)
PLACES = {**WATER_PLACES, **GLOW_PLACES}
PICTURE_S = 0.06


def painted(place: Place, air: Air, time_s: float = 3.0, pan: float = 50.0, screen: Screen = SMALL) -> Plane:
    view = View(screen, air, time_s, 0.0, pan)
    canvas = screen.blank()
    place.sky(canvas, view)
    place.land(canvas, view)
    place.before(canvas, view)
    return canvas


@pytest.fixture(scope="module")
def places() -> dict[str, Place]:
    return {name: make(SMALL, 0) for name, make in PLACES.items()}


def airs(name: str) -> list[Air]:
    return [air_of(time, weather) for time, weather in itertools.product(times_of(name), weathers_of(name))]


@pytest.mark.parametrize("name", PLACES)
def test_all_airs_give_pictures(places: dict[str, Place], name: str) -> None:
    for air in airs(name):
        canvas = painted(places[name], air)
        assert canvas.dtype == np.float32
        assert canvas.shape == (64, 112, 3)
        assert np.isfinite(canvas).all()
        assert canvas.min() > -0.01
        assert canvas.max() < 2.0
        assert canvas.std() > 0.02


@pytest.mark.parametrize("name", PLACES)
def test_a_picture_depends_on_its_view_alone(places: dict[str, Place], name: str) -> None:
    air = airs(name)[-1]
    first = painted(places[name], air)
    painted(places[name], airs(name)[0], 7.0, 300.0)
    np.testing.assert_array_equal(painted(places[name], air), first)


@pytest.mark.parametrize("name", PLACES)
@pytest.mark.parametrize("pan", [0.0, 1.5])
def test_pictures_change_but_little(places: dict[str, Place], name: str, pan: float) -> None:
    """Without rain, whose streaks are the business of another part."""
    air = airs(name)[0]
    step = np.abs(painted(places[name], air, 3.0 + PICTURE_S, 50.0 + pan) - painted(places[name], air, 3.0, 50.0))
    assert 1e-5 < step.mean() < 0.05


@pytest.mark.parametrize("name", PLACES)
@pytest.mark.parametrize("variant", [0, 1, 2])
def test_variants_differ_and_any_size_works(name: str, variant: int) -> None:
    screen = Screen(84, 48)
    air = airs(name)[0]
    one = painted(PLACES[name](screen, variant), air, screen=screen)
    other = painted(PLACES[name](screen, (variant + 1) % 3), air, screen=screen)
    assert np.abs(one - other).mean() > 1e-3


@pytest.mark.parametrize("name", PLACES)
def test_long_pans_stay_sharp(places: dict[str, Place], name: str) -> None:
    """Scrolled through for an hour, a place has as much detail as at the start."""
    air = airs(name)[0]

    def detail(pan: float) -> float:
        canvas = painted(places[name], air, 3.0 + pan / 25.0, pan)
        return float(np.abs(np.diff(canvas, axis=1)).mean() + np.abs(np.diff(canvas, axis=0)).mean())

    assert detail(90_000.0) == pytest.approx(detail(40.0), rel=0.5)


def test_the_moon_lays_a_path_on_the_sea() -> None:
    screen = SMALL
    air = air_of("night", "clear")
    canvas = np.full((64, 112, 3), 0.1, np.float32)
    Water(screen, "test", 48.0).draw(canvas, View(screen, air, 3.0, 0.0), 40.0)
    rows = slice(screen.row(52), screen.row(80))
    below = canvas[rows, screen.column(32) : screen.column(48)].mean()
    beside = canvas[rows, screen.column(110) : screen.column(126)].mean()
    assert below > 1.5 * beside


def test_water_mirrors_what_is_above_it() -> None:
    screen = SMALL
    canvas = screen.blank()
    canvas[: screen.row(48), : screen.width // 2] = (1.0, 0.0, 0.0)
    Water(screen, "test", 48.0).draw(canvas, View(screen, air_of("day", "cloudy"), 3.0, 0.0), 40.0)
    row = canvas[screen.row(60)]
    assert row[: screen.width // 2 - 12, 0].mean() > row[screen.width // 2 + 12 :, 0].mean() + 0.2


def test_boats_have_water_below_them(places: dict[str, Place]) -> None:
    """The colour at the waterline follows the sky above, as only water does."""
    for name in ("sea", "coast", "river"):
        day, night = (painted(places[name], air_of(time, "clear")) for time in ("day", "night"))
        row = SMALL.row(WATERLINE) + 2
        assert day[row].mean() > night[row].mean() + 0.1


def test_storm_waves_rise_with_the_wind_and_carry_foam() -> None:
    breakers = Breakers(SMALL, "test", 48.0)

    def over_black(wind: float) -> Plane:
        canvas = SMALL.blank()
        breakers.draw(canvas, View(SMALL, replace(air_of("day", "storm"), wind=wind), 3.0, 0.0))
        return f32(canvas.mean(axis=-1))

    assert over_black(0.35).max() == 0.0
    assert 0.0 < over_black(0.6).mean() < over_black(1.0).mean()
    water = over_black(1.0)[SMALL.row(60) : SMALL.row(76)]
    assert np.quantile(water, 0.99) > 1.8 * np.median(water)


def test_the_lighthouse_turns_at_night_and_is_dark_by_day() -> None:
    place = coast(SMALL, 0)
    rows = slice(0, SMALL.row(40))

    def turning(time: str, weather: str) -> float:
        # Seconds in which clouds hardly move, but the lamp turns by a sixth.
        a, b = (painted(place, air_of(time, weather), t)[rows] for t in (0.0, 1.2))
        return float(np.abs(a - b).mean())

    assert turning("night", "clear") > 2.0 * turning("day", "clear")
