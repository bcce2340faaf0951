"""The report in plain words and tables."""

from __future__ import annotations

from collections.abc import Sequence

from streamgen_export.pocket.judge.drift import MEASURES, START_S, Drift
from streamgen_export.pocket.judge.joints import PICTURE_TARGET
from streamgen_export.pocket.judge.labels import TARGET_SHARE, TARGETS, WINDOW
from streamgen_export.pocket.judge.recognition import CHANGE_LIMIT_S, IN_TIME_SHARE, SETTLING_CHUNKS, Accuracy
from streamgen_export.pocket.judge.report import GENERATED, RENDERS, Report
from streamgen_export.pocket.judge.sync import ALL, MEDIAN_TARGET_S, P95_TARGET_S, REACH_S

_HEARD = ("mood", "tempo")


def markdown(report: Report, pictures: str = "") -> str:
    """The report as Markdown; a pure function of its arguments.

    Args:
        report: what was found.
        pictures: path from the page to the folder with the pictures, ending in "/" or empty.
    """
    source = report.provenance
    streams = report.drift[GENERATED]
    parts = [
        f"# What the judge found: {source.bundle}",
        f"Made by `{report.command}` in {sum(report.seconds.values()) / 60:.1f} minutes on {source.hardware}, commit "
        f"{source.commit or 'unknown'}. The JSON file beside the pictures has every number unrounded.",
        "The prompts are held out: none of their combinations of place, subject and colour, or of place, time, "
        "weather, happening and style, was trained on. *Renders* are true pictures and sounds of the same prompts, "
        "judged in the same way: they show what a perfect model would reach, and how far the judge itself can be "
        "trusted. The judge's networks learned from renders only, never from anything generated.",
        f"![Generated samples with their prompts]({pictures}samples.png)",
        "## Is what was asked for there?",
        "Share of chunks in which a small network names the asked value, over the takes whose prompt names the "
        "attribute. *Chance* is what the same answers would reach if they belonged to other takes. Nothing is counted "
        f"that lies within {SETTLING_CHUNKS} chunks after a start or a change of the prompt.",
        _recognition(report),
        f"Target: at least {_share(TARGET_SHARE)} for {', '.join(TARGETS)}: {_reached(report)}.",
        "## How soon does a new prompt show?",
        f"The prompt changes in mid-stream. *In time*: a chunk that ends within {CHANGE_LIMIT_S:.1f} s of media time "
        f"shows the new value (target: {_share(IN_TIME_SHARE)}). *Median time*: from the change to the end of the "
        "first chunk that shows it, of those that do. *False alarm*: share of chunks before the change that already "
        "look like it.",
        _following(report),
        "And does everything else stay? Share of chunks in which an attribute that both prompts name alike is named "
        "right, before and after another one changed.",
        _staying(report),
        "## Is it heard when it is seen?",
        "Seen and heard: what networks trained on renders take for the beginning of an event. First, both against the "
        "truth of renders:",
        _detectors(report),
        "Then the distance from each seen event to the nearest heard one of its kind (matched: within "
        f"{1000 * REACH_S:.0f} ms). With the sound of another such take, the distance is what chance gives. "
        f"Targets: median {_ms(MEDIAN_TARGET_S)}, 95th percentile {_ms(P95_TARGET_S)}.",
        _sync(report),
        f"![Sound of renders and of generated takes]({pictures}sound.png)",
        "## Do chunks join without a seam?",
        "Mean change across joints over mean change inside chunks; 1 is no seam (target for pictures: below "
        f"{PICTURE_TARGET}). Beats, bursts and flashes begin on joints, so compare with renders.",
        _joints(report),
        f"## Does a stream drift in {streams[0].duration_s / 60:.1f} minutes?",
        "One prompt all the time, measured chunk by chunk; of renders, about a second now and then. *Moved* is the "
        "trend over the whole stream with its 95 % confidence, in units of the spread between different renders; "
        "within about 1 it stayed where it was. *Departure* is the distance of what is seen from the first "
        f"{START_S:.0f} s; two renders of different prompts are 1 apart. *Frozen*: share of chunks nearly equal to the "
        "one before. *Looping*: nearly equal to the one that is about to leave the model's memory. *Flat*: pictures "
        "that show nothing. *Silent*: no sound.",
        f"![Each measure over time]({pictures}drift.png)",
        _failures(report),
        *(_drift(made, true) for made, true in zip(streams, report.drift[RENDERS], strict=True)),
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
        return f"{_share(found.share)}{margin}"

    def sense(name: str) -> str:
        chunks = f"{WINDOW[name]} chunks" if WINDOW[name] > 1 else "1 chunk"
        return f"{'sound' if name in _HEARD else 'pictures'}, {chunks}"

    renders, generated = report.recognition[RENDERS], report.recognition[GENERATED]
    rows = [
        [
            name,
            sense(name),
            cell(generated[name]),
            _share(generated[name].chance),
            cell(found),
            _share(found.chance),
            f"{generated[name].counted} in {generated[name].takes}",
            str(found.values),
        ]
        for name, found in renders.items()
    ]
    return _table(["", "judged by", "generated", "chance", "renders", "chance", "chunks in takes", "values"], rows)


def _reached(report: Report) -> str:
    shares = {name: report.recognition[GENERATED][name].share for name in TARGETS}
    short = [f"{name} ({_share(share)})" for name, share in shares.items() if share is None or share < TARGET_SHARE]
    return f"not reached by {', '.join(short)}" if short else "reached by all"


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


def _staying(report: Report) -> str:
    parts = (("when {} changes", report.staying_by_change), ("{}", report.staying_by_attribute))
    rows = [
        [
            words.format(name),
            str(stays[GENERATED][name].cases),
            *(_share(share) for source in (GENERATED, RENDERS) for share in _both(stays[source][name])),
        ]
        for words, stays in parts
        for name in stays[RENDERS]
        if stays[GENERATED][name].cases
    ]
    return _table(["what stays", "cases", "before", "after", "renders before", "renders after"], rows)


def _both(staying: object) -> tuple[float | None, float | None]:
    return getattr(staying, "before", None), getattr(staying, "after", None)


def _detectors(report: Report) -> str:
    rows = [
        [name, kind, str(d.events), _share(d.recall), _share(d.precision), _ms(d.median_error_s)]
        for name, kinds in report.detectors.items()
        for kind, d in kinds.items()
    ]
    return _table(["detector", "kind", "true events", "found", "right", "median error"], rows)


def _sync(report: Report) -> str:
    rows = [
        [
            name,
            kind,
            f"{sync.seen} ({sync.seen_per_s:.2f}/s)",
            f"{sync.heard} ({sync.heard_per_s:.2f}/s)",
            _share(sync.matched),
            _ms(sync.median_s),
            _ms(sync.p95_s),
            _ms(sync.lag_s),
        ]
        for name, kinds in report.sync.items()
        for kind, sync in sorted(kinds.items(), key=lambda pair: pair[0] == ALL)
    ]
    return _table(["", "kind", "seen", "heard", "matched", "median", "95th percentile", "sound late by"], rows)


def _joints(report: Report) -> str:
    rows = [
        [name, str(j.joints), _number(j.picture), _number(j.sound_flux), _number(j.sound_step)]
        for name, j in report.joints.items()
    ]
    return _table(["", "joints", "picture", "sound spectrum", "sound samples"], rows)


def _failures(report: Report) -> str:
    rows = [
        [f"{source}: {stream.prompt}", *(_share(share) for share in vars(stream.failures).values())]
        for source, streams in report.drift.items()
        for stream in streams
    ]
    return _table(["", "frozen", "looping", "flat", "silent"], rows)


def _drift(made: Drift, true: Drift) -> str:
    def cells(measure: str, stream: Drift) -> list[str]:
        trend = stream.trends[measure]
        moved = _number(trend.moved)
        if trend.moved_margin is not None:
            moved += f" ± {trend.moved_margin:.2f}"
        return [_number(trend.first, 3), _number(trend.last, 3), _number(trend.slope_per_minute, 4), moved]

    rows = [[measure, *cells(measure, made), *cells(measure, true)] for measure in MEASURES]
    head = ["start", "end", "per minute", "moved"]
    return f"*{made.prompt}*\n\n" + _table(["", *head, *(f"renders: {name}" for name in head)], rows)


def _provenance(report: Report) -> str:
    source = report.provenance
    rows = [
        *(["graph " + name, f"SHA-256 `{digest}`"] for name, digest in source.sha256.items()),
        *(["training: " + name, str(value)] for name, value in source.training.items() if not isinstance(value, dict)),
        *(["version of " + name, number] for name, number in source.software.items()),
        *([name.replace("_", " "), f"{value:g}"] for name, value in report.form.items()),
        *(["setting " + name, str(value)] for name, value in report.settings.items()),
        *(["time for " + name, f"{seconds:.0f} s"] for name, seconds in report.seconds.items()),
    ]
    return _table(["", ""], rows)
