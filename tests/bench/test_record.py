import json
from pathlib import Path

import pytest

from bench import record
from bench.figures import Summary
from tests.bench.records import run
from tests.tiny_bundle import write_tiny_bundle


def test_a_record_says_what_where_and_with_what(tmp_path: Path) -> None:
    bundle = record.open_bundle(write_tiny_bundle(tmp_path / "tiny"))
    made = record.finish(record.begin("serve", bundle, {"minutes": 1.0}), {"x": Summary(1, 0.12345, 2.0, 0, 3)}, ["a"])
    assert made["bench"] == "serve"
    assert made["hardware"]["cores"] >= 1
    assert made["software"]["onnxruntime"] not in ("", "missing")
    assert made["bundle"]["name"] == bundle.manifest.name
    assert len(made["bundle"]["manifest_sha256"]) == 64
    assert made["figures"] == {"x": {"count": 1, "p50": 0.123, "p95": 2.0, "least": 0, "most": 3}}
    assert made["failures"] == ["a"]
    # Where on this disk anything lies is nobody's business.
    assert str(tmp_path) not in json.dumps(made)
    assert str(record.ROOT) not in json.dumps(made)


def test_the_commit_is_that_of_the_project() -> None:
    if not (record.ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    found = record._commit()
    assert len(found["commit"]) == 40
    assert isinstance(found["dirty"], bool)


def test_records_are_appended_and_read_back(tmp_path: Path) -> None:
    file = tmp_path / "results.jsonl"
    assert record.read(file) == []
    first, second = run("serve", {"underruns": 0}), run("generate", {"name": "ö"})
    record.append(first, file)
    record.append(second, file)
    assert record.read(file) == [first, second]
    assert len(file.read_text().splitlines()) == 2


@pytest.mark.parametrize("line", ["{", "[]", '{"bench": "serve"}'])
def test_a_line_that_is_no_record_is_named(tmp_path: Path, line: str) -> None:
    file = tmp_path / "results.jsonl"
    record.append(run("serve", {}), file)
    with file.open("a") as results:
        results.write(line + "\n")
    with pytest.raises(ValueError, match=r"results\.jsonl, line 2"):
        record.read(file)


def test_a_number_that_json_lacks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        record.append(run("serve", {"skew": float("nan")}), tmp_path / "results.jsonl")


def test_the_processor_is_named_by_the_system(tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor\t: 0\nmodel name\t: Example 9000 \nmodel name\t: Other\n")
    assert record.cpu_model(cpuinfo) == "Example 9000"
    assert record.cpu_model(tmp_path / "missing")


def test_the_committed_results_can_be_read() -> None:
    for each in record.read():
        assert each["bench"] in ("serve", "generate", "fanout", "latency", "joins", "voters", "loop_overhead")
        assert len(each["commit"]) == 40
