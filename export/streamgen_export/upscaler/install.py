"""A bundle with the graph `upscale`: the bundle itself, or a new one beside which everything else is the same."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Final

from streamgen_engines.bundle import Bundle
from streamgen_engines.manifest import MANIFEST_FILE, UPSCALE_GRAPH, parse_manifest
from streamgen_export.bundle_copy import GraphPrecision
from streamgen_export.upscaler.checkpoint import Factor

GRAPH_FILE: Final = "upscale.onnx"
LICENCE_FILE: Final = "LICENSE-upscale.txt"
"""Begins like the names of all licences that go wherever the weights go."""
PUBLISHED_LICENCE: Final = "BSD-3-Clause"
_ATTRIBUTION: Final = """\
upscale.onnx is derived from weights of Real-ESRGAN (https://github.com/xinntao/Real-ESRGAN).

Changes made here: the weights were converted to ONNX, for pictures of one size{precision}.

Their licence follows.

"""


@dataclass(frozen=True, slots=True)
class Licence:
    """Of the weights.

    Attributes:
        name: as the manifest states it, an SPDX expression.
        text: that lies beside the graph.
    """

    name: str
    text: str


def published_licence(precision: GraphPrecision) -> Licence:
    """That of the published weights, with what was done to them."""
    text = resources.files("streamgen_export.upscaler").joinpath("LICENSE-Real-ESRGAN.txt").read_text(encoding="utf-8")
    changed = "" if precision == "fp32" else f", in {precision}"
    return Licence(PUBLISHED_LICENCE, _ATTRIBUTION.format(precision=changed) + text)


def install(
    bundle: Bundle, out: Path | None, model: bytes, *, factor: Factor, precision: GraphPrecision, licence: Licence
) -> Bundle:
    """Give a bundle the graph, in the place of one that it has.

    Args:
        bundle: any.
        out: folder of the new bundle, which must not exist; None changes the bundle itself. The manifest is written
            last, so that an interrupted export leaves a new graph that nobody names, or the old bundle.
        model: the ONNX file's bytes.
        factor, precision: of it, for the manifest.
        licence: of its weights.

    Returns:
        the bundle with it, opened.

    Raises:
        ValueError: the new folder exists, or cannot be written.
    """
    if out is None:
        _write(bundle, bundle.root, model, factor, precision, licence)
        return Bundle.open(bundle.root, bundle.absent)
    if out.exists():
        raise ValueError(f"{out} exists; choose another folder, or remove it")
    part = out.with_name(f".{out.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(bundle.root, part, copy_function=_laid)
        _write(bundle, part, model, factor, precision, licence)
        part.rename(out)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return Bundle.open(out, bundle.absent)


def _write(
    bundle: Bundle, folder: Path, model: bytes, factor: Factor, precision: GraphPrecision, licence: Licence
) -> None:
    document: dict[str, Any] = json.loads((bundle.root / MANIFEST_FILE).read_text(encoding="utf-8"))
    document["graphs"][UPSCALE_GRAPH] = {
        "file": GRAPH_FILE,
        "sha256": hashlib.sha256(model).hexdigest(),
        "precision": precision,
        "factor": factor,
    }
    named = [each.strip() for each in document["licence"].split(" AND ")]
    document["licence"] = " AND ".join(dict.fromkeys([*named, licence.name]))
    if folder.parent.resolve() != bundle.root.parent.resolve() and "smaller" in document:
        del document["smaller"]  # it would be looked for beside the new folder
    text = json.dumps(document, indent=1) + "\n"
    parse_manifest(text)
    for name, content in (
        (GRAPH_FILE, model),
        (LICENCE_FILE, licence.text.encode()),
        (MANIFEST_FILE, text.encode()),
    ):
        _replace(folder / name, content)


def _replace(path: Path, content: bytes) -> None:
    """A file that is there whole or not at all; never written into, because another bundle may share its bytes."""
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(content)
    part.replace(path)


def _laid(source: str, target: str) -> None:
    """A file in the new bundle, without copying gigabytes where the file system can do without."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
