from collections.abc import Callable
from typing import Any

import pytest

from streamgen.audience.effects import Answer, AudienceStateError, RefusedError
from streamgen.audience.proposals import MAX_FINISHED, NOT_ALLOWED, Proposals
from streamgen.audience.settings import AudienceSettings


class Queue:
    """Proposals for one stage, with short calls."""

    def __init__(self, **settings: Any) -> None:
        self.settings = AudienceSettings.model_validate({"expire_s": 100.0, **settings})
        self.proposals = Proposals(self.settings)

    def propose(
        self, voter: str, id: str, text: str, now_s: float = 0.0, *, allowed: bool | None = True, name: str = ""
    ) -> Answer:
        return self.proposals.propose(voter, id, text, now_s, stage="prompt", allowed=allowed, name=name)

    def waiting(self) -> list[str]:
        return [each.id for each in self.proposals.waiting("prompt")]


def reason(act: Callable[[], object]) -> str:
    with pytest.raises(RefusedError) as caught:
        act()
    return caught.value.reason


def test_the_verdict_decides_where_a_proposal_begins() -> None:
    queue = Queue()
    assert queue.propose("ann", "1", "rain").status == "open"
    assert queue.propose("bob", "1", "snow", allowed=None).status == "held"
    refused = queue.propose("cy", "1", "worse", allowed=False)
    assert (refused.status, refused.message) == ("rejected", NOT_ALLOWED)
    assert queue.waiting() == ["p1"]
    assert [each.id for each in queue.proposals.queue()] == ["p2", "p1"]


def test_the_same_text_is_one_proposal_with_two_supporters() -> None:
    queue = Queue()
    queue.propose("ann", "1", "Rain on glass", name="Ann")
    assert queue.propose("bob", "9", " rain  ON glass", name="Bob").proposal == "p1"
    (proposal,) = queue.proposals.queue()
    assert (proposal.text, proposal.supporters, proposal.names) == ("Rain on glass", 2, ("Ann", "Bob"))
    assert reason(lambda: queue.propose("bob", "10", "rain on glass")) == "duplicate"
    # For another stage it is another proposal.
    other = queue.proposals.propose("bob", "11", "rain on glass", 0.0, stage="style", allowed=True)
    assert other.proposal == "p2"


def test_support_of_what_is_held_does_not_open_it() -> None:
    queue = Queue()
    queue.propose("ann", "1", "rain", allowed=None)
    assert queue.propose("bob", "1", "rain").status == "held"
    assert [each.to for each in queue.proposals.approve("p1")] == ["ann", "bob"]
    assert queue.waiting() == ["p1"]
    assert queue.proposals.approve("p1") == ()


def test_an_id_sent_again_gets_the_same_answer_and_acts_once() -> None:
    queue = Queue()
    first = queue.propose("ann", "1", "rain")
    assert queue.propose("ann", "1", " rain ") == first
    assert queue.proposals.find("p1") is not None
    assert queue.proposals.remembered == (1, 1)
    assert reason(lambda: queue.propose("ann", "1", "snow")) == "id_reused"
    assert queue.propose("bob", "1", "snow").status == "open"  # an id is the voter's own
    queue.proposals.reject("p1", "not today")
    assert queue.propose("ann", "1", "rain") == Answer("ann", "1", "rejected", message="not today", proposal="p1")


def test_a_voter_has_so_many_at_a_time() -> None:
    queue = Queue(proposals_per_voter=2)
    queue.propose("ann", "1", "rain")
    queue.propose("ann", "2", "snow", allowed=None)
    assert reason(lambda: queue.propose("ann", "3", "hail")) == "limit"
    queue.proposals.reject("p1", "")
    assert queue.propose("ann", "3", "hail").status == "open"


def test_when_full_the_newest_is_refused_but_support_still_counts() -> None:
    queue = Queue(max_proposals=2)
    queue.propose("ann", "1", "rain")
    queue.propose("ann", "2", "snow")
    assert reason(lambda: queue.propose("bob", "1", "hail")) == "full"
    queue.propose("bob", "1", "snow")
    assert queue.waiting() == ["p2", "p1"]


def test_proposers_are_bounded_too_and_the_final_ones_make_room() -> None:
    queue = Queue(max_requests=3)
    for voter in ("ann", "bob", "cy"):
        queue.propose(voter, "1", "rain")
    assert reason(lambda: queue.propose("dan", "1", "rain")) == "full"
    assert reason(lambda: queue.propose("dan", "1", "worse", allowed=False)) == "full"
    queue.proposals.reject("p1", "no")
    queue.propose("dan", "1", "snow")
    assert queue.proposals.remembered == (1, 1)


def test_final_ones_are_remembered_up_to_a_number() -> None:
    queue = Queue()
    for number in range(MAX_FINISHED + 10):
        queue.propose("ann", str(number), f"worse {number}", allowed=False)
    assert queue.proposals.remembered == (MAX_FINISHED, MAX_FINISHED)
    assert queue.proposals.find("p10") is None
    assert queue.proposals.find("p11") is not None
    assert queue.proposals.outcomes["rejected"] == MAX_FINISHED + 10


