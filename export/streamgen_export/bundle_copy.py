"""A bundle with other graphs: what is made of a bundle that there is, everything else copied."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from streamgen_engines.bundle import Bundle
from streamgen_engines.manifest import MANIFEST_FILE, parse_manifest

GraphPrecision = Literal["fp32", "fp16", "bf16", "int8", "fp8"]
LICENCES = "LICENSE*"
"""Files beside the manifest that go wherever the weights go."""


@dataclass(frozen=True)
class MadeGraph:
    """A graph that takes the place of a bundle's.

    Attributes:
        model: the ONNX file's bytes.
        precision: what its heavy operators compute in, for the manifest.
    """

    model: bytes
    precision: GraphPrecision


def write_copy(bundle: Bundle, folder: Path, graphs: Mapping[str, MadeGraph]) -> Path:
    """Write the bundle with other graphs into `folder`, which is made when missing, and return it.

    The name of the smaller sibling is left out: it would be looked for beside the new folder.

    Args:
        bundle: what it is made of.
        folder: another one than the bundle's.
        graphs: by name in the manifest; graphs that are not named are copied.

    Raises:
        ValueError: the folder is the bundle's own, or the bundle has no graph of such a name.
    """
    if folder.resolve() == bundle.root.resolve():
        raise ValueError(f"{folder} is the bundle itself; write into another folder")
    unknown = sorted(graphs.keys() - bundle.manifest.graphs.keys())
    if unknown:
        raise ValueError(f"bundle {bundle.manifest.name} has no graph {', '.join(unknown)}")
    folder.mkdir(parents=True, exist_ok=True)
    document: dict[str, Any] = json.loads((bundle.root / MANIFEST_FILE).read_text(encoding="utf-8"))
    for name, graph in bundle.manifest.graphs.items():
        target = folder / graph.file
        target.parent.mkdir(parents=True, exist_ok=True)
        made = graphs.get(name)
        if made is None:
            shutil.copyfile(bundle.path(name), target)
            continue
        target.write_bytes(made.model)
        document["graphs"][name] |= {"precision": made.precision, "sha256": hashlib.sha256(made.model).hexdigest()}
    shutil.copyfile(bundle.tokenizer_path, folder / bundle.manifest.text.tokenizer.file)
    for licence in bundle.root.glob(LICENCES):
        shutil.copyfile(licence, folder / licence.name)
    document.pop("smaller", None)
    text = json.dumps(document, indent=1) + "\n"
    parse_manifest(text)
    (folder / MANIFEST_FILE).write_text(text, encoding="utf-8")
    return folder
