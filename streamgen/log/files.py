"""The files of a log: `NAME.000001.jsonl` and so on, the highest number being written. No file is ever rewritten."""

import re
from pathlib import Path


def segment(folder: Path, name: str, number: int) -> Path:
    """The path of a log's file."""
    return folder / f"{name}.{number:06d}.jsonl"


def segments(folder: Path, name: str) -> list[tuple[int, Path]]:
    """The files of a log that are there, oldest first, with their numbers."""
    pattern = re.compile(re.escape(name) + r"\.(\d{6,})\.jsonl")
    try:
        found = [(int(match[1]), path) for path in folder.iterdir() if (match := pattern.fullmatch(path.name))]
    except FileNotFoundError:
        return []
    return sorted(found)
