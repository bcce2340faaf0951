"""What was found about one variant, and lines of a file with what was found in one run."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import TypeAdapter

from streamgen_export.variants.distance import Distance
from streamgen_export.variants.forcing import Errors
from streamgen_export.variants.kinds import Device
from streamgen_export.variants.score import Look
from streamgen_export.variants.speed import Speed
from streamgen_export.variants.verdict import Judged, Verdict, verdict

BENCH: Final = "variants"
"""What lines of these runs are called among records of benchmarks."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One variant.

    Attributes:
        variant: its name.
        device: what it is for.
        manifest_sha256: of its manifest, which holds the hashes of all its graphs.
        precisions: of each graph, as the manifest says.
        graph_bytes: size of each graph's file.
        errors: graph to output to error, given the same inputs and states as float32; None is not a finite number.
        distance: of its streams from those of float32; None for float32 itself, and where its streams failed.
        speed: of the denoiser on ONNX Runtime's CPU kernels; None where it is made for another device.
        judged: the judge's score; None when it was not asked for.
        look: what else was seen.
        failure: why its streams ended early; None when they did not.
    """

    variant: str
    device: Device
    manifest_sha256: str
    precisions: dict[str, str]
    graph_bytes: dict[str, int]
    errors: dict[str, dict[str, float | None]]
    distance: Distance | None = None
    speed: Speed | None = None
    judged: Judged | None = None
    look: Look | None = None
    failure: str | None = None

    @property
    def total_bytes(self) -> int:
        """Size of all graphs together."""
        return sum(self.graph_bytes.values())

    @property
    def verdict(self) -> Verdict:
        """Whether it may be shipped."""
        if self.failure is not None:
            return Verdict("lost", self.failure)
        return verdict(self.errors, self.judged)


_JSON = TypeAdapter(Finding)


def finite(errors: Errors) -> dict[str, dict[str, float | None]]:
    """Errors as JSON has them, with None for what is not a finite number."""
    return {
        graph: {output: error if math.isfinite(error) else None for output, error in outputs.items()}
        for graph, outputs in errors.items()
    }


def to_document(finding: Finding) -> dict[str, Any]:
    """As JSON, with the verdict for whoever reads it."""
    found = finding.verdict
    document: dict[str, Any] = _JSON.dump_python(finding, mode="json")
    return {**document, "verdict": found.result, "reason": found.reason}


def from_document(document: Mapping[str, Any]) -> Finding:
    """The inverse; the verdict in it is not believed but found again.

    Raises:
        pydantic.ValidationError: it is not a finding.
    """
    return _JSON.validate_python({key: value for key, value in document.items() if key not in ("verdict", "reason")})


def findings_in(file: Path) -> list[Finding]:
    """All findings of all runs in a file of lines, oldest first; none when there is no file.

    Raises:
        ValueError: a line is not a record of such a run; it is named.
    """
    if not file.is_file():
        return []
    found: list[Finding] = []
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            found += [from_document(each) for each in json.loads(line)["figures"]["variants"]]
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{file}, line {number} is not what a run found about variants: {error}") from error
    return found
