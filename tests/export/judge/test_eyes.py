"""The judge's eyes learn what is there, and nothing where nothing is to be learnt."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from streamgen_export.pocket.judge import eye, gait, glimpse, spotter
from streamgen_export.pocket.judge.flow import COLUMNS, ROWS, flow_of
from streamgen_export.pocket.judge.lessons import ClipLesson, PictureLesson
from streamgen_export.pocket.judge.takes import NEAR
from streamgen_export.pocket.world.attributes import VOCABULARY, Attributes
from tests.export.judge.material import BLUE, MEADOW, take

Picture = NDArray[np.uint8]


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def shape(seed: int, subject: str = "ball") -> tuple[Picture, Picture, Attributes]:
    """A near picture [128, 224, 3] with a red or blue ball or ring somewhere on grey, its mask and what it is."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: NEAR[1], : NEAR[0]]
    away = np.hypot(y - rng.integers(30, 98), x - rng.integers(30, 194))
    mask = (away < 22) & (away > (11 if subject == "ring" else -1))
    picture = np.full((NEAR[1], NEAR[0], 3), 110, np.uint8)
    picture[mask] = (220, 40, 40) if seed // 2 % 2 else (40, 40, 220)
    shown = replace(MEADOW if seed // 2 % 2 else BLUE, subject=subject)
    return picture, np.where(mask, 255, 0).astype(np.uint8), shown


def lesson(picture: Picture, cover: Picture, shown: Attributes) -> PictureLesson:
    centre = glimpse.centre_of(cover)
    return PictureLesson(picture, eye.shrink_mask(cover), centre, glimpse.worth_learning(cover), shown)


def colours_right(trained: eye.Eye) -> float:
    right = []
    for seed in range(100, 116):
        picture, _, shown = shape(seed)
        scores = eye.look(trained, picture[None]).scores["colour"]
        right.append(VOCABULARY["colour"][int(scores[0].argmax())] == shown.colour)
    return float(np.mean(right))


def test_the_eye_learns_colour_and_place() -> None:
    trained = eye.train_eye([lesson(*shape(seed)) for seed in range(64)], steps=28, seed=0)
    assert colours_right(trained) > 0.8
    for seed in range(100, 104):
        picture, cover, _ = shape(seed)
        found = glimpse.centre_of(eye.look(trained, picture[None]).masks[0])
        assert found == pytest.approx(glimpse.centre_of(cover), abs=0.1)


def test_an_eye_that_was_taught_wrong_names_is_at_chance() -> None:
    rows = [lesson(*shape(seed)) for seed in range(64)]
    order = np.random.default_rng(1).permutation(len(rows))
    wrong = [replace(row, shown=rows[other].shown) for row, other in zip(rows, order, strict=True)]
    assert 0.2 <= colours_right(eye.train_eye(wrong, steps=20, seed=0)) <= 0.8


def test_the_same_lessons_give_the_same_eye() -> None:
    few = [lesson(*shape(seed)) for seed in range(8)]
    first, again, other = (eye.train_eye(few, steps=2, seed=seed) for seed in (5, 5, 6))
    near = shape(3)[0][None]
    np.testing.assert_array_equal(eye.look(first, near).features, eye.look(again, near).features)
    assert not np.array_equal(eye.look(first, near).features, eye.look(other, near).features)


def test_the_second_look_learns_shapes_and_colours_wherever_they_are() -> None:
    rows = [lesson(*shape(seed, ("ball", "ring")[seed % 2])) for seed in range(64)]
    trained = glimpse.train_glimpse(rows, steps=40, seed=0)
    right = []
    for seed in range(100, 116):
        picture, cover, shown = shape(seed, ("ball", "ring")[seed % 2])
        found = glimpse.glance(trained, picture[None], (cover[None] / 255).astype(np.float32))
        for name in ("subject", "colour"):
            right.append(VOCABULARY[name][int(found[name][0].argmax())] == getattr(shown, name))
    assert np.mean(right) > 0.85
    with pytest.raises(ValueError, match="learnt from"):
        glimpse.glance(trained, np.zeros((1, 8, 8, 3), np.uint8), np.zeros((1, 2, 2), np.float32))
    with pytest.raises(ValueError, match="single subject"):
        glimpse.train_glimpse([replace(rows[0], subject_seen=False)], 1, 0)


def test_the_largest_spot_is_looked_at() -> None:
    mask = np.zeros((16, 28), np.float32)
    mask[2:4, 2:4] = 0.9
    mask[10:14, 20:26] = 0.8
    assert glimpse.centre_of(mask) == pytest.approx((12 / 16, 23 / 28))
    assert glimpse.centre_of(np.zeros((4, 4), np.float32)) == (0.5, 0.5)


def moving(seed: int, motion: str) -> ClipLesson:
    """Eight chunks in which a bright square stands still and breathes (pulses) or moves sideways (drifts)."""
    rng = np.random.default_rng(seed)
    grey = np.full((gait.PICTURES, 64, 112), 60, np.uint8)
    x, y, phase = int(rng.integers(12, 30)), int(rng.integers(14, 50)), rng.uniform(0, 6)
    for number, picture in enumerate(grey):
        size = 7 + round(4 * np.sin(0.6 * number + phase)) if motion == "pulses" else 7
        left = x + (2 * number if motion == "drifts" else 0)
        picture[max(0, y - size) : y + size, max(0, left - size) : left + size] = 200
    colour = np.repeat(grey[-1][..., None], 3, axis=2)
    return ClipLesson(grey, colour, flow_of(grey[1::2]), (), replace(MEADOW, motion=motion))


def test_the_eye_for_motion_learns_motion() -> None:
    trained = gait.train_gait([moving(seed, ("drifts", "pulses")[seed % 2]) for seed in range(40)], steps=18, seed=0)
    right = []
    for seed in range(100, 110):
        clip = moving(seed, ("drifts", "pulses")[seed % 2])
        found = gait.watch(trained, np.repeat(clip.grey[..., None], 3, axis=3))["motion"]
        assert (found[:-1] == -1).all()
        right.append(VOCABULARY["motion"][int(found[-1])] == clip.shown.motion)
    assert np.mean(right) > 0.8
    assert gait.watch(trained, take((MEADOW,) * 3).small)["camera"].tolist() == [-1] * 3
    with pytest.raises(ValueError, match="32 pictures"):
        gait.train_gait([replace(moving(0, "drifts"), grey=np.zeros((4, 64, 112), np.uint8))], 1, 0)


def test_the_flow_says_where_everything_moves() -> None:
    rng = np.random.default_rng(0)
    scene = cv2.GaussianBlur(rng.integers(0, 256, (64, 160), dtype=np.uint8), (0, 0), 2.5)
    panned = np.stack([scene[:, 40 - 2 * step :][:, :112] for step in range(6)]).astype(np.uint8)
    flow = flow_of(panned)
    assert flow.shape == (5, 2, ROWS, COLUMNS)
    assert flow[:, 0].mean() == pytest.approx(2.0, abs=0.3), "to the right"
    assert flow[:, 1].mean() == pytest.approx(0.0, abs=0.1)
    assert flow_of(panned[:1]).shape == (0, 2, ROWS, COLUMNS)


def flashing(seed: int) -> ClipLesson:
    """A dark clip with a flash that dies away, and a square that hits the ground."""
    rng = np.random.default_rng(seed)
    grey = np.full((gait.PICTURES, 64, 112), 40, np.float32)
    flash, hit = int(rng.integers(5, 12)), int(rng.integers(16, 27))
    for number, picture in enumerate(grey):
        picture += 120 * np.exp(-(number - flash) / 3) if number >= flash else 0
        top = 44 - min(30, abs(number - hit) * 5)
        picture[top : top + 10, 50:60] = 230
    events = (("flash", flash), ("contact", hit))
    flow = np.zeros((15, 2, ROWS, COLUMNS), np.float32)
    return ClipLesson(grey.clip(0, 255).astype(np.uint8), np.zeros((64, 112, 3), np.uint8), flow, events, MEADOW)


def test_the_eye_for_events_finds_the_picture_in_which_they_begin() -> None:
    trained = spotter.train_spotter([flashing(seed) for seed in range(24)], steps=30, seed=0)
    right = []
    for seed in range(100, 106):
        clip = flashing(seed)
        found = spotter.seen_events(trained, np.repeat(clip.grey[..., None], 3, axis=3), 0.06)
        for kind, picture in clip.events:
            right.append(len(found[kind]) == 1 and abs(found[kind][0] - picture * 0.06) < 0.04)
        assert found["burst"] == []
    assert np.mean(right) > 0.75
    assert spotter.seen_events(trained, take((MEADOW,)).small, 0.06)["flash"] == []
