"""The report: everything that the judge found, as one value that is written to and read from JSON."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import TypeAdapter

from streamgen_export.pocket.judge.drift import Drift
from streamgen_export.pocket.judge.impacts import Detection, Sync
from streamgen_export.pocket.judge.joints import Joints
from streamgen_export.pocket.judge.provenance import Provenance
from streamgen_export.pocket.judge.recognition import Accuracy, Following

RENDERS = "renders"
GENERATED = "generated"


@dataclass(frozen=True)
class Report:
    """What the judge found. The keys of each mapping say what was looked at: renders, generated, or a control.

    Attributes:
        command: makes the report again.
        provenance: where it comes from.
        settings: how much was looked at.
        recognition: what was looked at, to attribute, to how often it is right.
        following: the same, to how soon a change of the prompt shows.
        detectors: picture and sound, to how well impacts are found in renders.
        sync: what was looked at, to the distance of seen and heard impacts.
        joints: what was looked at, to seams between chunks.
        drift: what was looked at, to its long streams.
        seconds: what each part of the work took.
    """

    command: str
    provenance: Provenance
    settings: dict[str, object]
    recognition: dict[str, dict[str, Accuracy]]
    following: dict[str, dict[str, Following]]
    detectors: dict[str, Detection]
    sync: dict[str, Sync]
    joints: dict[str, Joints]
    drift: dict[str, list[Drift]]
    seconds: dict[str, float]

    def to_json(self) -> str:
        """The report as indented JSON."""
        return _JSON.dump_json(self, indent=1).decode() + "\n"


_JSON = TypeAdapter(Report)


def read_report(text: str) -> Report:
    """Reads what `Report.to_json` wrote.

    Raises:
        pydantic.ValidationError: it is not a report.
    """
    return _JSON.validate_json(text)
