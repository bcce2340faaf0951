"""A real TURN server (coturn) on this machine, which knows viewers by the secret that it shares with streamgen."""

import asyncio
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psutil

from streamgen.http.listener import network_addresses
from tests.clients import needed
from tests.clients.stage import PATIENCE_S

SECRET: Final = "a secret of two servers"
REALM: Final = "stage.example"


@dataclass(frozen=True)
class TurnServer:
    """Where it is, and what it does."""

    address: str
    port: int
    process: asyncio.subprocess.Process

    @property
    def settings(self) -> dict[str, Any]:
        """With which streamgen tells viewers of it."""
        return {"turn_urls": f"turn:{self.address}:{self.port}?transport=udp", "turn_secret": SECRET}

    @property
    def relay_ports(self) -> set[int]:
        """UDP ports from which it sends for viewers now."""
        sockets = psutil.Process(self.process.pid).net_connections(kind="udp")
        return {each.laddr.port for each in sockets} - {self.port}


@asynccontextmanager
async def relaying(work: Path) -> AsyncIterator[TurnServer]:
    """A TURN server until the block ends. It relays to this machine only."""
    program = needed.turnserver()
    # No viewer tries a TURN server on 127.0.0.1, and without another address no WebRTC works in a browser.
    address = next(iter(network_addresses()), None)
    if address is None:
        needed.missing("this machine has no IPv4 address but 127.0.0.1", "connect it to a network, any network")
    port = _free_port(address)
    shutil.rmtree(work / "turn", ignore_errors=True)
    (work / "turn").mkdir()
    command = [
        program,
        "-n",  # no configuration file
        "--no-cli",
        "--no-tls",
        "--no-dtls",
        "--no-multicast-peers",
        "--use-auth-secret",
        f"--static-auth-secret={SECRET}",
        f"--realm={REALM}",
        f"--listening-ip={address}",
        f"--listening-port={port}",
        f"--relay-ip={address}",
        f"--pidfile={work / 'turn' / 'pid'}",
        f"--userdb={work / 'turn' / 'db'}",
        "--log-file=stdout",
    ]
    with (work / "turnserver.log").open("wb") as output:
        process = await asyncio.create_subprocess_exec(*command, stdout=output, stderr=output)
        try:
            await _listening(address, port, process)
            yield TurnServer(address, port, process)
        finally:
            if process.returncode is None:
                process.kill()  # it would take seconds to say goodbye to nobody
            await process.wait()


async def _listening(address: str, port: int, process: asyncio.subprocess.Process) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while process.returncode is None:
            try:
                _, writer = await asyncio.open_connection(address, port)
            except ConnectionRefusedError:
                await asyncio.sleep(0.05)
            else:
                writer.close()
                await writer.wait_closed()
                return
    raise RuntimeError(f"turnserver ended with status {process.returncode} before it listened")


def _free_port(address: str) -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((address, 0))
        port: int = probe.getsockname()[1]
        return port
