"""Which requests are remembered, and under which ids."""

from streamgen.protocol import Accepted, PromptSet, Queued, Received
from streamgen.steering.registry import Registry, answer


def test_ids_are_a_clients_own_and_unique_on_the_channel() -> None:
    registry = Registry(8)
    ann, bob = (registry.add(client, PromptSet(id="a", text="rain")) for client in ("ann", "bob"))
    assert registry.find("ann", "a") is ann
    assert registry.find("bob", "a") is bob
    assert ann.channel_id == "a"
    assert bob.channel_id != "a"
    assert registry.on_channel(bob.channel_id) is bob
    assert registry.on_channel(None) is None
    assert registry.add("eve", PromptSet(id="start", text="x")).channel_id != "start"
    # Somebody chooses the very id that was made up for somebody else.
    taken = registry.add("eve", PromptSet(id=bob.channel_id, text="x"))
    assert taken.channel_id not in ("a", bob.channel_id)


def test_so_many_finished_ones_are_remembered_and_all_open_ones() -> None:
    registry = Registry(2)
    requests = [registry.add("ann", PromptSet(id=f"{n}", text="x")) for n in range(5)]
    for request in requests[1:]:
        registry.finish(request)
    assert len(registry) == 3
    assert registry.find("ann", "0") is requests[0]
    assert registry.find("ann", "1") is None
    assert registry.on_channel("2") is None
    assert registry.find("ann", "4") is requests[4]


def test_a_renewed_request_is_the_newest() -> None:
    registry = Registry(2)
    first, second = (registry.add("ann", PromptSet(id=id, text="x")) for id in "ab")
    assert first.order < second.order
    registry.renew(first)
    assert first.order > second.order


def test_answers_are_kept_for_those_who_ask_again_and_estimates_replace_one_another() -> None:
    request = Registry(2).add("ann", PromptSet(id="a", text="x"))
    for message in (Received(id="a"), Accepted(id="a"), Queued(id="a", eta_ms=400), Queued(id="a", eta_ms=90)):
        assert answer(request, message).client == "ann"
    assert request.answers == [Received(id="a"), Accepted(id="a"), Queued(id="a", eta_ms=90)]
