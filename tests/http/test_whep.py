import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
from starlette.types import Message

from streamgen.access.keys import TokenKeys
from streamgen.access.roles import Role
from streamgen.access.tokens import Claims, sign_token
from streamgen.http import whep
from streamgen.http.auth import OperatorAccess
from streamgen.http.whep import MAX_BODY_BYTES
from streamgen.webrtc.errors import NotLiveError, TooManyViewersError, UnusableOfferError
from tests.http.fakes import ANSWER_SDP, Server

SDP = {"Content-Type": "application/sdp"}
TRICKLE = {"Content-Type": "application/trickle-ice-sdpfrag"}
TOKEN = "a token for the viewers"
TURN: dict[str, Any] = {"turn_urls": "turn:turn.example.net:3478?transport=udp", "turn_secret": "north"}
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
        ("/whep/main", "GET, HEAD, POST, OPTIONS", {"accept-post": "application/sdp"}),
        ("/whep/main/x", "GET, HEAD, PATCH, DELETE, OPTIONS", {"accept-patch": "application/trickle-ice-sdpfrag"}),
    ],
)
async def test_options_say_what_a_page_of_another_site_may_do(path: str, methods: str, accepts: dict[str, str]) -> None:
    async with Server().client() as client:
        answer = await client.options(
            path, headers={"Origin": "https://elsewhere.example", "Access-Control-Request-Method": "POST"}
        )
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["access-control-allow-methods"] == answer.headers["allow"] == methods
    assert {"authorization", "content-type"} <= _names(answer, "access-control-allow-headers")
    assert {
        "location", "link", "retry-after", "streamgen-rtp-offset", "streamgen-rtp-offset-audio", "streamgen-media-time",
    } <= _names(answer, "access-control-expose-headers")  # fmt: skip
    for name, value in accepts.items():
        assert answer.headers[name] == value


@pytest.mark.parametrize("path", ["/whep/other", "/whep/main/x/y", "/whep/"])
async def test_there_is_one_channel(path: str) -> None:
    async with Server().client() as client:
        answer = await client.post(path, content=OFFER, headers=SDP)
    assert answer.status_code in (404, 405)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize(
    ("path", "methods", "allowed"),
    [
        ("/whep/main", ("PUT", "PATCH", "DELETE"), "GET, HEAD, POST, OPTIONS"),
        ("/whep/main/x", ("PUT", "POST"), "GET, HEAD, PATCH, DELETE, OPTIONS"),
    ],
)
async def test_another_method_is_told_which_are_possible(path: str, methods: tuple[str, ...], allowed: str) -> None:
    async with Server().client() as client:
        for method in methods:
            answer = await client.request(method, path, content=OFFER)
            assert (answer.status_code, answer.headers["content-type"]) == (405, "application/problem+json")
            assert answer.headers["allow"] == allowed
            assert allowed in answer.json()["detail"]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_what_is_there_has_no_representation(method: str) -> None:
    async with Server().client() as client:
        location = (await client.post("/whep/main", content=OFFER, headers=SDP)).headers["location"]
        for path in ("/whep/main", location):
            answer = await client.request(method, path)
            assert (answer.status_code, answer.content) == (204, b"")
        assert (await client.request(method, "/whep/main/unknown")).status_code == 404


async def test_an_accept_that_excludes_answers_gets_no_session_and_nothing_like_a_counter_offer() -> None:
    server = Server()
    async with server.client() as client:
        answer = await client.post("/whep/main", content=OFFER, headers={**SDP, "Accept": "application/json"})
        taken = await client.post("/whep/main", content=OFFER, headers={**SDP, "Accept": "application/sdp"})
    assert (answer.status_code, answer.headers["content-type"]) == (406, "application/problem+json")
    assert "location" not in answer.headers
    assert taken.status_code == 201
    assert server.whep.offers == [OFFER]


async def test_an_offer_is_counted_under_the_address_it_came_from() -> None:
    server = Server()
    transport = httpx.ASGITransport(server.app, client=("192.0.2.7", 4711))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        # Who says so itself is not believed; proxies that are named are uvicorn's part (tests/http/test_server.py).
        await client.post("/whep/main", content=OFFER, headers={**SDP, "X-Forwarded-For": "198.51.100.1"})
    assert server.whep.addresses == ["192.0.2.7"]


# Tokens --------------------------------------------------------------------------------------------------------------


async def test_with_a_token_for_viewers_every_request_but_options_needs_it() -> None:
    server = Server(viewer_token=TOKEN)
    server.whep.open.add("x")
    async with server.client() as client:
        for method, path, headers in (
            ("POST", "/whep/main", SDP),
            ("PATCH", "/whep/main/x", TRICKLE),
            ("DELETE", "/whep/main/x", {}),
            ("GET", "/whep/main", {}),
            ("GET", "/whep/main/x", {}),
        ):
            answer = await client.request(method, path, content=OFFER, headers=headers)
            assert (answer.status_code, answer.headers["content-type"]) == (401, "application/problem+json"), method
            assert answer.headers["www-authenticate"] == "Bearer"
            assert answer.headers["access-control-allow-origin"] == "*"
            wrong = await client.request(method, path, content=OFFER, headers={**headers, **_bearer(TOKEN + "x")})
            assert (wrong.status_code, wrong.headers["www-authenticate"]) == (401, 'Bearer error="invalid_token"')
        assert (await client.options("/whep/main")).status_code == 200
    assert (server.whep.offers, server.whep.fragments, server.whep.open) == ([], [], {"x"})


