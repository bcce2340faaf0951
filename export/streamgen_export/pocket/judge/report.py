"""The report: everything that the judge found, as one value that is written to and read from JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pydantic import TypeAdapter

from streamgen_export.pocket.judge.drift import Drift
from streamgen_export.pocket.judge.joints import Joints
from streamgen_export.pocket.judge.provenance import Provenance
from streamgen_export.pocket.judge.recognition import Accuracy, Following, Staying
from streamgen_export.pocket.judge.sync import Detection, Sync

RENDERS: Final = "renders"
GENERATED: Final = "generated"
SHUFFLED: Final = "shuffled sound"


@dataclass(frozen=True)
class Report:
    """What the judge found. The keys of each mapping say what was looked at: renders, generated, or a control.

    Attributes:
        command: makes the report again.
        provenance: where it comes from.
        settings: how much was looked at.
        form: width, height, pictures and samples per second, length of a chunk in seconds.
        recognition: what was looked at, to attribute, to how often it is right.
        following: the same, to how soon a change of the prompt shows.
        staying_by_change: the same, to whether the rest stayed when this attribute changed.
        staying_by_attribute: the same, to whether this attribute stayed when another one changed.
        detectors: picture and sound, to kind of event, to how well events are found in renders.
        sync: what was looked at, to kind of event, to the distance of seen and heard events.
        joints: what was looked at, to seams between chunks.
        drift: what was looked at, to its long streams.
        seconds: what each part of the work took.
    """

    command: str
    provenance: Provenance
    settings: dict[str, object]
    form: dict[str, float]
    recognition: dict[str, dict[str, Accuracy]]
    following: dict[str, dict[str, Following]]
    staying_by_change: dict[str, dict[str, Staying]]
    staying_by_attribute: dict[str, dict[str, Staying]]
    detectors: dict[str, dict[str, Detection]]
    sync: dict[str, dict[str, Sync]]
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
