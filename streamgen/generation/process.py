"""The generator process seen from its parent.

All methods belong to the event loop's thread, and none of them blocks it: one thread reads events, another writes
commands, and starting and ending happen on a third.
"""

import asyncio
import contextlib
import logging
import multiprocessing
import queue
import signal
import threading
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from streamgen.errors import GeneratorDiedError, GeneratorStartError, GeneratorUnresponsiveError
from streamgen.packets import Command, Event, GeneratorError, Ready, SetEpoch, Stop
from streamgen_engines.gpu_options import GpuOptions
from streamgen_engines.runtime_name import DEFAULT_RUNTIME, RuntimeName
from streamgen_engines.text_placement import IN_PLACE, TextPlacement

logger = logging.getLogger(__name__)

MAX_EVENTS: Final = 16  # read and not yet taken; full: the reader waits, and with it the process
MAX_COMMANDS: Final = 2048
"""Not yet written; full: the process does not read, so it is given up. A whole timeline (`MAX_ENTRIES`) is one command
for each entry, several times over if it is loaded again and again."""
_THREAD_JOIN_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class GeneratorSettings:
    """How to run a generator process.

    Attributes:
        bundle: folder of the model.
        scale: whole factor by which pictures are enlarged before they are encoded.
        bitrate: ceiling of the full-size video, bit/s; smaller layers have less (see `media.layers`).
        seed: of everything that is random.
        picture: file of a picture that the stream starts from.
        guidance: None = the bundle's own.
        threads: compute threads of denoising, and as many of decoding.
        runtime: what the graphs run on.
        gpu: what it is told if it is one on a GPU.
        texts: where texts are encoded.
        upscale: whether pictures are enlarged by the bundle's graph `upscale`, before `scale`.
        start_timeout_s: how long loading may take.
        silence_timeout_s: how long a running generator may say nothing before it is given up.
        stop_timeout_s: how long it may take to end after `Stop`, and again after SIGTERM, before force is used.
    """

    bundle: Path
    scale: int = 4
    bitrate: int = 2_500_000
    seed: int = 0
    picture: Path | None = None
    guidance: float | None = None
    threads: int = 1
    runtime: RuntimeName = DEFAULT_RUNTIME
    gpu: GpuOptions = field(default_factory=GpuOptions)
    texts: TextPlacement = IN_PLACE
    upscale: bool = False
    start_timeout_s: float = 120.0
    silence_timeout_s: float = 10.0
    stop_timeout_s: float = 3.0


class _End:
    """What the reader leaves after the last event."""


