"""`available()` tells the truth about this machine and names the command for what is missing."""

from pathlib import Path

import onnxruntime
import pytest

from streamgen_engines.runtimes.report import (
    _int8_instructions,
    available,
    cuda_report,
    openvino_report,
    tensorrt_report,
)

CUDA = ["CUDAExecutionProvider", "CPUExecutionProvider"]


def test_the_cpu_runtime_is_usable_everywhere() -> None:
    cpu = available()[0]
    assert (cpu.name, cpu.usable, cpu.install) == ("onnxruntime-cpu", True, "")


def test_usable_runtimes_come_first_and_the_others_say_why_not() -> None:
    usable = [report.usable for report in available()]
    assert usable == sorted(usable, reverse=True)
    for report in available():
        assert report.detail
        assert not (report.usable and report.install)
        if "not installed" in report.detail:
            assert report.install.startswith("pip install ")


def test_a_gpu_is_told_of_only_with_provider_and_driver() -> None:
    reports = {report.name: report for report in available()}
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        assert not reports["onnxruntime-cuda"].usable


@pytest.mark.parametrize(
    ("providers", "package", "driver", "usable", "detail", "install"),
    [
        (["CPUExecutionProvider"], None, True, False, "has no CUDA provider", True),
        (["CPUExecutionProvider"], "1.31.1", True, False, "onnxruntime-gpu 1.31.1 is installed, but the files", True),
        (CUDA, "1.31.1", False, False, "no NVIDIA driver", False),
        (CUDA, "1.31.1", True, True, "provider and driver are there; not tried", False),
    ],
)
def test_what_a_gpu_lacks(
    tmp_path: Path, providers: list[str], package: str | None, driver: bool, usable: bool, detail: str, install: bool
) -> None:
    file = tmp_path / "version"
    if driver:
        file.write_text("NVRM version")
    report = cuda_report(providers, installed=lambda name: package, driver=file)
    assert report.usable == usable
    assert detail in report.detail
    assert bool(report.install) == install
    if install:
        assert "pip uninstall -y onnxruntime;" in report.install


def test_what_loading_needs_besides_is_named(tmp_path: Path) -> None:
    (tmp_path / "version").write_text("NVRM version")
    report = cuda_report(CUDA, lambda package: None if package == "cuda-bindings" else "1", tmp_path / "version")
    assert (report.usable, report.install) == (False, "pip install cuda-bindings")
    assert "cuda-bindings is not installed" in report.detail


def test_openvino_is_optional() -> None:
    missing = openvino_report(lambda package: None)
    assert (missing.usable, missing.install) == (False, 'pip install "streamgen[openvino]"')
    here = openvino_report(lambda package: "2026.4.1")
    assert (here.usable, here.detail) == (True, "OpenVINO 2026.4.1 on the CPU")


@pytest.mark.parametrize("name", ["tensorrt", "tensorrt-rtx"])
def test_tensorrt_builds_without_a_driver_and_runs_with_one(tmp_path: Path, name: str) -> None:
    driver = tmp_path / "version"
    missing = tensorrt_report(name, lambda package: None, driver)
    assert (missing.usable, missing.install) == (False, f"pip install 'streamgen[{name}]'")
    builds = tensorrt_report(name, lambda package: "1.7.1", driver)
    assert (builds.usable, builds.install) == (False, "")
    assert "no NVIDIA driver" in builds.detail
    driver.write_text("NVRM version")
    assert tensorrt_report(name, lambda package: "1.7.1", driver).usable


def test_vnni_is_read_from_whole_words() -> None:
    assert "hardware" in _int8_instructions("flags : fpu avx512f avx512_vnni")
    assert "no VNNI" in _int8_instructions("flags : fpu avx512f")
