"""Who steers over the data channel of a WHEP session: decided when the session is opened, as for a WebSocket."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from streamgen.http.auth import OperatorAccess
from streamgen.protocol import MAX_ID_CHARS
from tests.http.fakes import Server
from tests.http.test_app import KEYS, TAKING_PART, TOKEN, signed
from tests.http.test_whep import SDP
from tests.steering.fake_channel import FakeChannel
from tests.webrtc.loopback import until

SECRET = "0123456789abcdef0123456789abcdef"
OFFER = "v=0\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n"
EVERYTHING = ["config", "moderate", "panic", "prompt", "schedule"]


async def post(server: Server, query: str = "", offer: str = OFFER, **headers: str) -> httpx.Response:
    async with server.client() as client:
        answer = await client.post(f"/whep/main{query}", content=offer, headers={**SDP, **headers})
    assert answer.status_code == 201
    return answer


@asynccontextmanager
async def opened(server: Server) -> AsyncIterator[FakeChannel]:
    """The channel of the newest session is open, and something has been said on it."""
    serve = server.whep.served[-1]
    assert serve is not None
    channel: Any = FakeChannel()
    task = asyncio.create_task(serve(channel))
    await until(lambda: bool(channel.sent))
    yield channel
    channel.close()
    async with asyncio.timeout(5):
        await task
    assert server.channel.steering.connections == 0


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def can(server: Server, **headers: str) -> list[str]:
    await post(server, **headers)
    async with opened(server) as channel:
        assert channel.sent[0]["type"] == "state"
        permissions: list[str] = channel.sent[0]["can"]
        return permissions


async def refusal(server: Server, query: str = "", **headers: str) -> str:
    await post(server, query, **headers)
    async with opened(server) as channel:
        (told,) = channel.sent
        assert channel.readyState == "closed"
    assert (told["type"], told["id"], told["reason"], told["field"]) == ("rejected", None, "forbidden", "token")
    return str(told["message"])


async def test_the_channel_allows_what_the_token_of_the_session_does() -> None:
    server = Server(token_secret=SECRET, operator_token=TOKEN, host="0.0.0.0")
    assert await can(server) == []
    assert await can(server, **bearer(TOKEN)) == EVERYTHING
    assert await can(server, **bearer(signed("operate"))) == EVERYTHING
    assert await can(server, **bearer(signed("watch"))) == []


async def test_on_this_machine_everybody_may_everything() -> None:
    assert await can(Server()) == EVERYTHING
    assert await can(Server(), Origin="http://localhost:8000") == EVERYTHING


async def test_pages_of_other_sites_watch_and_do_not_steer() -> None:
    """Without this, any page could steer the server of whoever opens it: playing is allowed to all of them."""
    assert "allowed_origins" in await refusal(Server(), Origin="https://evil.example")
    listed = Server(allowed_origins="https://stage.example", operator_token=TOKEN)
    assert "allowed_origins" in await refusal(listed, Origin="https://evil.example", **bearer(TOKEN))
    assert await can(listed, Origin="https://stage.example", **bearer(TOKEN)) == EVERYTHING


@pytest.mark.parametrize(
    ("token", "words"),
    [("wrong", "Wrong token"), (signed("vote", lifetime_s=-1), "expired"), (signed("publish"), "watching")],
)
async def test_a_token_that_does_not_hold_is_told_and_no_reason_not_to_watch(token: str, words: str) -> None:
    server = Server(token_secret=SECRET, operator_token=TOKEN)
    assert words in await refusal(server, **bearer(token))
    assert server.whep.viewers == 1


@pytest.mark.parametrize("client", ["", "x" * (MAX_ID_CHARS + 1), "a%0Ab"])
async def test_a_name_that_is_none_is_refused(client: str) -> None:
    assert "printable" in await refusal(Server(), f"?client={client}")


async def test_the_same_name_is_the_same_client_in_the_next_session() -> None:
    server = Server()
    server.channel.steering.generator_ready()
    before = len(server.channel.commands)
    await post(server, "?client=ann")
    async with opened(server) as channel:
        channel.say(type="prompt.set", id="a", text="rain")
        await until(lambda: len(channel.sent) >= 5)
    await post(server, "?client=ann")
    async with opened(server) as channel:
        channel.say(type="prompt.set", id="a", text="rain")
        await until(lambda: len(channel.sent) >= 4)
        assert [each["type"] for each in channel.sent[2:]] == ["received", "accepted"]  # after state and timeline
    assert len(server.channel.commands) == before + 1  # asked for twice, done once


async def test_prompts_count_for_the_person_whatever_carries_them() -> None:
    server = Server(token_secret=SECRET, prompt_rate="1/3600s")
    for number, reason in ((1, None), (2, "rate_limited")):
        await post(server, **bearer(signed("operate")))
        async with opened(server) as channel:
            channel.say(type="prompt.set", id=f"p{number}", text="rain")
            await until(lambda channel=channel: len(channel.sent) >= 3)  # type: ignore[misc]
            assert channel.sent[2].get("reason") == reason  # after state and timeline


async def test_only_so_many_connections_of_one_address() -> None:
    server = Server(address_connections=1, host="0.0.0.0", operator_token=TOKEN)
    transport = httpx.ASGITransport(server.app, client=("192.0.2.7", 5000))
    async with httpx.AsyncClient(transport=transport, base_url="http://stage.example") as client:
        for _ in range(2):
            await client.post("/whep/main", content=OFFER, headers=SDP)
    async with opened(server) as first:
        assert first.sent[0]["type"] == "state"
        serve = server.whep.served[0]
        assert serve is not None
        second: Any = FakeChannel()
        await serve(second)
        (told,) = second.sent
        assert (told["reason"], told["field"], second.readyState) == ("unavailable", "connection", "closed")
        assert "your address" in told["message"]


async def test_the_end_of_the_token_ends_the_steering_and_where_it_was_needed_the_session() -> None:
    token = signed("watch", lifetime_s=-1)  # which is over, and not yet for the clock that lets it in
    access = OperatorAccess(TOKEN, keys=KEYS, wall_s=lambda: time.time() - 10)
    closed, open_to_all = Server(access=access, anonymous="nothing"), Server(access=access)
    for server in (closed, open_to_all):
        await post(server, **bearer(token))
    (ends,) = closed.whep.ends
    assert ends is not None
    assert -10 < ends - time.time() <= -1
    assert open_to_all.whep.ends == [None]
    async with opened(open_to_all) as channel:
        await until(lambda: channel.readyState == "closed")
        told = channel.sent[-1]
        assert (told["type"], told["reason"], told["field"]) == ("rejected", "forbidden", "token")
        assert "expired" in told["message"]


async def test_tokens_without_an_end_have_none() -> None:
    server = Server(viewer_token="for those who watch", operator_token=TOKEN)
    for token in ("for those who watch", TOKEN):
        await post(server, **bearer(token))
    assert server.whep.ends == [None, None]


async def test_a_visitor_who_takes_part_gets_a_cookie_once() -> None:
    server = Server(anonymous="vote", offered=TAKING_PART)
    given = (await post(server)).headers["set-cookie"]
    assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= {part.strip() for part in given.split(";")}
    assert "Secure" not in given
    assert "set-cookie" not in (await post(server, Cookie=given.split(";")[0])).headers


async def test_who_asks_for_no_data_channel_is_served_none_and_gets_no_cookie() -> None:
    server = Server(anonymous="vote", offered=TAKING_PART)
    answer = await post(server, offer="v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\n")
    assert server.whep.served == [None]
    assert "set-cookie" not in answer.headers
