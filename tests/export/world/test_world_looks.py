"""Camera, styles, palettes, what happens in the sky and the abstract places."""

from dataclasses import replace
from itertools import combinations, pairwise

import numpy as np
import pytest

from streamgen_export.pocket.world.abstract_light import pulse, scheme_of, surge
from streamgen_export.pocket.world.abstract_places import PLACES
from streamgen_export.pocket.world.air import air_of
from streamgen_export.pocket.world.attributes import ABSTRACT, CAMERAS, COLOURS, NONE, PALETTES, STYLES, Attributes
from streamgen_export.pocket.world.camera import ZOOM, ZOOM_CHUNKS, framed
from streamgen_export.pocket.world.formats import POCKET
from streamgen_export.pocket.world.happenings import draw_happenings, flash_light, light_land
from streamgen_export.pocket.world.lightning import FLASH
from streamgen_export.pocket.world.palette import SHADES
from streamgen_export.pocket.world.palettes import graded
from streamgen_export.pocket.world.screen import Plane, Screen, f32, over, rgb
from streamgen_export.pocket.world.styles import stylised
from streamgen_export.pocket.world.timeline import FLASH_CHUNKS, sky_events
from streamgen_export.pocket.world.view import View
from streamgen_export.pocket.world.world import World

SCREEN = Screen(224, 128)
SIZES = (SCREEN, Screen(160, 96), Screen(112, 64), Screen(130, 74))


def view(screen: Screen = SCREEN, time_s: float = 3.0, beat: float = 2.3) -> View:
    return View(screen, air_of("night", "clear"), time_s, beat, pan=11.0)


def scene(screen: Screen, colour: str = "red", moved: float = 0.0) -> tuple[Plane, Plane]:
    """A sky, a hill and a disc before it, at `moved` units from its place."""
    canvas = np.ascontiguousarray(
        np.broadcast_to(
            screen.gradient([(0.0, rgb("#3c70c0")), (60.0, rgb("#c8dcec"))]), (screen.height, screen.width, 3)
        )
    )
    hill = screen.y - 62.0 - 6.0 * np.sin(screen.x * 0.06)
    over(canvas, rgb("#4a7a3c"), screen.cover(-hill))
    cover = screen.disc(80.0 + moved, 48.0, 17.0)
    over(canvas, SHADES[colour].base, cover)
    return canvas, cover


def world(attributes: Attributes, phase: int = 8) -> World:
    return World(0, POCKET, (attributes,) * 24, 0, 7.0, 1.0, 0.3, phase, 0)


def storm() -> Attributes:
    return Attributes("meadow", "night", "storm")


@pytest.mark.parametrize("screen", SIZES)
@pytest.mark.parametrize("style", STYLES)
def test_a_style_keeps_size_and_type_and_does_not_touch_the_coverage(screen: Screen, style: str) -> None:
    canvas, cover = scene(screen)
    before = cover.copy()
    drawn = stylised(canvas * 1.2, cover, style, view(screen))
    assert drawn.shape == canvas.shape
    assert drawn.dtype == np.float32
    assert np.isfinite(drawn).all()
    assert -0.05 < drawn.min() < drawn.max() < 1.6
    np.testing.assert_array_equal(cover, before)


def test_styles_are_unmistakable() -> None:
    canvas, cover = scene(SCREEN)
    drawn = {style: np.clip(stylised(canvas.copy(), cover, style, view()), 0, 1) for style in STYLES}
    for one, two in combinations(STYLES, 2):
        assert np.abs(drawn[one] - drawn[two]).mean() > 0.02, (one, two)


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("colour", ["red", "green", "blue", "yellow", "purple"])
def test_a_subject_keeps_its_colour_in_every_style(style: str, colour: str) -> None:
    canvas, cover = scene(SCREEN, colour)
    shown = np.clip(stylised(canvas, cover, style, view()), 0, 1)[cover > 0.99].mean(axis=0)
    names = ("red", "green", "blue", "yellow", "purple")
    chroma = {name: SHADES[name].base - SHADES[name].base.mean() for name in names}
    own = shown - shown.mean()
    closeness = {name: float(own @ c / np.linalg.norm(c)) for name, c in chroma.items()}
    assert max(closeness, key=lambda name: closeness[name]) == colour


@pytest.mark.parametrize("style", ["natural", "watercolour", "ink", "neon", "paper"])
def test_a_style_changes_smoothly_when_something_moves_smoothly(style: str) -> None:
    drawn = [stylised(*scene(SCREEN, moved=0.08 * i), style, view()) for i in range(6)]
    steps = [np.abs(b - a).mean() for a, b in pairwise(drawn)]
    whole = np.abs(drawn[-1] - drawn[0]).mean()
    assert max(steps) < 0.45 * whole + 1e-4
    # What does not move at all does not change at all.
    np.testing.assert_array_equal(drawn[0][:8], drawn[-1][:8])


