import asyncio
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
from starlette.types import Message

from streamgen.http import whep
from streamgen.http.whep import MAX_BODY_BYTES
from streamgen.webrtc.errors import NotLiveError, TooManyViewersError, UnusableOfferError
from tests.http.fakes import ANSWER_SDP, Server

SDP = {"Content-Type": "application/sdp"}
TRICKLE = {"Content-Type": "application/trickle-ice-sdpfrag"}
OFFER = "v=0\r\noffer\r\n"


async def test_an_offer_is_answered_with_a_session() -> None:
    server = Server()
    async with server.client() as client:
        answer = await client.post("/whep/main", content=OFFER, headers=SDP)
    assert server.whep.offers == [OFFER]
    assert (answer.status_code, answer.text) == (201, ANSWER_SDP)
    assert answer.headers["content-type"] == "application/sdp"
    assert answer.headers["location"] == "/whep/main/session-1"
    assert answer.headers["streamgen-rtp-offset"] == "4294967295"
    assert answer.headers["streamgen-media-time"] == "8.250"
    assert answer.headers["cache-control"] == "no-store"
    assert "etag" not in answer.headers


async def test_the_session_ends_with_delete() -> None:
    server = Server()
    async with server.client() as client:
        location = (await client.post("/whep/main", content=OFFER, headers=SDP)).headers["location"]
        assert (await client.delete(location)).status_code == 200
        assert server.whep.viewers == 0
        again = await client.delete(location)
    assert (again.status_code, again.json()["title"]) == (404, "No such WHEP session")


async def test_candidates_are_taken_without_an_etag() -> None:
    server = Server()
    async with server.client() as client:
        location = (await client.post("/whep/main", content=OFFER, headers=SDP)).headers["location"]
        answer = await client.patch(location, content="a=candidate", headers={**TRICKLE, "If-Match": '"x"'})
    assert (answer.status_code, answer.content) == (204, b"")
    assert server.whep.fragments == [("session-1", "a=candidate")]


async def test_an_ice_restart_is_refused() -> None:
    server = Server()
    async with server.client() as client:
        location = (await client.post("/whep/main", content=OFFER, headers=SDP)).headers["location"]
        server.whep.refusal = UnusableOfferError("ICE restarts are not supported; POST a new offer")
        answer = await client.patch(location, content="a=ice-ufrag:x", headers=TRICKLE)
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert answer.json()["detail"] == "ICE restarts are not supported; POST a new offer"


@pytest.mark.parametrize(
    ("refusal", "status", "retry_after"),
    [
        (NotLiveError("starting", retry_after_s=2), 409, "2"),
        (TooManyViewersError("full", retry_after_s=10), 503, "10"),
        (UnusableOfferError("no codec"), 422, None),
    ],
)
async def test_a_refusal_says_why_and_when_to_come_again(
    refusal: Exception, status: int, retry_after: str | None
) -> None:
    server = Server()
    server.whep.refusal = refusal
    async with server.client() as client:
        answer = await client.post("/whep/main", content=OFFER, headers=SDP)
    assert (answer.status_code, answer.json()["status"]) == (status, status)
    assert answer.json()["detail"] == str(refusal)
    assert answer.headers.get("retry-after") == retry_after
    assert answer.headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize("headers", [{}, {"Content-Type": "text/plain"}, {"Content-Type": "application/json"}, TRICKLE])
async def test_an_offer_has_its_content_type(headers: dict[str, str]) -> None:
    server = Server()
    async with server.client() as client:
        answer = await client.post("/whep/main", content=OFFER, headers=headers)
    assert answer.status_code == 415
    assert "application/sdp" in answer.json()["detail"]
    assert server.whep.offers == []


async def test_parameters_of_the_content_type_do_not_matter() -> None:
    async with Server().client() as client:
        answer = await client.post(
            "/whep/main", content=OFFER, headers={"Content-Type": "Application/SDP; charset=utf-8"}
        )
    assert answer.status_code == 201


