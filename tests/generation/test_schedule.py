import random

import numpy as np
import pytest

from streamgen.generation.schedule import (
    FIRST_MARGIN_NS,
    MARGIN_NS,
    PRIMING_CHUNKS,
    WINDOW,
    Durations,
    Plan,
    Schedule,
    passes,
)

MS = 1_000_000
CHUNK = 320 * MS
EPOCH = 10_000 * MS
SOUND = 7_500_000


def make(*, max_steps: int = 4, min_steps: int = 1, epoch: int | None = EPOCH, upscales: bool = False) -> Schedule:
    schedule = Schedule(
        chunk_ns=CHUNK, max_steps=max_steps, min_steps=min_steps, sound_ahead_ns=SOUND, upscales=upscales
    )
    schedule.epoch_ns = epoch
    return schedule


def settle(
    schedule: Schedule,
    *,
    pass_ms: float,
    after_ms: float,
    upscale_ms: float = 0,
    count: int = WINDOW,
    per_step: int = 1,
) -> None:
    """Feed constant measurements of chunks that were in time. `upscale_ms` is a part of `after_ms`."""
    for _ in range(count):
        duration = round(pass_ms * MS) * passes(schedule.steps, per_step)
        schedule.denoised(duration, schedule.steps, per_step=per_step)
        upscaling_ns = round(upscale_ms * MS) if schedule.upscales else 0
        after_ns = round(after_ms * MS) - (0 if schedule.upscales else round(upscale_ms * MS))
        lead_ns = schedule.deadline_ns(10) - 200 * MS
        schedule.delivered(10, after_ns, lead_ns, upscaling_ns=upscaling_ns)


def test_nothing_starts_without_an_epoch() -> None:
    assert make(epoch=None).plan(0, EPOCH, per_step=2) is None


def test_first_chunks_start_at_once() -> None:
    schedule = make()
    for chunk in range(PRIMING_CHUNKS):
        plan = schedule.plan(chunk, EPOCH + chunk, per_step=2)
        assert plan is not None
        assert (plan.start_ns, plan.steps) == (EPOCH + chunk, 4)


def test_a_chunk_starts_at_its_deadline_minus_its_stages_minus_the_margin() -> None:
    schedule = make()
    settle(schedule, pass_ms=20, after_ms=50)
    schedule.margin_ns = MARGIN_NS

    plan = schedule.plan(9, EPOCH, per_step=1)

    assert plan is not None
    assert plan.start_ns == EPOCH + 9 * CHUNK - SOUND - 50 * MS - 5 * 20 * MS - MARGIN_NS
    assert plan.steps == 4


def test_guidance_costs_its_second_passes() -> None:
    schedule = make()
    settle(schedule, pass_ms=10, after_ms=50)
    alone, both = (schedule.plan(9, EPOCH, per_step=per_step) for per_step in (1, 2))
    assert alone is not None
    assert both is not None
    assert alone.start_ns - both.start_ns == 4 * 10 * MS
    assert (passes(4, 1), passes(4, 2), passes(4, 3)) == (5, 9, 13)


def test_a_chunk_that_reads_the_past_again_starts_earlier_or_with_fewer_steps() -> None:
    schedule = make()
    settle(schedule, pass_ms=20, after_ms=50)
    plain, longer = (schedule.plan(9, EPOCH, per_step=1, extra_passes=extra) for extra in (0, 3))
    assert plain is not None
    assert longer is not None
    assert (plain.start_ns - longer.start_ns, longer.steps) == (3 * 20 * MS, 4)
    latest = schedule.deadline_ns(9) - 50 * MS
    for left_ms, steps in ((161, 4), (159, 3), (101, 1), (10, 1)):
        late = schedule.plan(9, latest - left_ms * MS, per_step=1, extra_passes=3)
        assert late is not None
        assert late.steps == steps, left_ms


def test_passes_that_were_really_run_are_what_time_is_measured_by() -> None:
    schedule = make()
    settle(schedule, pass_ms=20, after_ms=50)
    for _ in range(WINDOW):
        schedule.denoised(8 * 20 * MS, 4, per_step=1, made=8)
    assert schedule._pass.percentile(95) == 20 * MS
    schedule.denoised(8 * 20 * MS, 4, per_step=1)
    assert schedule._pass.percentile(100) == 32 * MS


def test_a_model_without_a_clean_pass_has_one_pass_less() -> None:
    schedule = Schedule(chunk_ns=CHUNK, max_steps=4, sound_ahead_ns=SOUND, closing_passes=0)
    schedule.epoch_ns = EPOCH
    for _ in range(WINDOW):
        schedule.denoised(4 * 20 * MS, 4, per_step=1)
    schedule.margin_ns = MARGIN_NS
    plan = schedule.plan(9, EPOCH, per_step=1)
    assert plan is not None
    assert plan.start_ns == schedule.deadline_ns(9) - 4 * 20 * MS - MARGIN_NS
    assert passes(4, 1, 0) == 4


