from streamgen.protocol import Accepted, Applied, Received, Rejected, Superseded
from streamgen_client.errors import ConnectionLostError
from streamgen_client.open_requests import REMEMBERED_REQUESTS, OpenRequests
from streamgen_client.request import Request


def kinds(request: Request) -> list[str]:
    return [event.type for event in request.events]


def applied(id: str) -> Applied:
    return Applied(id=id, chunk=1, media_time=0.32)


def test_answers_go_to_the_request_of_their_id() -> None:
    requests, a, b = OpenRequests(), Request("a"), Request("b")
    requests.add(a)
    requests.add(b)
    for event in (Received(id="a"), Accepted(id="b"), applied("a"), applied("unknown")):
        requests.take(event)
    assert (kinds(a), kinds(b)) == (["received", "applied"], ["accepted"])
    assert (a.done, b.done, len(requests)) == (True, False, 1)


def test_an_edit_ends_the_request_that_made_the_entry_and_lives_on() -> None:
    requests, made, edit = OpenRequests(), Request("a"), Request("a")
    requests.add(made)
    requests.take(Accepted(id="a"))
    requests.add(edit)
    for event in (Received(id="a"), Superseded(id="a", by="a"), Accepted(id="a"), applied("a")):
        requests.take(event)
    assert kinds(made) == ["accepted", "superseded"]
    assert kinds(edit) == ["received", "accepted", "applied"]
    assert len(requests) == 0


def test_an_edit_that_is_refused_leaves_the_first_request_open() -> None:
    requests, made, edit = OpenRequests(), Request("a"), Request("a")
    requests.add(made)
    requests.add(edit)
    requests.take(Rejected(id="a", reason="moderation", message="no"))
    assert (made.done, edit.done) == (False, True)
    requests.take(applied("a"))
    assert kinds(made) == ["applied"]


async def test_the_oldest_fails_when_too_many_are_open_and_all_when_the_connection_is_lost() -> None:
    requests = OpenRequests()
    some = [Request(str(number)) for number in range(REMEMBERED_REQUESTS + 1)]
    for request in some:
        requests.add(request)
    assert [request.done for request in some[:2]] == [True, False]
    requests.fail(ConnectionLostError("gone"))
    assert all(request.done for request in some)
    assert len(requests) == 0
