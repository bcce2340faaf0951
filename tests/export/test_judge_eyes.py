"""The judge's eyes learn what is there, and nothing where nothing is to be learnt."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from streamgen_export.pocket.judge import eye, gait, glimpse
from streamgen_export.pocket.judge.impacts import heights
from streamgen_export.pocket.judge.lessons import PictureLesson
from streamgen_export.pocket.judge.takes import label
from streamgen_export.pocket.scenes.attributes import VOCABULARY, Attributes
from streamgen_export.pocket.scenes.world import PICTURES_PER_CHUNK
from tests.export.judge_material import BLUE_SEA, SEA, take

COLOUR = eye.NAMED.index("colour")


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def disc(seed: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8], Attributes]:
    """One chunk with a red or blue disc somewhere on grey, and its mask."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:96, :160]
    mask = (y - rng.integers(25, 70)) ** 2 + (x - rng.integers(25, 135)) ** 2 < 18**2
    picture = np.full((96, 160, 3), 110, np.uint8)
    picture[mask] = (220, 40, 40) if seed % 2 else (40, 40, 220)
    cover = np.where(mask, 255, 0).astype(np.uint8)
    video = np.repeat(picture[None], PICTURES_PER_CHUNK, axis=0)
    return video, np.repeat(cover[None], PICTURES_PER_CHUNK, axis=0), SEA if seed % 2 else BLUE_SEA


def lessons(shuffled: bool) -> list[PictureLesson]:
    made = [disc(seed) for seed in range(64)]
    shown = [attributes for _, _, attributes in made]
    if shuffled:
        shown = [shown[i] for i in np.random.default_rng(1).permutation(len(shown))]
    return [
        PictureLesson(eye.shrink(video), eye.shrink_mask(cover), *glimpse.cuts_of(video, cover), (attributes,))
        for (video, cover, _), attributes in zip(made, shown, strict=True)
    ]


def colours_right(trained: eye.Eye) -> float:
    unseen = [disc(seed) for seed in range(100, 124)]
    got = [VOCABULARY["colour"][int(eye.look(trained, video).classes[0, COLOUR])] for video, _, _ in unseen]
    return float(np.mean([name == attributes.colour for name, (_, _, attributes) in zip(got, unseen, strict=True)]))


def test_the_eye_learns_colour_and_place() -> None:
    trained = eye.train_eye(lessons(shuffled=False), steps=30, seed=0)
    assert colours_right(trained) > 0.8
    for seed in range(100, 106):
        video, cover, _ = disc(seed)
        rows = np.arange(96)[:, None]
        true_height = 1 - (cover[0] / 255 * rows).sum() / (cover[0] / 255).sum() / 96
        assert heights(eye.look(trained, video).masks)[0] == pytest.approx(true_height, abs=0.1)


def test_an_eye_that_was_taught_wrong_names_is_at_chance() -> None:
    assert 0.2 <= colours_right(eye.train_eye(lessons(shuffled=True), steps=30, seed=0)) <= 0.8


def test_each_picture_has_a_place_of_its_own() -> None:
    trained = eye.train_eye(lessons(shuffled=False), steps=30, seed=0)
    high, low = np.full((2, 96, 160, 3), 110, np.uint8)
    high[15:40, 60:90] = low[60:85, 60:90] = (220, 40, 40)
    path = heights(eye.look(trained, np.stack([high, low, low, high])).masks)
    assert path == pytest.approx([1 - 27 / 96, 1 - 72 / 96, 1 - 72 / 96, 1 - 27 / 96], abs=0.1)


def test_pictures_that_fade_have_no_label() -> None:
    rows = eye.picture_labels((SEA, BLUE_SEA))
    assert [row[0] for row in rows] == [rows[0][0]] * 4 + [-1] * 3 + [rows[7][0]]
    assert rows[0] == label(SEA)
    assert rows[7] == label(BLUE_SEA)


def test_the_same_lessons_give_the_same_eye() -> None:
    few = lessons(shuffled=False)[:8]
    first, again = (eye.train_eye(few, steps=2, seed=5) for _ in range(2))
    other = eye.train_eye(few, steps=2, seed=6)
    video, _, _ = disc(3)
    np.testing.assert_array_equal(eye.look(first, video).features, eye.look(again, video).features)
    assert not np.array_equal(eye.look(first, video).features, eye.look(other, video).features)


def test_the_eye_sees_every_chunk_of_any_size_of_picture() -> None:
    assert eye.shrink(np.zeros((4, 144, 256, 3), np.uint8)).shape == (4, 48, 80, 3)
    sight = eye.look(eye.Eye().eval(), take((SEA,) * 3).video)
    assert sight.classes.shape == (3, 3)
    assert sight.masks.shape == (12, *eye.MASK_SIZE)
    assert sight.features.shape == (3, eye.FEATURES)