def test_pixel_art_has_a_fixed_grid() -> None:
    drawn = stylised(*scene(SCREEN), "pixel", view())
    cells = drawn.reshape(64, 2, 112, 2, 3)
    np.testing.assert_allclose(cells, np.broadcast_to(cells[:, :1, :, :1], cells.shape), atol=1e-6)


@pytest.mark.parametrize("palette", ["natural", "warm", "cool", "pastel"])
def test_colours_stay_tellable_in_a_palette(palette: str) -> None:
    swatches = np.stack([SHADES[colour].base for colour in COLOURS])[None].repeat(9, axis=0)
    shown = graded(f32(swatches), palette, Screen(9, 9))[4]
    natural = swatches[0]
    for i, colour in enumerate(COLOURS):
        closeness = [np.corrcoef(shown[i], other)[0, 1] for other in natural]
        if colour != "white":
            assert closeness[i] > 0.75, colour
        others = np.delete(np.linalg.norm(shown - shown[i], axis=1), i)
        assert others.min() > 0.12, colour


def test_mono_is_grey_and_warm_is_warmer_than_cool() -> None:
    canvas, _ = scene(SCREEN)
    drawn = {palette: graded(canvas.copy(), palette, SCREEN) for palette in PALETTES}
    assert np.ptp(drawn["mono"], axis=-1).max() < 1e-4
    warmth = {palette: float((picture[..., 0] - picture[..., 2]).mean()) for palette, picture in drawn.items()}
    assert warmth["cool"] + 0.1 < warmth["natural"] < warmth["warm"] - 0.1
    assert drawn["pastel"].min() > 0.2


