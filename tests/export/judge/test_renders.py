"""Renders as takes and as lessons."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from streamgen_export.pocket.judge.briefs import Brief, change_briefs, event_briefs, long_briefs
from streamgen_export.pocket.judge.eye import MASK_SIZE
from streamgen_export.pocket.judge.renders import (
    clip_lesson,
    clip_worlds,
    in_parallel,
    picture_lesson,
    picture_worlds,
    render,
    render_glance,
    sound_lesson,
    sound_worlds,
    world_of,
)
from streamgen_export.pocket.judge.takes import NEAR, SMALL
from streamgen_export.pocket.world.attributes import held_out
from streamgen_export.pocket.world.sound import sound_controls
from tests.export.judge.material import FORM


def test_a_render_shows_what_the_brief_asks_for() -> None:
    brief = change_briefs(seed=0, count=1, before=2, after=2)[0]
    take = render((brief, FORM))
    assert take.brief == brief
    assert world_of(brief, FORM).attributes == brief.wanted
    np.testing.assert_array_equal(take.small, render((brief, FORM)).small)
    flashing = render((event_briefs(seed=0, count=4, chunks=10)[3], FORM))
    flashes = [time for kind, time in flashing.events if kind == "flash"]
    assert 1 <= len(flashes) <= 2
    assert all(0 <= time < flashing.duration_s for time in flashes)


def test_a_glance_at_a_long_stream_is_where_time_has_brought_it() -> None:
    brief = long_briefs(seed=3, count=1, chunks=12)[0]
    still = replace(brief.wanted[0], camera="still", subject="none", motion="none", colour="none", count="one")
    still = replace(still, place="meadow", time="day", weather="storm", happening="none", side="centre")
    brief = Brief(brief.seed, (still,) * 12, brief.prompts, brief.named)
    whole = sound_controls(world_of(brief, FORM)).tones[6 * FORM.frames_per_chunk :]
    video, audio = render_glance((brief, FORM, 6, 6))
    assert len(video) == 24
    assert audio.shape == (2, 6 * FORM.samples_per_chunk)
    later = replace(world_of(brief, FORM), attributes=brief.wanted[:6])
    later = replace(later, beat_phase=later.beat_phase - 6, contact_phase=later.contact_phase - 24)
    later = replace(later, offset_s=later.offset_s + 6 * FORM.chunk_s)
    # The music is where it would be; only what rang on from before is missing at the start.
    np.testing.assert_allclose(sound_controls(later).tones[-24:], whole[-24:], atol=1e-3)


def test_lessons_show_nothing_that_is_held_out_and_much_that_happens() -> None:
    assert not any(held_out(world.attributes[0]) for world in (*picture_worlds(20), *clip_worlds(8), *sound_worlds(8)))
    eventful = [w.attributes[0] for w in sound_worlds(8)[::2]]
    assert [eventful[0].motion, eventful[1].motion] == ["bounces", "leaps"]
    assert eventful[2].happening == "fireworks"
    assert eventful[3].weather == "storm"
    places = [world.attributes[0].place for world in picture_worlds(20)]
    assert places == sorted(places), "neighbours share what is kept"


def test_a_lesson_has_everything_at_the_sizes_that_are_learnt_from() -> None:
    still = picture_lesson(picture_worlds(3)[1])
    assert still.picture.shape == (NEAR[1], NEAR[0], 3)
    assert still.mask.shape == MASK_SIZE
    world = next(world for world in clip_worlds(8) if world.attributes[0].weather == "storm")
    clip, pictures = clip_lesson(world)
    assert clip.grey.shape == (32, SMALL[1], SMALL[0])
    assert clip.flow.shape[0] == 15
    assert clip.shown == pictures[0].shown == pictures[1].shown
    assert not np.array_equal(pictures[0].picture, pictures[1].picture)
    assert any(kind == "flash" for kind, _ in clip.events) or world.contact_phase // 4 % 9 == 8
    sound = sound_lesson(sound_worlds(1)[0])
    assert sound.bands.shape == (13 * 24, 40)
    assert sound.notes.shape == (13 * 12, 73)


@pytest.mark.parametrize("processes", [1, 2])
def test_results_come_in_the_order_of_the_jobs(processes: int) -> None:
    assert list(in_parallel(abs, [-3, 1, -2], processes=processes, title="test")) == [3, 1, 2]