def test_rare_slow_chunks_raise_the_estimate_but_one_in_a_hundred_does_not() -> None:
    durations = Durations(window=100)
    for _ in range(99):
        durations.add(10)
    durations.add(500)
    assert durations.percentile(95) == 10
    for _ in range(6):
        durations.add(500)
    assert durations.percentile(95) == 500


def test_percentiles_match_numpy() -> None:
    values = [random.Random(4).randrange(1_000) for _ in range(57)]
    durations = Durations()
    for value in values:
        durations.add(value)
    for percent in (1, 50, 95, 100):
        assert durations.percentile(percent) == int(np.percentile(values, percent, method="inverted_cdf"))
    assert Durations().percentile(95) == 0


def test_measurements_are_bounded() -> None:
    durations = Durations(window=8)
    for value in range(100):
        durations.add(value)
    assert len(durations) == 8
    assert durations.percentile(1) == 92


def test_a_late_start_is_saved_with_fewer_steps() -> None:
    schedule = make()
    settle(schedule, pass_ms=30, after_ms=50)
    deadline = schedule.deadline_ns(9) - 50 * MS
    for left_ms, steps in ((151, 4), (149, 3), (100, 2), (60, 1), (0, 1)):
        plan = schedule.plan(9, deadline - left_ms * MS, per_step=1)
        assert plan is not None
        assert plan.steps == steps, left_ms


def test_overload_takes_steps_away_and_rest_gives_them_back_slowly() -> None:
    schedule = make()
    settle(schedule, pass_ms=60, after_ms=50)
    assert schedule.steps == 4  # 300 ms of 320
    settle(schedule, pass_ms=75, after_ms=50)
    assert schedule.steps == 3  # 5 passes would be 375 ms; 4 are 300
    assert not schedule.behind(per_step=1)
    settle(schedule, pass_ms=40, after_ms=50, count=10)
    assert schedule.steps == 3
    settle(schedule, pass_ms=40, after_ms=50)
    assert schedule.steps == 4


def test_behind_only_when_the_fewest_steps_do_not_keep_up() -> None:
    schedule = make()
    settle(schedule, pass_ms=120, after_ms=50)
    assert schedule.steps == 1
    assert not schedule.behind(per_step=1)
    settle(schedule, pass_ms=170, after_ms=50)
    assert schedule.behind(per_step=1)
    assert schedule.realtime_ratio(per_step=1) == pytest.approx(320 / 340)


def test_no_chunk_is_made_with_fewer_steps_than_the_model_needs() -> None:
    schedule = make(min_steps=2)
    settle(schedule, pass_ms=500, after_ms=50)
    assert schedule.steps == 2
    assert schedule.behind(per_step=1)
    plan = schedule.plan(20, EPOCH + 40 * CHUNK, per_step=1)
    assert plan is not None
    assert plan.steps == 2


def test_slow_decoding_takes_steps_away_too_and_is_behind_at_last() -> None:
    schedule = make()
    settle(schedule, pass_ms=20, after_ms=330, count=WINDOW)
    assert 1 <= schedule.steps < 4
    settle(schedule, pass_ms=20, after_ms=330, count=WINDOW)
    assert schedule.steps == 1
    assert schedule.behind(per_step=1)
    assert schedule.realtime_ratio(per_step=1) == pytest.approx(320 / 330)


def test_margin_starts_wide_narrows_and_widens_again_when_it_gets_close() -> None:
    schedule = make()
    assert schedule.margin_ns == FIRST_MARGIN_NS
    settle(schedule, pass_ms=20, after_ms=50, count=2_000)
    assert MARGIN_NS <= schedule.margin_ns < MARGIN_NS + MS
    lead = schedule.delivered(20, 50 * MS, schedule.deadline_ns(20) + 3 * MS)
    assert lead == -3 * MS
    assert schedule.margin_ns > MARGIN_NS + 30 * MS
    for _ in range(100):
        schedule.delivered(20, 50 * MS, schedule.deadline_ns(20) + 3 * MS)
    assert schedule.margin_ns <= CHUNK


def test_eta_is_the_time_until_the_next_chunk_is_seen() -> None:
    schedule = make()
    assert schedule.eta_ns(9, EPOCH + 8 * CHUNK, per_step=2) == CHUNK
    assert schedule.eta_ns(9, EPOCH + 10 * CHUNK, per_step=2) == 0


def simulate(schedule: Schedule, *, chunks: int, noise: random.Random, denoise_ms: float, after_ms: float) -> list[int]:
    """Two stages on two threads against the clock; returns every chunk's lead in ns."""
    free_denoise = free_media = EPOCH
    leads = []
    for chunk in range(chunks):
        plan = schedule.plan(chunk, free_denoise, per_step=1)
        assert plan is not None
        start = max(plan.start_ns, free_denoise)
        work = round(denoise_ms * MS * passes(plan.steps, 1) / 5 * noise.uniform(0.9, 1.3))
        free_denoise = start + work
        schedule.denoised(work, plan.steps, per_step=1)
        done = max(free_denoise, free_media) + round(after_ms * MS * noise.uniform(0.9, 1.3))
        lead = schedule.delivered(chunk, done - free_denoise, done)
        free_media = done
        if lead < 0 and schedule.epoch_ns is not None:
            schedule.epoch_ns += -lead  # what the pacer does
        leads.append(lead)
    return leads


