"""Reading a channel's log, also while it is written and after a crash in the middle of a line."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Final

from streamgen.log.contents import ChunkMade, ChunkShown, GeneratorStarted, Logged, from_line
from streamgen.log.errors import LogError
from streamgen.log.files import segments

MAX_LINE_BYTES: Final = 1024 * 1024
"""A longer line is no record of ours; it is skipped without being held in memory."""


class LogReader:
    """Iterates over a log's records, oldest first, across its files.

    Attributes:
        skipped: lines so far that are no records: torn by a crash, damaged, or of a newer version.
    """

    def __init__(self, folder: Path, name: str) -> None:
        """Look for the log `name` in `folder`.

        Raises:
            LogError: there is none.
        """
        self.skipped = 0
        self._files = [path for _, path in segments(folder, name)]
        if not self._files:
            raise LogError(
                f"{folder} holds no log of channel {name}; give the folder that the server writes its log to"
            )

    def __iter__(self) -> Iterator[Logged]:
        """Records; files that are removed meanwhile, because newer ones took their place, are passed over."""
        for path in self._files:
            try:
                file = path.open("rb")
            except FileNotFoundError:
                continue
            with file:
                yield from self._records(file)

    def _records(self, file: BinaryIO) -> Iterator[Logged]:
        while line := file.readline(MAX_LINE_BYTES):
            if len(line) == MAX_LINE_BYTES and not line.endswith(b"\n"):
                self.skipped += 1
                while (rest := file.readline(MAX_LINE_BYTES)) and not rest.endswith(b"\n"):
                    pass
                continue
            if not line.strip():
                continue  # the line break that a writer puts after a torn line
            logged = from_line(line)
            if logged is None:
                self.skipped += 1
            else:
                yield logged


def last_life(files: Sequence[Path]) -> int:
    """The number of the newest generator in a log's files (oldest first); 0 when there is none.

    Numbers rise, so the last record of the newest file that names one has it.
    """
    for path in reversed(files):
        last = b""
        with path.open("rb") as file:
            for line in file:
                if b'"life":' in line and line.endswith(b"\n"):
                    last = line
        logged = from_line(last) if last else None
        if logged is not None and isinstance(logged.content, GeneratorStarted | ChunkMade | ChunkShown):
            return logged.content.life
    return 0
