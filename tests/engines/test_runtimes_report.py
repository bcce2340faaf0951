"""`available()` tells the truth about this machine and names the command for what is missing."""

from streamgen_engines.runtimes.report import _int8_instructions, available


def test_the_cpu_runtime_is_usable_everywhere() -> None:
    cpu = available()[0]
    assert (cpu.name, cpu.usable, cpu.install) == ("onnxruntime-cpu", True, "")


def test_a_runtime_that_cannot_be_used_says_why() -> None:
    for report in available()[1:]:
        assert not report.usable
        assert report.detail
        if "not installed" in report.detail:
            assert report.install.startswith("pip install ")


def test_vnni_is_read_from_whole_words() -> None:
    assert "hardware" in _int8_instructions("flags : fpu avx512f avx512_vnni")
    assert "no VNNI" in _int8_instructions("flags : fpu avx512f")
