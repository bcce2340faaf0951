"""Reads a SentencePiece model (Kudo and Richardson 2018), the file `spiece.model` beside many T5 models.

The file is one Protocol Buffers message, `ModelProto` of SentencePiece's `sentencepiece_model.proto`. Few of its fields
matter here, so they are read directly, without generated code.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

UNIGRAM: Final = 1
NORMAL: Final = 1
CONTROL: Final = 3


class SentencePieceError(ValueError):
    """The file is no SentencePiece model, or one of a kind that is not read here."""


@dataclass(frozen=True)
class Piece:
    """One entry of the vocabulary; its place is its id.

    Attributes:
        text: with U+2581 for a space.
        score: logarithm of its probability.
        kind: NORMAL, CONTROL and so on, as the format numbers them.
    """

    text: str
    score: float
    kind: int = NORMAL


@dataclass(frozen=True)
class SentencePieceModel:
    """What the file says.

    Attributes:
        pieces: the vocabulary.
        unknown: id of what stands for everything that is in no piece.
        bytes_for_unknown: characters in no piece are spelt as bytes.
        rules: compiled replacements that are done before anything else; empty for none.
        space_before: a space is put before the text.
        spaces_collapse: spaces at both ends go, and several become one.
    """

    pieces: tuple[Piece, ...]
    unknown: int
    bytes_for_unknown: bool
    rules: bytes
    space_before: bool
    spaces_collapse: bool


def read_sentencepiece(file: Path) -> SentencePieceModel:
    """Read a model.

    Raises:
        SentencePieceError: it is cut short, something else, or not a Unigram model.
        OSError: it cannot be read.
    """
    try:
        return _parse(file.read_bytes())
    except (IndexError, struct.error, UnicodeDecodeError, TypeError, ValueError) as error:
        raise SentencePieceError(f"{file} is not a SentencePiece model ({error}); download it again") from error


def _parse(raw: bytes) -> SentencePieceModel:
    pieces: list[Piece] = []
    trainer: dict[int, int | bytes] = {}
    normalizer: dict[int, int | bytes] = {}
    for number, value in _fields(raw):
        if number == 1:
            entry = dict(_fields(_raw(value)))
            (score,) = struct.unpack("<f", _raw(entry.get(2, b"\0\0\0\0")))
            pieces.append(Piece(_raw(entry[1]).decode(), score, _whole(entry.get(3, NORMAL))))
        elif number == 2:
            trainer = dict(_fields(_raw(value)))
        elif number == 3:
            normalizer = dict(_fields(_raw(value)))
    unknown = _whole(trainer.get(40, 0))
    if not unknown < len(pieces):
        raise ValueError(f"it has {len(pieces)} pieces, and the unknown one is number {unknown}")
    if _whole(trainer.get(3, UNIGRAM)) != UNIGRAM:
        raise ValueError("it is not a Unigram model")
    return SentencePieceModel(
        pieces=tuple(pieces),
        unknown=unknown,
        bytes_for_unknown=bool(trainer.get(35, 0)),
        rules=_raw(normalizer.get(2, b"")),
        space_before=bool(normalizer.get(3, 1)),
        spaces_collapse=bool(normalizer.get(4, 1)),
    )


def _fields(raw: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Number and value of each field of a message: whole numbers as int, everything else as bytes."""
    at = 0
    while at < len(raw):
        key, at = _varint(raw, at)
        number, wire = key >> 3, key & 7
        if wire == 0:
            whole, at = _varint(raw, at)
            yield number, whole
            continue
        if wire == 2:
            size, at = _varint(raw, at)
        elif wire in {1, 5}:
            size = 8 if wire == 1 else 4
        else:
            raise ValueError(f"field {number} has wire type {wire}")
        if number == 0 or at + size > len(raw):
            raise ValueError(f"it ends inside field {number}")
        yield number, raw[at : at + size]
        at += size


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = raw[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if not byte & 0x80:
            return value, at
        if shift > 63:
            raise ValueError("a number in it is too long")


def _raw(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise TypeError("a field is a number that should be bytes")
    return value


def _whole(value: int | bytes) -> int:
    if isinstance(value, bytes):
        raise TypeError("a field is bytes that should be a number")
    return value
