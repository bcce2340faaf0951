"""Writing a channel's log: append-only JSON lines, in a thread of their own.

`add` belongs to any thread and never waits: a record goes into a queue of `max_waiting`. Full-policy: the newest is
dropped and counted, and the log itself says how many are missing where they are missing (`Lost`). A disk that is full
or gone is treated the same: what it does not take is counted, and the next record tries again.

Durability: a record reaches the operating system within the same moment (so it survives the end of the process), and
the disk within `sync_s` (so it survives the end of the machine); a panic goes to the disk at once. A file that has
`max_bytes` is left for the next; of `max_files` the oldest is removed.
"""

import fcntl
import logging
import os
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from streamgen.log.contents import Content, Logged, Lost, Panicked, to_line
from streamgen.log.errors import LogUnavailableError
from streamgen.log.files import segment, segments
from streamgen.log.reader import last_life

logger = logging.getLogger(__name__)

MAX_BYTES: Final = 16 * 1024 * 1024  # about two hours of the bundled model's chunks
MAX_FILES: Final = 16
MAX_WAITING: Final = 4096
SYNC_S: Final = 1.0
_REPORT_INTERVAL_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class LogCounts:
    """How the log goes, since its start."""

    written: int
    lost: int  # dropped because the queue was full, or because the disk did not take them
    waiting: int


