"""Command line: `measure` makes and measures the variants of a bundle, `install` puts one where a bundle is served."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import torch

from streamgen_engines.bundle import bundle_at
from streamgen_engines.errors import EngineError
from streamgen_export.pocket.judge.provenance import provenance_of
from streamgen_export.quantise import QuantisationError
from streamgen_export.variants.finding import BENCH, Finding, findings_in, to_document
from streamgen_export.variants.install import VariantRefusedError, install
from streamgen_export.variants.kinds import KINDS
from streamgen_export.variants.measure import Settings, measure, quick
from streamgen_export.variants.prompts import MEASURING

COMMAND: Final = "python -m streamgen_export.variants"
RESULTS: Final = Path("bench/variants.jsonl")
UNFINISHED: Final = "findings.json"
"""In the folder of the variants: what a run that goes on has found so far."""


def parser() -> argparse.ArgumentParser:
    """Options of the commands."""
    own = Settings()
    commands = argparse.ArgumentParser(prog=COMMAND, description="Variants of a bundle in other precisions.")
    parts = commands.add_subparsers(dest="command", required=True)
    measuring = parts.add_parser("measure", help="make them, measure them against float32, and have them judged")
    measuring.add_argument("folder", type=Path, help="where they are written")
    measuring.add_argument("--bundle", type=Path, help="folder or name of the bundle that they are made of [pocket]")
    measuring.add_argument("--variants", nargs="+", choices=list(KINDS), default=list(KINDS), help="which [all]")
    measuring.add_argument("--chunks", type=_several, default=own.chunks, help=f"of a measured stream [{own.chunks}]")
    measuring.add_argument(
        "--prompts", type=int, choices=range(1, len(MEASURING) + 1), default=own.prompts, help=f"[{own.prompts}]"
    )
    measuring.add_argument("--rounds", type=int, default=own.rounds, help=f"of timing; 0 = none [{own.rounds}]")
    measuring.add_argument("--takes", type=int, default=own.takes, help=f"that are judged; 0 = none [{own.takes}]")
    measuring.add_argument(
        "--take-chunks", type=_several, default=own.take_chunks, help=f"under each prompt of a take [{own.take_chunks}]"
    )
    measuring.add_argument("--threads", type=int, default=1, help="streams that are judged side by side [1]")
    measuring.add_argument("--quick", action="store_true", help="an eye that knows nothing: shows that it runs")
    measuring.add_argument("--results", type=Path, default=RESULTS, help=f"gets a line [{RESULTS}]")
    installing = parts.add_parser("install", help="put one where a bundle is served, if its score holds")
    installing.add_argument("folder", type=Path, help="where the variants are")
    installing.add_argument("variant", choices=list(KINDS))
    installing.add_argument("target", type=Path, help="the bundle's folder")
    installing.add_argument("--results", type=Path, default=RESULTS, help=f"what was found [{RESULTS}]")
    return commands


def _several(text: str) -> int:
    number = int(text)
    if number < 2:
        raise argparse.ArgumentTypeError(f"{text} is too few: give at least 2")
    return number


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = parser().parse_args(given)
    try:
        if options.command == "install":
            made = install(options.folder, options.variant, options.target, findings_in(options.results))
            print(f"{options.variant} of {made.manifest.name} is in {made.root}")
        else:
            _measure(options)
    except (EngineError, OSError, QuantisationError, ValueError, VariantRefusedError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _measure(options: argparse.Namespace) -> None:
    bundle = bundle_at(options.bundle)
    settings = Settings(
        variants=tuple(options.variants),
        chunks=options.chunks,
        prompts=options.prompts,
        rounds=options.rounds,
        takes=options.takes,
        take_chunks=options.take_chunks,
        threads=options.threads,
    )
    settings = quick(settings) if options.quick else settings
    torch.set_num_threads(options.threads)
    source = asdict(provenance_of(bundle))
    source["software"]["onnx"] = version("onnx")
    del source["training"]  # it says nothing about this run
    record: dict[str, Any] = {
        "bench": BENCH,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": source.pop("commit"),
        "provenance": source,
        "load_average_1m": round(os.getloadavg()[0], 2),
        "settings": asdict(settings),
    }

    def keep(findings: Sequence[Finding]) -> None:
        options.folder.mkdir(parents=True, exist_ok=True)
        found = {"variants": [to_document(each) for each in findings]}
        text = json.dumps({**record, "figures": found}, indent=1, allow_nan=False)
        (options.folder / UNFINISHED).write_text(text + "\n", encoding="utf-8")

    findings = measure(bundle, options.folder, settings, progress=lambda line: print(line, flush=True), keep=keep)
    line = {
        **record,
        "load_average_1m_after": round(os.getloadavg()[0], 2),
        "figures": {"variants": [to_document(each) for each in findings]},
    }
    options.results.parent.mkdir(parents=True, exist_ok=True)
    with options.results.open("a", encoding="utf-8") as results:
        results.write(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n")


if __name__ == "__main__":
    sys.exit(main())
