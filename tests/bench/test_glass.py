"""What is worked out from a test card that was read: made-up readings with known answers."""

import random
from dataclasses import replace

import pytest

from bench.figures import Asked
from bench.glass import (
    COUNTED,
    EVENT_MS,
    PICTURE_TICKS,
    Card,
    ClockReading,
    Read,
    Sequel,
    colours_seen,
    covered_ms,
    flashes_ms,
    glass_ms,
    lip_sync_ms,
    misread,
    sequel,
)
from streamgen_client.rtp import RtpTimeline

BLUE, RED = (30.0, 45.0, 179.0), (190.0, 40.0, 40.0)


def shown(count: int, *, late_ms: float = 90.0, first: int = 0) -> list[Read]:
    """Pictures each presented `late_ms` after it was due, on a clock whose media time 0 is at 1000 ms."""
    return [
        Read(number * PICTURE_TICKS, 1000 + 40 * number + late_ms, number, BLUE, number % 24 < 2)
        for number in range(first, first + count)
    ]


def test_a_page_is_read_into_media_time() -> None:
    card = Card()
    log = {
        "read": [[7_000, 1000.0, 5, [1, 2, 3], True], [None, 1040.0, 6, [1, 2, 3], False]],
        "beeps": [950.0],
        "clocks": [[100.0, 104.0, 2.5]],
        "lost": 3,
    }
    card.take(log, RtpTimeline(3_400, 90_000, 0.0))
    assert card.read == [Read(3_600, 1000.0, 5, (1, 2, 3), True)]
    assert card.beeps_ms == [950.0]
    assert card.clocks == [ClockReading(102.0, 2.0, 2.5)]
    assert card.clocks[0].zero_ms == pytest.approx(102.0 - 2500.0)
    assert card.lost == 3


def test_pictures_that_follow_each_other_are_in_order() -> None:
    assert sequel(shown(50)) == Sequel(0, 0, 0, 0)
    assert sequel([]) == Sequel(0, 0, 0, 0)


def test_what_is_missing_repeated_or_backwards_is_counted() -> None:
    read = shown(10)
    del read[3:5]
    read.insert(5, replace(read[4], pts=read[4].pts + 1))
    assert sequel(read) == Sequel(repeated=1, missing=2, backwards=0, off_clock=1)
    again = [*shown(5, first=20), *shown(5)]
    assert sequel(again).backwards == 1
    wrapped = [replace(shown(1)[0], number=COUNTED - 1), replace(shown(2)[1], number=0)]
    assert sequel(wrapped) == Sequel(0, 0, 0, 0)


def test_a_misread_picture_is_passed_over() -> None:
    read = shown(10)
    read[4] = replace(read[4], number=None)
    assert misread(read) == 1
    assert sequel(read).missing == 1


def test_glass_to_glass_follows_the_server_through_a_standstill() -> None:
    clocks = [ClockReading(1000 + 250 * n, 1.0, 0.25 * n) for n in range(8)]
    # Then media stands still for half a second.
    clocks += [ClockReading(3500 + 250 * n, 1.0, 2.0 + 0.25 * n) for n in range(8)]
    before, after = shown(40), [replace(each, at_ms=each.at_ms + 500) for each in shown(40, first=52)]
    assert glass_ms([*before, *after], clocks) == pytest.approx([90.0] * 80)
    assert glass_ms(before, []) == []


def test_flash_and_beep_are_paired_with_the_nearest() -> None:
    read = shown(200)
    random.Random(1).shuffle(beeps := [1000 + EVENT_MS * n + 70 for n in range(9)])
    synced = lip_sync_ms(read, sorted(beeps))
    # The first flash has no picture before it, so that its beginning is not known.
    assert [at_ms for at_ms, _ in synced] == flashes_ms(read) == pytest.approx([1090 + 960 * n for n in range(1, 9)])
    assert [late_ms for _, late_ms in synced] == pytest.approx([20.0] * 8)
    assert lip_sync_ms(read, []) == []


def test_a_flash_whose_first_picture_was_not_shown_does_not_count() -> None:
    read = shown(60)
    del read[24]
    assert flashes_ms(read) == [1000 + 40 * 48 + 90]


def test_a_prompt_is_seen_with_its_colour() -> None:
    read = [replace(each, colour=RED if (each.number or 0) >= 30 else BLUE) for each in shown(60)]
    asked = [Asked("a", 1500.0, None, 1900.0, 30 * PICTURE_TICKS), Asked("b", 3000.0, None, None, None)]
    (seen,) = colours_seen(asked, read)
    assert (seen.id, seen.off_pictures) == ("a", 0)
    assert seen.after_ms == pytest.approx(1000 + 40 * 30 + 90 - 1500)


def test_a_prompt_whose_colour_never_came_before_the_next_is_not_seen() -> None:
    read = [replace(each, colour=RED if (each.number or 0) >= 55 else BLUE) for each in shown(60)]
    asked = [Asked("a", 1500.0, None, 1900.0, 30 * PICTURE_TICKS), Asked("b", 3000.0, None, 3100.0, 55 * PICTURE_TICKS)]
    assert [each.id for each in colours_seen(asked, read)] == ["b"]


def test_a_cover_is_seen_where_the_number_is_gone_and_again_where_it_is_back() -> None:
    read = [replace(each, number=None) if 20 <= (each.number or 0) < 40 else each for each in shown(60)]
    assert covered_ms([1000 + 40 * 19], read, covered=True) == [40 + 90]
    assert covered_ms([1000 + 40 * 39], read, covered=False) == [40 + 90]
    assert covered_ms([9000.0], read, covered=True) == []
    assert covered_ms([1000.0, 1010.0], read, covered=True) == [760 + 130 - 10], "the first was never seen"
