"""Puts a variant where a bundle is served from, if the rule allows it."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from streamgen_engines.bundle import Bundle
from streamgen_engines.manifest import MANIFEST_FILE, parse_manifest
from streamgen_export.variants.finding import Finding


class VariantRefusedError(RuntimeError):
    """A variant may not be installed; the message says why and what to do."""


def install(folder: Path, variant: str, target: Path, findings: Sequence[Finding]) -> Bundle:
    """Copy a variant to `target`, with what was found about it in the manifest, and open it there.

    What lies at `target` is replaced as a whole, and the name of its smaller sibling is kept. Before anything is
    written the newest finding about exactly this variant, with this manifest, is asked.

    Args:
        folder: where the variants lie.
        variant: its name.
        target: the bundle's folder.
        findings: of all runs, oldest first.

    Raises:
        VariantRefusedError: nobody has measured it, its score does not hold, or `target` holds something else.
        BundleError: the variant is damaged.
    """
    source = Bundle.open(folder / variant)
    digest = hashlib.sha256((source.root / MANIFEST_FILE).read_bytes()).hexdigest()
    about = [each for each in findings if each.variant == variant and each.manifest_sha256 == digest]
    if not about:
        raise VariantRefusedError(
            f"{source.root} has not been measured as it is now; run `python -m streamgen_export.variants measure` first"
        )
    found = about[-1]
    if found.verdict.result != "holds":
        raise VariantRefusedError(
            f"{variant} is not installed: {found.verdict.result}, {found.verdict.reason}. "
            f"Judge it with more takes, or take another variant"
        )
    document: dict[str, Any] = json.loads((source.root / MANIFEST_FILE).read_text(encoding="utf-8"))
    if target.exists():
        smaller = _smaller_of(target)
        document |= {"smaller": smaller} if smaller is not None else {}
    document.setdefault("training", {})["variant"] = _summary(found)
    text = json.dumps(document, indent=1) + "\n"
    parse_manifest(text)
    return _swapped(source.root, text, target)


def _smaller_of(target: Path) -> str | None:
    try:
        return parse_manifest((target / MANIFEST_FILE).read_bytes(), source=str(target)).smaller
    except OSError as error:
        raise VariantRefusedError(f"{target} is there and is no bundle ({error}); name another folder") from error


def _summary(found: Finding) -> dict[str, Any]:
    judged = found.judged
    return {
        "name": found.variant,
        "errors": found.errors,
        "score": None if judged is None else judged.share,
        "gain_over_float32": None if judged is None else judged.gain,
        "gain_margin": None if judged is None else judged.margin,
        "takes": None if judged is None else judged.takes,
    }


def _swapped(source: Path, manifest: str, target: Path) -> Bundle:
    """A whole copy beside the target takes its place; what was there is removed last."""
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        fresh, old = scratch / "new", scratch / "old"
        shutil.copytree(source, fresh)
        (fresh / MANIFEST_FILE).write_text(manifest, encoding="utf-8")
        Bundle.open(fresh)
        if target.exists():
            target.replace(old)
        try:
            fresh.replace(target)
        except OSError:
            if old.exists():
                old.replace(target)
            raise
    finally:
        shutil.rmtree(scratch)
    return Bundle.open(target)
