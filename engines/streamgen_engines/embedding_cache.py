"""Encoded texts that are kept, in memory and on disk, because encoding one takes seconds.

An entry is float16 `[n, W]`, a row per token, under a key that says what made it. In memory the least recently used go
when there are too many bytes; on disk the same, by the time of the last use. A file is a line of JSON (shape and hash)
and then the numbers; it appears whole or not at all, and one that is damaged is removed and counts as missing. Texts
themselves are not written: a file's name is a hash, and so are the keys.

Several processes may share a folder. Thread-safe.
"""

import contextlib
import hashlib
import json
import logging
import os
import re
import tempfile
import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from streamgen_engines.tensorrt.plans import user_folder

MEMORY_BYTES: Final = 64 * 2**20
DISK_BYTES: Final = 2**30
VERSION: Final = 1
"""Of the files; others count as damaged."""
SUFFIX: Final = ".embedding"
Rows: TypeAlias = NDArray[np.float16]
_KEY: Final = re.compile(r"[0-9a-f]{64}")
_log: Final = logging.getLogger(__name__)


def texts_folder() -> Path:
    """Where they are kept unless somebody says otherwise: in the user's folder for caches, beside the plans."""
    return user_folder().parent / "texts"


class EmbeddingCache:
    """Entries by key. A disk that cannot be written or read makes it forget sooner, it never fails.

    Args:
        folder: for the files; None keeps entries in memory only.
        memory_bytes: most bytes of numbers in memory.
        disk_bytes: most bytes of files in the folder, those that others left there included.
    """

    def __init__(
        self, folder: Path | None = None, *, memory_bytes: int = MEMORY_BYTES, disk_bytes: int = DISK_BYTES
    ) -> None:
        self._folder = folder
        self._memory_bytes = memory_bytes
        self._disk_bytes = disk_bytes
        self._entries: OrderedDict[str, Rows] = OrderedDict()
        self._held_bytes = 0
        self._told = False
        self._lock = threading.Lock()  # guards everything above, and orders this process's work in the folder

    @property
    def held_bytes(self) -> int:
        """Bytes of numbers in memory."""
        return self._held_bytes

    def find(self, key: str) -> Rows | None:
        """The entry of a key, read-only float16 `[n, W]`; None when there is none.

        Args:
            key: 64 hexadecimal digits.
        """
        _check(key)
        with self._lock:
            rows = self._entries.get(key)
            if rows is not None:
                self._entries.move_to_end(key)
                return rows
            rows = self._read(key)
            if rows is not None:
                self._hold(key, rows)
            return rows

    def keep(self, key: str, rows: Rows) -> None:
        """Keep an entry, in the place of one that is there.

        Args:
            key: 64 hexadecimal digits.
            rows: float16 `[n, W]`; becomes read-only.
        """
        _check(key)
        rows.setflags(write=False)
        with self._lock:
            self._hold(key, rows)
            try:
                self._write(key, rows)
            except OSError as error:
                self._tell(f"encoded texts cannot be kept in {self._folder} ({error.strerror})")

    def _hold(self, key: str, rows: Rows) -> None:
        before = self._entries.pop(key, None)
        self._held_bytes += rows.nbytes - (0 if before is None else before.nbytes)
        self._entries[key] = rows
        while self._held_bytes > self._memory_bytes and self._entries:
            _, gone = self._entries.popitem(last=False)
            self._held_bytes -= gone.nbytes

    def _read(self, key: str) -> Rows | None:
        if self._folder is None:
            return None
        path = self._folder / f"{key}{SUFFIX}"
        try:
            if path.stat().st_size > self._disk_bytes:
                raise ValueError
            line, _, numbers = path.read_bytes().partition(b"\n")
            rows = _parse(line, numbers)
            os.utime(path)
        except FileNotFoundError:
            return None
        except OSError as error:
            self._tell(f"encoded texts cannot be read from {self._folder} ({error.strerror})")
            return None
        except ValueError:
            with contextlib.suppress(OSError):  # what cannot be removed is not taken either
                path.unlink()
            return None
        return rows

    def _write(self, key: str, rows: Rows) -> None:
        if self._folder is None or rows.nbytes > self._disk_bytes:
            return
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        numbers = rows.astype("<f2").tobytes()
        head = {"version": VERSION, "shape": rows.shape, "sha256": hashlib.sha256(numbers).hexdigest()}
        handle, temporary = tempfile.mkstemp(dir=self._folder, prefix=".", suffix=SUFFIX)
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(json.dumps(head).encode() + b"\n" + numbers)
            os.replace(temporary, self._folder / f"{key}{SUFFIX}")
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        self._trim(self._folder)

    def _trim(self, folder: Path) -> None:
        """Remove what was used longest ago; half-written files of processes that were killed age like all others."""
        found: list[tuple[float, int, Path]] = []
        for path in folder.glob(f"*{SUFFIX}"):
            with contextlib.suppress(FileNotFoundError):  # another process trims as well
                status = path.stat()
                found.append((status.st_mtime, status.st_size, path))
        total = sum(size for _, size, _ in found)
        for _, size, path in sorted(found):
            if total <= self._disk_bytes:
                return
            path.unlink(missing_ok=True)
            total -= size

    def _tell(self, what: str) -> None:
        if not self._told:  # once: what is wrong with a disk stays wrong
            _log.warning("%s; each text is encoded again after a restart", what)
        self._told = True


def _parse(line: bytes, numbers: bytes) -> Rows:
    """The rows of a file.

    Raises:
        ValueError: it is damaged.
    """
    head: Any = json.loads(line)
    if not isinstance(head, dict) or head.get("version") != VERSION:
        raise ValueError("another version")
    shape = head.get("shape")
    if not isinstance(shape, list) or len(shape) != 2 or not all(isinstance(size, int) for size in shape):
        raise ValueError("no shape")
    if head.get("sha256") != hashlib.sha256(numbers).hexdigest():
        raise ValueError("another hash")
    return np.frombuffer(numbers, "<f2").astype(np.float16, copy=False).reshape(shape)


def _check(key: str) -> None:
    if _KEY.fullmatch(key) is None:
        raise ValueError(f"a key is 64 hexadecimal digits, not {key!r}")
