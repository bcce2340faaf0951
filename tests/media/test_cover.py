"""What covers a programme, slot by slot."""

import pytest

from streamgen.media.clock import MediaClock
from streamgen.media.cover import Held, Loop
from tests.media.fakes import DELAY, LAYERS, SILENCE, SOUNDS, make_slate

GRID = 960 - DELAY


def test_held_gives_no_picture_and_fades_to_silence() -> None:
    held = Held(fade=[b"a", b"b"], silence=SILENCE)
    slots = [held.slot(MediaClock(0), GRID + n * 960) for n in range(4)]
    assert [sound for _, sound in slots] == [b"a", b"b", SILENCE, SILENCE]
    assert all(not pictures for pictures, _ in slots)


def test_a_loop_lays_its_segments_on_media_time_one_after_the_other() -> None:
    loop = Loop(make_slate(2))
    clock = MediaClock(0)
    assert loop.grid == GRID
    begun = []
    for slot in range(3 * SOUNDS):
        pictures, sound = loop.slot(clock, GRID + (100 + slot) * 960)
        assert sound == f"slate sound {slot // SOUNDS % 2}.{slot % SOUNDS}".encode()
        if pictures:
            begun.append((slot, pictures[0].pts, pictures[0].data))
            assert len(pictures) == 4 * len(LAYERS)
    # A picture lies DELAY after the sound of its segment's first slot: 960 samples are 1800 ticks.
    assert begun == [
        (0, (1 + 100) * 1_800, b"slate 0.0"),
        (SOUNDS, (1 + 100 + SOUNDS) * 1_800, b"slate 1.0"),
        (2 * SOUNDS, (1 + 100 + 2 * SOUNDS) * 1_800, b"slate 0.0"),
    ]


def test_rewound_it_begins_anew_in_the_next_slot() -> None:
    loop = Loop(make_slate(2))
    for slot in range(SOUNDS + 3):
        loop.slot(MediaClock(0), GRID + slot * 960)
    loop.rewind()
    pictures, sound = loop.slot(MediaClock(0), GRID + 50 * 960)
    assert (pictures[0].data, sound) == (b"slate 0.0", b"slate sound 0.0")


def test_a_loop_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one segment"):
        Loop(())