async def test_a_body_without_a_token_is_not_read() -> None:
    read = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal read
        read += 1
        yield b"v=0"

    async with Server(viewer_token=TOKEN).client() as client:
        answer = await client.post("/whep/main", content=body(), headers={"Content-Type": "text/plain"})
    assert (answer.status_code, read) == (401, 0)


@pytest.mark.parametrize("token", [TOKEN, "the token of the operator"])
async def test_viewers_and_the_operator_watch_with_their_tokens(token: str) -> None:
    server = Server(viewer_token=TOKEN, operator_token="the token of the operator")
    async with server.client() as client:
        answer = await client.post("/whep/main", content=OFFER, headers={**SDP, **_bearer(token)})
        location = answer.headers["location"]
        assert answer.status_code == 201
        assert (await client.get(location, headers=_bearer(token))).status_code == 204
        patched = await client.patch(location, content="a=candidate", headers={**TRICKLE, **_bearer(token)})
        assert patched.status_code == 204
        assert (await client.delete(location, headers=_bearer(token))).status_code == 200


async def test_a_server_that_made_up_the_operators_token_lets_the_operator_watch() -> None:
    made_up = OperatorAccess("made up at the start")
    async with Server(access=made_up, viewer_token=TOKEN).client() as client:
        answer = await client.post("/whep/main", content=OFFER, headers={**SDP, **_bearer("made up at the start")})
    assert answer.status_code == 201


async def test_a_token_that_nobody_asked_for_does_no_harm() -> None:
    async with Server().client() as client:
        answer = await client.post("/whep/main", content=OFFER, headers={**SDP, **_bearer("anything")})
    assert answer.status_code == 201


async def test_a_signed_token_watches_if_its_roles_do_and_it_has_not_expired() -> None:
    secret = "0123456789abcdef0123456789abcdef"
    keys = TokenKeys([secret])
    made = OperatorAccess(TOKEN, None, keys, frozenset(), wall_s=lambda: 1000.0)
    said: dict[str, tuple[Role, float]] = {
        "holds": ("vote", 1001.0),
        "over": ("vote", 1000.0),
        "lacks": ("publish", 1001.0),
    }
    tokens = {
        name: sign_token(keys, Claims(frozenset({role}), "ann", end_s, 0.0)) for name, (role, end_s) in said.items()
    }
    async with Server(access=made, anonymous="nothing", token_secret=secret).client() as client:
        answers = {
            name: await client.post("/whep/main", content=OFFER, headers={**SDP, **_bearer(token)})
            for name, token in tokens.items()
        }
    assert {name: answer.status_code for name, answer in answers.items()} == {"holds": 201, "over": 401, "lacks": 403}
    assert "expired" in answers["over"].json()["detail"]
    assert answers["over"].headers["www-authenticate"] == 'Bearer error="invalid_token"'
    assert answers["lacks"].headers["www-authenticate"] == 'Bearer error="insufficient_scope"'


async def test_the_page_stays_open() -> None:
    async with Server(viewer_token=TOKEN).client() as client:
        assert (await client.get("/")).status_code == 200


# ICE servers ---------------------------------------------------------------------------------------------------------


async def test_each_viewer_is_told_the_ice_servers_with_credentials_of_its_own() -> None:
    server = Server(stun_urls="stun:stun.example.net", **TURN)
    async with server.client() as client:
        first, second = [await client.post("/whep/main", content=OFFER, headers=SDP) for _ in range(2)]
    stun, turn = first.headers.get_list("link")
    assert stun == '<stun:stun.example.net>; rel="ice-server"'
    assert turn.startswith('<turn:turn.example.net:3478?transport=udp>; rel="ice-server"; username="')
    assert turn.endswith('; credential-type="password"')
    assert second.headers.get_list("link")[1] != turn
    assert "north" not in str(first.headers)


async def test_without_ice_servers_there_is_no_link() -> None:
    async with Server().client() as client:
        assert "link" not in (await client.post("/whep/main", content=OFFER, headers=SDP)).headers


async def test_options_tell_the_ice_servers_to_those_who_may_watch_and_not_to_a_preflight() -> None:
    async with Server(viewer_token=TOKEN, **TURN).client() as client:
        told = await client.options("/whep/main", headers=_bearer(TOKEN))
        stranger = await client.options("/whep/main")
        preflight = await client.options(
            "/whep/main", headers={**_bearer(TOKEN), "Access-Control-Request-Method": "POST"}
        )
    assert told.headers["link"].startswith("<turn:")
    assert told.headers["cache-control"] == "no-store"
    assert "link" not in stranger.headers
    assert "link" not in preflight.headers


async def test_a_mistake_of_the_server_is_a_problem_document_without_its_insides() -> None:
    server = Server()
    server.whep.refusal = RuntimeError("secret detail")
    async with server.client() as client:
        answer = await client.post("/whep/main", content=OFFER, headers=SDP)
    assert (answer.status_code, answer.headers["content-type"]) == (500, "application/problem+json")
    assert "secret" not in answer.text


def _names(answer: httpx.Response, header: str) -> set[str]:
    return {name.strip().lower() for name in answer.headers[header].split(",")}


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}
