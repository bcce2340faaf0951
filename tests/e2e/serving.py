"""A real `streamgen serve` in a process of its own, for tests that come in from outside."""

import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from streamgen_engines.bundle import bundled
from streamgen_engines.errors import BundleError
from tests.tiny_bundle import write_tiny_bundle

START_LIMIT_S: Final = 240.0
STOP_LIMIT_S: Final = 30.0
TOKEN: Final = "the-operator-of-the-tests"
_PAGE_LINE: Final = re.compile(r"^\s*page:\s*(http://\S+)\s*$", re.MULTILINE)


@dataclass(frozen=True)
class Server:
    """Where a running server is."""

    url: str  # of the page, with a slash at the end
    log: Path

    @property
    def operator_link(self) -> str:
        return f"{self.url}?token={TOKEN}"


def model_folder(work: Path) -> Path:
    """The model that ships with the package; the tiny one while that is not whole."""
    try:
        return bundled().root
    except BundleError:
        return write_tiny_bundle(work / "tiny-bundle")


@contextmanager
def serving(
    work: Path,
    *,
    prompt: str,
    port: int = 0,
    bundle: Path | None = None,
    arguments: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
) -> Iterator[Server]:
    """Run a server until the block ends, on a free port for 0. Steering needs `TOKEN`, watching does not."""
    work.mkdir(exist_ok=True)
    log = work / "server.log"
    command = [str(Path(sys.executable).with_name("streamgen")), "serve", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--bundle", str(bundle or model_folder(work)), "--prompt", prompt, *arguments]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=work,  # no streamgen.toml of the project's own
            env=os.environ | {"STREAMGEN_OPERATOR_TOKEN": TOKEN, "PYTHONUNBUFFERED": "1"} | dict(environment or {}),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            yield Server(_await_media(process, log), log)
        finally:
            _stop(process, log)


def _await_media(process: "subprocess.Popen[bytes]", log: Path) -> str:
    deadline = time.monotonic() + START_LIMIT_S
    url = None
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with status {process.returncode}:\n{log.read_text()}")
        if url is None:
            found = _PAGE_LINE.search(log.read_text())
            url = found[1] if found else None
        elif _ready(url):
            return url
        time.sleep(0.1)
    raise TimeoutError(f"no media after {START_LIMIT_S:.0f} s:\n{log.read_text()}")


def _ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}readyz", timeout=5) as response:
            return bool(response.status == 200)
    except urllib.error.HTTPError as error:
        error.close()
        return False
    except OSError:
        return False


def _stop(process: "subprocess.Popen[bytes]", log: Path) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
    try:
        status = process.wait(STOP_LIMIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise TimeoutError(f"the server did not stop within {STOP_LIMIT_S:.0f} s:\n{log.read_text()}") from None
    if status != 0:
        raise RuntimeError(f"the server ended with status {status}:\n{log.read_text()}")
