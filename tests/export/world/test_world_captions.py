"""Captions are true, short and varied, name what they must, and use words that the text encoder knows."""

import re
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

from streamgen_export.pocket.world.attributes import NONE, Attributes
from streamgen_export.pocket.world.captions import caption, captions_of
from streamgen_export.pocket.world.captions.changes import instruct, relevant
from streamgen_export.pocket.world.captions.describe import sayable
from streamgen_export.pocket.world.captions.pieces import MAX_PIECES, pieces
from streamgen_export.pocket.world.formats import POCKET
from streamgen_export.pocket.world.world import World, change, sample_attributes, sample_world

TOKENIZER = Path(__file__).parents[3] / "engines/streamgen_engines/bundles/pocket/tokenizer.json"

COLLOCATIONS = (
    r"(clear )?blue sky|starry galaxy|abstract waves|pattern of waves"
    r"|black[ -]and[ -]white|bright flames|waves of light|sound waves|(under|below) the (sea|waves)"
    r"|(deep|bottom of the|waves of the) (ocean|sea)|by the sea|ocean floor|(the|shooting|falling) stars|stars begin"
    r"|stars (appear|cross|end|fade|stop)|rings of light|(pulsing|glowing) rings|(of|with|abstract) rings"
    r"|pattern of \w+|in circles|circles of light|glowing circles|quiet (forest|river|village|sky)|flying saucer"
    r"|paper (boat|lantern|kite)|rocket ship|in a circle|(of|above|the) clouds|clouds (seen )?from above"
    r"|handheld shot|(with|to) a (slow|steady|fast) (beat|pulse)"
)
"""Taken out before the search for single words, which have another meaning in these."""
WORDS: dict[str, dict[str, str]] = {
    "colour": {
        "red": "red|crimson|scarlet",
        "orange": "orange|amber",
        "yellow": "yellow|golden",
        "green": "green|emerald",
        "cyan": "cyan|turquoise|teal|aqua",
        "blue": "blue|azure",
        "purple": "purple|violet",
        "pink": "pink|rose",
        "white": "white",
    },
    "time": {
        "dawn": r"dawn|morning|sunrise|daybreak|first light|sun (rises|comes up)",
        "day": "day|daylight|daytime|noon|midday|sunny|sunshine|sunlight|lit by the sun|in the sun",
        "sunset": r"sunset|dusk|evening|sundown|sun (sets|goes down)|setting sun",
        "night": "night|midnight|moonlight|moonlit|moon|starlit|under the stars|after dark|gets dark|turns dark",
    },
    "weather": {
        "clear": "clear|clears|sunny|sunshine|starlit|moonlit|starry|under the stars|blue sky|moonlight over",
        "cloudy": "cloudy|overcast|clouds|clouds overhead",
        "misty": "mist|misty|fog|foggy|haze|hazy",
        "rain": "rain|rains|rainy|rain sets",
        "snow": "snow|snows|snowy|snowing|snowfall|winter|wintry",
        "storm": "storm|stormy|thunderstorm|lightning",
    },
    "happening": {
        "fireworks": "fireworks",
        "aurora": "northern lights|aurora|polar lights",
        "shooting_stars": "shooting stars|falling stars|meteor|stars begin to fall",
    },
    "style": {
        "natural": "realistic|natural style|natural picture",
        "watercolour": "watercolours?|watercolor",
        "ink": "ink",
        "neon": "neon",
        "pixel": "pixel|pixels|8-bit|video game",
        "paper": "paper cut-?out|collage|(made|cut out) of (cut )?paper",
    },
    "palette": {
        "natural": "(natural|full|normal) colou?rs|become natural",
        "warm": "warm|warmer",
        "cool": "cool|cooler|cold",
        "pastel": "pastels?",
        "mono": "black[ -]and[ -]white|monochrome",
    },
    "camera": {
        "still": "still camera|stands still|holds still|fixed camera|static shot|camera stops",
        "left": r"pan(s|ning)? left|camera (moving|moves)( to the)? left",
        "right": r"pan(s|ning)? right|camera (moving|moves)( to the)? right",
        "zoom": "zoom|zooms|zooming",
        "sway": "handheld|sway|sways|swaying|shake",
    },
    "mood": {
        NONE: "no music|no more music|without( any)? music|no soundtrack|music (stops|ends)",
        "calm": "calm|gentle|peaceful|quiet|relaxing|soothing",
        "joyful": "joyful|happy|cheerful|merry",
        "melancholy": "melancholy|sad|sorrowful|wistful",
        "dreamy": "dreamy|dreamlike|ethereal",
        "tense": "tense|suspenseful|nervous|ominous",
    },
    "place": {
        "meadow": "meadow|hills|field|countryside",
        "forest": "forest|woods|trees",
        "mountains": "mountains?|peaks|alps",
        "desert": "desert|dunes",
        "sea": "sea|ocean|open water|waves",
        "coast": "lighthouse|coast",
        "river": "river|stream",
        "village": "village|town|small houses",
        "city": "city|skyline|skyscrapers|buildings|downtown",
        "clouds": "(the|of) clouds|clouds seen from|cloud tops",
        "underwater": "underwater|under water|under the sea|below the waves|coral|deep (ocean|sea)|bottom|ocean floor",
        "ice": "ice|icy|frozen",
        "space": "space|planet|galaxy|universe|among the stars",
        "fire": "campfire|bonfire|fire|flames|logs",
        "rings": "(pulsing|abstract|glowing|of) rings|rings of light|abstract pulse|circles of light|glowing circles",
        "waves": "(abstract|sound|pattern of) waves|waves of light|wavy",
        "tunnel": "tunnel",
        "mosaic": "mosaic|tiles|kaleidoscope",
    },
    "subject": {
        "ball": "balls?|spheres?|orbs?",
        "cube": "cubes?|box|boxes|blocks?",
        "star": "stars?",
        "heart": "hearts?",
        "ring": "rings?|hoops?|torus(es)?",
        "pyramid": "pyramids?|triangles?",
        "balloon": "balloons?",
        "lantern": "lanterns?",
        "kite": "kites?",
        "bird": "birds?|gulls?|seagulls?|sparrows?|swallows?|eagles?|doves?",
        "butterfly": "butterfly|butterflies|moths?",
        "boat": "(?<!paper )(?<!origami )boats?|sailboats?|ships?|yachts?",
        "paper_boat": "(paper|origami) boats?",
        "fish": "fish|carp",
        "whale": "whales?",
        "jellyfish": "jellyfish",
        "spaceship": "spaceships?|rockets?|ufos?|saucers?|spacecrafts?|starships?",
        "comet": "comets?",
        "train": "trains?|locomotives?",
        "dancer": "dancers?|person|figure|figures|persons",
        "robot": "robots?|androids?",
        "creature": "creatures?|monsters?|animals?",
    },
    "count": {"one": "single|one", "two": "two|pair", "three": "three"},
    "tempo": {
        "slow": "slow|slower|slow-paced|slows|slowly",
        "medium": "medium|moderate|steady|steadily",
        "fast": "fast|faster|quick",
    },
    "pace": {
        "slow": "slowly|gently|slows?",
        "normal": "normal|steady",
        "fast": "fast|faster|quickly|rapidly|high speed|speeds?",
    },
}
"""Field and value to what tells it, written down a second time: a caption with one of these words means that."""
EXCLUSIVE = (
    "colour",
    "time",
    "weather",
    "happening",
    "style",
    "palette",
    "camera",
    "mood",
    "place",
    "subject",
    "count",
)


