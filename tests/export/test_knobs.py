"""Every knob says something that the captions of the world say too."""

from pathlib import Path

from tokenizers import Tokenizer

from streamgen_engines.bundle import bundled
from streamgen_export.pocket.knobs import KNOBS
from streamgen_export.pocket.world.attributes import VOCABULARY
from streamgen_export.pocket.world.captions import captions_of
from streamgen_export.pocket.world.formats import POCKET
from streamgen_export.pocket.world.world import sample_world

OF_ATTRIBUTE = {"motion": "pace"}


def test_each_value_of_an_attribute_can_be_chosen() -> None:
    for name, values in KNOBS.items():
        assert set(values) == set(VOCABULARY[OF_ATTRIBUTE.get(name, name)])


def test_all_words_are_those_of_captions() -> None:
    told = " ".join(text for seed in range(4000) for text in captions_of(sample_world(seed, POCKET))).lower()
    heard = set(told.replace(",", " ").replace(".", " ").split())
    for values in KNOBS.values():
        for words in values.values():
            assert set(words.lower().split()) <= heard, words


def test_all_knobs_together_leave_room_for_a_prompt() -> None:
    tokenizer = Tokenizer.from_file(str(Path(bundled().tokenizer_path)))
    longest = [max(values.values(), key=lambda words: len(tokenizer.encode(words).ids)) for values in KNOBS.values()]
    pieces = sum(len(tokenizer.encode(words, add_special_tokens=False).ids) + 1 for words in longest)
    assert pieces < 40