def test_a_steady_machine_is_never_late_and_never_far_ahead() -> None:
    leads = simulate(make(), chunks=2_000, noise=random.Random(1), denoise_ms=180, after_ms=60)
    assert min(leads[PRIMING_CHUNKS:]) > 0
    assert max(leads[100:]) < CHUNK


def test_a_slow_machine_keeps_up_with_fewer_steps() -> None:
    schedule = make()
    leads = simulate(schedule, chunks=600, noise=random.Random(2), denoise_ms=400, after_ms=60)
    assert schedule.steps < 4
    assert sum(lead < 0 for lead in leads[100:]) <= 5


def test_after_a_pause_two_chunks_start_at_once_in_full_quality_and_nothing_is_learned_from_their_lead() -> None:
    schedule = make()
    settle(schedule, pass_ms=20, after_ms=10)
    long_after = EPOCH + 500 * CHUNK
    hurried = schedule.plan(20, long_after, per_step=1)
    assert hurried is not None
    assert hurried.steps < schedule.steps
    margin_ns = schedule.margin_ns
    schedule.prime(20)
    for chunk in (20, 21):
        assert schedule.plan(chunk, long_after, per_step=1) == Plan(long_after, schedule.steps)
        schedule.delivered(chunk, 10 * MS, long_after)
    assert schedule.margin_ns <= margin_ns
    schedule.delivered(22, 10 * MS, long_after)
    assert schedule.margin_ns > margin_ns


def test_a_late_chunk_is_not_enlarged_before_it_loses_a_step() -> None:
    schedule = make(upscales=True)
    settle(schedule, pass_ms=20, after_ms=150, upscale_ms=100)
    latest = schedule.deadline_ns(9) - 150 * MS
    for left_ms, steps, upscale in ((101, 4, True), (99, 4, False), (1, 4, False), (-1, 3, False), (-60, 1, False)):
        plan = schedule.plan(9, latest - left_ms * MS, per_step=1)
        assert plan is not None
        assert (plan.steps, plan.upscale) == (steps, upscale), left_ms
    assert schedule.upscales, "that was asked, and nothing was made"


def test_a_chunk_that_was_late_once_is_forgotten_and_several_end_it() -> None:
    schedule = make(upscales=True)
    settle(schedule, pass_ms=20, after_ms=150, upscale_ms=100)
    late, well = Plan(0, 4), Plan(0, 4, upscale=True)
    for chunk in (3, 3 + WINDOW, 3 + 2 * WINDOW, 4 + 2 * WINDOW):
        schedule.started(chunk - 1, well)
        schedule.started(chunk, late)
        assert schedule.upscales
    schedule.started(5 + 2 * WINDOW, late)
    assert not schedule.upscales
    plan = schedule.plan(PRIMING_CHUNKS + 1, EPOCH, per_step=1)
    assert plan is not None
    assert not plan.upscale


@pytest.mark.parametrize(("pass_ms", "after_ms", "upscale_ms"), [(10, 340, 250), (70, 200, 100)])
def test_enlarging_is_given_up_for_good_before_a_step_is(pass_ms: float, after_ms: float, upscale_ms: float) -> None:
    schedule = make(upscales=True)
    steps = []
    while schedule.upscales:
        settle(schedule, pass_ms=pass_ms, after_ms=after_ms, upscale_ms=upscale_ms, count=1)
        steps.append(schedule.steps)
        assert len(steps) < WINDOW
        assert not schedule.behind(per_step=1)
    assert set(steps) == {4}
    # What was measured beside it says nothing any more: the stages are measured anew, and are fast enough now.
    settle(schedule, pass_ms=10, after_ms=after_ms, upscale_ms=upscale_ms)
    assert (schedule.steps, schedule.upscales) == (4, False)
    assert schedule._after.percentile(95) == round((after_ms - upscale_ms) * MS)


def test_without_it_a_machine_that_is_still_too_slow_takes_fewer_steps() -> None:
    schedule = make(upscales=True)
    settle(schedule, pass_ms=100, after_ms=200, upscale_ms=100)
    assert (schedule.steps, schedule.upscales) == (2, False)


def test_a_hurried_chunk_says_nothing_of_those_that_are_not() -> None:
    schedule = make(upscales=True)
    settle(schedule, pass_ms=20, after_ms=150, upscale_ms=100, count=4)
    for _ in range(WINDOW):
        schedule.delivered(10, 50 * MS, schedule.deadline_ns(10) - 200 * MS)
    assert (schedule._after.percentile(50), schedule._plainly.percentile(50)) == (150 * MS, 50 * MS)
