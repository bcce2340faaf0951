"""Plans are found by what they depend on; foreign, cut and damaged ones are not found, and make room."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from streamgen_engines.tensorrt.plans import Plan, PlanCache, PlanCacheError, PlanKey, user_folder

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
    with pytest.raises(PlanCacheError, match=r"No space left.*--cache"):
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
    plans.keep_kernels(KEY, b"")
    plans.keep_kernels(KEY, b"compiled")
    assert plans.kernels(KEY) == b"compiled"
    assert plans.kernels(replace(KEY, graph="b" * 64)) == b""
    plans.discard(KEY)
    assert plans.kernels(KEY) == b""
    assert files(plans) == []


def test_plans_lie_in_the_users_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert user_folder() == tmp_path / "streamgen" / "plans"
