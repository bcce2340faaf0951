"""Runtimes that are made, told what they are told, and closed together; TensorRT is a stand-in."""

import contextlib
from pathlib import Path
from typing import Any

import pytest

from streamgen_engines.bundle import Bundle, bundled
from streamgen_engines.errors import OutOfMemoryError, RuntimeUnavailableError, UnknownPrecisionError
from streamgen_engines.families import Condition, load
from streamgen_engines.gpu_options import PRECISIONS, GpuOptions, read_precision
from streamgen_engines.runtimes import OnnxRuntimeCpu, OpenRuntimes, choice, opened, runtime_named
from streamgen_engines.tensorrt import compile as compiling
from streamgen_engines.tensorrt import runtime as module
from streamgen_engines.tensorrt.plans import PlanCache
from tests.tensorrt.stand_in import install, words

PLANS = [
    "text.onnx",
    "sampler step",
    "sampler weigh",
    "sampler finish",
    "denoise.onnx",
    "decode_video.onnx",
    "decode_audio.onnx",
]
"""In the order in which a model loads them."""


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    for name in ("build", "CudaDevice", "TensorRtExecutable", "load_flavour"):
        monkeypatch.setattr(module, name, getattr(module, name))  # put back at the end
    install(tmp_path)
    return tmp_path


@pytest.fixture
def card() -> Bundle:
    return bundled("testcard")


def options(folder: Path, **more: Any) -> GpuOptions:
    return GpuOptions(plan_cache=folder / "plans", **more)


def chunk(runtimes: OpenRuntimes, bundle: Bundle) -> None:
    runtimes.admit(bundle)
    model = load(bundle, runtime=runtimes.make)
    model.decoder.decode(model.generator.step(Condition(model.text.encode("a red sun"))))


def test_a_model_runs_and_its_plans_are_closed_last_to_first(stand_in: Path, card: Bundle) -> None:
    with OpenRuntimes("tensorrt-rtx", options(stand_in)) as runtimes:
        chunk(runtimes, card)
        assert words(stand_in, "builds") == PLANS
        assert words(stand_in, "closed") == []
    assert words(stand_in, "closed") == [*reversed(words(stand_in, "builds"))]
    runtimes.close()
    assert len(words(stand_in, "closed")) == len(PLANS)


def test_plans_are_found_by_whoever_is_told_the_same(stand_in: Path, card: Bundle) -> None:
    for precision in (None, "fp16"):
        with OpenRuntimes("tensorrt-rtx", options(stand_in, precision=read_precision(precision))) as runtimes:
            chunk(runtimes, card)
        assert words(stand_in, "builds") == PLANS


def test_a_failure_while_loading_gives_back_what_was_loaded(
    stand_in: Path, card: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = vars(module)["TensorRtExecutable"]

    def full(flavour: Any, plan: bytes, name: str, **more: Any) -> Any:
        if name.startswith("decode"):
            raise OutOfMemoryError("the GPU is full")
        return opened(flavour, plan, name, **more)

    monkeypatch.setattr(module, "TensorRtExecutable", full)
    with pytest.raises(OutOfMemoryError), OpenRuntimes("tensorrt-rtx", options(stand_in)) as runtimes:
        chunk(runtimes, card)
    assert words(stand_in, "closed") == [*reversed(PLANS[:5])]


def test_one_that_is_refused_loads_nothing(stand_in: Path, card: Bundle) -> None:
    (stand_in / "room").write_text("1000")
    with (
        pytest.raises(OutOfMemoryError, match="testcard needs about"),
        OpenRuntimes("tensorrt", options(stand_in)) as runtimes,
    ):
        runtimes.admit(card)
    assert words(stand_in, "builds") == []


def test_on_a_cpu_nothing_is_admitted_kept_or_closed(card: Bundle) -> None:
    with OpenRuntimes() as runtimes:
        chunk(runtimes, card)
        assert isinstance(runtimes.make(), OnnxRuntimeCpu)
        runtimes.keep()


def test_an_unknown_name_is_refused_at_once() -> None:
    with pytest.raises(RuntimeUnavailableError, match="no runtime 'abacus'"):
        OpenRuntimes("abacus")


def test_tensorrt_is_told_which_gpu_which_folder_and_which_precision(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    told: list[dict[str, Any]] = []
    monkeypatch.setattr(module, "TensorRt", lambda flavour, **more: told.append({"flavour": flavour, **more}))
    runtime_named("tensorrt", GpuOptions("bf16", tmp_path, 3))
    runtime_named("tensorrt-rtx")
    given, usual = told
    assert given.pop("plans").folder == tmp_path
    assert given == {"flavour": "tensorrt", "device": 3, "precision": "bf16", "hashes": None}
    assert usual == {"flavour": "tensorrt-rtx", "device": 0, "precision": None, "plans": None, "hashes": None}


def test_onnx_runtime_is_told_which_gpu_and_which_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    from streamgen_engines.runtimes import onnxruntime_cuda

    told: list[dict[str, Any]] = []
    monkeypatch.setattr(onnxruntime_cuda, "OnnxRuntimeCuda", lambda **given: told.append(given))
    choice.runtime_named("onnxruntime-cuda", GpuOptions("fp32", device=2))
    choice.runtime_named("onnxruntime-cuda")
    assert told == [{"device_id": 2, "precision": "fp32"}, {"device_id": 0, "precision": None}]


def test_a_runtime_that_owns_memory_of_a_gpu_is_closed_last_to_first(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[int] = []
    made = iter([Owning(1, closed), Owning(2, closed)])
    monkeypatch.setattr(opened, "runtime_named", lambda name, gpu: next(made))
    with OpenRuntimes("onnxruntime-cuda") as runtimes:
        runtimes.make()
        runtimes.make()
        runtimes.keep()
        assert closed == []
    assert closed == [2, 1]
    runtimes.close()
    assert closed == [2, 1]


class Owning:
    """A runtime as far as it is closed."""

    def __init__(self, number: int, closed: list[int]) -> None:
        self.number, self.closed = number, closed

    def close(self) -> None:
        self.closed.append(self.number)


def test_precisions_by_name() -> None:
    assert read_precision(None) is None
    assert [read_precision(each) for each in PRECISIONS] == list(PRECISIONS)
    with pytest.raises(UnknownPrecisionError, match="precision is 'fp12', and not one of fp32, fp16, bf16, int8, fp8"):
        read_precision("fp12")


@pytest.mark.parametrize("check", [False, True])
def test_what_compile_has_made_is_found(
    stand_in: Path, card: Bundle, monkeypatch: pytest.MonkeyPatch, check: bool
) -> None:
    monkeypatch.setattr(compiling, "build", vars(module)["build"])
    told = options(stand_in, precision="fp16", device=0)
    with contextlib.closing(choice.open_tensorrt("tensorrt-rtx", told)) as gpu:
        compiler = compiling.Compiler(
            card,
            vars(module)["load_flavour"]("tensorrt-rtx"),
            gpu=gpu.gpu.gpu,
            plans=PlanCache(stand_in / "plans"),
            precision="fp16",
            load=gpu.load_plan,
            reference=OnnxRuntimeCpu() if check else None,
        )
        outcomes = list(compiler.run())
    assert [outcome.failure for outcome in outcomes] == [None] * 7
    built = words(stand_in, "builds")
    with OpenRuntimes("tensorrt-rtx", told) as runtimes:
        chunk(runtimes, card)
    assert words(stand_in, "builds") == built
