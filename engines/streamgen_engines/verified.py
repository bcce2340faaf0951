"""Large files whose hash was found to be right are not read again while nothing has touched them.

Hashing 11 GB takes many seconds, and a generator is started more often than its weights change. So for each file that
was read in full and was right, size, inode, and the times of its last change are kept in the user's folder for caches.
A file that was written, replaced or copied differs in one of them and is read again. What this does not find is a disk
that returns other bytes without having been written: remove the folder to have everything read again.

A record that cannot be read or written costs another reading and nothing else.
"""

import contextlib
import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Final

from streamgen_engines.tensorrt.plans import user_folder

VERSION: Final = 1


def verified_folder() -> Path:
    """Where records are kept unless somebody says otherwise: in the user's folder for caches, beside the plans."""
    return user_folder().parent / "verified"


class VerifiedFiles:
    """Records by file. Several processes may share a folder.

    Args:
        folder: of the records; None is the user's.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or verified_folder()

    def sha256(self, path: Path, expected: str) -> str:
        """The hash of a file, as hexadecimal digits: `expected` at once if it was found to be that before.

        Raises:
            OSError: the file cannot be read.
        """
        with path.open("rb") as stream:
            before = _stamp(os.fstat(stream.fileno()), expected)
            if self._read(path) == before:
                return expected
            found = hashlib.file_digest(stream, "sha256").hexdigest()
            # One that was written to in the meantime is not known.
            if found == expected and _stamp(os.fstat(stream.fileno()), expected) == before:
                self._write(path, before)
        return found

    def _record(self, path: Path) -> Path:
        return self._folder / hashlib.sha256(str(path.absolute()).encode("utf-8", "surrogateescape")).hexdigest()

    def _read(self, path: Path) -> list[object] | None:
        try:
            record = json.loads(self._record(path).read_bytes())
        except (OSError, ValueError):
            return None
        return record if isinstance(record, list) else None

    def _write(self, path: Path, stamp: list[object]) -> None:
        with contextlib.suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            handle, temporary = tempfile.mkstemp(dir=self._folder, prefix=".")
            try:
                with os.fdopen(handle, "w") as stream:
                    json.dump(stamp, stream)
                os.replace(temporary, self._record(path))
            except BaseException:
                Path(temporary).unlink(missing_ok=True)
                raise


def _stamp(status: os.stat_result, sha256: str) -> list[object]:
    """What a record has to be for a file to be known."""
    return [VERSION, sha256, status.st_size, status.st_ino, status.st_mtime_ns, status.st_ctime_ns]
