"""Plans are found by what they depend on; foreign, cut and damaged ones are not found, and make room."""

import errno
import json
import multiprocessing
import os
import shutil
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import pytest

from streamgen_engines.tensorrt import plans as module
from streamgen_engines.tensorrt.plans import (
    ABANDONED_S,
    Plan,
    PlanCache,
    PlanCacheError,
    PlanKey,
    PlanMemory,
    Pruned,
    user_folder,
)

KEY = PlanKey("a" * 64, "tensorrt-rtx", "1.7.1.116", "NVIDIA L4", "8.9")
PLAN = Plan(KEY, b"a plan of some length" * 50, {"y": 0.001})


@pytest.fixture
def plans(tmp_path: Path) -> PlanCache:
    cache = PlanCache(tmp_path / "plans")
    cache.install(PLAN)
    return cache


def files(plans: PlanCache) -> list[str]:
    return sorted(path.suffix for path in plans.folder.iterdir())


def test_a_plan_is_found_as_it_was_installed(plans: PlanCache) -> None:
    assert plans.find(KEY) == PLAN
    assert PlanCache(plans.folder).find(KEY) == PLAN


@pytest.mark.parametrize(
    "other",
    [
        replace(KEY, graph="b" * 64),
        replace(KEY, runtime="tensorrt"),
        replace(KEY, version="1.7.2"),
        replace(KEY, gpu="NVIDIA H200"),
        replace(KEY, capability="9.0"),
    ],
    ids=["graph", "runtime", "version", "gpu", "capability"],
)
def test_a_plan_for_something_else_is_not_found(plans: PlanCache, other: PlanKey) -> None:
    assert plans.find(other) is None
    assert plans.find(KEY) == PLAN


@pytest.mark.parametrize("kept", [0, 1, 500], ids=["empty", "one byte", "half"])
def test_a_plan_that_was_cut_short_is_removed(plans: PlanCache, kept: int) -> None:
    (stored,) = plans.folder.glob("*.plan")
    stored.write_bytes(stored.read_bytes()[:kept])
    assert plans.find(KEY) is None
    assert files(plans) == []


def test_a_plan_with_a_flipped_bit_is_removed(plans: PlanCache) -> None:
    (stored,) = plans.folder.glob("*.plan")
    data = stored.read_bytes()
    stored.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    assert plans.find(KEY) is None
    assert files(plans) == []


@pytest.mark.parametrize("text", ["", "{", "[]", '"x"', '{"version": 1}', "\xff"])
def test_a_record_that_is_none_is_removed(plans: PlanCache, text: str) -> None:
    (stored,) = plans.folder.glob("*.plan")
    stored.write_bytes(text.encode("latin-1") + b"\n" + PLAN.data)
    assert plans.find(KEY) is None
    assert files(plans) == []


def test_a_record_that_was_renamed_to_this_gpu_is_not_believed(plans: PlanCache) -> None:
    """Somebody copies the folder of another machine over this one's and renames the files."""
    (stored,) = plans.folder.glob("*.plan")
    line, _, data = stored.read_bytes().partition(b"\n")
    stored.write_bytes(json.dumps({**json.loads(line), "gpu": "NVIDIA H200"}).encode() + b"\n" + data)
    assert plans.find(KEY) is None


def test_a_plan_without_its_first_line_is_removed(plans: PlanCache) -> None:
    (stored,) = plans.folder.glob("*.plan")
    stored.write_bytes(PLAN.data)
    assert plans.find(KEY) is None
    assert files(plans) == []


def test_what_cannot_be_read_now_is_left_alone(plans: PlanCache, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(path: Path) -> bytes:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Path, "read_bytes", fails)
    assert plans.find(KEY) is None
    monkeypatch.undo()
    assert plans.find(KEY) == PLAN


def test_a_new_plan_takes_the_place_of_the_old_one(plans: PlanCache) -> None:
    newer = replace(PLAN, data=b"newer", errors=None)
    plans.install(newer)
    assert plans.find(KEY) == newer
    assert files(plans) == [".plan"]


