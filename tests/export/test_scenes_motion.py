"""Timing and poses: impacts, beats and bars are exact; subjects stay in the picture and move slowly enough."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from streamgen_export.pocket.scenes.attributes import (
    LIGHTS,
    MOTIONS,
    NONE,
    Attributes,
    motions_of,
    subjects_of,
)
from streamgen_export.pocket.scenes.motion import (
    BEAT_PICTURES,
    GROUND_Y,
    HEIGHT,
    WATERLINE_Y,
    WIDTH,
    Pose,
    bars,
    beat_phase,
    beats,
    contacts,
    poses,
)
from streamgen_export.pocket.scenes.world import PICTURES_PER_CHUNK, World, sample_world

BALL = Attributes("meadow", "clear", "ball", "red", "bounces")
STILL = replace(BALL, motion="floats")
COMBINATIONS = sorted(
    {
        (subject, motion, "sea" if subject in ("boat", "fish") else "meadow")
        for scene in LIGHTS
        for subject in subjects_of(scene)
        for motion in motions_of(scene, subject)
    }
)


def world_of(*attributes: Attributes, period: int = 16, phase: int = 3, beat: int = 0) -> World:
    return World(1, attributes, 7.5, 17.0, period, phase, 0.3, beat)


def lowest(pose: Pose) -> float:
    return pose.y + pose.radius * pose.stretch


@pytest.mark.parametrize(("period", "phase"), [(16, 0), (16, 15), (20, 7)])
def test_contacts_repeat_with_the_period(period: int, phase: int) -> None:
    world = world_of(*[BALL] * 12, period=period, phase=phase)
    assert contacts(world) == tuple(range(phase, 48, period))


def test_contacts_only_in_chunks_that_bounce() -> None:
    world = world_of(*[STILL] * 4, *[BALL] * 4, *[STILL] * 4, period=16, phase=3)
    assert contacts(world) == (19,)


def test_contacts_are_the_lowest_pictures_and_touch_the_ground() -> None:
    for seed in range(200):
        world = sample_world(seed)
        for contact in contacts(world):
            attributes = world.attributes[contact // PICTURES_PER_CHUNK]
            for pose in poses(world, attributes, contact):
                assert lowest(pose) == pytest.approx(GROUND_Y)
                assert pose.height == 0.0
            for picture in (contact - 2, contact - 1, contact + 1, contact + 2):
                assert all(lowest(pose) < GROUND_Y - 3 for pose in poses(world, attributes, picture))


def test_beats_and_bars() -> None:
    world = world_of(*[BALL] * 10, beat=3)
    assert beats(world) == (4, 12, 20, 28, 36)
    assert bars(world) == (12, 36)
    for seed in range(50):
        sampled = sample_world(seed)
        assert set(bars(sampled)) <= set(beats(sampled))
        assert all(beat_phase(sampled, picture) == 0.0 for picture in beats(sampled))
        assert all(b - a == BEAT_PICTURES for a, b in pairwise(beats(sampled)))


def test_pulses_are_largest_on_the_beat() -> None:
    pulsing = replace(BALL, motion="pulses")
    world = world_of(*[pulsing] * 10, beat=1)
    radii = [poses(world, pulsing, picture)[0].radius for picture in range(40)]
    largest = [picture for picture, radius in enumerate(radii) if radius == pytest.approx(max(radii))]
    assert tuple(largest) == beats(world)
    assert max(radii) == pytest.approx(17.0 * 1.2)
    assert min(radii) == pytest.approx(17.0 * 0.8)


@pytest.mark.parametrize(("subject", "motion", "scene"), COMBINATIONS)
def test_every_motion_stays_in_the_picture_and_is_slow_enough_to_learn(subject: str, motion: str, scene: str) -> None:
    attributes = Attributes(scene, "clear", subject, "red", motion)
    world = world_of(*[attributes] * 30)
    path = [poses(world, attributes, picture)[0] for picture in range(120)]
    crossing = motion in ("drifts", "rolls")
    for pose in path:
        assert lowest(pose) <= max(GROUND_Y, WATERLINE_Y + 3) + 1e-6
        assert pose.y - pose.radius * pose.stretch > 0
        if not crossing:
            assert pose.radius < pose.x < WIDTH - pose.radius
    for before, after in pairwise(path):
        if crossing and after.x < before.x:
            assert before.x > WIDTH + 15  # it turns round where nobody sees it
            assert after.x < -15
            continue
        step = ((after.x - before.x) ** 2 + (after.y - before.y) ** 2) ** 0.5
        assert step < (11.0 if motion == "bounces" else 5.0)


def test_places_lie_left_to_right() -> None:
    world = world_of(STILL)
    left, centre, right = (poses(world, replace(STILL, place=place), 0)[0].x for place in ("left", "centre", "right"))
    assert left < centre == WIDTH / 2 < right
    assert left + right == WIDTH


@pytest.mark.parametrize("motion", ["bounces", "floats", "pulses"])
def test_two_subjects_stand_side_by_side(motion: str) -> None:
    both = replace(BALL, motion=motion, second="ball", second_colour="blue")
    world = replace(world_of(*[both] * 10), radius=19.0)
    for picture in range(40):
        first, second = poses(world, both, picture)
        assert first.x < second.x
        assert second.x - first.x > 0.9 * (first.radius + second.radius)
        assert first.y == second.y


def test_without_a_subject_there_is_no_pose() -> None:
    alone = Attributes("sea", "clear")
    assert alone.subject == NONE
    assert poses(world_of(alone), alone, 0) == ()


def test_unknown_motion_is_refused() -> None:
    with pytest.raises(ValueError, match="add it to _pose"):
        poses(world_of(STILL), replace(STILL, motion="teleports"), 0)


def test_every_subject_is_covered() -> None:
    assert {subject for subject, _, _ in COMBINATIONS} == set(MOTIONS)
    assert HEIGHT < WIDTH