def found(pattern: str, text: str) -> bool:
    return re.search(rf"\b({pattern})\b", text.lower()) is not None


def states(count: int, seed: int = 0) -> Iterator[tuple[Attributes, np.random.Generator]]:
    rng = np.random.default_rng(seed)
    for _ in range(count):
        yield sample_attributes(rng), rng


@pytest.fixture(scope="module")
def worlds() -> list[World]:
    return [sample_world(seed, POCKET) for seed in range(3000)]


@pytest.fixture(scope="module")
def told(worlds: list[World]) -> list[str]:
    return [text for world in worlds for text in set(captions_of(world))]


def allowed(a: Attributes, name: str) -> set[str]:
    values = {getattr(a, name)}
    if name in ("colour", "subject"):
        values.add(getattr(a, "second" if name == "subject" else "second_colour"))
    if name == "place" and a.place in ("underwater", "ice"):
        values |= {"underwater"}
    return values


def test_a_caption_says_nothing_that_is_not_so() -> None:
    for a, rng in states(4000):
        text = caption(a, rng)
        plain = re.sub(COLLOCATIONS, " ", text.lower())
        if a.style != "paper" and found(
            "paper", re.sub(r"(folded|paper|origami)( \w+| \w+ \w+)? (boat|lantern|kite)s?", "", plain)
        ):
            pytest.fail(f"{text!r} of {a}")
        for name in EXCLUSIVE:
            for value, pattern in WORDS[name].items():
                if value in allowed(a, name):
                    continue
                searched = text if name in ("camera", "palette", "happening") else plain
                assert not found(pattern, searched), f"{text!r} says {name} {value} of {a}"


