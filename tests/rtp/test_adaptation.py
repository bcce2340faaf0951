from random import Random

import pytest

from streamgen.rtp.adaptation import PROVEN_S, SPARE, UP_WAIT_MAX_S, UP_WAIT_S, Choice, RungChooser
from tests.rtp.link import Link, Viewing

LADDER = (2_500_000, 1_700_000, 1_130_000)
TOP, MIDDLE, LOWEST = range(3)
AMPLE = 10e6  # bit/s
SEEDS = (1, 2)


def link(capacity: float, *, queue_s: float = 0.5, loss: float = 0.0, delay_s: float = 0.03, seed: int = 1) -> Link:
    return Link(capacity, queue_s=queue_s, loss=loss, delay_s=delay_s, rng=Random(seed))


def most_switches_in_a_minute(viewing: Viewing, seconds: int) -> int:
    return max(viewing.switches_between(start, start + 60) for start in range(0, seconds - 59, 5))


def drive(
    chooser: RungChooser,
    from_s: float,
    to_s: float,
    *,
    remb: float | None = None,
    growth: float = 1.0,  # of REMB in a second
    lost: float = 0.0,
    nacked: int = 0,  # packets, ten times a second
    bitrate: int = 1_500_000,  # of the media
    feedback: bool = True,
) -> list[Choice]:
    """What is chosen, ten times a second, when exactly this is heard; a report comes with every whole second."""
    choices = []
    for tick in range(round(from_s * 10) + 1, round(to_s * 10) + 1):
        now_s = tick / 10
        if feedback and remb is not None:
            chooser.remb(remb * growth ** (now_s - from_s), now_s)
        if feedback and tick % 10 == 0:
            chooser.report(lost, 0.05, now_s)
        if nacked:
            chooser.nacked(nacked, now_s)
        chooser.sent(bitrate // 80, now_s, packets=10)
        choices.append(chooser.choose(now_s))
        chooser.sent(choices[-1].probe_bitrate // 80, now_s, padding=True)
    return choices


def test_first_rung_is_the_middle_one_or_the_one_asked_for() -> None:
    assert RungChooser(LADDER, now_s=0.0).choose(0.0) == Choice(MIDDLE, 0)
    assert RungChooser(LADDER[:2], now_s=0.0).choose(0.0) == Choice(1, 0)
    assert RungChooser(LADDER[:1], now_s=0.0).choose(0.0) == Choice(0, 0)
    assert RungChooser(LADDER, now_s=0.0, first=LOWEST).choose(0.0) == Choice(LOWEST, 0)


@pytest.mark.parametrize(
    ("bitrates", "first"), [((), None), ((1, 1), None), ((2, 0), None), ((1, 2), None), ((2, 1), 2)]
)
def test_impossible_ladder_is_refused(bitrates: tuple[int, ...], first: int | None) -> None:
    with pytest.raises(ValueError, match="rung"):
        RungChooser(bitrates, now_s=0.0, first=first)


@pytest.mark.parametrize("remb", [True, False])
@pytest.mark.parametrize("jitter_s", [0.0, 0.08])
def test_ample_path_reaches_the_top_in_one_step_and_stays(*, remb: bool, jitter_s: float) -> None:
    viewing = Viewing(LADDER, link(AMPLE), remb=remb, jitter_s=jitter_s)
    viewing.run(UP_WAIT_S)
    assert viewing.rung == MIDDLE
    viewing.run(115)
    assert viewing.rung == TOP
    assert viewing.chooser.switches == 1
    assert viewing.switches_between(0, 20) == 1
    assert viewing.padding_s < 6


def test_viewer_on_the_lowest_rung_climbs_the_whole_ladder() -> None:
    viewing = Viewing(LADDER, link(AMPLE), first=LOWEST)
    viewing.run(60)
    assert [choice.rung for _, choice in viewing.choices] == [LOWEST, MIDDLE, TOP]


def test_long_path_reaches_the_top_too() -> None:
    viewing = Viewing(LADDER, link(AMPLE, delay_s=0.3), jitter_s=0.1)
    viewing.run(30)
    assert (viewing.rung, viewing.chooser.switches) == (TOP, 1)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("queue_s", [0.06, 1.0])
@pytest.mark.parametrize(("capacity", "rung"), [(1.5e6, LOWEST), (2.2e6, MIDDLE)])
def test_between_two_rungs_it_settles_on_the_one_that_fits(
    capacity: float, rung: int, queue_s: float, seed: int
) -> None:
    viewing = Viewing(LADDER, link(capacity, queue_s=queue_s, seed=seed), seed=seed, jitter_s=0.03)
    viewing.run(180)
    assert viewing.rung == rung
    assert viewing.chooser.switches <= 1
    assert viewing.chooser.failed_probes == viewing.chooser.probes


@pytest.mark.parametrize("remb", [True, False])
@pytest.mark.parametrize("loss", [0.0, 0.05])
def test_capacity_that_only_just_carries_a_rung_does_not_make_it_oscillate(*, remb: bool, loss: float) -> None:
    for capacity in (1.8e6, 2.7e6):
        viewing = Viewing(LADDER, link(capacity, queue_s=0.06, loss=loss), remb=remb)
        viewing.run(180)
        assert most_switches_in_a_minute(viewing, 180) <= 4


def test_padding_on_a_narrow_path_is_rare_and_makes_no_long_queue() -> None:
    viewing = Viewing(LADDER, link(1e6, queue_s=2.0), activity=0.12)
    viewing.run(180)
    assert viewing.chooser.probes >= 2
    assert viewing.chooser.failed_probes == viewing.chooser.probes
    assert viewing.chooser.switches == 0
    assert viewing.longest_queue_s < 0.5
    before = viewing.chooser.probes
    viewing.run(2 * UP_WAIT_MAX_S)
    assert viewing.chooser.probes - before <= 2


def test_below_the_lowest_it_stays_on_the_lowest_and_does_not_probe() -> None:
    viewing = Viewing(LADDER, link(0.8e6))
    viewing.run(5)
    assert viewing.rung == LOWEST
    viewing.run(115)
    assert viewing.rung == LOWEST
    assert (viewing.chooser.switches, viewing.chooser.probes) == (1, 0)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("clings", [True, False])
def test_drop_is_followed_within_seconds_and_recovery_within_a_minute(*, clings: bool, seed: int) -> None:
    viewing = Viewing(LADDER, link(AMPLE, seed=seed), first=TOP, clings=clings, seed=seed)
    viewing.run(30)
    assert viewing.rung == TOP
    viewing.link.capacity = 1.5e6
    viewing.run(1.5)
    assert viewing.rung > TOP
    viewing.run(2.5)
    assert viewing.rung == LOWEST
    viewing.run(26)
    assert viewing.rung == LOWEST
    viewing.link.capacity = AMPLE
    viewing.run(60)
    assert viewing.rung == TOP
    assert viewing.chooser.switches <= 4


def test_drop_far_below_goes_straight_to_the_lowest() -> None:
    viewing = Viewing(LADDER, link(AMPLE, queue_s=0.06), first=TOP)
    viewing.run(30)
    viewing.link.capacity = 0.9e6
    viewing.run(2)
    assert [choice.rung for _, choice in viewing.choices] == [TOP, LOWEST]


@pytest.mark.parametrize("seed", SEEDS)
def test_random_loss_that_retransmission_repairs_does_not_keep_it_from_the_top(seed: int) -> None:
    viewing = Viewing(LADDER, link(AMPLE, loss=0.05, seed=seed), seed=seed)
    viewing.run(180)
    assert viewing.lost > 1000
    assert (viewing.rung, viewing.chooser.switches) == (TOP, 1)


@pytest.mark.parametrize("seed", SEEDS)
def test_random_loss_of_a_few_packets_a_report_does_not_either(seed: int) -> None:
    # A dozen packets between two reports: a single one that is lost is 8 % of them.
    viewing = Viewing((800_000, 530_000), link(AMPLE, loss=0.03, seed=seed), seed=seed, first=TOP)
    viewing.run(120)
    assert viewing.lost > 150
    assert (viewing.rung, viewing.chooser.switches) == (TOP, 0)


def test_a_scene_that_stands_still_can_be_probed() -> None:
    chooser = RungChooser(LADDER, now_s=0.0)
    choices = drive(chooser, 0, 12, remb=1_000, bitrate=0)
    assert chooser.probes == 1
    assert max(choice.probe_bitrate for choice in choices) > 0


def test_heavy_loss_takes_it_down_whatever_the_cause() -> None:
    viewing = Viewing(LADDER, link(AMPLE, loss=0.2), first=TOP)
    viewing.run(20)
    assert viewing.rung == LOWEST


@pytest.mark.parametrize("clings", [True, False])
def test_calm_content_neither_pulls_it_down_nor_keeps_it_there(*, clings: bool) -> None:
    calm = Viewing(LADDER, link(AMPLE), activity=0.1, clings=clings, first=TOP)
    calm.run(60)
    assert (calm.rung, calm.chooser.switches) == (TOP, 0)
    calm = Viewing(LADDER, link(AMPLE), activity=0.1, clings=clings)
    calm.run(60)
    assert (calm.rung, calm.chooser.switches) == (TOP, 1)


@pytest.mark.parametrize("clings", [True, False])
def test_scene_that_comes_alive_is_not_taken_for_congestion(*, clings: bool) -> None:
    viewing = Viewing(LADDER, link(AMPLE), activity=0.1, clings=clings, first=TOP)
    for _ in range(4):
        viewing.activity = 0.1
        viewing.run(15)
        viewing.activity = 1.0
        viewing.run(7)
    assert (viewing.rung, viewing.chooser.switches) == (TOP, 0)


def test_scene_that_comes_alive_on_a_narrow_path_goes_down_fast() -> None:
    viewing = Viewing(LADDER, link(1.5e6), activity=0.1, first=TOP)
    viewing.run(30)
    assert viewing.rung == TOP
    viewing.activity = 1.0
    viewing.run(3)
    assert viewing.rung == LOWEST


def test_viewer_without_feedback_stays_where_it_is() -> None:
    viewing = Viewing(LADDER, link(0.8e6), feedback=False)
    viewing.run(60)
    assert (viewing.rung, viewing.chooser.switches, viewing.chooser.probes) == (MIDDLE, 0, 0)


def test_feedback_that_stops_changes_nothing_more() -> None:
    viewing = Viewing(LADDER, link(AMPLE), first=LOWEST)
    viewing.run(5)
    viewing.feedback = False
    viewing.link.capacity = 0.5e6
    viewing.run(60)
    assert (viewing.rung, viewing.chooser.switches) == (LOWEST, 0)


def test_probe_asks_for_padding_up_to_the_larger_rung_and_stops_without_an_answer() -> None:
    chooser = RungChooser(LADDER, now_s=0.0)
    choices = drive(chooser, 0, 7, remb=1_500_000, growth=1.02)
    assert choices[-1].probe_bitrate > 0
    choices += drive(chooser, 7, 30, feedback=False)
    assert {choice.rung for choice in choices} == {MIDDLE}
    assert max(choice.probe_bitrate for choice in choices) <= SPARE * LADDER[TOP] - 1_500_000
    assert choices[-1].probe_bitrate == 0
    assert (chooser.probes, chooser.failed_probes) == (1, 1)


def test_remb_with_room_to_spare_needs_no_padding() -> None:
    chooser = RungChooser(LADDER, now_s=0.0)
    choices = drive(chooser, 0, 8, remb=4_000_000)
    assert [choice.rung for choice in choices][-1] == TOP
    assert chooser.probes == 0


def test_beside_loss_remb_alone_does_not_vouch() -> None:
    chooser = RungChooser(LADDER, now_s=0.0)
    drive(chooser, 0, 20, remb=4_000_000, lost=0.04)
    assert (chooser.probes, chooser.failed_probes) == (1, 0)


def test_viewer_without_remb_is_known_as_one_only_after_chromiums_first() -> None:
    chooser = RungChooser(LADDER, now_s=0.0)
    drive(chooser, 0, 8.9)  # the first report comes at 1 s
    assert chooser.probes == 0
    drive(chooser, 8.9, 10)
    assert chooser.probes == 1


def test_remb_that_has_fallen_silent_ends_the_way_up() -> None:
    chooser = RungChooser(LADDER, now_s=0.0)
    drive(chooser, 0, 3, remb=2_000_000)
    drive(chooser, 3, 60)
    assert (chooser.probes, chooser.switches) == (0, 0)


def test_lasting_nacks_end_a_probe() -> None:
    chooser = RungChooser(LADDER, now_s=0.0)
    drive(chooser, 0, 9.5)
    assert chooser.probes == 1
    choices = drive(chooser, 9.5, 11.5, nacked=10)
    assert choices[-1] == Choice(MIDDLE, 0)
    assert chooser.failed_probes == 1


def test_scene_as_it_is_now_decides_how_far_down() -> None:
    calm = RungChooser(LADDER, now_s=0.0, first=TOP)
    drive(calm, 0, 5, remb=4_000_000, bitrate=1_000_000)
    # A quarter is lost: 0.85 of 1.14 Mbit/s pass, and the middle rung would need 0.82 now.
    assert drive(calm, 5, 7, remb=4_000_000, bitrate=1_000_000, lost=0.26)[-1].rung == MIDDLE
    busy = RungChooser(LADDER, now_s=0.0, first=TOP)
    drive(busy, 0, 5, remb=4_000_000, bitrate=2_400_000)
    assert drive(busy, 5, 7, remb=4_000_000, bitrate=2_400_000, lost=0.5)[-1].rung == LOWEST


def test_step_up_that_fails_is_not_vouched_for_by_remb_again_and_waits_longer() -> None:
    chooser = RungChooser(LADDER, now_s=0.0)
    drive(chooser, 0, 8, remb=4_000_000)
    assert drive(chooser, 8, 10, remb=4_000_000, lost=0.4)[-1].rung > TOP
    drive(chooser, 10, 10 + 2 * UP_WAIT_S, remb=4_000_000)
    assert (chooser.switches, chooser.probes) == (2, 0)
    drive(chooser, 10 + 2 * UP_WAIT_S, 14 + 2 * UP_WAIT_S, remb=4_000_000)
    assert chooser.probes == 1


def test_step_up_that_holds_makes_the_wait_short_again() -> None:
    chooser = RungChooser(LADDER, now_s=0.0)
    drive(chooser, 0, 8, remb=4_000_000)
    drive(chooser, 8, 10, remb=4_000_000, lost=0.4)  # a failure
    assert drive(chooser, 10, 10 + PROVEN_S + 30, remb=4_000_000)[-1].rung == TOP
    start = 10 + PROVEN_S + 30
    down = drive(chooser, start, start + 2, remb=4_000_000, lost=0.4)[-1].rung
    assert down > TOP
    assert drive(chooser, start + 2, start + 5 + UP_WAIT_S, remb=4_000_000)[-1].rung == down - 1
