"""Imports point one way: streamgen -> streamgen_engines <- streamgen_export, and only the export side knows torch."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = {
    "streamgen": ROOT / "streamgen",
    "streamgen_engines": ROOT / "engines" / "streamgen_engines",
    "streamgen_export": ROOT / "export" / "streamgen_export",
    "streamgen_client": ROOT / "client" / "streamgen_client",
}
MAY_IMPORT = {
    "streamgen": {"streamgen", "streamgen_engines"},
    "streamgen_engines": {"streamgen_engines"},
    "streamgen_export": {"streamgen_export", "streamgen_engines"},
    "streamgen_client": {"streamgen_client", "streamgen.protocol"},
}


def imported(file: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            names.add(node.module)
    return names


def allowed(name: str, may: set[str]) -> bool:
    return any(name == other or name.startswith(other + ".") for other in may)


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_point_one_way(package: str) -> None:
    files = sorted(PACKAGES[package].rglob("*.py"))
    assert files
    for file in files:
        for name in imported(file):
            if name.split(".")[0] in PACKAGES:
                assert allowed(name, MAY_IMPORT[package]), f"{file} imports {name}"


@pytest.mark.parametrize("package", ["streamgen", "streamgen_engines", "streamgen_client"])
def test_serving_never_imports_torch(package: str) -> None:
    for file in PACKAGES[package].rglob("*.py"):
        assert not allowed("torch", {name.split(".")[0] for name in imported(file)}), f"{file} imports torch"
