"""Kept texts: bounds in memory and on disk, files that are whole or not there, disks that fail."""

import hashlib
import json
import logging
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from streamgen_engines.embedding_cache import SUFFIX, EmbeddingCache, Rows, texts_folder

ROW_BYTES = 16  # of 8 numbers


def key(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def rows(value: float, tokens: int = 4) -> Rows:
    return np.full((tokens, ROW_BYTES // 2), value, np.float16)


def files(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def test_what_is_kept_is_found_and_cannot_be_changed() -> None:
    cache = EmbeddingCache()
    assert cache.find(key("a")) is None
    cache.keep(key("a"), rows(1.5))
    found = cache.find(key("a"))
    assert found is not None
    np.testing.assert_array_equal(found, rows(1.5))
    with pytest.raises(ValueError, match="read-only"):
        found[0, 0] = 2


def test_memory_is_bounded_in_bytes_and_the_least_recent_goes() -> None:
    cache = EmbeddingCache(memory_bytes=3 * 4 * ROW_BYTES)
    for name in "abc":
        cache.keep(key(name), rows(1))
    assert cache.find(key("a")) is not None  # so b is the oldest now
    cache.keep(key("d"), rows(2, tokens=6))  # takes the place of two: 4 + 4 + 6 rows are too many
    assert [name for name in "abcd" if cache.find(key(name)) is not None] == ["a", "d"]
    assert cache.held_bytes == 10 * ROW_BYTES
    cache.keep(key("d"), rows(2, tokens=1))
    assert cache.held_bytes == 5 * ROW_BYTES
    cache.keep(key("large"), rows(3, tokens=100))
    assert cache.find(key("large")) is None
    assert cache.held_bytes == 0


def test_another_process_finds_it_on_disk(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "texts"
    EmbeddingCache(folder).keep(key("a"), rows(0.1))
    found = EmbeddingCache(folder).find(key("a"))
    assert found is not None
    assert found.dtype == np.float16
    np.testing.assert_array_equal(found, rows(0.1))
    assert EmbeddingCache(folder).find(key("b")) is None
    (file,) = files(folder)
    assert file.name == key("a") + SUFFIX
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "damage",
    [
        lambda raw: raw[:-1],
        lambda raw: raw[:10],
        lambda raw: b"",
        lambda raw: raw[:-3] + b"\x07" + raw[-2:],
        lambda raw: raw.replace(b'"version": 1', b'"version": 9'),
        lambda raw: raw.replace(b"[4, 8]", b"[8, 8]"),
        lambda raw: raw.replace(b"[4, 8]", b"[32]"),
        lambda raw: b"[]\n" + raw.partition(b"\n")[2],
        lambda raw: b"\xff\xfe" * 50,
    ],
)
def test_a_damaged_file_is_dropped(tmp_path: Path, damage: object) -> None:
    EmbeddingCache(tmp_path).keep(key("a"), rows(1))
    (file,) = files(tmp_path)
    file.write_bytes(damage(file.read_bytes()))  # type: ignore[operator]
    cache = EmbeddingCache(tmp_path)
    assert cache.find(key("a")) is None
    assert not files(tmp_path)
    cache.keep(key("a"), rows(2))
    assert EmbeddingCache(tmp_path).find(key("a")) is not None


def test_the_disk_is_bounded_and_what_was_used_longest_ago_goes(tmp_path: Path) -> None:
    EmbeddingCache(tmp_path).keep(key("a"), rows(1))
    size = files(tmp_path)[0].stat().st_size
    cache = EmbeddingCache(tmp_path, memory_bytes=0, disk_bytes=3 * size)
    for age, name in enumerate("bc"):
        cache.keep(key(name), rows(1))
        os.utime(tmp_path / (key(name) + SUFFIX), (1000 + age, 1000 + age))
    os.utime(tmp_path / (key("a") + SUFFIX), (900, 900))
    assert cache.find(key("a")) is not None  # and now it is the newest
    cache.keep(key("d"), rows(1))
    assert {name for name in "abcd" if (tmp_path / (key(name) + SUFFIX)).exists()} == {"a", "c", "d"}


def test_half_written_files_of_others_count_and_go(tmp_path: Path) -> None:
    EmbeddingCache(tmp_path).keep(key("a"), rows(1))
    size = files(tmp_path)[0].stat().st_size
    left = tmp_path / f".begun{SUFFIX}"
    left.write_bytes(b"x" * size)
    os.utime(left, (1000, 1000))
    EmbeddingCache(tmp_path, disk_bytes=2 * size).keep(key("b"), rows(1))
    assert not left.exists()
    assert len(files(tmp_path)) == 2


def test_what_does_not_fit_on_the_disk_stays_in_memory(tmp_path: Path) -> None:
    cache = EmbeddingCache(tmp_path, disk_bytes=10)
    cache.keep(key("a"), rows(1))
    assert cache.find(key("a")) is not None
    assert not files(tmp_path)


def test_a_disk_that_fails_is_told_once_and_fails_no_text(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("no folder")
    cache = EmbeddingCache(tmp_path / "file")
    with caplog.at_level(logging.WARNING):
        for name in "abc":
            assert cache.find(key(name)) is None
            cache.keep(key(name), rows(1))
            assert cache.find(key(name)) is not None
    (record,) = caplog.records
    assert "encoded again after a restart" in record.getMessage()


def test_keys_are_hashes(tmp_path: Path) -> None:
    cache = EmbeddingCache(tmp_path)
    for wrong in ("", "../../etc/passwd", "A" * 64):
        with pytest.raises(ValueError, match="64 hexadecimal digits"):
            cache.find(wrong)
        with pytest.raises(ValueError, match="64 hexadecimal digits"):
            cache.keep(wrong, rows(1))


def test_threads_may_share_it(tmp_path: Path) -> None:
    cache = EmbeddingCache(tmp_path, memory_bytes=4 * 4 * ROW_BYTES)

    def work(number: int) -> bool:
        name = str(number % 10)
        cache.keep(key(name), rows(number % 10))
        found = cache.find(key(name))
        return found is not None and bool((found == number % 10).all())

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(200)))
    assert cache.held_bytes == 4 * 4 * ROW_BYTES


def test_it_lies_in_the_users_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert texts_folder() == tmp_path / "streamgen" / "texts"
    assert json.dumps(str(texts_folder()))
