"""Two hundred prompts in two seconds on one WebSocket, through the whole application and a real generator."""

import asyncio
import json
import socket
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from websockets.asyncio.client import ClientConnection, connect

from streamgen.access.keys import TokenKeys
from streamgen.access.tokens import Claims, sign_token
from streamgen.http.app import create_app
from streamgen.settings import Settings
from streamgen.steering.rate import BURST_MESSAGES, MESSAGES_PER_S
from tests.http.fakes import FakeWhep
from tests.taped_channel import running
from tests.tiny_bundle import write_tiny_bundle
from tests.webrtc.loopback import until

PROMPTS = 200
BURST_S = 2.0
TOKEN = "correct horse battery staple"
SECRET = "a secret that is long enough to sign tokens with"
FINAL = {"applied", "superseded", "rejected"}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bundle(tmp_path_factory.mktemp("bundle"))


@asynccontextmanager
async def steering(bundle: Path, token: str, **changes: Any) -> AsyncIterator[ClientConnection]:
    """A connection to a whole server whose channel is live."""
    settings = Settings(host="0.0.0.0", operator_token=TOKEN, token_secret=SECRET, **changes)  # type: ignore[arg-type]
    listener = socket.create_server(("127.0.0.1", 0))
    async with running(bundle, prompt="") as channel:
        app = create_app(channel, settings, whep=FakeWhep())
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, ws="websockets-sansio", lifespan="off"))
        task = asyncio.create_task(server.serve([listener]))
        try:
            await until(lambda: server.started)
            await channel.until_live(2)
            url = f"ws://127.0.0.1:{listener.getsockname()[1]}/steer/main"
            async with connect(url, additional_headers={"Authorization": f"Bearer {token}"}) as connection:
                yield connection
        finally:
            server.should_exit = True
            await task
            listener.close()


async def burst(connection: ClientConnection) -> dict[str, list[dict[str, Any]]]:
    """Send the prompts at even intervals; the answers to each, once all have had their final one."""
    answers: dict[str, list[dict[str, Any]]] = {f"p{number}": [] for number in range(PROMPTS)}

    async def send() -> None:
        started_s = time.monotonic()
        for number in range(PROMPTS):
            await asyncio.sleep(started_s + number * BURST_S / PROMPTS - time.monotonic())
            message = {"type": "prompt.set", "id": f"p{number}", "text": f"picture number {number}"}
            await connection.send(json.dumps(message))

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(send())
        while not all(each and each[-1]["type"] in FINAL for each in answers.values()):
            message = json.loads(await connection.recv())
            if message.get("id") in answers:
                answers[message["id"]].append(message)
    # What comes behind the last final answer would be one too many.
    await connection.send(json.dumps({"type": "ping", "id": "end", "t": 0}))
    while (message := json.loads(await connection.recv()))["type"] != "pong":
        if message.get("id") in answers:
            answers[message["id"]].append(message)
    return answers


def finals(answers: dict[str, list[dict[str, Any]]]) -> Counter[str]:
    """Of each exactly one, and the last that is said."""
    for id, each in answers.items():
        kinds = [message["type"] for message in each]
        assert sum(kind in FINAL for kind in kinds) == 1, (id, kinds)
        assert kinds[-1] in FINAL, (id, kinds)
    return Counter(each[-1]["type"] for each in answers.values())


async def test_whoever_runs_the_server_sends_them_all_and_the_last_one_plays(bundle: Path) -> None:
    async with steering(bundle, TOKEN) as connection:
        answers = await burst(connection)
    counted = finals(answers)
    assert counted["rejected"] == 0
    assert answers[f"p{PROMPTS - 1}"][-1]["type"] == "applied"
    shown = [(each[-1]["chunk"], int(id[1:])) for id, each in answers.items() if each[-1]["type"] == "applied"]
    assert sorted(shown) == shown, "none plays after a later one"
    assert len({chunk for chunk, _ in shown}) == len(shown), "one for each chunk"


async def test_others_are_told_that_they_are_too_fast_and_the_last_one_that_was_taken_plays(bundle: Path) -> None:
    keys = TokenKeys([SECRET])
    token = sign_token(keys, Claims(frozenset({"operate"}), "ann", time.time() + 600, time.time()))
    # The limit of the connection alone: that of a person is wider here.
    async with steering(bundle, token, prompt_rate="1000/1s") as connection:
        answers = await burst(connection)
    counted = finals(answers)
    refused = [each[-1] for each in answers.values() if each[-1]["type"] == "rejected"]
    assert all(each["reason"] == "rate_limited" and each["retry_after_s"] > 0 for each in refused)
    assert len(refused) == counted["rejected"]
    most = BURST_MESSAGES + MESSAGES_PER_S * BURST_S
    assert BURST_MESSAGES <= PROMPTS - len(refused) <= 2 * most
    taken = [id for id, each in answers.items() if each[-1]["type"] != "rejected"]
    assert answers[taken[-1]][-1]["type"] == "applied"