@pytest.mark.parametrize("camera", CAMERAS)
def test_the_camera_is_periodic_and_shows_no_border(camera: str) -> None:
    canvas, cover = scene(SCREEN)
    inner = np.zeros_like(cover)
    inner[4:-4, 4:-4] = 1.0
    widest = 1.0
    for step in range(40):
        seen, _ = framed(inner, cover, camera, view(time_s=0.31 * step))
        widest = min(widest, float(seen[:, SCREEN.width // 2].mean()))
    if camera == "sway":
        # A border would mirror the picture: at least the outermost pixels are never seen.
        assert widest > float(inner[:, SCREEN.width // 2].mean())
    elif camera == "zoom":
        period_s = ZOOM_CHUNKS * POCKET.chunk_s
        first, _ = framed(canvas, cover, camera, view(time_s=1.0))
        again, _ = framed(canvas, cover, camera, view(time_s=1.0 + period_s))
        np.testing.assert_allclose(first, again, atol=1e-3)
        _, far = framed(canvas, cover, camera, view(time_s=0.0))
        _, near = framed(canvas, cover, camera, view(time_s=period_s / 2))
        assert near.sum() / far.sum() == pytest.approx(ZOOM**2, rel=0.03)
    else:
        assert framed(canvas, cover, camera, view())[0] is canvas


@pytest.mark.parametrize("happening", ["fireworks", "aurora", "shooting_stars"])
@pytest.mark.parametrize("screen", SIZES)
def test_happenings_only_add_light(happening: str, screen: Screen) -> None:
    shown = Attributes("meadow", "night", "clear", happening)
    clip = world(shown)
    brightest = 0.0
    for picture in range(0, 48, 5):
        canvas = np.full((screen.height, screen.width, 3), 0.1, np.float32)
        draw_happenings(canvas, clip, shown, picture, view(screen))
        assert canvas.dtype == np.float32
        assert canvas.min() >= 0.1 - 1e-6
        assert canvas.max() <= 1.0
        brightest = max(brightest, float(canvas.max()))
    assert brightest > 0.6


def test_nothing_happens_without_a_happening() -> None:
    shown = Attributes("meadow", "night", "clear")
    canvas = SCREEN.blank()
    for picture in range(48):
        draw_happenings(canvas, world(shown), shown, picture, view())
    assert not canvas.any()


def test_a_burst_expands_from_its_centre_and_fades() -> None:
    shown = Attributes("meadow", "night", "clear", "fireworks")
    clip = world(shown)
    event = next(event for event in sky_events(clip) if event.kind == "burst")
    reach = []
    for age in (2, 7, 12):
        canvas = SCREEN.blank()
        draw_happenings(canvas, clip, shown, event.picture + age, view())
        bright = canvas.max(axis=-1) > 0.4
        away = np.hypot(SCREEN.x - event.x * SCREEN.span, SCREEN.y - event.y * 96.0)
        reach.append(float(away[bright & (away < 40.0)].max()))
    assert reach[0] + 5.0 < reach[1] < reach[2]


def test_lightning_is_no_strobe() -> None:
    clip, shown = world(storm()), storm()
    light = np.array([flash_light(clip, shown, picture) for picture in range(clip.pictures)])
    events = [event.picture for event in sky_events(clip) if event.kind == "flash"]
    rises = np.flatnonzero((np.diff(light) > 0) & (light[:-1] == 0.0)) + 1
    assert list(rises) == [picture for picture in events if picture > 0]
    # Each flash rises once and falls once, and has gone long before the next.
    peak = int(np.argmax(FLASH))
    assert peak <= 1
    assert all(np.diff(FLASH[peak:]) < 0)
    assert len(FLASH) < FLASH_CHUNKS * 4 / 2
    assert 1.0 / (FLASH_CHUNKS * POCKET.chunk_s) < 3.0
    assert flash_light(clip, replace(shown, weather="rain"), events[0]) == 0.0


def test_a_flash_lights_sky_and_land_but_not_too_much() -> None:
    clip, shown = world(storm()), storm()
    event = next(event for event in sky_events(clip) if event.kind == "flash")
    canvas = np.full((SCREEN.height, SCREEN.width, 3), 0.2, np.float32)
    draw_happenings(canvas, clip, shown, event.picture + 1, view())
    assert 0.1 < canvas.mean() - 0.2 < 0.35
    ground = np.full((SCREEN.height, SCREEN.width, 3), 0.2, np.float32)
    light_land(ground, 1.0, SCREEN)
    assert ground[-1].mean() > 0.3
    np.testing.assert_array_equal(ground[0], np.float32(0.2))


def test_the_surge_is_continuous_and_whole_at_a_beat() -> None:
    beats = np.linspace(-2.0, 3.0, 2001)
    gone = np.array([surge(float(beat)) for beat in beats])
    steps = np.diff(gone)
    assert steps.min() >= 0.0
    assert steps.max() < 0.01
    assert surge(3.0) == 3.0
    assert gone[1600] - gone[1500] < gone[1300] - gone[1200] + 1.0
    light = np.array([pulse(float(beat)) for beat in beats])
    assert np.abs(np.diff(light)).max() < 0.05
    assert pulse(2.0) == 1.0


def test_there_is_a_place_for_every_abstract_name() -> None:
    assert tuple(PLACES) == ABSTRACT


@pytest.mark.parametrize("name", ABSTRACT)
@pytest.mark.parametrize("screen", SIZES)
def test_an_abstract_place_fills_the_picture_and_has_no_jump_at_a_beat(name: str, screen: Screen) -> None:
    place = PLACES[name](screen, "cyan")
    drawn = []
    for beat in (2.98, 3.0, 3.02, 3.5):
        canvas = np.full((screen.height, screen.width, 3), np.nan, np.float32)
        place.sky(canvas, view(screen, beat=beat))
        place.land(canvas, view(screen, beat=beat))
        place.before(canvas, view(screen, beat=beat))
        assert canvas.dtype == np.float32
        assert np.isfinite(canvas).all()
        assert canvas.min() >= 0.0
        assert canvas.max() <= 1.0
        drawn.append(canvas)
    jump, later, far = (np.abs(drawn[a] - drawn[b]).mean() for a, b in ((0, 1), (1, 2), (1, 3)))
    assert jump < 0.6 * far
    assert later < 0.6 * far
    assert far > 0.005


@pytest.mark.parametrize("name", ABSTRACT)
def test_the_light_of_an_abstract_place_has_the_asked_colour(name: str) -> None:
    def mean_of(colour: str) -> Plane:
        canvas = SCREEN.blank()
        total = np.zeros(3)
        place = PLACES[name](SCREEN, colour)
        for beat in (0.2, 3.6, 7.1):
            place.sky(canvas, view(beat=beat))
            total += canvas.mean(axis=(0, 1))
        return f32(total / 3)

    chroma = {c: scheme_of(c).base - scheme_of(c).base.mean() for c in COLOURS if c != "white"}
    strength = []
    for colour in chroma:
        shown = mean_of(colour)
        strength.append(float(np.ptp(shown)))
        own = shown - shown.mean()
        closeness = {c: float(own @ v / np.linalg.norm(v)) for c, v in chroma.items()}
        assert max(closeness, key=lambda c: closeness[c]) == colour
    # Without a colour of its own it is dark and has less of a hue than with any.
    quiet = mean_of(NONE)
    assert np.ptp(quiet) < 0.85 * min(strength)
    assert quiet.mean() < 0.3
