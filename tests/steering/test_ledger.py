from streamgen.protocol import Panic, Pause, PromptSet, Received, Rejected, Superseded
from streamgen.steering.ledger import Ledger, repeated
from streamgen.steering.on_air import OnAir
from tests.steering.records import record


def make(*in_play: str) -> Ledger:
    on_air = OnAir()
    on_air.chunk_started(record(4))
    return Ledger(8, on_air, lambda: frozenset(in_play))


def test_what_acts_at_once_has_its_whole_life_at_once_and_the_same_again() -> None:
    ledger = make()
    told = ledger.at_once("ann", Pause(id="p"), 2.0)
    assert [each.message.type for each in told] == ["received", "accepted", "applied"]
    known = ledger.registry.find("ann", "p")
    assert known is not None
    assert list(repeated("ann", known)) == told
    assert told[-1].message.chunk == 4  # type: ignore[union-attr]
    assert ledger.outcomes == {"applied": 1}


def test_a_refusal_is_counted_and_not_remembered() -> None:
    ledger = make()
    told = ledger.refuse("ann", "p", "forbidden", "token", "no")
    assert [type(each.message) for each in told] == [Received, Rejected]
    assert (ledger.outcomes, ledger.rejections) == ({"rejected": 1}, {"forbidden": 1})
    assert ledger.registry.find("ann", "p") is None


def test_who_is_superseded_is_told_by_whom_in_its_own_words() -> None:
    ledger = make()
    (anns, _), (bobs, _) = (ledger.receive(client, PromptSet(id="a", text="rain")) for client in ("ann", "bob"))
    assert anns.channel_id != bobs.channel_id
    (next_of_ann, _) = ledger.receive("ann", PromptSet(id="b", text="rain"))
    assert ledger.supersede(bobs, next_of_ann.channel_id).message == Superseded(id="a", by="b")
    assert ledger.supersede(next_of_ann, bobs.channel_id).message == Superseded(id="b", by=bobs.channel_id)


def test_no_request_gets_the_id_of_what_plays() -> None:
    ledger = make("a")
    request, _ = ledger.receive("ann", Panic(id="a", action="off"))
    assert request.channel_id not in ("a", "start")
    assert ledger.unused_id("a") not in ("a", request.channel_id)
