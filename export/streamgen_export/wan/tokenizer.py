"""The tokenizer of UMT5, from the published files to the `tokenizer.json` that a bundle carries.

google/umt5-xxl, and the folder of the same name inside Wan's models, publish both `tokenizer.json` (the format of
Hugging Face `tokenizers`, which Wan itself loads) and `spiece.model` (SentencePiece). The first is taken where it is
there; a bundle's file is made from the second otherwise.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from streamgen_export.wan.sentencepiece_model import CONTROL, SentencePieceError, read_sentencepiece

END: Final = "</s>"
SPACE: Final = "\N{LOWER ONE EIGHTH BLOCK}"
"""What SentencePiece writes for a space."""
_JSON: Final = "tokenizer.json"
_SENTENCEPIECE: Final = "spiece.model"
_FOLDERS: Final = (".", "google/umt5-xxl", "tokenizer")
"""Where Wan's own models and those for diffusers have the files."""
_GET_IT: Final = (
    f"give {_JSON} or {_SENTENCEPIECE} of google/umt5-xxl, or a folder with one of them; Wan's models have both in "
    f"google/umt5-xxl"
)


class TokenizerError(ValueError):
    """There is no tokenizer, or it does not go with the encoder; the message says what to do."""


def find_tokenizer(source: Path) -> Path:
    """The file to read: `source` itself, or the better one of a folder.

    Cheap, for a check before anything heavy starts.

    Raises:
        TokenizerError: there is none.
    """
    if source.is_file():
        return source
    for name in (_JSON, _SENTENCEPIECE):
        for folder in _FOLDERS:
            file = source / folder / name
            if file.is_file():
                return file
    what = "holds no tokenizer" if source.is_dir() else "does not exist"
    raise TokenizerError(f"{source} {what}; {_GET_IT}")


def load_tokenizer(source: Path, vocabulary: int) -> Tokenizer:
    """Read a tokenizer and check that it goes with the encoder.

    Args:
        source: one of the two files, or a folder with one.
        vocabulary: rows of the encoder's embedding table.

    Raises:
        TokenizerError: there is none, it is damaged, it is of another model, or it does not end texts with `</s>`.
    """
    file = find_tokenizer(source)
    try:
        tokenizer = from_sentencepiece(file) if file.suffix == ".model" else Tokenizer.from_file(str(file))
    except SentencePieceError as error:
        raise TokenizerError(str(error)) from error
    except Exception as error:  # `tokenizers` raises nothing narrower
        raise TokenizerError(f"{file} is not a tokenizer ({error}); {_GET_IT}") from error
    tokenizer.no_padding()
    tokenizer.no_truncation()
    size = tokenizer.get_vocab_size(with_added_tokens=True)
    if size > vocabulary:
        raise TokenizerError(
            f"{file} has {size} tokens, the encoder knows {vocabulary}: it is of another model; {_GET_IT}"
        )
    end = tokenizer.token_to_id(END)
    ids = tokenizer.encode("a").ids
    if end is None or not ids or ids[-1] != end or end in ids[:-1]:
        raise TokenizerError(f"{file} does not end a text with {END}, as UMT5's does; {_GET_IT}")
    return tokenizer


def write_tokenizer(source: Path, target: Path, vocabulary: int) -> None:
    """Write a bundle's `tokenizer.json`; see `load_tokenizer`."""
    text = load_tokenizer(source, vocabulary).to_str()
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")


def from_sentencepiece(file: Path) -> Tokenizer:
    """A tokenizer that cuts texts as SentencePiece does with this model, and ends them with `</s>`.

    Control pieces are matched where a text spells them out, as they are by the published `tokenizer.json`.

    Raises:
        SentencePieceError: the file is none, or has no `</s>`.
    """
    model = read_sentencepiece(file)
    names = [piece.text for piece in model.pieces]
    if END not in names:
        raise SentencePieceError(f"{file} has no piece {END}; {_GET_IT}")
    tokenizer = Tokenizer(
        models.Unigram([(piece.text, piece.score) for piece in model.pieces], model.unknown, model.bytes_for_unknown)
    )
    steps: list[normalizers.Normalizer] = [normalizers.Precompiled(model.rules)] if model.rules else []
    if model.spaces_collapse:
        steps += [normalizers.Strip(), normalizers.Replace(Regex(" {2,}"), " ")]
    if steps:
        tokenizer.normalizer = normalizers.Sequence(steps)
    scheme = "always" if model.space_before else "never"
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement=SPACE, prepend_scheme=scheme)
    tokenizer.decoder = decoders.Metaspace(replacement=SPACE, prepend_scheme=scheme)
    tokenizer.add_special_tokens([piece.text for piece in model.pieces if piece.kind == CONTROL])
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"$A {END}", special_tokens=[(END, names.index(END))]
    )
    return tokenizer