def without_subjects(pictures: NDArray[np.uint8], shown: tuple[Attributes, ...]) -> PictureLesson:
    masks = np.zeros((len(pictures), *eye.MASK_SIZE), np.uint8)
    cuts = np.zeros((len(shown), glimpse.CUT_SIDE, glimpse.CUT_SIDE, 3), np.uint8)
    return PictureLesson(pictures, masks, cuts, np.zeros(len(shown), bool), shown)


def moving(seed: int, motion: str) -> PictureLesson:
    """Four chunks in which a bright square stands still and breathes (pulses) or moves sideways (drifts)."""
    rng = np.random.default_rng(seed)
    pictures = np.full((16, 48, 80, 3), 60, np.uint8)
    x, y, phase = int(rng.integers(12, 40)), int(rng.integers(12, 36)), rng.uniform(0, 6)
    for number, picture in enumerate(pictures):
        size = 6 + round(3 * np.sin(number + phase)) if motion == "pulses" else 6
        left = x + (2 * number if motion == "drifts" else 0)
        picture[y - size : y + size, left - size : left + size] = 200
    shown = Attributes("sea", "clear", "ball", "red", motion)
    return without_subjects(pictures, (shown,) * 4)


def test_the_eye_for_motion_learns_motion() -> None:
    trained = gait.train_gait([moving(seed, ("drifts", "pulses")[seed % 2]) for seed in range(40)], steps=25, seed=0)
    unseen = [(moving(seed, motion), motion) for seed in range(100, 106) for motion in ("drifts", "pulses")]
    got = [VOCABULARY["motion"][int(gait.watch(trained, lesson.pictures)[-1])] for lesson, _ in unseen]
    assert np.mean([name == motion for name, (_, motion) in zip(got, unseen, strict=True)]) > 0.8


def test_motion_needs_four_chunks() -> None:
    motions = gait.watch(gait.Gait().eval(), take((SEA,) * 6).video)
    assert motions.shape == (6,)
    assert (motions[:3] == -1).all()
    assert (motions[3:] >= 0).all()
    assert gait.watch(gait.Gait().eval(), take((SEA,) * 2).video).tolist() == [-1, -1]
    short = moving(0, "drifts")
    with pytest.raises(ValueError, match="4 chunks"):
        gait.train_gait([without_subjects(short.pictures, (SEA, SEA, BLUE_SEA, BLUE_SEA))], 1, 0)


def shape(seed: int, subject: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8], Attributes]:
    """One chunk with a bright ring or ball somewhere on grey, and its mask."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:96, :160]
    away = np.hypot(y - rng.integers(25, 70), x - rng.integers(25, 135))
    mask = (away < 17) & (away > (8 if subject == "ring" else -1))
    video = np.full((4, 96, 160, 3), 90, np.uint8)
    video[:, mask] = rng.integers(150, 256, 3)
    cover = np.repeat(np.where(mask, 255, 0).astype(np.uint8)[None], 4, axis=0)
    return video, cover, Attributes("sea", "clear", subject, "red", "floats")


def test_the_second_look_learns_shapes_wherever_they_are() -> None:
    lessons = []
    for seed in range(48):
        video, cover, shown = shape(seed, ("ball", "ring")[seed % 2])
        small = (eye.shrink(video), eye.shrink_mask(cover))
        lessons.append(PictureLesson(*small, *glimpse.cuts_of(video, cover), (shown,)))
    trained = glimpse.train_glimpse(lessons, steps=20, seed=0)
    for seed in range(100, 108):
        video, cover, shown = shape(seed, ("ball", "ring")[seed % 2])
        masks = eye.shrink_mask(cover).astype(np.float32) / np.float32(255)
        assert VOCABULARY["subject"][int(glimpse.glance(trained, video, masks)[0])] == shown.subject


def test_a_cut_is_centred_on_the_subject_and_may_reach_over_the_edge() -> None:
    picture = np.zeros((96, 160, 3), np.uint8)
    picture[10:14, 150:158] = 255
    mask = picture[:, :, 0].astype(np.float32)
    assert glimpse.centre_of(mask) == pytest.approx((12 / 96, 154 / 160))
    hazy = mask / 255 + 0.2
    assert glimpse.centre_of(hazy) == pytest.approx((12 / 96, 154 / 160))
    assert glimpse.centre_of(np.zeros((24, 40), np.float32)) == (0.5, 0.5)
    cut = glimpse.cut_out(picture, glimpse.centre_of(mask), 48)
    assert cut.shape == (48, 48, 3)
    assert cut[22:26, 20:28].min() == 255
    assert cut.sum() == picture.sum()


def test_the_second_look_refuses_what_it_cannot_see() -> None:
    with pytest.raises(ValueError, match="single subject"):
        glimpse.train_glimpse([moving(0, "drifts")], 1, 0)
    with pytest.raises(ValueError, match="learnt from"):
        glimpse.glance(glimpse.Glimpse(), np.zeros((4, 144, 256, 3), np.uint8), np.zeros((4, 24, 40), np.float32))