def test_an_interrupted_write_leaves_the_old_plan(plans: PlanCache, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(source: str, target: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", stop)
    with pytest.raises(KeyboardInterrupt):
        plans.install(replace(PLAN, data=b"newer"))
    monkeypatch.undo()
    assert plans.find(KEY) == PLAN
    assert files(plans) == [".plan"]


def test_a_full_disk_leaves_the_old_plan(plans: PlanCache, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(source: str, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(PlanCacheError, match=r"No space left.*--plan-cache"):
        plans.install(replace(PLAN, data=b"newer"))
    monkeypatch.undo()
    assert plans.find(KEY) == PLAN
    assert files(plans) == [".plan"]


def test_timing_belongs_to_the_gpu_and_the_version(plans: PlanCache) -> None:
    assert plans.timing(KEY) == b""
    plans.keep_timing(KEY, b"measured")
    plans.keep_timing(KEY, b"")
    assert plans.timing(replace(KEY, graph="c" * 64)) == b"measured"
    assert plans.timing(replace(KEY, gpu="NVIDIA H200")) == b""
    assert plans.timing(replace(KEY, version="2")) == b""


def test_compiled_kernels_lie_beside_their_plan_and_go_with_it(plans: PlanCache) -> None:
    assert plans.kernels(KEY) == b""
    assert not plans.keep_kernels(KEY, b"")
    assert plans.keep_kernels(KEY, b"compiled")
    assert plans.kernels(KEY) == b"compiled"
    assert plans.kernels(replace(KEY, graph="b" * 64)) == b""
    plans.discard(KEY)
    assert plans.kernels(KEY) == b""
    assert files(plans) == []


def test_plans_lie_in_the_users_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert user_folder() == tmp_path / "streamgen" / "plans"


def test_kernels_of_a_plan_that_is_gone_are_not_kept(plans: PlanCache) -> None:
    assert not plans.keep_kernels(replace(KEY, graph="b" * 64), b"compiled")
    shutil.rmtree(plans.folder)
    assert not plans.keep_kernels(KEY, b"compiled")
    assert not plans.folder.exists()


def test_no_more_kernels_are_kept_than_the_bound(plans: PlanCache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_KERNELS_BYTES", 4)
    assert plans.keep_kernels(KEY, b"four")
    assert not plans.keep_kernels(KEY, b"fives")
    assert plans.kernels(KEY) == b"four"


def test_what_a_plan_took_lies_beside_it_and_goes_with_it(plans: PlanCache) -> None:
    assert plans.memory(KEY) is None
    plans.keep_memory(KEY, PlanMemory(weights=70, activations=30))
    assert plans.memory(KEY) == PlanMemory(weights=70, activations=30)
    assert plans.memory(replace(KEY, gpu="NVIDIA H200")) is None
    plans.discard(KEY)
    assert plans.memory(KEY) is None
    assert files(plans) == []
    plans.keep_memory(KEY, PlanMemory(1, 1))  # of nothing
    assert files(plans) == []


@pytest.mark.parametrize(
    "text",
    ["", "{", "[1, 2]", '{"weights": 1}', '{"weights": -1, "activations": 2}', '{"weights": "1", "activations": 2}'],
)
def test_a_record_of_memory_that_is_none_is_not_believed(plans: PlanCache, text: str) -> None:
    plans.keep_memory(KEY, PlanMemory(70, 30))
    (stored,) = plans.folder.glob("*.memory")
    stored.write_text(text)
    assert plans.memory(KEY) is None


@pytest.mark.parametrize("number", [errno.EROFS, errno.ENOSPC, errno.EACCES], ids=["read-only", "full", "forbidden"])
def test_a_disk_that_takes_nothing_is_named_with_what_to_do(
    plans: PlanCache, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(**options: object) -> tuple[int, str]:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(tempfile, "mkstemp", refuse)
    for keep in (
        lambda: plans.install(replace(PLAN, data=b"newer")),
        lambda: plans.keep_kernels(KEY, b"compiled"),
        lambda: plans.keep_timing(KEY, b"measured"),
        lambda: plans.keep_memory(KEY, PlanMemory(1, 2)),
    ):
        with pytest.raises(PlanCacheError, match=rf"{os.strerror(number)}.*--plan-cache"):
            keep()
    assert plans.find(KEY) == PLAN


def install_often(folder: str, letter: str, times: int) -> None:
    """What another process does."""
    cache = PlanCache(Path(folder))
    for _ in range(times):
        cache.install(Plan(KEY, letter.encode() * 100_000))


def test_two_processes_that_build_the_same_plan_leave_a_whole_one(plans: PlanCache) -> None:
    context = multiprocessing.get_context("spawn")
    others = [context.Process(target=install_often, args=(str(plans.folder), each, 40)) for each in "ab"]
    for other in others:
        other.start()
    seen: set[bytes] = set()
    while any(other.is_alive() for other in others):
        found = plans.find(KEY)
        assert found is not None, "a reader saw none, or half of one"
        seen.add(found.data[:1] + found.data[-1:])
    for other in others:
        other.join()
        assert other.exitcode == 0
    last = plans.find(KEY)
    assert last is not None
    assert len(last.data) == 100_000
    assert seen <= {b"a ", b"aa", b"bb", PLAN.data[:1] + PLAN.data[-1:]}
    assert files(plans) == [".plan"]


HERE = ("NVIDIA L4", "8.9")
INSTALLED = {"tensorrt-rtx": "1.7.1.116"}


def stale(plans: PlanCache) -> dict[str, Plan]:
    """One plan for each reason to go; the fixture's own is to stay."""
    others = {
        "version": replace(PLAN, key=replace(KEY, version="1.6.0")),
        "runtime": replace(PLAN, key=replace(KEY, runtime="tensorrt")),
        "gpu": replace(PLAN, key=replace(KEY, gpu="NVIDIA H200", capability="9.0")),
    }
    for other in others.values():
        plans.install(other)
        plans.keep_kernels(other.key, b"compiled")
        plans.keep_memory(other.key, PlanMemory(1, 2))
        plans.keep_timing(other.key, b"measured")
    plans.keep_kernels(KEY, b"compiled")
    plans.keep_timing(KEY, b"measured")
    return others


def test_pruning_removes_what_nothing_here_can_use(plans: PlanCache) -> None:
    others = stale(plans)
    pruned = plans.prune(INSTALLED, {HERE}, now_s=time.time())
    assert pruned.plans == len(others)
    assert pruned.size > 3 * len(PLAN.data)
    assert all(plans.find(other.key) is None for other in others.values())
    assert plans.find(KEY) == PLAN
    assert files(plans) == [".kernels", ".plan", ".timing"]
    assert plans.timing(KEY) == b"measured"
    assert plans.prune(INSTALLED, {HERE}, now_s=time.time()) == Pruned(0, 0)


def test_a_dry_run_of_pruning_only_tells(plans: PlanCache) -> None:
    others = stale(plans)
    before = files(plans)
    assert plans.prune(INSTALLED, {HERE}, now_s=time.time(), dry_run=True).plans == len(others)
    assert files(plans) == before


def test_where_no_gpu_answers_plans_for_gpus_stay(plans: PlanCache) -> None:
    others = stale(plans)
    assert plans.prune(INSTALLED, (), now_s=time.time()).plans == 2
    assert plans.find(others["gpu"].key) == others["gpu"]
    assert plans.timing(others["gpu"].key) == b"measured"


def test_pruning_takes_what_is_no_plan_and_what_was_left_half_written(plans: PlanCache) -> None:
    (plans.folder / "0123.plan").write_bytes(b"no record\n")
    (plans.folder / "4567.kernels").write_bytes(b"of no plan")
    (plans.folder / "somebody's.txt").write_text("not ours")
    old, new = plans.folder / ".89ab.plan.x1y2", plans.folder / ".89ab.plan.z3"
    for begun in (old, new):
        begun.write_bytes(b"half")
    now_s = time.time()
    os.utime(old, (now_s - 2 * ABANDONED_S, now_s - 2 * ABANDONED_S))
    assert plans.prune(INSTALLED, {HERE}, now_s=now_s).plans == 1
    assert sorted(path.name for path in plans.folder.iterdir()) == sorted(
        [".89ab.plan.z3", f"{KEY.name}.plan", "somebody's.txt"]
    )


def test_pruning_a_folder_that_is_not_there(tmp_path: Path) -> None:
    assert PlanCache(tmp_path / "nothing").prune(INSTALLED, {HERE}, now_s=0.0) == Pruned(0, 0)
