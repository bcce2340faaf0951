"""A real server that is steered by OSC, reports by OSC and posts to a webhook."""

import asyncio
import json
import socket
from pathlib import Path
from typing import Any, Final

import httpx
from pythonosc.osc_message import OscMessage
from pythonosc.udp_client import SimpleUDPClient

from streamgen.integrations.webhook_signature import read_secret, verify
from tests.e2e.serving import serving

HERE: Final = "127.0.0.1"
SECRET: Final = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
PATIENCE_S: Final = 60.0


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind((HERE, 0))
        return int(one.getsockname()[1])


class Receiver:
    """Takes what is posted; `applied` is the first event of a prompt."""

    def __init__(self) -> None:
        self.applied: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:-2])}
        body = await reader.readexactly(int(headers["content-length"]))
        writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()
        timestamp_s = int(headers["webhook-timestamp"])
        assert verify(read_secret(SECRET), headers, body, now_s=timestamp_s)
        document = json.loads(body)
        if document["type"] == "prompt.applied" and not self.applied.done():
            self.applied.set_result(document)


async def heard(surface: socket.socket, address: str, value: object) -> None:
    """Wait until this was sent."""
    loop = asyncio.get_running_loop()
    while True:
        message = OscMessage(await loop.sock_recv(surface, 65_536))
        if message.address == address and message.params == [value]:
            return


async def test_osc_and_webhook_of_a_real_server(tmp_path: Path) -> None:
    receiver, listen = Receiver(), free_port()
    hooks = await asyncio.start_server(receiver.serve, HERE, 0)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as surface:
        surface.bind((HERE, 0))
        surface.setblocking(False)
        (tmp_path / "streamgen.toml").write_text(
            f'osc_listen = {listen}\nosc_send = "{HERE}:{surface.getsockname()[1]}"\n'
            f'webhook_url = "http://{HERE}:{hooks.sockets[0].getsockname()[1]}/"\nwebhook_secret = "{SECRET}"\n'
        )
        running = serving(tmp_path, prompt="counting", bundle=Path("testcard"))
        server = await asyncio.to_thread(running.__enter__)
        try:
            async with asyncio.timeout(PATIENCE_S):
                client = SimpleUDPClient(HERE, listen)
                client.send_message("/streamgen/main/prompt", "ein Fuchs im Schnee")
                await heard(surface, "/streamgen/main/applied", "ein Fuchs im Schnee")
                client.send_message("/streamgen/main/panic/black", 1.0)
                await heard(surface, "/streamgen/main/panic", "black")
                client._sock.close()
                applied = await receiver.applied
                assert applied["data"]["prompt"] == "ein Fuchs im Schnee"
                async with httpx.AsyncClient(base_url=server.url) as http:
                    listed = (await http.get("api/osc")).json()["addresses"]
                    assert "/streamgen/main/prompt" in {each["path"] for each in listed}
                    assert 'streamgen_osc_calls_total{outcome="taken"} 2.0' in (await http.get("metrics")).text
        finally:
            await asyncio.to_thread(running.__exit__, None, None, None)
            hooks.close()
            await hooks.wait_closed()
