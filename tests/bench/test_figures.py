import numpy as np
import pytest

from bench.figures import (
    Arrival,
    Asked,
    Hold,
    Photon,
    Shown,
    Summary,
    Trend,
    arrival_skew_ms,
    holds,
    percentile,
    photons,
    trend,
)

PICTURE_TICKS = 7200


def test_percentiles_are_values_that_were_observed() -> None:
    fifty = [float(value) for value in range(1, 51)]
    assert percentile(fifty, 50) == 25
    assert percentile(fifty, 95) == 48  # two of fifty are slower
    assert percentile(fifty, 100) == 50
    assert percentile([7.0], 95) == 7


def test_summary_does_not_depend_on_the_order() -> None:
    assert Summary.of([3.0, 1.0, 2.0, 10.0]) == Summary(count=4, p50=2.0, p95=10.0, least=1.0, most=10.0)
    assert Summary.of([]) is None


def test_trend_is_the_slope_of_the_settled_part() -> None:
    times = [5.0 * index for index in range(121)]  # ten minutes
    # Grows by 100 while it settles (the first two minutes), then by 0.3 a minute, with noise that has no slope.
    values = [
        100 * min(time_s / 120, 1.0) + 0.3 * time_s / 60 + (0.05 if index % 2 else -0.05)
        for index, time_s in enumerate(times)
    ]
    found = trend(times, values)
    assert found is not None
    assert found.slope_per_min == pytest.approx(0.3, abs=0.01)
    assert found.first == values[0]
    assert found.last == values[-1]
    assert found.samples == 97  # 120 s to 600 s, every 5 s


def test_trend_agrees_with_numpy_on_uneven_samples() -> None:
    random = np.random.default_rng(3)
    times = np.sort(random.uniform(0, 300, 40))
    values = random.normal(200, 5, 40)
    found = trend(times.tolist(), values.tolist(), settling=0.0)
    assert found is not None
    assert found.slope_per_min == pytest.approx(60 * np.polyfit(times, values, 1)[0])


def test_no_slope_from_a_single_settled_sample() -> None:
    assert trend([], []) is None
    assert trend([1.0], [2.0]) == Trend(2.0, 2.0, None, 1)
    assert trend([0.0, 10.0], [1.0, 3.0]) == Trend(1.0, 3.0, None, 1)


def test_as_many_values_as_times() -> None:
    with pytest.raises(ValueError, match="shorter"):
        trend([0.0, 10.0], [1.0])


def asked(id: str, entered_ms: float, applied_ms: float | None, pts: int | None) -> Asked:
    return Asked(id, entered_ms, entered_ms + 10, applied_ms, pts)


def test_prompt_to_photon_is_the_first_picture_at_or_after_the_applied_media_time() -> None:
    shown = [Shown(picture * PICTURE_TICKS, 1000.0 + 80 * picture) for picture in range(20)]
    found = photons([asked("a", 1100.0, 1350.0, 8 * PICTURE_TICKS)], shown)
    assert found == [Photon("a", queued_ms=10, applied_ms=250, shown_ms=540)]  # picture 8, at 1640


def test_a_picture_that_was_skipped_is_replaced_by_the_next_one() -> None:
    shown = [Shown(picture * PICTURE_TICKS, 1000.0 + 80 * picture) for picture in range(20) if picture != 8]
    (found,) = photons([asked("a", 1100.0, 1350.0, 8 * PICTURE_TICKS)], shown)
    assert found.shown_ms == 620


def test_the_picture_may_come_before_the_message() -> None:
    shown = [Shown(picture * PICTURE_TICKS, 1000.0 + 80 * picture) for picture in range(20)]
    (found,) = photons([asked("a", 1100.0, 1900.0, 8 * PICTURE_TICKS)], shown)
    assert found.shown_ms == 540
    assert found.applied_ms == 800


def test_what_was_never_seen_has_no_latency() -> None:
    shown = [Shown(0, 1000.0), Shown(PICTURE_TICKS, 1080.0)]
    assert photons([asked("never applied", 900.0, None, None)], shown) == []
    assert photons([asked("after the last picture", 900.0, 1000.0, 2 * PICTURE_TICKS)], shown) == []


def test_a_count_that_started_over_is_not_taken_for_a_later_picture() -> None:
    # Media time 50 was shown before Enter; the server began anew at 0, and the prompt's picture is number 3 of it.
    shown = [
        Shown(50 * PICTURE_TICKS, 900.0),
        *(Shown(number * PICTURE_TICKS, 1000.0 + 80 * number) for number in range(6)),
    ]
    (found,) = photons([asked("a", 950.0, 1100.0, 3 * PICTURE_TICKS)], shown)
    assert found.shown_ms == 290


def programme(sound_late_s: float = 0.0, picture_late_s: float = 0.0) -> tuple[list[Arrival], list[Arrival]]:
    pictures = [Arrival(media_s, 500 + media_s + picture_late_s) for media_s in np.arange(50) * 0.08]
    sounds = [Arrival(media_s, 500 + media_s + sound_late_s) for media_s in np.arange(200) * 0.02 - 0.007]
    return pictures, sounds


def test_arrivals_in_step_have_no_skew() -> None:
    skews = arrival_skew_ms(*programme())
    assert len(skews) == 50
    assert skews == pytest.approx([0.0] * 50, abs=1e-6)


@pytest.mark.parametrize(("late", "skew"), [({"picture_late_s": 0.03}, 30.0), ({"sound_late_s": 0.03}, -30.0)])
def test_skew_has_the_sign_of_the_later_picture(late: dict[str, float], skew: float) -> None:
    assert arrival_skew_ms(*programme(**late)) == pytest.approx([skew] * 50, abs=1e-6)


def test_a_delay_of_both_is_no_skew() -> None:
    assert arrival_skew_ms(*programme(0.2, 0.2)) == pytest.approx([0.0] * 50, abs=1e-6)


def test_no_skew_without_sound() -> None:
    assert arrival_skew_ms(programme()[0], []) == []


def test_standstills_and_how_long_they_lasted() -> None:
    changes = [
        (0.0, False, None),  # an end without a beginning: it began before the page was there
        (100.0, True, "underrun"),
        (110.0, True, "underrun"),
        (260.0, False, None),
        (900.0, True, None),
    ]
    assert holds(changes) == [Hold("underrun", 100.0, 160.0), Hold("unknown", 900.0, None)]
    assert holds([]) == []
