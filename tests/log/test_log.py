"""Writer and reader together: nothing that was written is lost but what policy says, and a crash costs one line."""

import errno
import os
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from streamgen.log.contents import ChunkShown, Content, GeneratorStarted, Lost, Panicked, Requested
from streamgen.log.errors import LogError, LogUnavailableError
from streamgen.log.files import segment, segments
from streamgen.log.reader import MAX_LINE_BYTES, LogReader
from streamgen.log.writer import ChannelLog

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def shown(chunk: int) -> ChunkShown:
    return ChunkShown(life=1, chunk=chunk, pts=chunk * 21_600)


def written(folder: Path, name: str = "main") -> list[Content]:
    return [each.content for each in LogReader(folder, name)]


def chunks(folder: Path) -> list[int]:
    return [each.chunk for each in written(folder) if isinstance(each, ChunkShown)]


def test_what_is_added_is_read_with_its_times(tmp_path: Path) -> None:
    with ChannelLog(tmp_path / "log", "main", now=lambda: NOON) as log:
        for i in range(100):
            log.add(shown(i), i * 0.24)
    assert log.counts.written == 100
    read = list(LogReader(tmp_path / "log", "main"))
    assert [(each.time, each.media_time_s, each.content) for each in read] == [
        (NOON, i * 0.24, shown(i)) for i in range(100)
    ]
    log.close()
    log.add(shown(100), 24.0)
    assert (log.counts.written, log.counts.lost) == (100, 1)
    assert len(written(tmp_path / "log")) == 100


def test_a_log_goes_on_where_it_ended(tmp_path: Path) -> None:
    for part in range(3):
        with ChannelLog(tmp_path, "main") as log:
            log.add(shown(part), 0.0)
    assert chunks(tmp_path) == [0, 1, 2]
    assert len(segments(tmp_path, "main")) == 1


def test_a_log_knows_the_newest_generator_that_it_has(tmp_path: Path) -> None:
    with ChannelLog(tmp_path, "main", max_bytes=200) as log:
        assert log.last_life == 0
        for life in (1, 2):
            log.add(GeneratorStarted(life=life, bundle="b", fingerprint="f", seed=0), 0.0)
            log.add(ChunkShown(life=life, chunk=0, pts=0), 0.0)
        for number in range(5):  # the newest file names none, and somebody's words look like one
            log.add(Requested(id=f"{number}", message={"text": '"life":9,'}), 0.0)
    assert len(segments(tmp_path, "main")) > 2
    with ChannelLog(tmp_path, "main") as log:
        assert log.last_life == 2


def test_files_are_left_at_their_size_and_the_oldest_removed(tmp_path: Path) -> None:
    (tmp_path / "main.2.jsonl").write_text("somebody else's")
    (tmp_path / "other.000001.jsonl").write_text("another channel's\n")
    with ChannelLog(tmp_path, "main", max_bytes=1000, max_files=3) as log:
        for i in range(200):
            log.add(shown(i), 0.0)
    files = segments(tmp_path, "main")
    assert len(files) == 3
    numbers = [number for number, _ in files]
    assert numbers == list(range(numbers[0], numbers[0] + 3))
    assert all(1000 <= path.stat().st_size < 1200 for _, path in files[:-1])
    kept = chunks(tmp_path)
    assert kept == list(range(kept[0], 200))
    assert (tmp_path / "main.2.jsonl").exists()
    assert (tmp_path / "other.000001.jsonl").exists()


def test_after_a_cut_at_any_byte_only_the_torn_record_is_missing(tmp_path: Path) -> None:
    with ChannelLog(tmp_path, "main", now=lambda: NOON) as log:
        for i in range(3):
            log.add(Requested(id=str(i), message={"text": "größer 🌊"}), float(i))
    path = segment(tmp_path, "main", 1)
    whole = path.read_bytes()
    ends = [i + 1 for i, byte in enumerate(whole) if byte == ord("\n")]
    for cut in range(len(whole) + 1):
        path.write_bytes(whole[:cut])
        # A record whose line break alone is missing is there.
        complete = sum(end - 1 <= cut for end in ends)
        torn = cut not in {0, *ends, *(end - 1 for end in ends)}
        reader = LogReader(tmp_path, "main")
        assert [each.content.id for each in reader if isinstance(each.content, Requested)] == list("012"[:complete])
        assert reader.skipped == torn
        if cut % 7 == 0:  # each of these starts a thread
            with ChannelLog(tmp_path, "main") as log:
                log.add(shown(9), 9.0)
            reader = LogReader(tmp_path, "main")
            again = [each.content for each in reader]
            assert again[complete:] == [shown(9)]
            assert len(again) == complete + 1
            assert reader.skipped == torn


