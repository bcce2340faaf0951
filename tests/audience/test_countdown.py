from streamgen.audience.countdown import Countdown


def test_a_phase_that_ends_at_t_is_over_at_t() -> None:
    countdown = Countdown()
    countdown.begin(10.0, 5.0)
    assert countdown.ends_s == 15.0
    assert not countdown.over(14.999)
    assert countdown.over(15.0)
    assert countdown.left_s(20.0) == 0.0


def test_idle_is_never_over() -> None:
    countdown = Countdown()
    countdown.pause(1.0)
    countdown.extend(5.0)
    assert not countdown.paused
    assert not countdown.over(1e9)
    assert countdown.left_s(0.0) is None


def test_a_pause_takes_no_time_and_extending_works_within_it() -> None:
    countdown = Countdown()
    countdown.begin(10.0, 0.0)
    countdown.pause(4.0)
    countdown.pause(9.0)
    assert countdown.left_s(100.0) == 6.0
    assert countdown.ends_s is None
    assert not countdown.over(100.0)
    countdown.extend(2.0)
    countdown.resume(100.0)
    countdown.resume(101.0)
    assert countdown.ends_s == 108.0


def test_a_phase_that_begins_while_paused_waits() -> None:
    countdown = Countdown()
    countdown.begin(10.0, 0.0)
    countdown.pause(4.0)
    countdown.begin(3.0, 5.0)
    assert not countdown.over(50.0)
    countdown.resume(50.0)
    assert countdown.ends_s == 53.0
    countdown.pause(51.0)
    countdown.clear()
    assert not countdown.paused
    assert countdown.left_s(60.0) is None