class GeneratorProcess:
    """One run of the generator: `async with` starts it and waits until it is ready; iterate to get its events.

    It is never restarted: make another one.

    Attributes:
        ready: what the process said when it was loaded.
    """

    ready: Ready

    def __init__(self, settings: GeneratorSettings) -> None:
        self._settings = settings
        self._process: BaseProcess | None = None
        self._connection: Connection | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._threads: list[threading.Thread] = []
        self._events: asyncio.Queue[Event | _End] = asyncio.Queue()
        self._room = threading.Semaphore(MAX_EVENTS)
        self._commands: queue.Queue[Command | None] = queue.Queue(MAX_COMMANDS)
        self._failure = ""  # what the process said before it ended
        self._running = False  # it has an epoch and makes chunks
        self._ended = False
        self._deaf = False  # it does not read its commands
        self._closing = False

    async def __aenter__(self) -> Self:
        """Start the process and wait for `Ready`.

        Raises:
            GeneratorStartError: it ended or took too long; the message says why.
        """
        self._loop = asyncio.get_running_loop()
        try:
            await asyncio.shield(starting := asyncio.create_task(asyncio.to_thread(self._start)))
        except asyncio.CancelledError:
            await starting  # a process that is half started cannot be ended
            await self.close()
            raise
        try:
            async with asyncio.timeout(self._settings.start_timeout_s):
                event = await anext(self)
        except TimeoutError:
            await self.close()
            raise GeneratorStartError(
                f"the generator was not ready after {self._settings.start_timeout_s:g} s; "
                f"look for other work on this machine, or check the model with `streamgen doctor`"
            ) from None
        except GeneratorDiedError as error:
            await self.close()
            raise GeneratorStartError(str(error)) from error
        except asyncio.CancelledError:
            await self.close()
            raise
        assert isinstance(event, Ready)
        self.ready = event
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def pid(self) -> int | None:
        """Process id, None when it does not run."""
        return self._process.pid if self._process is not None else None

    @property
    def waiting_events(self) -> int:
        """Events that have been read and not taken yet; at most `MAX_EVENTS`."""
        return self._events.qsize()

    def send(self, command: Command) -> None:
        """Hand a command over; returns at once and raises nothing.

        When the process has stopped reading, the iteration over events raises `GeneratorUnresponsiveError`; after the
        end of the process nothing happens.
        """
        if self._ended or self._closing or self._deaf:
            return
        self._running = self._running or isinstance(command, SetEpoch)
        try:
            self._commands.put_nowait(command)
        except queue.Full:
            self._deaf = True
            self._events.put_nowait(_End())

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        """The next event; the iteration stops after `close`.

        Raises:
            GeneratorDiedError: the process ended by itself.
            GeneratorUnresponsiveError: it has an epoch, but says nothing for `silence_timeout_s`.
        """
        if self._ended and self._events.empty():
            raise StopAsyncIteration
        try:
            async with asyncio.timeout(self._settings.silence_timeout_s if self._running else None):
                event = await self._events.get()
        except TimeoutError:
            raise GeneratorUnresponsiveError(
                f"the generator process {self.pid} has said nothing for {self._settings.silence_timeout_s:g} s"
            ) from None
        if isinstance(event, _End):
            self._ended = True
            if self._closing:
                raise StopAsyncIteration
            if self._deaf:
                raise GeneratorUnresponsiveError(f"the generator process {self.pid} does not read its commands")
            raise GeneratorDiedError(await self._cause())
        self._room.release()
        if isinstance(event, GeneratorError):
            self._failure = event.message
            return await anext(self)
        return event

    async def close(self) -> None:
        """End the process, by force if need be, and wait until nothing of it is left. Idempotent."""
        if self._closing or self._process is None:
            return
        self.send(Stop())
        self._closing = True
        # A cancelled close must still end the process.
        await asyncio.shield(asyncio.create_task(asyncio.to_thread(self._end)))

    async def _cause(self) -> str:
        process = self._process
        assert process is not None
        await asyncio.to_thread(process.join, self._settings.stop_timeout_s)
        code = process.exitcode
        if self._failure:
            return f"the generator failed: {self._failure}"
        if code is not None and code < 0:
            return f"the generator process was killed by {signal.Signals(-code).name}"
        return f"the generator process ended with exit code {code}; its own messages above say more"

    # Not on the event loop.

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_run, args=(theirs, self._settings), name="streamgen-generator", daemon=True)
        # An interrupt (Ctrl-C reaches the whole group) is the parent's business from the first moment on.
        previous = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, previous)
            # With our copy closed, the end of the process is the end of what can be read.
            theirs.close()
        self._process, self._connection = process, ours
        self._threads = [
            threading.Thread(target=self._read, args=(ours,), name="generator-events", daemon=True),
            threading.Thread(target=self._write, args=(ours,), name="generator-commands", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def _read(self, connection: Connection) -> None:
        assert self._loop is not None
        try:
            while True:
                self._room.acquire()
                event: Event = connection.recv()
                self._loop.call_soon_threadsafe(self._events.put_nowait, event)
        except (EOFError, OSError):
            pass
        finally:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self._loop.call_soon_threadsafe(self._events.put_nowait, _End())

    def _write(self, connection: Connection) -> None:
        with contextlib.suppress(OSError):  # the process is gone; the reader says so
            while (command := self._commands.get()) is not None:
                connection.send(command)

    def _end(self) -> None:
        process, connection = self._process, self._connection
        assert process is not None
        assert connection is not None
        for _ in range(MAX_EVENTS):  # the reader may wait for room that nobody makes any more
            self._room.release()
        for force in (process.terminate, process.kill):
            process.join(self._settings.stop_timeout_s)
            if process.is_alive():
                logger.warning("the generator process %s does not end; using force", process.pid)
                force()
        process.join()
        with contextlib.suppress(queue.Full):
            self._commands.put_nowait(None)
        for thread in self._threads:
            thread.join(_THREAD_JOIN_S)
        connection.close()
        self._process = None
        process.close()


def _run(connection: Connection, settings: GeneratorSettings) -> None:
    """Entry of the process. The worker is imported there only: the server never loads a runtime."""
    from streamgen.generation.worker import run

    run(connection, settings)