def test_a_damaged_line_costs_that_line(tmp_path: Path) -> None:
    with ChannelLog(tmp_path, "main") as log:
        for i in range(3):
            log.add(shown(i), 0.0)
    path = segment(tmp_path, "main", 1)
    first, second, third, _ = path.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join([first, second[:20] + b"\x00\xff" + second[22:], b"x" * (3 * MAX_LINE_BYTES), third]))
    reader = LogReader(tmp_path, "main")
    assert [each.content for each in reader] == [shown(0), shown(2)]
    assert reader.skipped == 2


class SlowDisk:
    """Stands in for `os.write`: waits until it may, or fails, and counts what goes to the disk."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.may = threading.Event()
        self.may.set()
        self.entered = threading.Event()
        self.fails = False
        self.takes: int | None = None  # bytes before it fails
        self.syncs = 0
        self._write, self._sync = os.write, os.fdatasync
        monkeypatch.setattr("streamgen.log.writer.os.write", self.write)
        monkeypatch.setattr("streamgen.log.writer.os.fdatasync", self.sync)

    def write(self, file: int, data: memoryview) -> int:
        self.entered.set()
        assert self.may.wait(10)
        if self.takes:
            part, self.takes = self.takes, None
            self.fails = True
            return self._write(file, data[:part])
        if self.fails:
            raise OSError(errno.ENOSPC, "No space left on device")
        return self._write(file, data)

    def sync(self, file: int) -> None:
        self.syncs += 1
        self._sync(file)


def test_a_full_queue_loses_the_newest_and_says_how_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = SlowDisk(monkeypatch)
    with ChannelLog(tmp_path, "main", max_waiting=4) as log:
        disk.may.clear()
        log.add(shown(0), 0.0)
        assert disk.entered.wait(10)  # it waits in the disk, and the queue is empty
        for i in range(1, 10):
            log.add(shown(i), float(i))
        assert (log.counts.lost, log.counts.waiting) == (5, 4)
        disk.may.set()
    assert written(tmp_path) == [shown(0), Lost(records=5), *(shown(i) for i in range(1, 5))]
    assert (log.counts.written, log.counts.lost) == (5, 5)


def test_a_full_disk_costs_records_and_not_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    disk = SlowDisk(monkeypatch)
    with ChannelLog(tmp_path, "main") as log:
        log.add(shown(0), 0.0)
        while log.counts.written < 1:
            os.sched_yield()
        disk.takes = 30  # full in the middle of a line
        for i in range(1, 4):
            log.add(shown(i), float(i))
        while log.counts.lost < 3:
            os.sched_yield()
        disk.fails = False
        log.add(shown(4), 4.0)
    reader = LogReader(tmp_path, "main")
    assert [each.content for each in reader] == [shown(0), Lost(records=3), shown(4)]
    assert reader.skipped == 1  # the torn one
    assert (log.counts.written, log.counts.lost) == (2, 3)
    assert "make room" in caplog.text
    assert len(caplog.records) == 1  # not one per record


def test_a_panic_is_on_the_disk_at_once_and_others_within_the_interval(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = SlowDisk(monkeypatch)
    with ChannelLog(tmp_path, "main", sync_s=3600) as log:
        log.add(Panicked(action="black", by="ann"), 0.0)
        while disk.syncs == 0:
            os.sched_yield()
        log.add(shown(1), 1.0)
        while log.counts.written < 2:
            os.sched_yield()
        assert disk.syncs == 1
    assert disk.syncs == 2  # on closing


def test_a_log_has_one_writer(tmp_path: Path) -> None:
    with (
        ChannelLog(tmp_path, "main"),
        ChannelLog(tmp_path, "other"),
        pytest.raises(LogUnavailableError, match="give this one another folder"),
    ):
        ChannelLog(tmp_path, "main").__enter__()
    with ChannelLog(tmp_path, "main"):
        pass


def test_a_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LogUnavailableError, match="make the folder writable"), ChannelLog(tmp_path / "file", "main"):
        pass


def test_limits_must_be_limits(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="above 0"):
        ChannelLog(tmp_path, "main", max_files=0)


def test_no_log_is_an_error_that_says_where_to_look(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(LogError, match="holds no log of channel main"):
            LogReader(folder, "main")
