from streamgen.protocol import Buffering
from streamgen.steering.on_air import OnAir
from tests.steering.records import record


def test_a_chunk_ends_a_standstill_and_says_so_once() -> None:
    on_air = OnAir()
    assert on_air.chunk_started(record(3)) == Buffering(active=False, media_time=3 * 0.32)
    assert on_air.chunk_started(record(4)) is None
    assert (on_air.chunk, on_air.media_time_s, on_air.status) == (4, 4 * 0.32, "live")


def test_the_slate_before_the_first_chunk_is_no_interruption() -> None:
    on_air = OnAir()
    assert on_air.set_status("slate") == (False, None)
    on_air.chunk_started(record(0))
    assert on_air.set_status("slate") == (True, Buffering(active=True, reason="restarting"))


def test_standing_still_on_purpose_has_another_reason() -> None:
    on_air = OnAir()
    on_air.chunk_started(record(0))
    assert on_air.set_status("buffering")[1] == Buffering(active=True, reason="underrun")
    on_air.chunk_started(record(1))
    on_air.paused = True
    assert on_air.set_status("buffering")[1] == Buffering(active=True, reason="paused", media_time=0.32)


def test_each_cover_replaces_the_one_before_and_off_takes_all_back() -> None:
    on_air = OnAir()
    for action in ("hold", "mute", "black"):
        on_air.panic(action)
    assert (on_air.cover, on_air.muted) == ("black", True)
    on_air.panic("off")
    assert (on_air.cover, on_air.muted) == ("none", False)