def test_a_proposal_expires_unless_it_is_voted_on() -> None:
    queue = Queue()
    queue.propose("ann", "1", "rain", 0.0)
    queue.propose("ann", "2", "snow", 10.0, allowed=None)
    queue.propose("bob", "1", "hail", 20.0)
    assert queue.proposals.due_s == 100.0
    assert [each.id for each in queue.proposals.take("prompt", 1)] == ["p1"]
    assert queue.proposals.expire(99.0) == ()
    assert queue.proposals.expire(110.0) == (Answer("ann", "2", "expired", proposal="p2"),)
    queue.proposals.release("p1")
    assert queue.proposals.due_s == 100.0
    assert [each.proposal for each in queue.proposals.expire(111.0)] == ["p1"]
    assert queue.proposals.due_s == 120.0
    assert len(queue.proposals.expire(120.0)) == 1
    assert queue.proposals.due_s is None


def test_withdrawing_leaves_it_to_the_others() -> None:
    queue = Queue()
    queue.propose("ann", "1", "rain", name="Ann")
    queue.propose("bob", "1", "rain", name="Bob")
    assert queue.proposals.withdraw("ann", "1").status == "withdrawn"
    (left,) = queue.proposals.queue()
    assert (left.supporters, left.names) == (1, ("Bob",))
    assert queue.proposals.withdraw("ann", "1").status == "withdrawn"
    assert queue.propose("ann", "1", "rain", name="Ann").status == "withdrawn"
    assert queue.proposals.withdraw("bob", "1").status == "withdrawn"
    assert queue.proposals.queue() == ()
    assert queue.propose("ann", "2", "rain").status == "open"


def test_what_cannot_be_withdrawn() -> None:
    queue = Queue()
    assert reason(lambda: queue.proposals.withdraw("ann", "1")) == "unknown_proposal"
    queue.propose("ann", "1", "rain")
    queue.proposals.take("prompt", 1)
    assert reason(lambda: queue.proposals.withdraw("ann", "1")) == "on_ballot"
    assert reason(lambda: queue.proposals.edit("p1", "snow")) == "on_ballot"
    queue.proposals.choose("p1")
    assert reason(lambda: queue.proposals.withdraw("ann", "1")) == "decided"


def test_a_text_that_the_operator_rejected_stays_rejected() -> None:
    queue = Queue()
    queue.propose("ann", "1", "rain")
    assert queue.proposals.reject("p1", "too wet") == (
        Answer("ann", "1", "rejected", message="too wet", proposal="p1"),
    )
    again = queue.propose("bob", "1", "RAIN")
    assert (again.status, again.message) == ("rejected", "too wet")
    assert queue.proposals.reject("p1", "") == ()
    assert reason(lambda: queue.proposals.approve("p1")) == "decided"
    assert reason(lambda: queue.proposals.approve("p99")) == "unknown_proposal"


def test_the_operator_edits_a_text() -> None:
    queue = Queue()
    queue.propose("ann", "1", "rian", allowed=None)
    queue.propose("bob", "1", "snow")
    assert queue.proposals.edit("p1", "rain")[0].status == "held"
    assert reason(lambda: queue.proposals.edit("p1", "SNOW")) == "duplicate"
    assert queue.propose("cy", "1", "rain").proposal == "p1"
    assert queue.propose("dan", "1", "rian").proposal == "p3"
    assert queue.propose("ann", "1", "rian").proposal == "p1"  # as it was sent


def test_the_most_supported_come_first_and_what_lost_makes_room() -> None:
    queue = Queue()
    queue.propose("ann", "1", "rain")
    queue.propose("ann", "2", "snow")
    queue.propose("bob", "1", "snow")
    assert queue.waiting() == ["p2", "p1"]
    queue.proposals.take("prompt", 1)
    assert queue.waiting() == ["p1"]
    queue.proposals.release("p2")
    assert queue.waiting() == ["p1", "p2"]  # two supporters on a second ballot are as good as one
    queue.proposals.release("p1", returns=False)
    assert queue.waiting() == ["p2"]


def test_only_the_first_names_are_credited() -> None:
    queue = Queue()
    for number in range(5):
        queue.propose(f"v{number}", "1", "rain", name=f"N{number}")
    assert queue.proposals.queue()[0].names == ("N0", "N1", "N2")
    assert reason(lambda: queue.propose("w", "1", "rain", name="N" * 41)) == "too_long"


def test_a_stored_queue_that_holds_a_text_twice_is_refused() -> None:
    queue = Queue()
    queue.propose("ann", "1", "rain")
    stored = queue.proposals.dump(0.0)
    twice = stored.model_copy(update={"active": (*stored.active, *stored.active)})
    with pytest.raises(AudienceStateError, match="twice"):
        Proposals.load(queue.settings, twice, 0.0)
