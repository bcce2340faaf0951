"""Writes the newest results into docs/latency.md: `python -m bench.report`; `--check` only says whether it is current.

Everything between the two marks comes from `results.jsonl`, and nothing else of the page is touched.
"""

import argparse
import sys
from pathlib import Path
from typing import Any, Final

from bench import latency, record, targets

PAGE: Final = record.ROOT / "docs" / "latency.md"
BEGIN: Final = "<!-- results: written by `python -m bench.report`, do not edit -->"
END: Final = "<!-- end of results -->"
_SHORT_COMMIT: Final = 10


def newest(records: list[record.Record], bench: str) -> record.Record | None:
    """The last run of one benchmark."""
    return next((each for each in reversed(records) if each["bench"] == bench), None)


def block(records: list[record.Record]) -> str:
    """The marked part of the page, marks included."""
    parts = []
    serve, generate = newest(records, "serve"), newest(records, "generate")
    if serve is not None:
        parts += ["### Server and browser together", _origin(serve, "python -m bench.serve"), _served(serve)]
    for title, run in glass(records):
        parts += [title, _origin(run, "python -m bench.latency"), _read(run)]
    if generate is not None:
        parts += ["### Generation alone", _origin(generate, "python -m bench.generate"), _generated(generate)]
    if not parts:
        parts = ["No run has been recorded yet; `bench/README.md` says how to make one."]
    return "\n\n".join([BEGIN, *parts, END])


def glass(records: list[record.Record]) -> list[tuple[str, record.Record]]:
    """The last run over a good network and the last over a bad one, with their titles."""
    runs = [each for each in records if each["bench"] == "latency"]
    found = []
    for title, bad in (("### Glass to glass", False), ("### Through a bad network", True)):
        fitting = [each for each in runs if any(each["settings"].get(part) for part in ("loss", "delay")) == bad]
        found += [(title, fitting[-1])] if fitting else []
    return found


def replaced(page: str, records: list[record.Record]) -> str:
    """The page with the marked part made anew. Raises `ValueError` when the marks are not there."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"docs/latency.md has lost its marks; it needs the lines {BEGIN!r} and {END!r}")
    return before + block(records) + after


def _origin(run: record.Record, command: str) -> str:
    """Which run it was."""
    hardware, software, settings = run["hardware"], run["software"], run["settings"]
    commit = run["commit"][:_SHORT_COMMIT] + (" with uncommitted changes" if run["dirty"] else "")
    words = ", ".join(
        f"{key} {value:g}" if isinstance(value, float) else f"{key} {value}" for key, value in settings.items()
    )
    return (
        f"`{command}` on {run['at']}: commit {commit}; {hardware['cores']} cores of {hardware['cpu']}, "
        f"{hardware['memory_mib'] / 1024:.0f} GiB; Python {software['python']}, "
        f"ONNX Runtime {software['onnxruntime']}; model {run['bundle']['name']} "
        f"({run['bundle']['manifest_sha256'][:_SHORT_COMMIT]}); {words}; load average "
        f"{run['load_average_1m']} before."
    )


def _served(run: record.Record) -> str:
    lines = ["| | measured | wanted | met |", "|---|---:|---|---|"]
    lines += [f"| {name} | {value} | {wanted} | {met} |" for name, value, wanted, met in targets.rows(run)]
    lines += ["", "| further figures of the same run | |", "|---|---:|"]
    lines += [f"| {name} | {value} |" for name, value in targets.details(run)]
    if run["failures"]:
        lines += ["", "Could not be measured:", ""]
        lines += [f"- {failure}" for failure in run["failures"]]
    return "\n".join(lines)


def _read(run: record.Record) -> str:
    lines = ["| the test card in a browser | |", "|---|---:|"]
    return "\n".join([*lines, *(f"| {name} | {value} |" for name, value in latency.rows(run))])


def _generated(run: record.Record) -> str:
    figures: dict[str, Any] = run["figures"]
    lines = [
        "| steps | guidance | passes | times real time | denoise p50 / p95 | decode and encode p50 / p95 |",
        "|---:|---:|---:|---:|---:|---:|",
    ]
    for each in figures["variants"]:
        denoise, rest = each["ms"]["chunk: denoise"], each["ms"]["chunk: decode and encode"]
        lines.append(
            f"| {each['steps']} | {each['guidance']:g} | {each['passes']} | {each['realtime_ratio']:.2f} "
            f"| {denoise['p50']:.0f} / {denoise['p95']:.0f} ms | {rest['p50']:.0f} / {rest['p95']:.0f} ms |"
        )
    lines += ["", "| each call, the model's own steps and guidance | p50 | p95 |", "|---|---:|---:|"]
    for name, ms in figures["variants"][0]["ms"].items():
        lines.append(f"| {name} | {ms['p50']:.2f} ms | {ms['p95']:.2f} ms |")
    return "\n".join(lines)


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m bench.report", description="Writes results into docs/latency.md.")
    parser.add_argument("--check", action="store_true", help="change nothing; fail when the page is not current")
    parser.add_argument("--results", type=Path, default=record.RESULTS, help="where the records are")
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
        print("docs/latency.md does not show the newest results; run `python -m bench.report`", file=sys.stderr)
        return 1
    PAGE.write_text(wanted, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