async def test_a_long_body_is_refused_before_all_of_it_is_read() -> None:
    server = Server()
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 100 * MAX_BODY_BYTES:
            sent += 16_384
            yield b"x" * 16_384

    async with server.client() as client:
        answer = await client.post("/whep/main", content=endless(), headers=SDP)
    assert answer.status_code == 413
    assert str(MAX_BODY_BYTES) in answer.json()["detail"]
    assert sent < 3 * MAX_BODY_BYTES
    assert server.whep.offers == []


async def test_a_body_that_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whep, "BODY_TIMEOUT_S", 0.0)

    async def stuck() -> AsyncIterator[bytes]:
        yield b"v=0"
        await asyncio.Event().wait()

    async with Server().client() as client:
        answer = await client.post("/whep/main", content=stuck(), headers=SDP)
    assert (answer.status_code, answer.headers["content-type"]) == (408, "application/problem+json")


async def test_a_client_that_leaves_in_the_middle_of_its_body_is_no_mistake_of_the_server() -> None:
    server = Server()
    sent: list[Message] = []
    events: Iterator[Message] = iter(
        [{"type": "http.request", "body": b"v=0", "more_body": True}, {"type": "http.disconnect"}]
    )

    async def receive() -> Message:
        return next(events)

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        "type": "http", "method": "POST", "path": "/whep/main", "query_string": b"", "http_version": "1.1",
        "headers": [(b"host", b"localhost"), (b"content-type", b"application/sdp")],
    }  # fmt: skip
    await server.app(scope, receive, send)
    assert sent[0]["status"] == 400
    assert server.whep.offers == []


async def test_a_body_that_is_not_text_is_refused() -> None:
    async with Server().client() as client:
        answer = await client.post("/whep/main", content=b"\xff\xfe\x00", headers=SDP)
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")


@pytest.mark.parametrize(
    ("path", "methods", "accepts"),
    [
        ("/whep/main", "POST, OPTIONS", {"accept-post": "application/sdp"}),
        ("/whep/main/x", "PATCH, DELETE, OPTIONS", {"accept-patch": "application/trickle-ice-sdpfrag"}),
    ],
)
async def test_options_say_what_a_page_of_another_site_may_do(path: str, methods: str, accepts: dict[str, str]) -> None:
    async with Server().client() as client:
        answer = await client.options(
            path, headers={"Origin": "https://elsewhere.example", "Access-Control-Request-Method": "POST"}
        )
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["access-control-allow-methods"] == methods
    assert {"authorization", "content-type"} <= _names(answer, "access-control-allow-headers")
    assert {"location", "link", "streamgen-rtp-offset"} <= _names(answer, "access-control-expose-headers")
    for name, value in accepts.items():
        assert answer.headers[name] == value


@pytest.mark.parametrize("path", ["/whep/other", "/whep/main/x/y", "/whep/"])
async def test_there_is_one_channel(path: str) -> None:
    async with Server().client() as client:
        answer = await client.post(path, content=OFFER, headers=SDP)
    assert answer.status_code in (404, 405)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["access-control-allow-origin"] == "*"


async def test_another_method_is_told_which_are_possible() -> None:
    async with Server().client() as client:
        answer = await client.put("/whep/main", content=OFFER)
    assert (answer.status_code, answer.headers["content-type"]) == (405, "application/problem+json")


async def test_a_mistake_of_the_server_is_a_problem_document_without_its_insides() -> None:
    server = Server()
    server.whep.refusal = RuntimeError("secret detail")
    async with server.client() as client:
        answer = await client.post("/whep/main", content=OFFER, headers=SDP)
    assert (answer.status_code, answer.headers["content-type"]) == (500, "application/problem+json")
    assert "secret" not in answer.text


def _names(answer: httpx.Response, header: str) -> set[str]:
    return {name.strip().lower() for name in answer.headers[header].split(",")}
