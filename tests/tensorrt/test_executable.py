"""A plan in the hands of TensorRT, which is a stand-in: what is raised when it refuses, and what is freed when."""

import gc

import pytest

from streamgen_engines.errors import DeviceLostError, EngineError, GraphLoadError, GraphRunError, OutOfMemoryError
from streamgen_engines.tensorrt import executable as module
from streamgen_engines.tensorrt.executable import TensorRtExecutable
from streamgen_engines.tensorrt.plans import PlanMemory
from tests.tensorrt.fake_api import ACTIVATIONS, WEIGHTS, FakeApi

ORDER = ["context", "cache", "engine", "runtime"]
OUT_OF_MEMORY = "[defaultAllocator.cpp::allocate::19] Error Code 1: Cuda Runtime (out of memory)"
ILLEGAL = "Error Code 1: Cuda Runtime (an illegal memory access was encountered)"
TAG = "Error Code 1: Serialization (Version tag does not match)"


@pytest.fixture(autouse=True)
def one_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "gpu_count", lambda: 1)


def loaded(api: FakeApi, plan: bytes = b"plan") -> TensorRtExecutable:
    return TensorRtExecutable(api.flavour(), plan, "pocket/denoise")


@pytest.mark.parametrize("step", ["engine", "context"])
@pytest.mark.parametrize(
    ("says", "kind", "words"),
    [
        ((OUT_OF_MEMORY, "Error Code 2: OutOfMemory (no further information)"), OutOfMemoryError, "not enough memory"),
        # The reason is not always the last thing that is said.
        ((OUT_OF_MEMORY, "deserializeCudaEngine: Error Code 4: Internal Error"), OutOfMemoryError, "not enough memory"),
        ((ILLEGAL,), DeviceLostError, "nvidia-smi"),
        ((TAG,), GraphLoadError, "Version tag does not match.*build it again with streamgen compile"),
        ((), GraphLoadError, "it gave no reason"),
    ],
    ids=["memory", "memory first", "lost", "version", "silent"],
)
def test_a_plan_that_is_not_loaded(step: str, says: tuple[str, ...], kind: type[EngineError], words: str) -> None:
    api = FakeApi(refuses=step, says=says)
    with pytest.raises(kind, match=words) as caught:
        loaded(api)
    assert type(caught.value) is kind
    assert "pocket/denoise" in str(caught.value)
    gc.collect()
    assert sorted(api.ended) == sorted(["runtime"] if step == "engine" else ["cache", "engine", "runtime"])


def test_words_of_an_earlier_plan_are_not_held_against_this_one() -> None:
    api = FakeApi(refuses="engine", says=(TAG,))
    api.logger.messages.append(OUT_OF_MEMORY)
    with pytest.raises(GraphLoadError):
        loaded(api)


@pytest.mark.parametrize(
    ("says", "kind", "words"),
    [
        ((OUT_OF_MEMORY, "enqueueV3: Error Code 1: Myelin (...)"), GraphRunError, "failed for want of memory"),
        ((ILLEGAL, "enqueueV3: Error Code 1: Myelin (...)"), DeviceLostError, "device is gone"),
        (("enqueueV3: Error Code 3: API Usage Error",), GraphRunError, "API Usage Error"),
    ],
    ids=["memory", "lost", "other"],
)
def test_a_run_that_fails(says: tuple[str, ...], kind: type[EngineError], words: str) -> None:
    opened = loaded(FakeApi(refuses="run", says=says))
    with pytest.raises(kind, match=words) as caught:
        opened.enqueue(1)
    assert type(caught.value) is kind


def test_closing_frees_the_context_then_the_engine_then_the_runtime() -> None:
    api = FakeApi()
    opened = loaded(api)
    assert api.ended == []
    opened.close()
    assert api.ended == ORDER
    opened.close()
    assert api.ended == ORDER


def test_a_failed_run_does_not_stand_in_the_way_of_closing() -> None:
    api = FakeApi(refuses="run", says=(ILLEGAL,))
    opened = loaded(api)
    with pytest.raises(DeviceLostError):
        opened.enqueue(1)
    opened.close()
    assert api.ended == ORDER


def test_use_after_close_is_an_error_and_no_crash() -> None:
    opened = loaded(FakeApi())
    opened.close()
    for use in (
        lambda: opened.enqueue(1),
        lambda: opened.bind("x", 4096),
        lambda: opened.capturable(1),
        opened.report,
        opened.memory,
    ):
        with pytest.raises(GraphRunError, match="pocket/denoise has been closed; load it again"):
            use()
    assert opened.kernels() == b""


def test_what_it_takes_is_told_by_tensorrt() -> None:
    opened = loaded(FakeApi())
    assert opened.memory() == PlanMemory(weights=WEIGHTS, activations=ACTIVATIONS)
    report = opened.report()
    assert (report.layers, report.attentions, report.device_bytes, report.weight_bytes) == (1, 1, ACTIVATIONS, WEIGHTS)
    assert opened.kernels() == b"compiled"


def test_a_version_that_does_not_tell_weights_is_taken_by_the_size_of_the_plan() -> None:
    assert loaded(FakeApi(tells_weights=False), b"x" * 77).memory() == PlanMemory(weights=77, activations=ACTIVATIONS)


def test_the_full_tensorrt_keeps_no_kernels() -> None:
    opened = TensorRtExecutable(FakeApi().flavour("tensorrt"), b"plan", "text")
    assert opened.kernels() == b""
    assert opened.capturable(1)


def test_without_a_gpu_tensorrt_is_not_even_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "gpu_count", lambda: 0)
    api = FakeApi()
    with pytest.raises(GraphLoadError, match="no GPU can be used"):
        loaded(api)
    assert api.ended == []
