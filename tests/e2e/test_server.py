"""The real `streamgen serve` from outside: a WHEP viewer (aiortc), a steering WebSocket, signals, a dead generator."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import httpx
import numpy as np
import psutil
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from av import AudioFrame, VideoFrame
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.tiny_bundle import write_tiny_bundle

COMMAND: Final = Path(sys.executable).with_name("streamgen")
PATIENCE_S: Final = 240.0  # for what takes a second or two on an idle machine
PAGE_LINE: Final = re.compile(r"^\s*page:\s*(http://\S+/)\s*$", re.MULTILINE)


class Server:
    """A running server process."""

    def __init__(self, process: "subprocess.Popen[bytes]", log: Path) -> None:
        self.process = process
        self.log = log
        self.url = ""
        self.family: set[int] = set()  # process ids that were ever seen below it

    def look(self) -> list[psutil.Process]:
        """All processes below it now."""
        children = psutil.Process(self.process.pid).children(recursive=True)
        self.family |= {child.pid for child in children}
        return children

    def generator(self) -> psutil.Process:
        """The process that the model runs in."""
        (found,) = [child for child in self.look() if "spawn_main" in " ".join(child.cmdline())]
        return found

    def wait(self, condition: Callable[[], Any], what: str) -> Any:
        deadline = time.monotonic() + PATIENCE_S
        while not (found := condition()):
            assert self.process.poll() is None, f"the server ended:\n{self.log.read_text()}"
            assert time.monotonic() < deadline, f"it never came to {what}:\n{self.log.read_text()}"
            time.sleep(0.05)
        return found

    def ready(self) -> bool:
        return httpx.get(f"{self.url}readyz", timeout=PATIENCE_S).status_code == 200


@contextmanager
def serving(folder: Path, *flags: str) -> Iterator[Server]:
    log = folder / "server.log"
    bundle = write_tiny_bundle(folder / "bundle")
    command = [str(COMMAND), "serve", "--port", "0", "--scale", "1", "--prompt", "calm sea", "--bundle", str(bundle)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("STREAMGEN_")}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, *flags],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        server = Server(process, log)
        try:
            server.url = server.wait(lambda: PAGE_LINE.search(log.read_text()), "an address")[1]
            server.wait(server.ready, "media")
            yield server
        finally:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(60)
                finally:
                    process.kill()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("server")) as running:
        yield running


@asynccontextmanager
async def watching(server: Server) -> AsyncIterator[RTCPeerConnection]:
    """A viewer that has been answered; its receivers hold the tracks."""
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    peer.addTransceiver("video", direction="recvonly")
    peer.addTransceiver("audio", direction="recvonly")
    try:
        await peer.setLocalDescription(await peer.createOffer())
        async with httpx.AsyncClient(timeout=PATIENCE_S) as client:
            answer = await client.post(
                f"{server.url}whep/main",
                content=peer.localDescription.sdp,
                headers={"Content-Type": "application/sdp"},
            )
            assert answer.status_code == 201, answer.text
            await peer.setRemoteDescription(RTCSessionDescription(answer.text, "answer"))
            yield peer
            if server.process.poll() is None:
                assert (await client.delete(httpx.URL(server.url).join(answer.headers["location"]))).status_code == 200
    finally:
        await peer.close()


async def pictures(peer: RTCPeerConnection, count: int) -> list[VideoFrame]:
    frames = [await peer.getReceivers()[0].track.recv() for _ in range(count)]
    assert all(isinstance(frame, VideoFrame) for frame in frames)
    return [frame for frame in frames if isinstance(frame, VideoFrame)]


async def sound(peer: RTCPeerConnection, count: int) -> np.ndarray[Any, np.dtype[np.int16]]:
    frames = [await peer.getReceivers()[1].track.recv() for _ in range(count)]
    return np.concatenate([frame.to_ndarray()[0] for frame in frames if isinstance(frame, AudioFrame)])


@asynccontextmanager
async def steering(server: Server, **headers: str) -> AsyncIterator[ClientConnection]:
    url = server.url.replace("http", "ws", 1)
    async with connect(f"{url}steer/main", additional_headers=headers) as socket:
        yield socket


async def hear(socket: ClientConnection, kind: str, **fields: Any) -> dict[str, Any]:
    """The next message of this kind with these fields; others pass by."""
    while True:
        message: dict[str, Any] = json.loads(await socket.recv())
        if message["type"] == kind and fields.items() <= message.items():
            return message


async def ask(socket: ClientConnection, **message: Any) -> None:
    await socket.send(json.dumps(message))


async def test_a_viewer_sees_moving_pictures_and_hears_sound(server: Server) -> None:
    async with asyncio.timeout(PATIENCE_S), watching(server) as peer:
        seen, heard = await asyncio.gather(pictures(peer, 25), sound(peer, 100))
    assert {(frame.width, frame.height) for frame in seen} == {(160, 96)}
    first, last = (frame.to_ndarray(format="rgb24").astype(int) for frame in (seen[0], seen[-1]))
    assert np.abs(first - last).mean() > 1
    assert np.abs(heard.astype(int)).max() > 100
    times = [frame.time for frame in seen]
    assert times == sorted(times)


async def test_a_prompt_walks_its_life_and_changes_the_picture(server: Server) -> None:
    async with asyncio.timeout(PATIENCE_S), steering(server) as socket, watching(server) as peer:
        state = await hear(socket, "state")
        assert (state["channel"], state["status"], state["can"]) == (
            "main",
            "live",
            ["config", "moderate", "panic", "prompt", "schedule"],
        )
        before = (await pictures(peer, 5))[-1].to_ndarray(format="rgb24").astype(int)
        await ask(socket, type="prompt.set", id="p1", text="a roaring fire in the night")
        life = [await hear(socket, kind, id="p1") for kind in ("received", "accepted", "queued", "applied")]
        applied = life[-1]
        assert applied["media_time"] == pytest.approx(applied["rtp_video"] / 90_000)
        chunk = await hear(socket, "chunk", prompt_id="p1")
        assert (chunk["index"], chunk["prompt"]) == (applied["chunk"], "a roaring fire in the night")
        after = (await pictures(peer, 25))[-1].to_ndarray(format="rgb24").astype(int)
        assert np.abs(after - before).mean() > 5
        # Somebody who joins now is told.
        async with steering(server) as late:
            joined = await hear(late, "state")
        assert (joined["prompt"], joined["prompt_id"]) == ("a roaring fire in the night", "p1")


async def test_of_a_burst_the_last_prompt_wins(server: Server) -> None:
    async with asyncio.timeout(PATIENCE_S), steering(server) as socket:
        for number in range(8):
            await ask(socket, type="prompt.set", id=f"b{number}", text=f"scene {number}")
        finals: dict[str, str] = {}
        while len(finals) < 8:
            message = json.loads(await socket.recv())
            if message["type"] in ("applied", "superseded", "rejected"):
                finals[message["id"]] = message["type"]
        assert finals["b7"] == "applied"
        assert set(finals.values()) <= {"applied", "superseded"}
        assert (await hear(socket, "chunk", prompt_id="b7"))["prompt"] == "scene 7"


async def test_nonsense_is_answered_and_the_stream_goes_on(server: Server) -> None:
    async with asyncio.timeout(PATIENCE_S), steering(server) as socket, watching(server) as peer:
        await pictures(peer, 1)
        for frame, reason in (
            ("", "not_json"),
            ("{", "not_json"),
            (b"\x00\xff", "not_text"),
            (json.dumps({"type": "prompt.set", "id": "n", "text": ""}), "empty"),
            (json.dumps({"type": "prompt.set", "id": "n", "text": "x" * 100_000}), "too_long"),
        ):
            await socket.send(frame)
            await hear(socket, "rejected", reason=reason)
        await ask(socket, type="prompt.set", id="ja", text="大雨が降る海 🌊")
        await hear(socket, "applied", id="ja")
        async with httpx.AsyncClient(timeout=PATIENCE_S) as client:
            for content, status in ((b"\xff\x00", 400), (b"this is no sdp", 400), (b"x" * 200_000, 413)):
                answer = await client.post(
                    f"{server.url}whep/main", content=content, headers={"Content-Type": "application/sdp"}
                )
                assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
        # A frame over a MiB ends that connection, and only that one.
        async with steering(server) as other:
            # It is closed at the header: before all of the frame is written, where the writer is slow.
            with suppress(ConnectionClosed):
                await other.send("x" * (2 * 1024 * 1024))
            await other.wait_closed()
            assert other.close_code == 1009
        assert len(await pictures(peer, 10)) == 10
        await ask(socket, type="ping", id="still", t=0)
        await hear(socket, "pong", id="still")


async def test_pages_of_other_sites_are_refused(server: Server) -> None:
    async with asyncio.timeout(PATIENCE_S):
        async with steering(server, Origin="https://evil.example") as socket:
            await socket.wait_closed()
            assert socket.close_code == 1008
        async with httpx.AsyncClient(timeout=PATIENCE_S) as client:
            answer = await client.get(server.url, headers={"Host": "rebound.example"})
            assert answer.status_code == 421


async def test_a_dead_generator_is_replaced_on_the_same_connections(server: Server) -> None:
    async with asyncio.timeout(PATIENCE_S), steering(server) as socket, watching(server) as peer:
        await pictures(peer, 2)
        dead = server.generator()
        dead.kill()
        await hear(socket, "buffering", active=True, reason="restarting")
        await ask(socket, type="prompt.set", id="meanwhile", text="stars over the hills")
        # The slate plays on the same connection.
        assert len(await pictures(peer, 5)) == 5
        await hear(socket, "buffering", active=False)
        await hear(socket, "applied", id="meanwhile")
        assert len(await pictures(peer, 5)) == 5
    server.wait(server.ready, "media again")
    assert server.generator().pid != dead.pid
    metrics = (await asyncio.to_thread(httpx.get, f"{server.url}metrics", timeout=PATIENCE_S)).text
    assert "streamgen_generator_restarts_total 1.0" in metrics


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_everything(tmp_path: Path, number: signal.Signals) -> None:
    with serving(tmp_path) as server:
        async with asyncio.timeout(PATIENCE_S), steering(server) as socket, watching(server) as peer:
            await pictures(peer, 2)
            server.look()
            server.process.send_signal(number)
            await socket.wait_closed()
            assert socket.close_code == 1012
            assert await asyncio.to_thread(server.process.wait, PATIENCE_S) == 0
        assert len(server.family) >= 1
        server.family.discard(server.process.pid)
        deadline = time.monotonic() + PATIENCE_S
        while left := [pid for pid in server.family if psutil.pid_exists(pid)]:
            assert time.monotonic() < deadline, f"processes {left} outlived the server"
            await asyncio.sleep(0.05)
        with pytest.raises(httpx.ConnectError):
            await asyncio.to_thread(httpx.get, server.url, timeout=PATIENCE_S)
        assert "Traceback" not in server.log.read_text()


async def test_a_server_for_others_prints_the_operators_link_and_lets_others_watch(tmp_path: Path) -> None:
    with serving(tmp_path, "--host", "0.0.0.0") as server:
        (link,) = re.findall(r"operator:\s*(\S+)", server.log.read_text())
        token = httpx.URL(link).params["token"]
        async with asyncio.timeout(PATIENCE_S):
            async with steering(server) as socket:
                assert (await hear(socket, "state"))["can"] == []
                await ask(socket, type="prompt.set", id="a", text="rain")
                assert (await hear(socket, "rejected", id="a"))["reason"] == "forbidden"
            async with steering(server, Authorization=f"Bearer {token}") as socket:
                await ask(socket, type="prompt.set", id="a", text="rain")
                await hear(socket, "applied", id="a")
                # What others can reach is moderated by itself.
                await ask(socket, type="prompt.set", id="b", text="a b.e.h.e.a.d.i.n.g")
                assert (await hear(socket, "rejected", id="b"))["reason"] == "moderation"
            async with watching(server) as peer:
                await pictures(peer, 2)
        console = link.replace("/?token=", "/operator?token=")
        said = server.log.read_text()
        assert console in said
        assert token not in said.replace(link, "").replace(console, "")
