"""Keeps the part of the vocabulary that English prompts use, and rewrites `tokenizer.json` to match.

WordPiece falls back to shorter pieces, so a dropped word is still spelt out of pieces that are kept; a word
with a character that is in no piece becomes `[UNK]`.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

_LAST_LATIN = 0x24F
"""End of Latin Extended-B: beyond it lie other scripts, which this encoder cannot read in any case."""
_UNUSED = re.compile(r"\[unused\d+\]")
_LONG_NUMBER = re.compile(r"(##)?\d{3,}(st|nd|rd|th)?")
"""Years and other long numbers; decades ("1980s") and numbers of two digits stay."""


@dataclass(frozen=True)
class Vocabulary:
    """The pruned vocabulary.

    Attributes:
        kept: ids in the published vocabulary, ascending; the position is the new id.
        tokenizer: `tokenizer.json` with the new ids, no padding and no truncation (the reader sets both).
    """

    kept: Sequence[int]
    tokenizer: dict[str, Any]

    def tokenizer_text(self) -> str:
        """The tokenizer file, without white space."""
        return json.dumps(self.tokenizer, ensure_ascii=False, separators=(",", ":"))


def is_kept(piece: str) -> bool:
    """Whether an English prompt can need this piece."""
    if _UNUSED.fullmatch(piece) or _LONG_NUMBER.fullmatch(piece):
        return False
    return all(ord(character) <= _LAST_LATIN for character in piece)


def prune(tokenizer: dict[str, Any]) -> Vocabulary:
    """Drops unused slots, other scripts and long numbers, and renumbers the rest in the old order."""
    old_ids: dict[str, int] = tokenizer["model"]["vocab"]
    kept = sorted((old, piece) for piece, old in old_ids.items() if is_kept(piece))
    new_ids = {piece: new for new, (_, piece) in enumerate(kept)}
    rewritten = copy.deepcopy(tokenizer)
    rewritten["model"]["vocab"] = new_ids
    rewritten["truncation"] = None
    rewritten["padding"] = None
    for token in rewritten["added_tokens"]:
        token["id"] = new_ids[token["content"]]
    for name, token in rewritten["post_processor"]["special_tokens"].items():
        token["ids"] = [new_ids[name]]
    return Vocabulary(kept=[old for old, _ in kept], tokenizer=rewritten)
