"""A bundle's tokenizer from the published files, against the sentencepiece package."""

import random
from io import BytesIO
from pathlib import Path

import pytest
import sentencepiece
from tokenizers import Tokenizer

from streamgen_export.wan.sentencepiece_model import SentencePieceError, read_sentencepiece
from streamgen_export.wan.tokenizer import TokenizerError, find_tokenizer, load_tokenizer, write_tokenizer
from tests.export.wan.tiny_umt5 import tiny_tokenizer

TEXT = (
    "a red ball bounces over the calm sea at night while fireworks rise from 2048 small boats and the camera turns "
    "slowly towards a lighthouse in the fog, cinematic lighting; émigré naïve Straße 東京の夜 мяч прыгает"
)
WORDS = TEXT.split()


@pytest.fixture(scope="module", params=[True, False])
def spiece(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trained as UMT5's: padding 0, end 1, unknown 2, no beginning; with and without spelling in bytes."""
    chosen, model = random.Random(4), BytesIO()
    lines = (" ".join(chosen.choices(WORDS, k=12)) for _ in range(400))
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(list(lines)),
        model_writer=model,
        vocab_size=480 if request.param else 220,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        byte_fallback=request.param,
        split_digits=True,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    file = tmp_path_factory.mktemp("tokenizer") / "spiece.model"
    file.write_bytes(model.getvalue())
    return file


TEXTS = [
    "a red ball",
    "a  red   ball bounces, slowly;",
    "camera turns 2048 boats",
    "Straße 東京の夜 мяч",
    "the ﬁreworks ＲＩＳＥ ½",
    "🔥 unknown ☃ things",
    "x",
    "!",
]


def test_texts_are_cut_as_sentencepiece_cuts_them(spiece: Path) -> None:
    true = sentencepiece.SentencePieceProcessor(model_file=str(spiece))
    made = load_tokenizer(spiece, 1000)
    chosen = random.Random(5)
    for text in [*TEXTS, *(" ".join(chosen.choices(WORDS, k=20)) for _ in range(50))]:
        assert made.encode(text).ids == [*true.encode(text), true.eos_id()], text


def test_no_text_is_the_end_alone(spiece: Path) -> None:
    assert load_tokenizer(spiece, 1000).encode("").ids == [1]


def test_what_is_written_is_what_was_loaded(spiece: Path, tmp_path: Path) -> None:
    write_tokenizer(spiece, tmp_path / "new" / "tokenizer.json", 1000)
    again = Tokenizer.from_file(str(tmp_path / "new" / "tokenizer.json"))
    for text in TEXTS:
        assert again.encode(text).ids == load_tokenizer(spiece, 1000).encode(text).ids


def test_a_long_text_is_cut_and_keeps_its_end(tmp_path: Path) -> None:
    made = tiny_tokenizer()
    made.enable_padding(length=99)
    made.save(str(tmp_path / "tokenizer.json"))
    loaded = load_tokenizer(tmp_path, 64)
    assert len(loaded.encode("red ball").ids) == 3  # the padding is gone: a bundle's context has zeros there
    loaded.enable_truncation(8)
    ids = loaded.encode("red ball " * 20).ids
    assert len(ids) == 8
    assert ids[-1] == 1


@pytest.mark.parametrize("folder", [".", "google/umt5-xxl", "tokenizer"])
def test_it_is_found_where_models_have_it(tmp_path: Path, folder: str) -> None:
    (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    model, better = (tmp_path / folder / name for name in ("spiece.model", "tokenizer.json"))
    model.touch()
    assert find_tokenizer(tmp_path) == model
    better.touch()
    assert find_tokenizer(tmp_path) == better


def test_what_is_missing_is_told(tmp_path: Path) -> None:
    with pytest.raises(TokenizerError, match=r"holds no tokenizer; give tokenizer\.json or spiece\.model"):
        load_tokenizer(tmp_path, 64)
    with pytest.raises(TokenizerError, match="does not exist; give"):
        load_tokenizer(tmp_path / "no", 64)


def test_what_is_no_tokenizer_is_told(spiece: Path, tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(TokenizerError, match="is not a tokenizer"):
        load_tokenizer(tmp_path, 64)
    raw = spiece.read_bytes()
    for number, wrong in enumerate([b"", b"\xff" * 40, raw[: len(raw) // 2], b"hello, world"]):
        file = tmp_path / f"{number}.model"
        file.write_bytes(wrong)
        with pytest.raises(TokenizerError, match="is not a SentencePiece model"):
            load_tokenizer(file, 1000)


def test_a_tokenizer_of_another_model_is_told(tmp_path: Path) -> None:
    made = tiny_tokenizer()
    made.save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(TokenizerError, match="has 34 tokens, the encoder knows 20: it is of another model"):
        load_tokenizer(tmp_path, 20)
    made.post_processor = None
    made.save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(TokenizerError, match="does not end a text with </s>"):
        load_tokenizer(tmp_path, 64)


def test_a_model_without_an_end_is_told(tmp_path: Path) -> None:
    piece = b"\x0a\x03abc"  # one piece, no scores
    (tmp_path / "spiece.model").write_bytes(b"\x0a" + bytes([len(piece)]) + piece)
    assert read_sentencepiece(tmp_path / "spiece.model").pieces[0].text == "abc"
    with pytest.raises(TokenizerError, match="has no piece </s>"):
        load_tokenizer(tmp_path, 64)
    (tmp_path / "empty.model").write_bytes(b"")
    with pytest.raises(SentencePieceError, match="pieces, and the unknown one is number 0"):
        read_sentencepiece(tmp_path / "empty.model")
