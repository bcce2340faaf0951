import json
import socket
from pathlib import Path

import pytest

from streamgen import doctor
from streamgen.doctor import Check
from streamgen_engines.runtimes import RuntimeReport
from tests.tiny_bundle import write_tiny_bundle

CPUINFO = "processor\t: 0\nmodel name\t: A fine processor\nflags\t\t: fpu sse2 avx2 {}\n"


def test_everything_is_looked_at(tmp_path: Path) -> None:
    checks = doctor.examine(write_tiny_bundle(tmp_path / "bundle"))
    names = [check.name for check in checks]
    for name in (
        "streamgen", "bundle", "onnxruntime-cpu", "VP8", "H.264", "Opus", "CPU", "cores", "memory", "UDP", "page",
    ):  # fmt: skip
        assert name in names
    by_name = {check.name: check for check in checks}
    for name in ("bundle", "onnxruntime-cpu", "VP8", "Opus", "UDP"):
        assert by_name[name].verdict == "ok", by_name[name]
    assert doctor.healthy(checks)
    report = doctor.as_json(checks)
    assert json.loads(json.dumps(report)) == report
    assert report["healthy"] is True


def test_whatever_is_not_ok_and_can_be_added_says_how(tmp_path: Path) -> None:
    for check in doctor.examine(tmp_path / "nothing"):
        if check.verdict == "missing":
            assert check.fix, check


def test_a_damaged_bundle_is_missing(tmp_path: Path) -> None:
    folder = write_tiny_bundle(tmp_path / "bundle")
    (folder / "denoise.onnx").write_bytes(b"damaged")
    check = doctor.check_bundle(folder)
    assert check.verdict == "missing"
    assert "denoise.onnx" in check.detail
    assert not doctor.healthy([check])


def test_one_usable_runtime_is_enough() -> None:
    reports = [RuntimeReport("a", True, "here", ""), RuntimeReport("b", False, "not installed", "pip install b")]
    checks = list(doctor.check_runtimes(reports))
    assert [check.verdict for check in checks] == ["ok", "optional"]
    assert checks[1].fix == "pip install b"
    assert [check.verdict for check in doctor.check_runtimes(reports[1:])] == ["missing"]


def test_an_encoder_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "ENCODERS", (("VP8", "no-such-encoder", True), ("H.264", "nor-this", False)))
    checks = list(doctor.check_encoders())
    assert [(check.verdict, check.fix) for check in checks] == [
        ("missing", doctor.REINSTALL_AV),
        ("warning", doctor.REINSTALL_AV),
    ]


@pytest.mark.parametrize(
    ("flags", "verdict"), [("avx512f avx512_vnni", "ok"), ("avx_vnni", "ok"), ("avx512f", "warning"), ("", "warning")]
)
def test_processors(flags: str, verdict: str) -> None:
    check = doctor.check_cpu(CPUINFO.format(flags))
    assert check.verdict == verdict
    assert check.detail.startswith("A fine processor: avx2")


def test_a_machine_that_says_nothing_about_its_processor() -> None:
    assert doctor.check_cpu("").verdict == "warning"


def test_cores_memory_and_addresses() -> None:
    assert [doctor.check_cores(count).verdict for count in (1, 2)] == ["warning", "ok"]
    assert [doctor.check_memory(size).verdict for size in (2**29, 2**33)] == ["warning", "ok"]
    assert [doctor.check_addresses(each).verdict for each in ((), ("10.0.0.2",))] == ["warning", "ok"]


def test_udp_gets_through_here_and_not_to_another_machines_address() -> None:
    assert doctor.check_udp().verdict == "ok"
    check = doctor.check_udp("203.0.113.1")  # RFC 5737: documentation only, so it is not ours
    assert (check.verdict, check.fix != "") == ("missing", True)


def test_udp_that_is_swallowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket.socket, "sendto", lambda *_: 0)
    monkeypatch.setattr(doctor, "UDP_TIMEOUT_S", 0.01)
    assert doctor.check_udp().verdict == "missing"


def test_a_page_that_is_not_installed(tmp_path: Path) -> None:
    assert doctor.check_page(None).verdict == "warning"
    assert doctor.check_page(tmp_path).verdict == "warning"


def test_only_what_is_missing_makes_it_unhealthy() -> None:
    for verdict, healthy in (("ok", True), ("optional", True), ("warning", True), ("missing", False)):
        assert doctor.healthy([Check("a", "b", verdict, "c")]) is healthy  # type: ignore[arg-type]
