"""Files that were found to be right are read again when, and only when, something touched them."""

import hashlib
import os
from pathlib import Path

import pytest

from streamgen_engines.verified import VerifiedFiles

CONTENT = b"weights" * 1000
RIGHT = hashlib.sha256(CONTENT).hexdigest()


class Digests:
    """Counts how often a file is read in full."""

    def __init__(self) -> None:
        self.count = 0
        self._digest = hashlib.file_digest

    def __call__(self, stream: object, name: str) -> object:
        self.count += 1
        return self._digest(stream, name)  # type: ignore[arg-type]


@pytest.fixture
def digests(monkeypatch: pytest.MonkeyPatch) -> Digests:
    counting = Digests()
    monkeypatch.setattr(hashlib, "file_digest", counting)
    return counting


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "weights"
    made.write_bytes(CONTENT)
    return made


def test_a_right_file_is_read_once(file: Path, tmp_path: Path, digests: Digests) -> None:
    for _ in range(3):
        assert VerifiedFiles(tmp_path / "records").sha256(file, RIGHT) == RIGHT
    assert digests.count == 1


def test_a_wrong_one_every_time(file: Path, tmp_path: Path, digests: Digests) -> None:
    for _ in range(2):
        assert VerifiedFiles(tmp_path / "records").sha256(file, "0" * 64) == RIGHT
    assert digests.count == 2


def test_one_that_was_changed_in_place_and_dated_back_is_found(file: Path, tmp_path: Path) -> None:
    files = VerifiedFiles(tmp_path / "records")
    files.sha256(file, RIGHT)
    before = file.stat()
    with file.open("r+b") as stream:
        stream.write(b"X")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert files.sha256(file, RIGHT) != RIGHT


def test_another_expected_hash_is_not_believed(file: Path, tmp_path: Path) -> None:
    files = VerifiedFiles(tmp_path / "records")
    files.sha256(file, RIGHT)
    assert files.sha256(file, "1" * 64) == RIGHT


def test_damaged_records_and_folders_that_cannot_be_written_cost_a_reading(
    file: Path, tmp_path: Path, digests: Digests
) -> None:
    folder = tmp_path / "records"
    VerifiedFiles(folder).sha256(file, RIGHT)
    (record,) = folder.iterdir()
    record.write_bytes(b"\xff not JSON")
    assert VerifiedFiles(folder).sha256(file, RIGHT) == RIGHT
    (tmp_path / "a file").write_bytes(b"")
    assert VerifiedFiles(tmp_path / "a file" / "records").sha256(file, RIGHT) == RIGHT
    assert digests.count == 3
