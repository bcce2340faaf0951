"""The report in plain words and tables."""

from __future__ import annotations

from collections.abc import Sequence

from streamgen_export.pocket.judge.drift import MEASURES, SECTION_S, START_S, Drift
from streamgen_export.pocket.judge.impacts import REACH_S
from streamgen_export.pocket.judge.recognition import CHANGE_LIMIT_S, SETTLING_CHUNKS, Accuracy
from streamgen_export.pocket.judge.report import GENERATED, RENDERS, Report

_SENSE = {"motion": "pictures, 4 chunks", "mood": "sound, 6 chunks"}


def markdown(report: Report, pictures: str = "") -> str:
    """The report as Markdown; a pure function of its arguments.

    Args:
        report: what was found.
        pictures: path from the page to the folder with `samples.png` and `sound.png`, ending in "/" or empty.
    """
    source = report.provenance
    streams = report.drift[GENERATED]
    parts = [
        f"# What the judge found: {source.bundle}",
        f"Made by `{report.command}` in {sum(report.seconds.values()) / 60:.1f} minutes on {source.hardware}, commit "
        f"{source.commit or 'unknown'}. The JSON file beside the pictures has every number unrounded.",
        "The prompts are held out: none of their combinations of scene, subject, colour and motion was trained on. "
        "*Renders* are true pictures and sounds of the same prompts, judged in the same way: they show what a perfect "
        "model would reach, and how far the judge itself can be trusted. The judge's networks learned from renders "
        "only, never from anything generated.",
        f"![Generated samples with their prompts]({pictures}samples.png)",
        "## Is what was asked for there?",
        "Share of chunks in which a small network names the asked value. *Chance* is what the same answers would "
        "reach if they belonged to other samples. Nothing is counted that lies within "
        f"{SETTLING_CHUNKS} chunks after a start or a change of the prompt.",
        _recognition(report),
        "## How soon does a new prompt show?",
        f"The prompt changes in mid-stream. *In time*: a chunk that ends within {CHANGE_LIMIT_S:.1f} s of media time "
        "shows the new value. *Median time*: from the change to the end of the first chunk that shows it, of those "
        "that do. *False alarm*: share of chunks before the change that already look like it.",
        _following(report),
        "## Are impacts heard when they are seen?",
        "Seen: a lowest point of the subject's path. Heard: what a network trained on renders takes for an impact. "
        "First, both against the truth of renders:",
        _detectors(report),
        f"Then the distance from each seen impact to the nearest heard one (matched: within {1000 * REACH_S:.0f} ms). "
        "With the sound of another sample, the distance is what chance gives.",
        _sync(report),
        f"![Sound of a render and of a generated sample]({pictures}sound.png)",
        "## Do chunks join without a seam?",
        "Mean change across joints over mean change inside chunks; 1 is no seam. The music's beats begin on joints, so "
        "compare the sound with that of renders.",
        _joints(report),
        f"## Does a stream drift in {streams[0].duration_s / 60:.1f} minutes?",
        "One prompt all the time. *Moved* is the trend over the whole stream, in units of the spread between "
        "different renders; within about 1 it stayed where it was. *Departure* is the distance of what is seen from "
        f"the first {START_S:.0f} s; two renders of different prompts are 1 apart.",
        *(_drift(name, stream) for name in (RENDERS, GENERATED) for stream in report.drift[name]),
        "## What was judged",
        _provenance(report),
    ]
    return "\n\n".join(parts) + "\n"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _share(value: float | None) -> str:
    return "none" if value is None else f"{100 * value:.0f} %"


def _ms(value: float | None) -> str:
    return "none" if value is None else f"{1000 * value:.0f} ms"


def _number(value: float | None, digits: int = 2) -> str:
    return "none" if value is None else f"{value:.{digits}f}"


def _recognition(report: Report) -> str:
    def cell(found: Accuracy) -> str:
        margin = "" if found.margin is None else f" ± {100 * found.margin:.0f}"
        return f"{_share(found.share)}{margin} of {found.counted}"

    renders, generated = report.recognition[RENDERS], report.recognition[GENERATED]
    rows = [
        [
            name,
            _SENSE.get(name, "pictures, 1 chunk"),
            cell(generated[name]),
            _share(generated[name].chance),
            cell(found),
            _share(found.chance),
            str(found.values),
        ]
        for name, found in renders.items()
    ]
    return _table(["", "judged by", "generated", "chance", "renders", "chance", "values"], rows)


def _following(report: Report) -> str:
    rows = [
        [
            name,
            source,
            str(result.changes),
            _share(result.within_limit),
            _share(result.at_end),
            "none" if result.median_s is None else f"{result.median_s:.2f} s",
            _share(result.before),
        ]
        for name in report.following[RENDERS]
        for source, results in report.following.items()
        for result in (results[name],)
    ]
    return _table(["changed", "", "changes", "in time", "at the end", "median time", "false alarm"], rows)


def _detectors(report: Report) -> str:
    rows = [
        [name, str(d.impacts), _share(d.recall), _share(d.precision), _ms(d.median_error_s)]
        for name, d in report.detectors.items()
    ]
    return _table(["detector", "true impacts", "found", "right", "median error"], rows)


def _sync(report: Report) -> str:
    rows = [
        [
            name,
            f"{sync.seen} ({sync.seen_per_s:.2f}/s)",
            f"{sync.heard} ({sync.heard_per_s:.2f}/s)",
            _share(sync.matched),
            _ms(sync.median_s),
            _ms(sync.p95_s),
            _ms(sync.lag_s),
        ]
        for name, sync in report.sync.items()
    ]
    return _table(["", "seen", "heard", "matched", "median", "95th percentile", "sound late by"], rows)


def _joints(report: Report) -> str:
    rows = [
        [name, str(j.joints), _number(j.picture), _number(j.sound_flux), _number(j.sound_step)]
        for name, j in report.joints.items()
    ]
    return _table(["", "joints", "picture", "sound spectrum", "sound samples"], rows)


def _drift(name: str, stream: Drift) -> str:
    head = ["", *(f"{index * SECTION_S:.0f} s" for index in range(len(stream.sections))), "per minute", "moved"]
    rows = [
        [
            measure,
            *(_number(section[measure], 3) for section in stream.sections),
            _number(stream.trends[measure].slope_per_minute, 4),
            _number(stream.trends[measure].moved),
        ]
        for measure in MEASURES
    ]
    return f"*{name.capitalize()}*: {stream.prompt}\n\n{_table(head, rows)}"


def _provenance(report: Report) -> str:
    source = report.provenance
    rows = [
        *(["graph " + name, f"SHA-256 `{digest}`"] for name, digest in source.sha256.items()),
        *(["training: " + name, str(value)] for name, value in source.training.items() if not isinstance(value, dict)),
        *(["version of " + name, number] for name, number in source.software.items()),
        *(["setting " + name, str(value)] for name, value in report.settings.items()),
        *(["time for " + name, f"{seconds:.0f} s"] for name, seconds in report.seconds.items()),
    ]
    return _table(["", ""], rows)
