"""The folder in which a bundle grows, and what of it is whole: an interrupted export goes on where it was.

The folder lies beside the bundle's place and becomes the bundle in one step, by its name, when everything is in it. A
finished step is entered with the hashes of its files. One process at a time works in it: a lock says so, which the
system takes back when the process is gone.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from filelock import FileLock, Timeout
from pydantic import ValidationError

from streamgen_engines.manifest import Graph

ENDING: Final = ".partial"
JOURNAL: Final = "journal.json"
LOCK: Final = "lock"
VERSION: Final = 2
Graphs = dict[str, Graph]


class TargetError(ValueError):
    """The bundle cannot be written there; the message says why and what to do."""


class Journal:
    """The growing folder; made by `journal`.

    Args:
        folder: it.
        fingerprint: of the request: what another request made is not taken.
    """

    def __init__(self, folder: Path, fingerprint: str) -> None:
        self.folder = folder
        self._fingerprint = fingerprint
        self._steps: dict[str, dict[str, Any]] = {}
        self._notes: dict[str, dict[str, float]] = {}

    def resume(self) -> tuple[str, ...]:
        """Take over the steps that are whole, and remove everything else from the folder; their names."""
        steps, self._notes = self._read()
        self._steps = {name: step for name, step in steps.items() if self._whole(step)}
        kept = {JOURNAL, LOCK, *(file for step in self._steps.values() for file in _files(step))}
        for path in self.folder.iterdir():
            if path.name not in kept:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        self._write()
        return tuple(self._steps)

    def graphs(self, step: str) -> Graphs | None:
        """What a finished step wrote; None while it is not finished."""
        found = self._steps.get(step)
        return None if found is None else _graphs(found)

    def finish(self, step: str, graphs: Mapping[str, Graph]) -> None:
        """Enter a step whose files are written."""
        self._steps[step] = {name: graph.model_dump(mode="json") for name, graph in graphs.items()}
        self._write()

    def note(self, name: str, numbers: Mapping[str, float]) -> None:
        """Enter numbers that took long to find; they go with the folder."""
        self._notes[name] = dict(numbers)
        self._write()

    def noted(self, name: str) -> dict[str, float] | None:
        """The numbers of that name; None where there are none."""
        return self._notes.get(name)

    def _read(self) -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, float]]]:
        try:
            raw = json.loads((self.folder / JOURNAL).read_bytes())
            same = raw["version"] == VERSION and raw["fingerprint"] == self._fingerprint
            notes = {str(name): {str(k): float(v) for k, v in each.items()} for name, each in raw["notes"].items()}
            return (dict(raw["steps"]), notes) if same else ({}, {})
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return {}, {}

    def _whole(self, step: dict[str, Any]) -> bool:
        try:
            graphs = _graphs(step)
            return all(
                file_sha256(self.folder / part.file) == part.sha256
                for graph in graphs.values()
                for part in (graph, graph.weights)
                if part is not None
            )
        except (OSError, ValidationError, TypeError, AttributeError):
            return False

    def _write(self) -> None:
        told = {
            "version": VERSION,
            "fingerprint": self._fingerprint,
            "steps": self._steps,
            "notes": self._notes,
        }
        new = self.folder / f".{JOURNAL}"
        new.write_text(json.dumps(told))
        os.replace(new, self.folder / JOURNAL)


@contextmanager
def journal(out: Path, fingerprint: str) -> Iterator[Journal]:
    """The growing folder of the bundle `out`, which becomes the bundle when the block ends without an error.

    Raises:
        TargetError: something is at `out`, another export works there, or the growing folder is somebody else's.
    """
    if out.exists():
        raise TargetError(f"{out} exists; remove it, or choose another place with --out")
    folder = out.with_name(out.name + ENDING)
    if folder.exists() and not (folder / LOCK).is_file():
        raise TargetError(f"{folder} is in the way, and no export made it; move it, or choose another place with --out")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TargetError(f"{folder} cannot be made ({error.strerror}); choose another place with --out") from error
    lock = FileLock(folder / LOCK, blocking=False)
    try:
        lock.acquire()
    except Timeout:
        raise TargetError(f"another export writes {out} now; wait for it, or choose another place with --out") from None
    try:
        yield Journal(folder, fingerprint)
        for name in (JOURNAL, LOCK):
            (folder / name).unlink()
        os.rename(folder, out)
    finally:
        lock.release()
        if folder.exists():
            (folder / LOCK).touch()  # says that an export made this folder
            if {path.name for path in folder.iterdir()} <= {JOURNAL, LOCK}:
                shutil.rmtree(folder)  # nothing to go on with


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, as hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _graphs(step: Mapping[str, Any]) -> Graphs:
    return {name: Graph.model_validate_json(json.dumps(graph), strict=True) for name, graph in step.items()}


def _files(step: Mapping[str, Any]) -> Iterator[str]:
    for graph in _graphs(step).values():
        yield graph.file
        if graph.weights is not None:
            yield graph.weights.file
