"""Command line of the judge: scores a bundle and writes a report for machines and one for people."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from streamgen_engines.bundle import bundle_at
from streamgen_engines.errors import EngineError
from streamgen_engines.families import load
from streamgen_export.pocket.judge.instruments import default_cache, instruments
from streamgen_export.pocket.judge.provenance import provenance_of
from streamgen_export.pocket.judge.run import QUICK, Session, Settings, judge, timed
from streamgen_export.pocket.judge.streams import ModelStream
from streamgen_export.pocket.judge.tables import markdown

COMMAND = "python -m streamgen_export.pocket.judge"
MOST_MINUTES = 60


def parser() -> argparse.ArgumentParser:
    """Options of the command."""
    options = argparse.ArgumentParser(
        prog=COMMAND,
        description="Score a bundle on held-out prompts. Writes OUT/NAME.json, OUT/samples.png, OUT/sound.png "
        "and OUT/drift.png, and the report for people.",
    )
    options.add_argument("--bundle", type=Path, help="bundle folder (default: the one that ships with streamgen)")
    options.add_argument("--samples", type=_several, help=f"takes with a change of prompt (default {Settings.samples})")
    options.add_argument("--events", type=_several, help=f"takes in which much happens (default {Settings.events})")
    options.add_argument("--streams", type=_positive, help=f"long streams (default {Settings.streams})")
    options.add_argument("--drift-minutes", type=_minutes, help=f"length of each (default {Settings.drift_minutes})")
    options.add_argument("--seed", type=int, default=0, help="of prompts and noise")
    options.add_argument("--out", type=Path, help="folder (default bench/judge, or out/judge with --quick)")
    options.add_argument("--report", type=Path, help="report for people (default docs/judge.md; in OUT with --quick)")
    options.add_argument("--threads", type=_positive, default=len(os.sched_getaffinity(0)), help="to work with")
    options.add_argument("--quick", action="store_true", help="next to nothing of everything: shows that it runs")
    return options


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is too few, give at least 1")
    return number


def _minutes(text: str) -> float:
    number = float(text)
    if not 0 < number <= MOST_MINUTES:
        raise argparse.ArgumentTypeError(f"{text} minutes are no stream, give more than 0, at most {MOST_MINUTES}")
    return number


def _several(text: str) -> int:
    number = int(text)
    if number < 2:
        raise argparse.ArgumentTypeError(f"{text} is too few: takes are compared with one another, give at least 2")
    return number


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = parser().parse_args(given)
    settings = QUICK if options.quick else Settings()
    changes = {name: getattr(options, name) for name in ("samples", "events", "streams", "drift_minutes", "seed")}
    settings = replace(settings, **{name: value for name, value in changes.items() if value is not None})
    out = options.out or Path("out/judge" if options.quick else "bench/judge")
    page = options.report or (out / "judge.md" if options.quick else Path("docs/judge.md"))
    try:
        bundle = bundle_at(options.bundle)
        streams = [ModelStream(load(bundle)) for _ in range(options.threads)]
    except EngineError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    torch.set_num_threads(options.threads)
    seconds: dict[str, float] = {}
    with timed(seconds, "instruments"):
        tools = instruments(settings.schooling, options.threads, default_cache())
    window = bundle.manifest.attention.window
    command = " ".join([COMMAND, *given])
    session = Session(command, provenance_of(bundle), streams, window, tools, options.threads, seconds)
    report = judge(session, settings, out)
    (out / f"{bundle.manifest.name}.json").write_text(report.to_json(), encoding="utf-8")
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(markdown(report, _way(page.parent, out)), encoding="utf-8")
    print(f"wrote {out / bundle.manifest.name}.json, samples.png, sound.png and drift.png beside it, and {page}")
    return 0


def _way(start: Path, folder: Path) -> str:
    """The path from one folder to another, as a page writes it."""
    relative = os.path.relpath(folder, start)
    return "" if relative == "." else Path(relative).as_posix() + "/"


if __name__ == "__main__":
    sys.exit(main())
