"""From the text of a `manifest.json` to the manifest of its family, with errors that name the field."""

import json
from collections.abc import Mapping
from typing import Any, Final

from pydantic import ValidationError

from streamgen_engines.errors import ManifestError, MissingGraphError, UnknownFamilyError, UnsupportedVersionError
from streamgen_engines.manifest.parts import FORMAT, MANIFEST_FILE, VERSION, Manifest
from streamgen_engines.manifest.pocket import PocketManifest
from streamgen_engines.manifest.wan import WanManifest

FAMILIES: Final[Mapping[str, type[Manifest]]] = {"pocket": PocketManifest, "wan": WanManifest}
MAX_REPORTED_FIELDS: Final = 5


def parse_manifest(text: str | bytes, *, source: str = MANIFEST_FILE) -> Manifest:
    """Read and check a manifest.

    Args:
        text: the JSON document.
        source: how error messages name it.

    Raises:
        ManifestError: not JSON, not a bundle's manifest, or a wrong field (named in the message).
        UnsupportedVersionError: written by a newer streamgen.
        UnknownFamilyError: no code here runs models of its family.
        MissingGraphError: a graph that every model of the family needs is not listed.
    """
    try:
        raw: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ManifestError(f"{source}: not readable as JSON ({error}); export or download the bundle again") from error
    if not isinstance(raw, dict) or raw.get("format") != FORMAT:
        raise ManifestError(
            f'{source}: not the manifest of a bundle (field "format" must be "{FORMAT}"); '
            f"point at a folder made by the exporter"
        )
    version = raw.get("version")
    if isinstance(version, int) and version > VERSION:
        raise UnsupportedVersionError(
            f"{source}: field version is {version}, this streamgen reads up to {VERSION}; "
            f"upgrade with `pip install --upgrade streamgen`"
        )
    family = raw.get("family")
    if not isinstance(family, str):
        raise ManifestError(
            f"{source}: field family: {'missing' if family is None else 'should be a word'}. "
            f"Correct it or export the bundle again."
        )
    if family not in FAMILIES:
        known = " and ".join(repr(name) for name in FAMILIES)
        raise UnknownFamilyError(
            f"{source}: field family is {family!r}; this streamgen runs {known}; "
            f"upgrade with `pip install --upgrade streamgen`, or choose another bundle"
        )
    try:
        manifest = FAMILIES[family].model_validate_json(text, strict=True)
    except ValidationError as error:
        raise ManifestError(f"{source}: {_describe(error)}") from error
    for name in manifest.required_graphs:
        if name not in manifest.graphs:
            raise MissingGraphError(f"{source}: graphs.{name} is missing; export the bundle again")
    return manifest


def _describe(error: ValidationError) -> str:
    """Every wrong field with what is wrong, shortest useful form; ends with what to do."""
    lines = []
    for item in error.errors(include_url=False)[:MAX_REPORTED_FIELDS]:
        field = ".".join(str(part) for part in item["loc"]) or "the whole"
        reason = item["msg"].removeprefix("Value error, ")
        if item["type"] == "extra_forbidden":
            reason = "unknown field"
        elif item["type"] == "missing":
            reason = "missing"
        lines.append(f"field {field}: {reason}")
    rest = error.error_count() - len(lines)
    more = f" (and {rest} more)" if rest > 0 else ""
    return "; ".join(lines) + more + ". Correct it or export the bundle again."
