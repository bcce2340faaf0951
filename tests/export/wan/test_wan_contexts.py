"""Texts encoded one layer at a time, against the whole encoder."""

import torch

from streamgen_export.wan.contexts import encode_texts
from streamgen_export.wan.umt5_graphs import RandomWeights
from tests.export.wan.tiny_umt5 import CONFIG, TOKENS, encoder, tiny_tokenizer, weights

TEXTS = ("blue", "a red ball", "")


def test_contexts_are_those_of_the_encoder() -> None:
    made, tokenizer = weights(3), tiny_tokenizer()
    found = encode_texts(RandomWeights(CONFIG, made), tokenizer, TEXTS)
    for text, context in zip(TEXTS, found, strict=True):
        tokens = tokenizer.encode(text).ids
        ids = torch.zeros((1, TOKENS), dtype=torch.int64)
        mask = torch.zeros((1, TOKENS), dtype=torch.int64)
        ids[0, : len(tokens)] = torch.tensor(tokens)
        mask[0, : len(tokens)] = 1
        with torch.no_grad():
            right = encoder(made)(ids, mask)
        torch.testing.assert_close(context, right)
        assert context.shape == (1, TOKENS, CONFIG.width)
        assert not context[0, len(tokens) :].any()
    assert not torch.allclose(found[0], found[1])


def test_a_text_that_is_too_long_is_cut() -> None:
    (context,) = encode_texts(RandomWeights(CONFIG, weights(3)), tiny_tokenizer(), ["a red ball " * 9], places=5)
    assert context.shape == (1, 5, CONFIG.width)
    assert bool(context[0].any(dim=-1).all())
