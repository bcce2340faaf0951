"""How long a caption is for the text encoder, all-MiniLM-L6-v2, without its tokenizer at hand."""

from __future__ import annotations

import re
from typing import Final

MAX_PIECES: Final = 30
"""Word pieces of a caption; with its two special tokens the text encoder reads 32."""

# The words of our captions that the tokenizer cuts into several pieces; a test compares with the tokenizer.
_TWO: Final = (
    "androids bobbing bobs bounces breaches breaching campfire collage crackling cubes cutout cyan "
    "daybreak doves dreamlike dreamy drifts ethereal flapping flutters foggy glides gull gulls headland "
    "hoops hops hover hovers jellyfish joyful kites monochrome moonlit orbs overcast panning pans pastel "
    "pastels pyramids ringed rotates sailboat sailboats saucer saucers shines shrinks skyscrapers slows "
    "snowing snows soar soars sorrowful spacecrafts spaceships sparrows starlit starry starship starships "
    "steams streaking sundown suspenseful sways swims teal thunderstorm torus toruses twinkles twinkling "
    "ufos vanishes watercolor wintry yachts zooming zooms"
)
_THREE: Final = (
    "grooving humpback origami seagull seagulls throb throbs twirl twirling watercolour watercolours "
    "whirl whirling whirls wistful"
)
_FOUR: Final = "kaleidoscope twirls"
_PIECES: Final[dict[str, int]] = {
    word: count for count, words in ((2, _TWO), (3, _THREE), (4, _FOUR)) for word in words.split()
}


def pieces(text: str) -> int:
    """Word pieces of a caption, without the two special tokens."""
    return sum(_PIECES.get(word, 1) for word in re.findall(r"\w+|[^\w\s]", text.lower()))