class ChannelLog:
    """The log of one channel: `with ChannelLog(folder, "main") as log: log.add(...)`."""

    def __init__(
        self,
        folder: Path,
        name: str,
        *,
        max_bytes: int = MAX_BYTES,
        max_files: int = MAX_FILES,
        max_waiting: int = MAX_WAITING,
        sync_s: float = SYNC_S,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Nothing is opened yet.

        Args:
            folder: where the files are; made when it is missing.
            name: of the channel.
            max_bytes: of one file; a record is never split, so a file may be a record longer.
            max_files: how many are kept, the one that is written included.
            max_waiting: records that may wait to be written.
            sync_s: how long a record may wait for the disk itself.
            now: the wall clock.

        Raises:
            ValueError: a limit is not positive.
        """
        if min(max_bytes, max_files, max_waiting) < 1 or sync_s < 0:
            raise ValueError("max_bytes, max_files and max_waiting must be above 0, and sync_s not below")
        self._folder, self._name = folder, name
        self._max_bytes, self._max_files, self._sync_s = max_bytes, max_files, sync_s
        self._now = now
        self._queue: queue.Queue[Logged | None] = queue.Queue(max_waiting)
        self._lock = threading.Lock()  # guards the counts
        self._written = self._lost = 0
        self._unsaid = 0  # lost, and the log does not say so yet
        self._closing = False
        self.last_life = 0  # the highest number of a generator that the log had when it was opened
        self._lock_file: int | None = None
        self._thread: threading.Thread | None = None
        # Owned by the thread once it runs.
        self._file: int | None = None
        self._number = 0
        self._size = 0
        self._torn = False  # the last line has no end
        self._dirty_since_s: float | None = None
        self._media_time_s = 0.0  # of the last record
        self._quiet_until_s = 0.0

    def __enter__(self) -> Self:
        """Open the newest file, or the first one, and start the thread.

        Raises:
            LogUnavailableError: the folder cannot be written, or another channel writes there.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._lock_file = os.open(self._folder / f"{self._name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
            fcntl.flock(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            found = segments(self._folder, self._name)
            self.last_life = last_life([path for _, path in found])
            self._open(found[-1][0] if found else 1)
        except BlockingIOError as error:
            self._release()
            raise LogUnavailableError(
                f"another server writes the log of channel {self._name} in {self._folder}; give this one another folder"
            ) from error
        except OSError as error:
            self._release()
            raise LogUnavailableError(
                f"the log cannot be written in {self._folder} ({error}); make the folder writable or choose another"
            ) from error
        self._thread = threading.Thread(target=self._run, name=f"log {self._name}", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def counts(self) -> LogCounts:
        """The counts so far."""
        with self._lock:
            return LogCounts(self._written, self._lost, self._queue.qsize())

    def add(self, content: Content, media_time_s: float) -> None:
        """Write this, with the wall time of now. Returns at once and raises nothing; see above for a full queue."""
        if self._closing or self._thread is None:
            self._lose()
            return
        try:
            self._queue.put_nowait(Logged(self._now(), media_time_s, content))
        except queue.Full:
            self._lose()

    def close(self) -> None:
        """Write what waits, bring it to the disk and end the thread. Idempotent. Blocks: not for the event loop."""
        thread, self._thread = self._thread, None
        self._closing = True
        if thread is not None:
            self._queue.put(None)
            thread.join()
        self._release()

    def _lose(self) -> None:
        with self._lock:
            self._lost += 1
            self._unsaid += 1

    def _release(self) -> None:
        lock_file, self._lock_file = self._lock_file, None
        if lock_file is not None:
            os.close(lock_file)

    # The thread.

    def _run(self) -> None:
        while True:
            try:
                logged = self._queue.get(timeout=self._until_sync_s())
            except queue.Empty:
                self._sync()
                continue
            if logged is None:
                break
            try:
                self._say_lost(logged.time, logged.media_time_s)
                self._write(logged)
            except Exception:  # the thread's outermost edge: one record that cannot be written is one that is lost
                logger.exception("a record of the log of channel %s cannot be written", self._name)
                self._lose()
            self._media_time_s = logged.media_time_s
            if isinstance(logged.content, Panicked) or self._until_sync_s() == 0:
                self._sync()
        self._say_lost(self._now(), self._media_time_s)  # what was lost after the last record
        self._sync()
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _until_sync_s(self) -> float | None:
        if self._dirty_since_s is None:
            return None
        return max(0.0, self._dirty_since_s + self._sync_s - time.monotonic())

    def _say_lost(self, time: datetime, media_time_s: float) -> None:
        with self._lock:
            unsaid, self._unsaid = self._unsaid, 0
        if unsaid and not self._append(Logged(time, media_time_s, Lost(records=unsaid))):
            with self._lock:
                self._unsaid += unsaid

    def _write(self, logged: Logged) -> None:
        if self._append(logged):
            with self._lock:
                self._written += 1
        else:
            self._lose()

    def _append(self, logged: Logged) -> bool:
        line = to_line(logged)
        try:
            if self._file is None or self._size >= self._max_bytes:
                self._turn()
            assert self._file is not None
            if self._torn:
                line = b"\n" + line
            self._torn = True
            view = memoryview(line)
            while view:
                written = os.write(self._file, view)
                self._size += written
                view = view[written:]
            self._torn = False
        except OSError as error:
            self._report(error)
            return False
        if self._dirty_since_s is None:
            self._dirty_since_s = time.monotonic()
        return True

    def _turn(self) -> None:
        """Go on in a new file, and remove what is too old."""
        if self._file is not None:
            self._sync()
            os.close(self._file)
            self._file = None
        self._open(self._number + 1)
        for _, path in segments(self._folder, self._name)[: -self._max_files]:
            path.unlink(missing_ok=True)

    def _open(self, number: int) -> None:
        path = segment(self._folder, self._name, number)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
        self._number = number
        self._size = os.fstat(self._file).st_size
        # A crash in the middle of a line: the next one begins on a line of its own, and the torn one stays as it is.
        self._torn = self._size > 0 and os.pread(self._file, 1, self._size - 1) != b"\n"

    def _sync(self) -> None:
        self._dirty_since_s = None
        if self._file is None:
            return
        try:
            os.fdatasync(self._file)
        except OSError as error:
            self._report(error)

    def _report(self, error: OSError) -> None:
        now_s = time.monotonic()
        if now_s >= self._quiet_until_s:
            self._quiet_until_s = now_s + _REPORT_INTERVAL_S
            logger.error("the log in %s cannot be written (%s); make room, or it has gaps", self._folder, error)
