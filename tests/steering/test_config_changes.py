"""The settings in force, and when a request for others has been seen in a chunk."""

from dataclasses import replace

from streamgen.protocol import Config, ConfigUpdate
from streamgen.steering.config_changes import SETTLING_CHUNKS, ConfigChanges
from streamgen.steering.open_request import OpenRequest
from tests.steering.records import record

CHUNK = record(1, None, "")


def asked(id: str, *, guidance: float | None = None, seed: int | None = None) -> OpenRequest:
    return OpenRequest("ann", ConfigUpdate(id=id, guidance=guidance, seed=seed), id, 0, "accepted")


def test_fields_that_are_not_given_stay() -> None:
    changes = ConfigChanges()
    changes.take(asked("a", guidance=2.0))
    changes.take(asked("b", seed=7))
    assert changes.config == Config(guidance=2.0, seed=7)


def test_a_request_is_over_once_later_ones_have_overridden_all_of_it() -> None:
    changes = ConfigChanges()
    both = asked("a", guidance=2.0, seed=7)
    changes.take(both)
    assert changes.take(asked("b", guidance=3.0)) == []
    assert changes.take(asked("c", seed=8)) == [both]


def test_it_is_seen_when_a_chunk_shows_all_that_is_left_of_it() -> None:
    changes = ConfigChanges()
    both = asked("a", guidance=2.0, seed=7)
    changes.take(both)
    assert changes.seen(replace(CHUNK, guidance=2.0, seed=0)) == []
    assert changes.seen(replace(CHUNK, guidance=2.0, seed=7)) == [both]
    later = asked("b", seed=8)
    changes.take(later)
    assert changes.seen(replace(CHUNK, guidance=2.0, seed=0)) == [both], "the seed is another's now"
    changes.drop(both)
    changes.drop(both)
    assert changes.open == (later,)


def test_settings_of_the_timeline_hold_where_nobody_asks_for_others() -> None:
    changes = ConfigChanges()
    changes.force({"seed": 9, "guidance": 2.0}, by="t", place=5)
    assert (changes.config.seed, changes.config.guidance) == (9, 2.0)
    assert changes.overridden(5 + SETTLING_CHUNKS) == []


def test_a_request_that_came_before_the_timelines_change_is_overridden_once_chunks_have_shown_it() -> None:
    changes = ConfigChanges()
    asked = OpenRequest("ann", ConfigUpdate(id="a", seed=5), "a", 1, "accepted")
    changes.take(asked)
    changes.force({"seed": 9}, by="t", place=5)
    assert changes.config.seed == 5, "it may have come after it"
    assert changes.overridden(4 + SETTLING_CHUNKS) == []
    assert changes.overridden(5 + SETTLING_CHUNKS) == [(asked, "t")]
    assert changes.config.seed == 9


def test_a_request_that_came_after_the_timelines_change_is_applied_as_ever() -> None:
    changes = ConfigChanges()
    asked = OpenRequest("ann", ConfigUpdate(id="a", seed=5), "a", 1, "accepted")
    changes.take(asked)
    changes.force({"seed": 9}, by="t", place=5)
    assert changes.seen(record(6, seed=5)) == [asked]
    changes.drop(asked)
    assert changes.overridden(5 + SETTLING_CHUNKS) == []
    assert changes.config.seed == 5
