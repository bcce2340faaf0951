"""A real `streamgen serve` in a process of its own, and what can be seen of it from outside."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import httpx
import psutil
from prometheus_client.parser import text_string_to_metric_families

START_LIMIT_S: Final = 240.0
STOP_LIMIT_S: Final = 30.0
POLL_S: Final = 0.1
_LOG_TAIL_LINES: Final = 30
_PAGE_LINE: Final = re.compile(r"^\s*page:\s*(http://\S+)\s*$", re.MULTILINE)
_GENERATOR_MARK: Final = "spawn_main"  # in the command line of a process that multiprocessing spawned


class ServerFailedError(RuntimeError):
    """The server did not start, or ended by itself."""


@dataclass(frozen=True, slots=True)
class Footprint:
    """What the two processes use: resident memory, and processor time since they started."""

    server_bytes: int
    generator_bytes: int
    server_cpu_s: float
    generator_cpu_s: float


class Server:
    """Runs a server on a free port of this machine: `async with Server(...) as server`.

    Attributes:
        url: of the page, with a slash at the end; empty before the start.
        started_in_s: from the start of the process to the first media.
    """

    def __init__(self, bundle: Path | None, *, arguments: tuple[str, ...] = ()) -> None:
        self._bundle = bundle
        self._arguments = arguments
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        # No connection is kept: the server closes an idle one after just the time between two of these requests.
        self._http = httpx.AsyncClient(timeout=5.0, limits=httpx.Limits(max_keepalive_connections=0))
        self.url = ""
        self.started_in_s = 0.0

    async def __aenter__(self) -> Self:
        """Start, and wait until there is media. Raises `ServerFailedError`."""
        self._folder = tempfile.TemporaryDirectory(prefix="streamgen-bench-")
        command = [str(Path(sys.executable).with_name("streamgen")), "serve"]
        command += ["--host", "127.0.0.1", "--port", "0", *self._arguments]
        if self._bundle is not None:
            command += ["--bundle", str(self._bundle.resolve())]
        # Neither the caller's settings nor a configuration file of the working folder may change what is measured.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("STREAMGEN_")}
        started_s = time.monotonic()
        try:
            self._process = self._spawn(command, environment | {"PYTHONUNBUFFERED": "1"})
            async with asyncio.timeout(START_LIMIT_S):
                await self._until_ready()
        except FileNotFoundError:
            await self.close()
            raise ServerFailedError(f"{command[0]} is missing; install streamgen into this environment") from None
        except TimeoutError:
            tail = self.log_tail()
            await self.close()
            raise ServerFailedError(f"no media after {START_LIMIT_S:.0f} s; its log:\n{tail}") from None
        except BaseException:
            await self.close()
            raise
        self.started_in_s = time.monotonic() - started_s
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def log(self) -> Path:
        """What it prints."""
        assert self._folder is not None, "use `async with`"
        return Path(self._folder.name) / "server.log"

    def log_tail(self) -> str:
        """The end of what it has printed so far."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-_LOG_TAIL_LINES:])

    async def close(self) -> None:
        """Stop it, and wait for its end. Idempotent."""
        process, self._process = self._process, None
        if process is not None:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
            try:
                await asyncio.to_thread(process.wait, STOP_LIMIT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                await asyncio.to_thread(process.wait)
        await self._http.aclose()
        if self._folder is not None:
            self._folder.cleanup()

    async def metrics(self) -> dict[str, float]:
        """Its own figures: `name` or `name{label="value"}` to value."""
        response = await self._http.get(f"{self.url}metrics")
        response.raise_for_status()
        return parse_metrics(response.text)

    def footprint(self) -> Footprint | None:
        """Memory and processor time of server and generator; None while one of them is not there."""
        assert self._process is not None, "the server has been stopped"
        try:
            server = psutil.Process(self._process.pid)
            for child in server.children():
                if _GENERATOR_MARK in " ".join(child.cmdline()):
                    return Footprint(
                        server.memory_info().rss, child.memory_info().rss, cpu_seconds(server), cpu_seconds(child)
                    )
        except psutil.Error:
            pass  # it ended between two of these lines
        return None

    def _spawn(self, command: list[str], environment: dict[str, str]) -> "subprocess.Popen[bytes]":
        assert self._folder is not None
        with self.log.open("wb") as output:
            return subprocess.Popen(
                command,
                cwd=self._folder.name,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    async def _until_ready(self) -> None:
        while True:
            if await self._ready():
                return
            await asyncio.sleep(POLL_S)

    async def _ready(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise ServerFailedError(f"it ended with status {self._process.returncode}; its log:\n{self.log_tail()}")
        if not self.url:
            found = _PAGE_LINE.search(self.log.read_text(errors="replace"))
            if found is None:
                return False
            self.url = found[1]
        try:
            return (await self._http.get(f"{self.url}readyz")).status_code == 200
        except httpx.HTTPError:
            return False


def parse_metrics(text: str) -> dict[str, float]:
    """Samples of the Prometheus text format, by name with labels as they are written."""
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(f'{key}="{value}"' for key, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = float(sample.value)
    return found


def cpu_seconds(process: psutil.Process) -> float:
    """Processor time of one process so far."""
    times = process.cpu_times()
    return float(times.user + times.system)
