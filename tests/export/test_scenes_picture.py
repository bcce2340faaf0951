"""Pictures: shapes, determinism, colours, change inside a clip, and motion that agrees with the poses."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from streamgen_export.pocket.scenes.attributes import (
    COLOURS,
    LIGHTS,
    MOTIONS,
    Attributes,
    motions_of,
    subjects_of,
)
from streamgen_export.pocket.scenes.backdrops import VARIANTS, backdrop
from streamgen_export.pocket.scenes.canvas import Moment, Scroll, texture
from streamgen_export.pocket.scenes.clip import captions_of, changed_fields, render_clip
from streamgen_export.pocket.scenes.motion import contacts, poses
from streamgen_export.pocket.scenes.picture import render_pictures
from streamgen_export.pocket.scenes.world import World, sample_world

SCENES = [(scene, light) for scene, lights in LIGHTS.items() for light in lights]


def world_of(*attributes: Attributes, seed: int = 0) -> World:
    return World(seed, attributes, 7.5, 17.0, 16, 5, 0.3, 0)


def rows_of(mask: NDArray[np.uint8]) -> tuple[int, int]:
    rows = np.flatnonzero((mask > 128).any(axis=1))
    return int(rows[0]), int(rows[-1])


@pytest.mark.parametrize(("scene", "light"), SCENES)
def test_every_scene_moves_without_strobing(scene: str, light: str) -> None:
    colour = "purple" if scene == "pulses" else "none"
    pictures = render_pictures(world_of(*[Attributes(scene, light, colour=colour)] * 4))
    assert pictures.rgb.shape == (16, 96, 160, 3)
    assert pictures.rgb.dtype == np.uint8
    assert pictures.subject.shape == (16, 96, 160)
    assert pictures.subject.dtype == np.uint8
    assert not pictures.subject.any()
    video = pictures.rgb.astype(np.float32)
    changes = np.abs(np.diff(video, axis=0)).mean(axis=(1, 2, 3))
    assert changes.min() > 0.05
    assert np.abs(np.diff(video.mean(axis=(1, 2, 3)))).max() < 8.0
    assert video[0].std() > 10.0


@pytest.mark.parametrize(("scene", "light"), SCENES)
@pytest.mark.parametrize("variant", range(VARIANTS))
def test_layers_work_in_float32(scene: str, light: str, variant: int) -> None:
    scenery = backdrop(scene, light, variant)
    moment = Moment(33.3, 5, 0.4)
    canvas = scenery.draw(moment)
    for layer in scenery.before:
        layer.draw(canvas, moment)
    assert canvas.dtype == np.float32
    assert canvas.shape == (96, 160, 3)
    assert canvas.min() > -0.1
    assert canvas.max() < 1.3


def test_scenes_are_told_apart_by_their_mean_picture() -> None:
    means = {}
    for scene, light in SCENES:
        picture = render_pictures(world_of(Attributes(scene, light))).rgb[0].astype(np.float32)
        means[scene, light] = picture.reshape(6, 16, 10, 16, 3).mean(axis=(1, 3))
    names = list(means)
    for i, a in enumerate(names):
        for b in names[i + 1 :]:
            assert np.abs(means[a] - means[b]).mean() > 5.0, (a, b)


@pytest.mark.parametrize("subject", list(MOTIONS))
def test_every_subject_shows_its_colour_in_any_light(subject: str) -> None:
    possible = [(scene, light) for scene, light in SCENES if subject in subjects_of(scene)]
    # Each subject in five scenes; the next subject starts one further, so that every scene has its turn.
    start = list(MOTIONS).index(subject)
    for scene, light in (possible * 2)[start % len(possible) :][:: max(1, len(possible) // 5)][:5]:
        motion = motions_of(scene, subject)[-1]
        seen = {}
        for colour in COLOURS:
            attributes = Attributes(scene, light, subject, colour, motion)
            pictures = render_pictures(replace(world_of(attributes), cycle=0.4))
            where = pictures.subject[0] > 250
            assert where.sum() > 150, (scene, light, colour)
            seen[colour] = pictures.rgb[0][where].astype(np.float32).mean(axis=0)
        for i, a in enumerate(COLOURS):
            for b in COLOURS[i + 1 :]:
                assert np.abs(seen[a] - seen[b]).sum() > 30.0, (scene, light, a, b)


@pytest.mark.parametrize("subject", [s for s in MOTIONS if "bounces" in MOTIONS[s]])
def test_a_bouncing_subject_is_lowest_exactly_at_its_contacts(subject: str) -> None:
    scene = "sea" if subject == "fish" else "desert"
    world = world_of(*[Attributes(scene, "clear", subject, "blue", "bounces")] * 10)
    masks = render_pictures(world).subject
    centres = [float(np.average(np.arange(96), weights=mask.sum(axis=1))) for mask in masks]
    found = [p for p in range(1, 39) if centres[p] > centres[p - 1] and centres[p] > centres[p + 1]]
    assert tuple(found) == contacts(world) == (5, 21, 37)
    assert all(abs(rows_of(masks[p])[1] - 83) <= 2 for p in found)


def test_the_mask_lies_where_the_poses_say() -> None:
    for seed in range(40):
        world = sample_world(seed, chunks=1)
        masks = render_pictures(world).subject
        attributes = world.attributes[0]
        shown = poses(world, attributes, 3)
        assert masks[3].any() == any(-pose.radius < pose.x < 160 + pose.radius for pose in shown)
        if len(shown) == 1 and 30 < shown[0].x < 130:
            columns = np.average(np.arange(160) + 0.5, weights=masks[3].sum(axis=0))
            assert abs(columns - shown[0].x) < 5.0


def test_a_change_is_complete_in_the_fourth_picture() -> None:
    old = Attributes("meadow", "clear", "ball", "red", "floats")
    new = Attributes("city", "misty", "cube", "cyan", "spins", mood="tense")
    changing = render_pictures(world_of(*[old] * 3, *[new] * 3))
    before, after = render_pictures(world_of(*[old] * 6)), render_pictures(world_of(*[new] * 6))
    np.testing.assert_array_equal(changing.rgb[:12], before.rgb[:12])
    np.testing.assert_array_equal(changing.rgb[15:], after.rgb[15:])
    np.testing.assert_array_equal(changing.subject[15:], after.subject[15:])
    distance = [
        np.abs(changing.rgb[picture].astype(np.float32) - after.rgb[picture]).mean() for picture in range(11, 16)
    ]
    assert all(b < a for a, b in pairwise(distance))


def test_rendering_is_a_pure_function_of_the_world() -> None:
    for seed in (3, 11):
        world = sample_world(seed)
        first, second = render_pictures(world), render_pictures(world)
        np.testing.assert_array_equal(first.rgb, second.rgb)
        np.testing.assert_array_equal(first.subject, second.subject)


def test_pulses_follow_the_beat() -> None:
    world = world_of(*[Attributes("pulses", "bright", colour="green")] * 8)
    video = render_pictures(world).rgb.astype(np.float32)
    centre = video[:, 47:49, 79:81].mean(axis=(1, 2, 3))
    assert [p for p in range(1, 31) if centre[p] >= centre[p - 1] and centre[p] > centre[p + 1]] == [8, 16, 24]


def test_rain_looks_the_same_in_every_chunk() -> None:
    scenery = backdrop("rain", "stormy", 0)
    rain = scenery.before[0]
    canvases = []
    for picture in (1, 5):
        canvas = np.zeros((96, 160, 3), np.float32)
        rain.draw(canvas, Moment(4.0, picture, 0.0))
        canvases.append(canvas)
    np.testing.assert_array_equal(canvases[0], canvases[1])
    assert canvases[0].max() > 0.1


def test_scrolling_is_periodic_and_exact_at_whole_pixels() -> None:
    layer = texture("test", 8, 200, (40.0, 6.0))
    assert layer.mean() == pytest.approx(0.0, abs=1e-5)
    assert layer.std() == pytest.approx(1.0, rel=1e-4)
    scroll = Scroll(layer)
    np.testing.assert_allclose(scroll.at(50.0), np.roll(layer, -50, axis=1)[:, :160])
    np.testing.assert_allclose(scroll.at(250.0), scroll.at(50.0))
    np.testing.assert_allclose(scroll.at(-0.5), (np.roll(layer, 1, 1)[:, :160] + layer[:, :160]) / 2, atol=1e-6)


def test_a_clip_has_everything_of_the_same_length() -> None:
    clip = render_clip(5, chunks=6)
    assert clip.world == sample_world(5, chunks=6)
    assert len(clip.captions) == 6
    assert clip.pictures.rgb.shape[0] == 24
    assert clip.controls.tones.shape == (192, 73)
    assert clip.controls.noise.shape == (192, 16)


def test_captions_change_exactly_with_the_segments() -> None:
    several = 0
    for seed in range(60):
        world = sample_world(seed)
        captions = captions_of(world)
        assert captions == captions_of(world)
        assert all(captions)
        for first, end, _ in world.segments:
            assert len(set(captions[first:end])) == 1
        several += len(world.segments) > 1
    assert several > 10


def test_changed_fields_names_what_differs() -> None:
    old = Attributes("meadow", "clear", "ball", "red", "floats")
    assert changed_fields(old, old) == ()
    assert changed_fields(old, replace(old, colour="blue", mood="tense")) == ("colour", "mood")
