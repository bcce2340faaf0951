"""Writes what was found about variants of bundles into docs/engines.md: `python -m bench.variants`.

`--check` only says whether the page is current. Everything between the two marks comes from `variants.jsonl`, which
`python -m streamgen_export.variants measure` adds lines to; nothing else of the page is touched.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from bench import record

PAGE: Final = record.ROOT / "docs" / "engines.md"
RESULTS: Final = Path(__file__).parent / "variants.jsonl"
BEGIN: Final = "<!-- variants: written by `python -m bench.variants`, do not edit -->"
END: Final = "<!-- end of variants -->"
_SHORT_COMMIT: Final = 10
_NONE: Final = "-"

Found = Mapping[str, Any]
"""What was found about one variant, as its line says it."""


def newest(records: Sequence[record.Record]) -> list[record.Record]:
    """The last run of each bundle, in the order in which bundles first appear."""
    last: dict[str, record.Record] = {}
    for each in records:
        last[each["provenance"]["bundle"]] = each
    return list(last.values())


def block(records: Sequence[record.Record]) -> str:
    """The marked part of the page, marks included."""
    parts = [part for run in newest(records) for part in (origin(run), summary(run), errors(run))]
    return "\n\n".join([BEGIN, *(parts or ["No run has been recorded yet."]), END])


def replaced(page: str, records: Sequence[record.Record]) -> str:
    """The page with the marked part made anew. Raises `ValueError` when the marks are not there."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"docs/engines.md has lost its marks; it needs the lines {BEGIN!r} and {END!r}")
    return before + block(records) + after


def origin(run: record.Record) -> str:
    """Which run it was, and how much was looked at."""
    source, settings = run["provenance"], run["settings"]
    judged = next((each["judged"] for each in run["figures"]["variants"] if each["judged"]), None)
    looked = (
        "nothing was judged"
        if judged is None
        else f"{judged['takes']} takes of {judged['chunks']} chunks were judged, two prompts in each"
    )
    software = ", ".join(f"{name} {number}" for name, number in source["software"].items())
    streams = "one stream" if settings["prompts"] == 1 else f"{settings['prompts']} streams"
    return (
        f"`{source['bundle']}` on {run['at']}: commit {str(run['commit'])[:_SHORT_COMMIT]}; {source['hardware']}; "
        f"{software}; {streams} of {settings['chunks']} chunks, {settings['rounds']} rounds of "
        f"timing; {looked}; load average {run['load_average_1m']} before and {run['load_average_1m_after']} after."
    )


def summary(run: record.Record) -> str:
    """A row for each variant."""
    lines = [
        "| variant | for | MB | velocity off, picture / sound | streams apart after 1 / "
        f"{run['settings']['chunks']} chunks | denoiser, times float32 | score | against float32 | |",
        "|---|---|---:|---:|---:|---:|---:|---:|---|",
    ]
    for each in run["figures"]["variants"]:
        cells = [
            f"`{each['variant']}`",
            each["device"].upper(),
            f"{sum(each['graph_bytes'].values()) / 1e6:.1f}",
            _velocity(each),
            _apart(each),
            _speed(each),
            *_score(each),
            each["verdict"],
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def errors(run: record.Record) -> str:
    """Error of each output on the inputs of float32: a row for each output, a column for each variant."""
    variants = [each for each in run["figures"]["variants"] if each["errors"]]
    if not variants:
        return "Errors were not measured."
    names = [each["variant"] for each in variants]
    lines = [f"| off on the same inputs | {' | '.join(names)} |", f"|---|{'---:|' * len(names)}"]
    for graph, outputs in variants[0]["errors"].items():
        for output in outputs:
            cells = [_error(each["errors"].get(graph, {}).get(output)) for each in variants]
            lines.append(f"| {graph}: {output} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _error(value: float | None) -> str:
    if value is None:
        return "not finite"
    return "0" if value == 0 else f"{value:.2g}"


def _velocity(each: Found) -> str:
    outputs = each["errors"].get("denoise")
    if outputs is None:
        return _NONE
    return f"{_error(outputs['video_velocity'])} / {_error(outputs['audio_velocity'])}"


def _apart(each: Found) -> str:
    distance = each["distance"]
    return _NONE if distance is None else f"{distance['video'][0]:.2g} / {distance['video'][-1]:.2g}"


def _speed(each: Found) -> str:
    speed = each["speed"]
    return _NONE if speed is None else f"{speed['ratio']:.2f} ({speed['lowest']:.2f} to {speed['highest']:.2f})"


def _score(each: Found) -> tuple[str, str]:
    judged = each["judged"]
    if judged is None:
        return _NONE, _NONE
    share = f"{100 * judged['share']:.1f} ± {100 * judged['spread']:.1f} %"
    if judged["gain"] is None:
        return share, _NONE
    return share, f"{100 * judged['gain']:+.1f} ± {100 * judged['margin']:.1f}"


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m bench.variants", description="Writes docs/engines.md.")
    parser.add_argument("--check", action="store_true", help="change nothing; fail when the page is not current")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where the records are")
    given = parser.parse_args()
    page = PAGE.read_text(encoding="utf-8")
    try:
        wanted = replaced(page, record.read(given.results))
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if wanted == page:
        return 0
    if given.check:
        print("docs/engines.md does not show the newest variants; run `python -m bench.variants`", file=sys.stderr)
        return 1
    PAGE.write_text(wanted, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