def test_sides_are_the_right_way_round() -> None:
    a = Attributes("meadow", "day", "clear", subject="ball", colour="red", motion="bounces", side="left")
    both = replace(a, second="cube", second_colour="blue")
    rng = np.random.default_rng(5)
    for _ in range(200):
        assert not found("right", caption(a, rng, ("side",)))
        text = re.sub(COLLOCATIONS, " ", caption(both, rng, ("side", "colour", "second_colour")).lower())
        first = min(text.find(word) for word in ("red", "crimson", "scarlet") if word in text)
        second = min(
            text.find(word) for word in ("blue", "azure") if word in text and text.find(word) != text.find("blue sky")
        )
        sides = re.findall("left|right", text)
        assert sides[0] == ("left" if first < second else "right"), text


def test_what_is_mentioned_is_told() -> None:
    names = [name for name in WORDS if name in {field.name for field in fields(Attributes)}]
    for a, rng in states(3000, seed=1):
        mention = tuple(str(name) for name in rng.permutation(names)[: int(rng.integers(1, 6))])
        text = caption(a, rng, mention)
        for name in mention:
            value = getattr(a, name)
            if sayable(a, name) and value in WORDS[name]:
                assert found(WORDS[name][value], text), f"{text!r} lacks {name} of {a}"


def test_everything_can_be_mentioned_at_once_and_still_fits() -> None:
    names = tuple(field.name for field in fields(Attributes))
    for a, rng in states(500, seed=2):
        text = caption(a, rng, names)
        assert pieces(text) <= MAX_PIECES, text
        assert found(WORDS["place"][a.place], text), text
        assert found(WORDS["palette"][a.palette], text), text


def test_a_changed_segment_names_what_changed() -> None:
    instructions = 0
    for before, rng in states(3000, seed=3):
        after = change(rng, before)
        mention = relevant(before, after)
        text = caption(after, rng, mention, before)
        for name in mention:
            value = getattr(after, name)
            if value in WORDS.get(name, {}):
                assert found(WORDS[name][value], text), f"{text!r} lacks {name}: {before} -> {after}"
        instructions += instruct(before, after, frozenset(mention), np.random.default_rng(0)) != ""
    assert instructions > 0.85 * 3000, "an instruction is possible for nearly every change"


def test_the_caption_of_a_change_is_true_of_what_was_or_is() -> None:
    for before, rng in states(1500, seed=6):
        after = change(rng, before)
        text = re.sub(COLLOCATIONS, " ", caption(after, rng, relevant(before, after), before).lower())
        for name in ("colour", "time", "weather", "style", "mood", "place", "subject"):
            values = allowed(after, name) | (allowed(before, name) if name == "subject" else set())
            for value in WORDS[name].keys() - values:
                assert not found(WORDS[name][value], text), f"{text!r} says {name} {value}: {before} -> {after}"


def test_instructions_tell_nothing_but_the_change() -> None:
    for before, rng in states(1500, seed=4):
        after = change(rng, before)
        if set(relevant(before, after)) != {"weather"}:
            continue
        text = instruct(before, after, frozenset({"weather"}), rng)
        assert found(WORDS["weather"][after.weather], text), text
        assert len(text.split()) <= 7, text


def test_captions_fit_the_text_encoder_and_their_words_are_known(told: list[str]) -> None:
    tokenizer = Tokenizer.from_file(str(TOKENIZER))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    for text, encoded in zip(told, tokenizer.encode_batch(told, add_special_tokens=False), strict=True):
        assert len(encoded.ids) == pieces(text) <= MAX_PIECES, text
        assert "[UNK]" not in encoded.tokens, text


def test_captions_are_a_pure_function_of_the_world_and_shared_by_a_segment(worlds: list[World]) -> None:
    for world in worlds[:300]:
        captions = captions_of(world)
        assert captions == captions_of(world)
        assert len(captions) == world.chunks
        for first, end, _ in world.segments:
            assert len(set(captions[first:end])) == 1


def test_captions_vary(told: list[str]) -> None:
    assert len(set(told)) > 0.93 * len(told)
    lengths = np.array([pieces(text) for text in told])
    assert np.mean(lengths <= 4) > 0.03, "short prompts are typed too"
    assert np.mean(lengths >= 20) > 0.2
    assert sum(text.lower() in ("fireworks", "fireworks.") for text in told) >= 1, "and bare ones"


@pytest.mark.parametrize(
    "prompt",
    [
        "a red balloon over the sea at sunset",
        "rain on a city at night",
        "a forest waking at dawn, calm music",
        "fireworks",
        "a fish under the ice",
        "snow falling on a quiet village",
        "a spaceship passing a ringed planet",
        "an abstract neon pulse with a fast beat",
        "a lighthouse in a storm",
        "a paper boat on a river",
        "seagull sparrow hot air balloon sailboat UFO rocket locomotive",
        "ocean waves woods town skyscrapers dunes galaxy",
    ],
)
def test_words_that_people_type_are_trained_on(prompt: str, told: list[str]) -> None:
    known = {word for text in told for word in re.findall(r"\w+", text.lower())}
    assert set(re.findall(r"\w+", prompt.lower())) <= known
