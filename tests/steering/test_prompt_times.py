"""How long prompts take: what is counted, from when, and that it stays bounded."""

from streamgen.protocol import Accepted, Applied, Held, Received, Rejected, ServerMessage, Superseded
from streamgen.protocol.health import PromptTimes
from streamgen.steering.prompt_times import MAX_SAMPLES, MAX_WAITING, PromptClock


def applied(id: str) -> Applied:
    return Applied(id=id, chunk=1, media_time=0.0)


def test_a_prompt_counts_from_being_taken_to_its_first_packet() -> None:
    clock = PromptClock()
    clock.taken("ann", "a", 10.0)
    clock.told("ann", Received(id="a"), 10.0)
    clock.told("ann", Accepted(id="a"), 10.1)
    assert clock.times() == PromptTimes()
    clock.told("ann", applied("a"), 10.75)
    assert clock.times() == PromptTimes(prompts=1, p50_ms=750, p95_ms=750, last_ms=750)
    clock.told("ann", applied("a"), 99.0)  # said again to one who asked again
    assert clock.times().prompts == 1


def test_what_an_operator_takes_does_not_count() -> None:
    clock = PromptClock()
    clock.taken("ann", "a", 10.0)
    clock.told("ann", Held(id="a", message="wait"), 10.5)
    clock.told("ann", Accepted(id="a"), 70.0)
    clock.told("ann", applied("a"), 70.25)
    assert clock.times().last_ms == 250


def test_one_that_is_sent_again_counts_from_the_first_time() -> None:
    clock = PromptClock()
    clock.taken("ann", "a", 1.0)
    clock.taken("ann", "a", 1.5)
    clock.told("ann", applied("a"), 2.0)
    assert clock.times().last_ms == 1000


def test_what_is_never_seen_and_what_is_no_prompt_does_not_count() -> None:
    clock = PromptClock()
    ends: list[ServerMessage] = [Superseded(id="a", by="b"), Rejected(id="a", reason="moderation", message="no")]
    for end in ends:
        clock.taken("ann", "a", 1.0)
        clock.told("ann", end, 1.1)
        clock.told("ann", applied("a"), 1.2)
    clock.told("ann", applied("panic"), 2.0)
    clock.taken("ann", "a", 3.0)
    clock.told("bob", applied("a"), 3.1)  # the same id, but another client's
    clock.told(None, applied("a"), 3.2)
    assert clock.times() == PromptTimes()


def test_percentiles_are_times_that_were_measured_of_the_newest_prompts() -> None:
    clock = PromptClock()
    for number in range(MAX_SAMPLES + 20):
        clock.taken("ann", str(number), float(number))
        clock.told("ann", applied(str(number)), number + number / 1000)
    assert clock.times() == PromptTimes(prompts=MAX_SAMPLES, p50_ms=69, p95_ms=114, last_ms=119)


def test_prompts_without_an_end_take_no_memory() -> None:
    clock = PromptClock()
    for number in range(MAX_WAITING + 1):
        clock.taken("ann", str(number), 0.0)
    clock.told("ann", applied("0"), 1.0)  # the oldest was dropped
    assert clock.times().prompts == 0
    clock.told("ann", applied(str(MAX_WAITING)), 1.0)
    assert clock.times().prompts == 1
