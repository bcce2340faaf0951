import asyncio
import json
from collections.abc import AsyncIterator, Callable

import httpx
import pytest

from streamgen.moderation.errors import ExternalError
from streamgen.moderation.external import MAX_ANSWER_BYTES, External, ExternalSettings
from streamgen.moderation.verdict import ALLOWED

URL = "https://moderation.test/judge"


def service(answer: Callable[[httpx.Request], httpx.Response], **settings: object) -> External:
    return External(ExternalSettings(URL, **{"timeout_s": 60, **settings}), transport=httpx.MockTransport(answer))  # type: ignore[arg-type]


async def test_the_request_is_the_documented_one() -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={"decision": "allow", "more": "is ignored"})

    async with service(answer, token="secret") as external:
        assert await external.ask("a calm sea") == ALLOWED
    (request,) = seen
    assert (request.method, str(request.url)) == ("POST", URL)
    assert json.loads(request.content) == {"version": 1, "text": "a calm sea"}
    assert request.headers["authorization"] == "Bearer secret"


async def test_its_verdict_is_taken_over() -> None:
    told = {"decision": "refuse", "category": "storms", "told": "No storms.", "evidence": "model 3"}
    async with service(lambda _: httpx.Response(200, json=told)) as external:
        verdict = await external.ask("x")
    assert (verdict.decision, verdict.category, verdict.told) == ("refuse", "storms", "No storms.")
    assert verdict.evidence[0].rule == "model 3"
    async with service(lambda _: httpx.Response(200, json={"decision": "hold"})) as external:
        verdict = await external.ask("x")
    assert (verdict.decision, verdict.category) == ("hold", "external")
    assert verdict.told


@pytest.mark.parametrize(
    "response",
    [
        httpx.Response(500, json={"decision": "allow"}),
        httpx.Response(204),
        httpx.Response(302, headers={"location": "https://elsewhere.test"}),
        httpx.Response(200, content=b""),
        httpx.Response(200, content=b"<html>"),
        httpx.Response(200, json={}),
        httpx.Response(200, json=[]),
        httpx.Response(200, json={"decision": "ALLOW"}),
        httpx.Response(200, json={"decision": True}),
        httpx.Response(200, json={"decision": "allow", "category": 3}),
        httpx.Response(200, content=b'{"decision": "allow"}' + b" " * MAX_ANSWER_BYTES),
    ],
)
@pytest.mark.parametrize("on_failure", ["hold", "refuse"])
async def test_no_other_answer_allows(response: httpx.Response, on_failure: str) -> None:
    fresh = httpx.Response(response.status_code, headers=response.headers, content=response.content)
    async with service(lambda _: fresh, on_failure=on_failure) as external:
        verdict, error = await external.judge("x")
    assert isinstance(error, ExternalError)
    assert (verdict.decision, verdict.category) == (on_failure, "unavailable")


async def test_an_unreachable_service_does_not_allow() -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("no route", request=request)

    async with service(refuse) as external:
        with pytest.raises(ExternalError, match="not reached"):
            await external.ask("x")


async def test_requests_under_way_are_bounded() -> None:
    under_way = most = 0
    release = asyncio.Event()
    full = asyncio.Event()

    async def answer(_: httpx.Request) -> httpx.Response:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        if under_way == 2:
            full.set()
        await release.wait()
        under_way -= 1
        return httpx.Response(200, json={"decision": "allow"})

    settings = ExternalSettings(URL, timeout_s=60, concurrency=2)
    async with External(settings, transport=httpx.MockTransport(answer)) as external, asyncio.TaskGroup() as tasks:
        asked = [tasks.create_task(external.ask(str(number))) for number in range(6)]
        await full.wait()
        release.set()
        assert [await each for each in asked] == [ALLOWED] * 6
    assert most == 2


@pytest.fixture
async def socket_service() -> AsyncIterator[tuple[str, dict[str, bytes | None]]]:
    """A server on a real socket that answers what stands under "answer", and never when that is None."""
    says: dict[str, bytes | None] = {"answer": None}

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            if says["answer"] is None:
                await reader.read()  # until the client gives up
            else:
                writer.write(says["answer"])
                await writer.drain()
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", says
    await server.wait_closed()


async def test_over_a_socket(socket_service: tuple[str, dict[str, bytes | None]]) -> None:
    url, says = socket_service
    body = b'{"decision": "allow"}'
    says["answer"] = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(body) + body
    async with External(ExternalSettings(url, timeout_s=60)) as external:
        assert await external.ask("x") == ALLOWED
        says["answer"] = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\nconnection: close\r\n\r\n" + body  # cut off
        with pytest.raises(ExternalError, match="not reached"):
            await external.ask("x")


async def test_a_service_that_hangs_does_not_allow(socket_service: tuple[str, dict[str, bytes | None]]) -> None:
    url, _ = socket_service
    async with External(ExternalSettings(url, timeout_s=0.05)) as external:
        verdict, error = await external.judge("x")
    assert verdict.decision == "hold"
    assert "no answer within 0.05 s" in str(error) or "not reached" in str(error)


@pytest.mark.parametrize("wrong", [{"url": "ftp://x"}, {"timeout_s": 0}, {"concurrency": 0}])
def test_settings_are_checked(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"begin it with|must be above"):
        ExternalSettings(**{"url": URL, **wrong})  # type: ignore[arg-type]
