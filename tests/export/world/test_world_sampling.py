"""The world is sampled: everything possible, the held-out tenth apart, a change in about half of the clips."""

from collections import Counter
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from streamgen_export.pocket.world import attributes as a
from streamgen_export.pocket.world.formats import POCKET, Format
from streamgen_export.pocket.world.timeline import BEAT_CHUNKS, beat_position, pan, sky_events
from streamgen_export.pocket.world.world import (
    World,
    change,
    changed_fields,
    motions_in,
    sample_attributes,
    sample_world,
)


@pytest.fixture(scope="module")
def worlds() -> list[World]:
    return [sample_world(seed, POCKET) for seed in range(4000)]


def test_everything_sampled_is_possible_and_none_of_it_is_held_out(worlds: list[World]) -> None:
    for world in worlds:
        for shown in world.attributes:
            assert a.possible(shown), shown
            assert not a.held_out(shown)
    for seed in range(100):
        for shown in sample_world(seed, POCKET, heldout=True).attributes:
            assert a.possible(shown)
            assert a.held_out(shown)


def test_every_value_of_the_vocabulary_occurs(worlds: list[World]) -> None:
    for name, values in a.VOCABULARY.items():
        seen = {getattr(shown, name) for world in worlds for shown in world.attributes}
        assert seen == set(values), name


def test_subjects_are_about_equally_frequent(worlds: list[World]) -> None:
    counts = Counter(world.attributes[0].subject for world in worlds if world.attributes[0].subject != a.NONE)
    assert max(counts.values()) < 3 * min(counts.values())


def test_a_clip_is_a_pure_function_of_its_seed() -> None:
    assert sample_world(7, POCKET) == sample_world(7, POCKET)
    assert sample_world(7, POCKET) != sample_world(8, POCKET)


def test_about_half_of_the_clips_change_and_leave_time_to_see_it(worlds: list[World]) -> None:
    changing = [world for world in worlds if len(world.segments) > 1]
    assert 0.45 < len(changing) / len(worlds) < 0.65
    for world in changing:
        (_, end, before), (first, _, after) = world.segments
        assert end == first
        assert first >= 3
        assert world.chunks - first >= 4
        assert changed_fields(before, after)


def test_most_changes_touch_one_or_two_things_and_their_consequences() -> None:
    rng = np.random.default_rng(3)
    sizes = []
    for _ in range(500):
        now = sample_attributes(rng)
        sizes.append(len(changed_fields(now, change(rng, now))))
    assert float(np.mean(np.array(sizes) <= 4)) > 0.85


def test_every_subject_can_move_somewhere_and_every_place_can_be_changed_to() -> None:
    for subject in a.SUBJECTS:
        assert any(motions_in(place, subject) for place in a.PLACES), subject
        used = {motion for place in a.PLACES for motion in motions_in(place, subject)}
        assert used == set(a.MOTIONS[subject]), subject


def test_impossible_worlds_are_known() -> None:
    boat = a.Attributes("sea", "day", "clear", subject="boat", colour="red", motion="drifts")
    assert a.possible(boat)
    assert not a.possible(replace(boat, place="desert"))
    assert not a.possible(replace(boat, time=a.NONE))
    assert not a.possible(replace(boat, motion="bounces"))
    assert not a.possible(replace(boat, happening="fireworks")), "no fireworks by day"
    assert not a.possible(replace(boat, second="boat")), "a second subject has a colour"
    assert not a.possible(replace(boat, side="left")), "what crosses the picture has no side"


def test_a_format_whose_pictures_are_not_whole_control_frames_is_refused() -> None:
    assert POCKET.frames_per_picture == 6
    assert POCKET.frames_per_chunk == 24
    assert POCKET.samples_per_chunk == 5760
    with pytest.raises(ValueError, match="whole number"):
        Format(448, 256, Fraction(16))


def test_storms_flash_and_only_fireworks_burst(worlds: list[World]) -> None:
    kinds: Counter[str] = Counter()
    for world in worlds:
        for event in sky_events(world):
            kinds[event.kind] += 1
            shown = world.at(event.picture)
            assert {"flash": shown.weather == "storm", "burst": shown.happening == "fireworks"}.get(event.kind, True)
            assert event.picture % 4 == 0
            assert 0 <= event.x <= 1
    assert min(kinds[kind] for kind in ("flash", "burst", "streak")) > 20


def test_beats_start_with_chunks_in_every_tempo(worlds: list[World]) -> None:
    world = worlds[0]
    for tempo, chunks in BEAT_CHUNKS.items():
        positions = np.array([beat_position(world, tempo, picture) for picture in range(0, 4 * 3 * chunks, 4)])
        assert np.isclose(positions, np.round(positions)).sum() == 3
        assert np.allclose(np.diff(positions), 1 / chunks)


def test_a_pan_moves_the_ground_one_latent_cell_a_chunk(worlds: list[World]) -> None:
    panning = next(w for w in worlds if w.attributes[0].camera == "right" and len(w.segments) == 1)
    still = next(w for w in worlds if w.attributes[0].camera == "still" and len(w.segments) == 1)
    cell_units = 16 * 96 / POCKET.height
    assert pan(panning, 4) - pan(panning, 0) == pytest.approx(cell_units)
    assert pan(still, 40) == pan(still, 0)
