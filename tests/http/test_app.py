"""Health, readiness, the channel's description, and the steering socket through the whole application."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from starlette.testclient import TestClient, WebSocketTestSession
from starlette.websockets import WebSocketDisconnect

from streamgen.access.keys import TokenKeys
from streamgen.access.limits import Rates
from streamgen.access.roles import Role
from streamgen.access.tokens import Claims, sign_token
from streamgen.audience.audience import Audience
from streamgen.audience.settings import AudienceSettings
from streamgen.http.app import rates
from streamgen.http.auth import OperatorAccess
from streamgen.packets import SetConfig, SetPrompt
from streamgen.protocol import MAX_ID_CHARS, Permission, Status
from streamgen.settings import Settings
from streamgen.steering.voting import Voting
from tests.http.fakes import Server
from tests.steering.records import record

TOKEN = "correct horse battery staple"


@contextmanager
def steering(
    server: Server, query: str = "", headers: dict[str, str] | None = None, host: str = "localhost:8000"
) -> Iterator[WebSocketTestSession]:
    client = TestClient(server.app, base_url=f"http://{host}")
    with client.websocket_connect(f"ws://{host}/steer/main{query}", headers=headers or {}) as socket:
        yield socket


def closed(server: Server, query: str = "", headers: dict[str, str] | None = None) -> WebSocketDisconnect:
    with steering(server, query, headers) as socket, pytest.raises(WebSocketDisconnect) as caught:
        socket.receive_json()
    return caught.value


def ask(socket: WebSocketTestSession, **message: Any) -> list[dict[str, Any]]:
    """Send, and collect what comes back up to the answer to a ping behind it."""
    socket.send_json(message)
    socket.send_json({"type": "ping", "id": "end", "t": 0})
    answers: list[dict[str, Any]] = []
    while not answers or answers[-1]["type"] != "pong":
        answers.append(socket.receive_json())
    return answers[:-1]


def join(socket: WebSocketTestSession) -> dict[str, Any]:
    """The state, with which every connection begins; the timeline that follows for some is read as well."""
    state: dict[str, Any] = socket.receive_json()
    if {"schedule", "moderate"} & set(state["can"]):
        assert socket.receive_json()["type"] == "timeline"
    return state


# Health and description ----------------------------------------------------------------------------------------------


async def test_the_process_is_healthy_whatever_the_channel_does() -> None:
    async with Server().client() as client:
        answer = await client.get("/healthz")
    assert (answer.status_code, answer.json()["status"]) == (200, "ok")


@pytest.mark.parametrize(("status", "code"), [("starting", 503), ("slate", 503), ("live", 200), ("buffering", 200)])
async def test_ready_means_that_the_channel_makes_media(status: Status, code: int) -> None:
    server = Server()
    if status != "starting":
        server.channel.steering.chunk_started(record(0))
    server.channel.steering.set_status(status)
    async with server.client() as client:
        answer = await client.get("/readyz")
    assert answer.status_code == code
    assert status in answer.text
    assert ("retry-after" in answer.headers) == (code == 503)


async def test_the_channel_describes_itself() -> None:
    server = Server()
    server.channel.steering.chunk_started(record(3, "a", "rain"))
    async with server.client() as client:
        answer = await client.get("/api/channels/main")
        missing = await client.get("/api/channels/other")
    assert answer.json() == {
        "name": "main",
        "status": "live",
        "prompt": "rain",
        "prompt_id": "a",
        "config": {"guidance": None, "seed": None},
        "chunk": 3,
        "media_time": 3 * 0.32,
        "viewers": 0,
        "whep": "/whep/main",
        "steer": "/steer/main",
    }
    assert (missing.status_code, missing.headers["content-type"]) == (404, "application/problem+json")
    assert "main" in missing.json()["detail"]


async def test_the_interface_describes_itself() -> None:
    async with Server().client() as client:
        document = (await client.get("/openapi.json")).json()
    assert {"/whep/main", "/whep/main/{session_id}", "/healthz", "/readyz", "/metrics"} <= set(document["paths"])


# Steering ------------------------------------------------------------------------------------------------------------


def test_on_this_machine_everybody_steers() -> None:
    server = Server()
    server.channel.steering.generator_ready()
    with steering(server) as socket:
        state = join(socket)
        assert (state["type"], state["can"]) == ("state", ["config", "moderate", "panic", "prompt", "schedule"])
        answers = ask(socket, type="prompt.set", id="a", text="rain")
        assert [each["type"] for each in answers] == ["received", "accepted", "state"]
        ask(socket, type="config.update", id="b", seed=5)
    assert server.channel.commands[1:] == [SetPrompt("a", "rain"), SetConfig(seed=5)]


def test_a_pong_carries_the_media_time() -> None:
    with steering(Server()) as socket:
        join(socket)
        socket.send_json({"type": "ping", "id": "p", "t": 1.5})
        assert socket.receive_json() == {"type": "pong", "id": "p", "t": 1.5, "server_media_time": 8.25}


def test_without_the_token_one_watches() -> None:
    server = Server(host="0.0.0.0", access=OperatorAccess(TOKEN))
    with steering(server) as socket:
        assert join(socket)["can"] == []
        answers = ask(socket, type="prompt.set", id="a", text="rain")
        assert [each["type"] for each in answers] == ["received", "rejected"]
        assert answers[-1]["reason"] == "forbidden"
        server.channel.steering.chunk_started(record(1, "start", "sea"))


@pytest.mark.parametrize(
    ("query", "headers"),
    [
        ("?token=correct%20horse%20battery%20staple", {}),
        ("", {"Authorization": f"Bearer {TOKEN}"}),
        ("", {"Authorization": f"bearer  {TOKEN}"}),
    ],
)
def test_with_the_token_one_steers(query: str, headers: dict[str, str]) -> None:
    server = Server(host="0.0.0.0", access=OperatorAccess(TOKEN))
    with steering(server, query, headers) as socket:
        assert join(socket)["can"] == ["config", "moderate", "panic", "prompt", "schedule"]
        assert ask(socket, type="prompt.set", id="a", text="rain")[1]["type"] == "accepted"


def test_a_link_for_viewers_follows_the_stream_and_steers_nothing() -> None:
    server = Server(host="0.0.0.0", operator_token=TOKEN, viewer_token="for those who watch")
    with steering(server, "?token=for%20those%20who%20watch") as socket:
        assert join(socket)["can"] == []


@pytest.mark.parametrize("query", ["?token=wrong", "?token=%C3%A9%F0%9F%92%A9", f"?token={TOKEN}x"])
def test_a_wrong_token_ends_the_connection(query: str) -> None:
    error = closed(Server(host="0.0.0.0", access=OperatorAccess(TOKEN)), query)
    assert error.code == 1008
    assert "token" in error.reason


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://localhost.evil.example", "http://[", "file://"]
)
def test_pages_of_other_sites_cannot_steer_this_machine(origin: str) -> None:
    assert closed(Server(), headers={"Origin": origin}).code == 1008


@pytest.mark.parametrize("origin", ["http://localhost:8000", "http://127.0.0.1:3000", "http://[::1]:8000"])
def test_pages_of_this_machine_can(origin: str) -> None:
    with steering(Server(), headers={"Origin": origin}) as socket:
        assert socket.receive_json()["type"] == "state"


def test_with_a_token_pages_of_any_site_can_steer() -> None:
    server = Server(host="0.0.0.0", access=OperatorAccess(TOKEN))
    with steering(server, f"?token={TOKEN}", {"Origin": "https://stage.example"}) as socket:
        assert join(socket)["can"] == ["config", "moderate", "panic", "prompt", "schedule"]


# Roles ---------------------------------------------------------------------------------------------------------------

SECRET = "0123456789abcdef0123456789abcdef"
KEYS = TokenKeys([SECRET])
TAKING_PART: frozenset[Permission] = frozenset({"prompt", "config", "propose", "vote"})


def signed(*roles: Role, subject: str = "seat-12", lifetime_s: float = 3600.0) -> str:
    now_s = time.time()
    return sign_token(KEYS, Claims(frozenset(roles), subject, now_s + lifetime_s, now_s))


def test_a_signed_token_steers_with_its_roles() -> None:
    server = Server(token_secret=SECRET)
    with steering(server, f"?token={signed('operate')}") as socket:
        assert join(socket)["can"] == ["config", "moderate", "panic", "prompt", "schedule"]
        assert ask(socket, type="prompt.set", id="a", text="rain")[1]["type"] == "accepted"
    with steering(server, "", {"Authorization": f"Bearer {signed('vote')}"}) as socket:
        assert join(socket)["can"] == []
        assert ask(socket, type="prompt.set", id="a", text="rain")[1]["reason"] == "forbidden"


def test_nobody_is_offered_what_the_channel_has_no_messages_for() -> None:
    with steering(Server(), "") as socket:
        assert join(socket)["can"] == ["config", "moderate", "panic", "prompt", "schedule"]
    server = Server(token_secret=SECRET, offered=TAKING_PART)
    with steering(server, f"?token={signed('vote', 'propose')}") as socket:
        assert join(socket)["can"] == ["propose", "vote"]


def voting_now() -> Voting:
    """A vote that has begun, and lasts longer than any test."""
    voting = Voting(Audience(AudienceSettings(options=("rain", "snow"), vote_s=86_400)))
    voting.audience.start("op", "1", time.monotonic())
    return voting


def test_where_an_audience_takes_part_roles_allow_it_and_a_person_votes_once() -> None:
    voting = voting_now()
    server = Server(token_secret=SECRET, voting=voting)
    query = f"?token={signed('vote', subject='ann')}"
    with steering(server, query) as first, steering(server, query) as second:
        assert first.receive_json()["can"] == ["vote"]
        assert first.receive_json()["mine"] is None
        first.send_json({"type": "vote", "id": "a", "option": "o1"})
        while (told := first.receive_json())["type"] != "applied":
            assert told["type"] == "audience"
        second.send_json({"type": "vote", "id": "b", "option": "o2"})
        while second.receive_json()["type"] != "applied":
            pass
        first.send_json({"type": "propose", "id": "c", "text": "a fox"})
        while (told := first.receive_json())["type"] != "rejected":
            pass
        assert told["reason"] == "forbidden"
    with steering(server, query) as again:
        again.receive_json()
        now = again.receive_json()
    assert ([each["votes"] for each in now["options"]], now["mine"], now["queue"]) == ([0, 1], "o2", [])


def test_somebody_who_votes_too_often_is_told_to_wait() -> None:
    voting = voting_now()
    server = Server(token_secret=SECRET, voting=voting, vote_rate="1/3600s")
    with steering(server, f"?token={signed('vote')}") as socket:
        for id in ("a", "b"):
            socket.send_json({"type": "vote", "id": id, "option": "o1"})
        while (told := socket.receive_json())["type"] != "rejected":
            pass
    assert (told["id"], told["reason"]) == ("b", "rate_limited")
    assert voting.audience.votes == 1


@pytest.mark.parametrize(
    ("token", "words"),
    [
        (signed("vote", lifetime_s=-1), "expired"),
        ("a.b.c", "no token of this server"),
        ("x" * 3000, "Wrong token"),
        (f"{'x' * 3000}.y.z", "at most 2048"),
        (signed("publish"), "allows watching"),
    ],
)
def test_why_a_token_does_not_hold_is_said(token: str, words: str) -> None:
    error = closed(Server(token_secret=SECRET), f"?token={token}")
    assert error.code == 1008
    assert words in error.reason


@pytest.mark.parametrize("changes", [{"viewer_token": "for those who watch"}, {"anonymous": "nothing"}])
async def test_what_plays_is_told_to_those_who_may_watch(changes: dict[str, Any]) -> None:
    server = Server(operator_token=TOKEN, token_secret=SECRET, **changes)
    assert closed(server).code == 1008
    tokens = [TOKEN, signed("watch"), changes.get("viewer_token", TOKEN)]
    async with server.client() as client:
        for token in tokens:
            answer = await client.get("/api/channels/main", headers={"Authorization": f"Bearer {token}"})
            assert (answer.status_code, answer.json()["prompt"]) == (200, "calm sea")
        none = await client.get("/api/channels/main")
        wrong = await client.get("/api/channels/main", headers={"Authorization": "Bearer x"})
        lacking = await client.get("/api/channels/main", headers={"Authorization": f"Bearer {signed('publish')}"})
        assert (await client.get("/healthz")).status_code == (await client.get("/")).status_code == 200
    assert [each.status_code for each in (none, wrong, lacking)] == [401, 401, 403]
    assert none.headers["www-authenticate"] == "Bearer"
    assert "calm sea" not in none.text + wrong.text + lacking.text
    for token in tokens:
        with steering(server, f"?token={token}") as socket:
            assert socket.receive_json()["prompt"] == "calm sea"


def test_pages_that_are_not_in_the_list_cannot_steer_even_with_a_token() -> None:
    server = Server(host="0.0.0.0", operator_token=TOKEN, allowed_origins="https://stage.example")
    error = closed(server, f"?token={TOKEN}", {"Origin": "https://evil.example"})
    assert (error.code, "allowed_origins" in error.reason) == (1008, True)
    for origin in ("https://stage.example", "http://localhost:8000"):
        with steering(server, f"?token={TOKEN}", {"Origin": origin}) as socket:
            assert join(socket)["can"] == ["config", "moderate", "panic", "prompt", "schedule"]


def cookie_of(socket: WebSocketTestSession) -> str | None:
    every: list[tuple[bytes, bytes]] = socket.extra_headers or []
    return {name.decode(): value.decode() for name, value in every}.get("set-cookie")


def test_a_visitor_who_takes_part_gets_a_cookie_once() -> None:
    server = Server(anonymous="vote", offered=TAKING_PART)
    with steering(server) as socket:
        given = cookie_of(socket)
        assert join(socket)["can"] == ["vote"]
    assert given is not None
    assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= {part.strip() for part in given.split(";")}
    assert "Secure" not in given
    with steering(server, headers={"Cookie": given.split(";")[0]}) as socket:
        assert cookie_of(socket) is None


def test_who_has_a_token_or_only_watches_gets_none() -> None:
    with steering(Server(token_secret=SECRET, offered=TAKING_PART), f"?token={signed('vote')}") as socket:
        assert cookie_of(socket) is None
    for server in (Server(host="0.0.0.0", offered=TAKING_PART), Server(anonymous="vote"), Server()):
        with steering(server) as socket:
            assert cookie_of(socket) is None


def test_one_person_is_limited_over_all_of_their_connections() -> None:
    server = Server(token_secret=SECRET, prompt_rate="1/3600s")
    query = f"?token={signed('operate')}"
    with steering(server, query) as first, steering(server, query) as second:
        join(first)
        join(second)
        assert ask(first, type="prompt.set", id="a", text="rain")[1]["type"] == "accepted"
        second.receive_json()  # the state that the prompt changed
        refused = ask(second, type="prompt.set", id="b", text="snow")[-1]
        assert (refused["type"], refused["reason"], refused["id"]) == ("rejected", "rate_limited", "b")
        assert 3590 < refused["retry_after_s"] <= 3600


def test_whoever_runs_the_server_is_limited_by_their_connections_only() -> None:
    everybody = Server(prompt_rate="1/3600s", offered=TAKING_PART)
    operator = Server(prompt_rate="1/3600s", offered=TAKING_PART, host="0.0.0.0", operator_token=TOKEN)
    for server, query in ((everybody, ""), (operator, f"?token={TOKEN}")):
        with steering(server, query) as socket:
            assert set(socket.receive_json()["can"]) == TAKING_PART
            for name in ("a", "b"):
                assert ask(socket, type="prompt.set", id=name, text="rain")[1]["type"] == "accepted"


def test_limits_follow_the_settings() -> None:
    changed: dict[str, Any] = {
        "vote_rate": "1/1s", "propose_rate": "2/1s", "prompt_rate": "3/1s", "address_visitors": "6/1s",
        "address_rate_factor": 4, "address_connections": 5,
    }  # fmt: skip
    found = rates(Settings(**changed))
    assert (found.vote.times, found.propose.times, found.prompt.times) == (1, 2, 3)
    assert (found.address_factor, found.address_connections, found.address_visitors.times) == (4, 5, 6)
    assert rates(Settings()) == Rates()


def test_a_name_of_a_client_outlives_its_connection() -> None:
    server = Server()
    with steering(server, "?client=ann") as socket:
        join(socket)
        ask(socket, type="prompt.set", id="a", text="rain")
    with steering(server, "?client=ann") as socket:
        join(socket)
        assert [each["type"] for each in ask(socket, type="prompt.set", id="a", text="rain")] == [
            "received",
            "accepted",
        ]
        (refused,) = ask(socket, type="prompt.set", id="a", text="snow")
        assert refused["reason"] == "id_reused"


@pytest.mark.parametrize("name", ["", "x" * (MAX_ID_CHARS + 1), "a%0Ab"])
def test_a_bad_name_of_a_client_ends_the_connection(name: str) -> None:
    assert closed(Server(), f"?client={name}").code == 1008


def test_bad_frames_are_answered_and_the_next_one_is_taken() -> None:
    with steering(Server()) as socket:
        join(socket)
        for frame in ("", "{", "[]", json.dumps({"type": "prompt.set", "id": "a", "text": "x" * 100_000})):
            socket.send_text(frame)
            assert socket.receive_json()["type"] == "rejected"
        socket.send_bytes(b"\x00\x01\xff")
        assert socket.receive_json()["reason"] == "not_text"
        answers = ask(socket, type="prompt.set", id="a", text="大雨が降る海")
        assert answers[1]["type"] == "accepted"


def test_leaving_is_noticed() -> None:
    server = Server()
    with steering(server) as socket:
        join(socket)
        assert server.channel.steering.connections == 1
    assert server.channel.steering.connections == 0
