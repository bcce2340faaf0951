"""Subjects: where they are, when they touch, and that they are drawn there in their colour."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest

from streamgen_export.pocket.world.air import air_of
from streamgen_export.pocket.world.attributes import COLOURS, COUNTS, MOTIONS, PACES, SUBJECTS, Attributes
from streamgen_export.pocket.world.formats import PICTURES_PER_CHUNK, Format
from streamgen_export.pocket.world.motion import contacts, poses
from streamgen_export.pocket.world.palette import SHADES
from streamgen_export.pocket.world.paths import BOUNCE_CHUNKS, CROSSING_CHUNKS, LEAP_CHUNKS
from streamgen_export.pocket.world.screen import GROUND, HEIGHT, WATERLINE, Plane, Screen
from streamgen_export.pocket.world.subjects import paint_subjects
from streamgen_export.pocket.world.timeline import beat_length
from streamgen_export.pocket.world.view import Lighting, View
from streamgen_export.pocket.world.world import World, motions_in

SMALL = Format(112, 64, Fraction(50, 3))
SCREEN = Screen(112, 64)
DAY = Lighting((-0.5, -0.7), (1.0, 0.97, 0.9), 0.42, (1.0, 0.95, 0.85), (0.75, 0.85, 1.0), 0.1, shadow=0.4)


def world_of(attributes: Attributes, *, phase: int = 5, cycle: float = 0.3, chunks: int = 12) -> World:
    return World(1, SMALL, (attributes,) * chunks, 0, 0.0, 1.0, cycle, phase, 1)


def place_for(subject: str, motion: str) -> str:
    for place in ("meadow", "sea", "underwater", "space"):
        if motion in motions_in(place, subject):
            return place
    raise AssertionError(f"no place for {subject} that {motion}")


def paint(
    attributes: Attributes, picture: int, lighting: Lighting = DAY, *, screen: Screen = SCREEN
) -> tuple[Plane, Plane]:
    canvas = np.full((screen.height, screen.width, 3), 0.5, np.float32)
    cover = np.zeros((screen.height, screen.width), np.float32)
    view = View(screen, air_of("day", "clear"), 0.0, 0.0)
    paint_subjects(canvas, cover, world_of(attributes), attributes, picture, view, lighting)
    return canvas, cover


@pytest.mark.parametrize("subject", SUBJECTS)
def test_every_subject_is_seen_in_every_motion_and_only_near_its_pose(subject: str) -> None:
    for motion in MOTIONS[subject]:
        attributes = Attributes(place_for(subject, motion), subject=subject, colour="red", motion=motion)
        world = world_of(attributes)
        largest = 0.0
        for picture in (0, 7, 14, 22):
            canvas, cover = paint(attributes, picture)
            assert canvas.dtype == cover.dtype == np.float32
            assert canvas.min() >= 0.0
            assert canvas.max() <= 1.001
            largest = max(largest, float(cover.mean()))
            ((_, _, pose),) = poses(world, attributes, picture)
            far = np.abs(SCREEN.x - pose.x) > 5.6 * pose.radius + 12
            assert not cover[:, far[0]].any()
        assert largest > 0.01


@pytest.mark.parametrize("colour", COLOURS)
def test_a_subject_has_the_asked_colour(colour: str) -> None:
    for subject in SUBJECTS:
        motion = MOTIONS[subject][0]
        attributes = Attributes(place_for(subject, motion), subject=subject, colour=colour, motion=motion)
        canvas, cover = paint(attributes, 24, screen=Screen(224, 128))
        chroma = _chroma(canvas[cover > 0.95])
        strength = np.linalg.norm(chroma, axis=1)
        if colour == "white":
            assert np.median(strength) < 0.2, subject
            continue
        # By how many of its pixels have the hue of which colour.
        chroma = chroma[strength > 0.1] / strength[strength > 0.1, None]
        hues = {name: _chroma(shades.base[None])[0] for name, shades in SHADES.items() if name != "white"}
        share = {name: float((chroma @ hue > 0.93 * np.linalg.norm(hue)).mean()) for name, hue in hues.items()}
        nearest = sorted(share, key=lambda name: share[name])[-2:]
        assert colour in nearest, (subject, share)


def _chroma(colours: Plane) -> Plane:
    chroma: Plane = colours - colours.mean(axis=1, keepdims=True)
    return chroma


@pytest.mark.parametrize("pace", PACES)
def test_bounces_touch_the_ground_exactly_at_contacts(pace: str) -> None:
    attributes = Attributes("meadow", subject="ball", colour="red", motion="bounces", pace=pace, count="two")
    world = world_of(attributes)
    touched = sorted({event.picture for event in contacts(world)})
    period = BOUNCE_CHUNKS[pace] * PICTURES_PER_CHUNK
    assert touched == [p for p in range(world.pictures) if (p - 5) % period == 0]
    for picture in range(world.pictures):
        for _, _, pose in poses(world, attributes, picture):
            assert (pose.height == 0.0) == (picture in touched)
            assert pose.y + pose.radius * pose.stretch + pose.height == pytest.approx(GROUND)
            assert pose.y - pose.radius > 0


@pytest.mark.parametrize("subject", ["fish", "whale"])
@pytest.mark.parametrize("pace", PACES)
def test_splashes_are_where_the_cover_meets_the_water(subject: str, pace: str) -> None:
    attributes = Attributes("sea", subject=subject, colour="red", motion="leaps", pace=pace)
    world = world_of(attributes, chunks=24)
    events = contacts(world)
    period = LEAP_CHUNKS[pace] * PICTURES_PER_CHUNK
    ways = [event.number % 2 for event in events]
    assert all(one != other for one, other in pairwise(ways))
    assert abs(len(events) - 2 * world.pictures / period) <= 2
    for event in events:
        assert event.kind == "splash"
        assert event.y == pytest.approx(WATERLINE / HEIGHT)
        if event.number % 2:  # nothing is over the water just before it comes out
            assert paint(attributes, event.picture - 2)[1].sum() < paint(attributes, event.picture + 2)[1].sum()
    hidden = paint(attributes, world.contact_phase)[1]
    assert not hidden.any()
    rows = np.flatnonzero(paint(attributes, world.contact_phase + period // 2)[1].any(axis=1))
    assert rows.max() <= SCREEN.row(WATERLINE + 2)


def test_hops_of_a_dance_land_on_the_beat() -> None:
    attributes = Attributes("meadow", subject="robot", colour="red", motion="dances", tempo="fast")
    world = world_of(attributes)
    touched = {event.picture for event in contacts(world)}
    assert touched == {p for p in range(world.pictures) if (p - 4) % beat_length(world, "fast") == 0}
    for picture in range(world.pictures):
        ((_, _, pose),) = poses(world, attributes, picture)
        assert (pose.height < 1e-6) == (picture in touched)
    dancer = replace(attributes, subject="dancer")
    assert not contacts(world_of(dancer))


@pytest.mark.parametrize("subject", ["ball", "bird", "boat", "fish", "comet"])
def test_crossings_repeat_and_start_again_out_of_sight(subject: str) -> None:
    attributes = Attributes(place_for(subject, "drifts"), subject=subject, colour="red", motion="drifts", pace="fast")
    world = world_of(attributes, chunks=14)
    period = CROSSING_CHUNKS["fast"] * PICTURES_PER_CHUNK
    x = [poses(world, attributes, picture)[0][2].x for picture in range(period + 1)]
    assert x[-1] == pytest.approx(x[0])
    (back,) = [picture for picture in range(period) if x[picture + 1] < x[picture]]
    for picture in (back, back + 1):
        assert not paint(attributes, picture)[1].any()


def test_several_are_apart_and_a_second_is_on_the_other_side() -> None:
    for count in COUNTS:
        attributes = Attributes("meadow", subject="heart", colour="red", motion="floats", count=count)
        shown = poses(world_of(attributes), attributes, 3)
        assert len(shown) == COUNTS.index(count) + 1
        for (_, _, one), (_, _, other) in pairwise(shown):
            assert other.x - one.x > one.radius + other.radius
    pair = Attributes("meadow", subject="star", colour="red", motion="floats", second="heart", second_colour="blue")
    for side in ("left", "right"):
        attributes = replace(pair, side=side)
        where = {subject: pose.x for subject, _, pose in poses(world_of(attributes), attributes, 3)}
        assert (where["star"] < where["heart"]) == (side == "left")


def test_shadow_only_where_there_is_ground() -> None:
    attributes = Attributes("meadow", subject="ball", colour="red", motion="floats")
    ground = slice(SCREEN.row(GROUND - 3), SCREEN.row(GROUND + 3))
    assert paint(attributes, 0)[0][ground].min() < 0.45
    assert paint(replace(attributes, place="space"), 0)[0][ground].min() == 0.5


def test_mirror_paints_below_the_waterline() -> None:
    attributes = Attributes("sea", subject="boat", colour="red", motion="floats")
    below = slice(SCREEN.row(WATERLINE + 5), 64)
    assert paint(attributes, 0)[0][below].std() < 0.002
    mirrored, cover = paint(attributes, 0, replace(DAY, mirror=0.6))
    assert mirrored[below].std() > 0.01
    assert not cover[below].any()
