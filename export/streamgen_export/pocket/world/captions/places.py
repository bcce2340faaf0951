"""The words for places.

A noun phrase begins with "a" where "the" is right too, with "~" where it needs no article, and with "the" where it
needs that one.
"""

from __future__ import annotations

from typing import Final

PLACE_NOUNS: Final[dict[str, tuple[str, ...]]] = {
    "meadow": (
        *("a meadow", "a meadow", "a grassy meadow", "~rolling hills", "~grassy hills", "a flower meadow", "a field"),
        *("a field of flowers", "the countryside", "a wide meadow"),
    ),
    "forest": (
        *(
            "a forest",
            "a forest",
            "the woods",
            "a quiet forest",
            "~tall trees",
            "a deep forest",
            "a clearing in the woods",
        ),
        *("the trees of a forest", "a forest clearing"),
    ),
    "mountains": (
        *("the mountains", "the mountains", "~high mountains", "a mountain range", "~mountain peaks", "~rocky peaks"),
        *("a mountain landscape", "a mountain valley", "the Alps"),
    ),
    "desert": (
        *("a desert", "a desert", "~sand dunes", "~desert dunes", "the dunes", "a sandy desert", "a wide desert"),
        "a desert of sand",
    ),
    "sea": (
        *(
            "the sea",
            "the sea",
            "the sea",
            "the ocean",
            "the ocean",
            "the open sea",
            "~ocean waves",
            "~waves of the sea",
        ),
        *("~open water", "~waves"),
    ),
    "coast": (
        *("a lighthouse", "a lighthouse", "a lighthouse by the sea", "a lighthouse on the coast", "a rocky coast"),
        *("a coast with a lighthouse", "a lighthouse on a cliff", "a rocky coast with a lighthouse"),
        *("a lighthouse on a headland", "a lighthouse on the shore"),
    ),
    "river": (
        *("a river", "a river", "a river", "a winding river", "a quiet river", "a stream", "a wide river"),
        "the water of a river",
    ),
    "village": (
        *("a village", "a village", "a quiet village", "a small village", "a small town", "~village houses", "a town"),
        *("a little village", "~small houses"),
    ),
    "city": (
        *("a city", "a city", "a big city", "a city skyline", "~skyscrapers", "the city skyline", "~tall buildings"),
        *("a city of skyscrapers", "a modern city", "downtown"),
    ),
    "clouds": ("the sky above the clouds", "the clouds from above", "~clouds seen from above", "~cloud tops"),
    "underwater": (
        *("an underwater world", "an underwater scene", "the deep ocean", "the bottom of the ocean", "the ocean floor"),
        *("a coral reef", "the deep sea"),
    ),
    "ice": (
        *("an underwater world under the ice", "~water under the ice", "the underside of the ice"),
        *("~icy water under a frozen surface", "a frozen lake from below", "~dark water beneath the ice"),
    ),
    "space": (
        *("a ringed planet", "a ringed planet", "a planet with rings", "outer space", "deep space", "a starry galaxy"),
        *("a ringed planet among the stars", "a planet in space", "the universe", "a galaxy"),
    ),
    "fire": (
        *("a campfire", "a campfire", "a big campfire", "a bonfire", "a crackling fire", "a burning fire", "a fire"),
        *("~bright flames", "a blazing campfire", "~burning logs"),
    ),
    "rings": (
        *("~pulsing rings", "~abstract rings", "~rings of light", "an abstract pulse", "~glowing circles"),
        *("~abstract circles of light", "an abstract pattern of rings"),
    ),
    "waves": (
        *("~abstract waves", "~waves of light", "~flowing abstract waves", "~sound waves", "~glowing wavy lines"),
        *("an abstract pattern of waves", "~wavy abstract lines"),
    ),
    "tunnel": (
        *("a tunnel", "a tunnel of light", "a glowing tunnel", "an abstract tunnel", "a flight through a tunnel"),
        *("an endless tunnel", "a tunnel of glowing rings"),
    ),
    "mosaic": (
        *("a mosaic", "an abstract mosaic", "a mosaic of tiles", "~glowing tiles", "a mosaic of light"),
        *("a kaleidoscope of shapes", "an abstract pattern of tiles"),
    ),
}
"""Place to noun phrases for it."""
PLACE_TAGS: Final[dict[str, tuple[str, ...]]] = {
    "meadow": ("meadow", "hills"),
    "forest": ("forest", "woods"),
    "mountains": ("mountains",),
    "desert": ("desert", "dunes"),
    "sea": ("sea", "ocean"),
    "coast": ("lighthouse",),
    "river": ("river",),
    "village": ("village",),
    "city": ("city", "skyline", "skyscrapers"),
    "clouds": ("above the clouds",),
    "underwater": ("underwater",),
    "ice": ("under the ice",),
    "space": ("space", "ringed planet"),
    "fire": ("campfire", "fire"),
    "rings": ("abstract rings",),
    "waves": ("abstract waves",),
    "tunnel": ("tunnel",),
    "mosaic": ("mosaic",),
}
"""Place to what is typed as a keyword, the shortest first."""
PLACES_WHERE: Final[dict[str, tuple[str, ...]]] = {
    "clouds": (
        "above the clouds",
        "above the clouds",
        "high above the clouds",
        "over the clouds",
        "over a carpet of clouds",
    ),
    "underwater": ("under water", "underwater", "under the sea", "below the waves", "deep under the sea"),
    "ice": (
        "under the ice",
        "under the ice",
        "beneath the ice",
        "below the ice",
        "under a frozen lake",
        "under thick ice",
    ),
    "space": ("in space", "in space", "in outer space", "in deep space", "among the stars", "far out in space"),
}
"""Place to phrases that say by themselves where something is."""

INNER: Final[dict[str, tuple[str, ...]]] = {
    **dict.fromkeys(("meadow", "forest", "mountains", "desert", "village", "city"), ("in",)),
    **dict.fromkeys(("sea", "river"), ("on",)),
    "coast": ("near", "by", "in front of"),
    "clouds": ("in",),
    **dict.fromkeys(("underwater", "ice"), ("in",)),
    "space": ("near", "in front of"),
    "fire": ("by", "beside", "in front of", "near"),
    **dict.fromkeys(("rings", "waves", "mosaic"), ("in front of",)),
    "tunnel": ("in", "inside"),
}
"""Place to the prepositions of what is in it."""
OWN_INNER: Final[dict[str, tuple[str, ...]]] = {
    "~rolling hills": ("in front of", "among"),
    "~grassy hills": ("in front of", "among"),
    "~tall trees": ("among", "between"),
    "the trees of a forest": ("among",),
    "~mountain peaks": ("among", "in front of"),
    "~rocky peaks": ("among", "in front of"),
    "a mountain range": ("in front of",),
    "~sand dunes": ("among", "in front of"),
    "~desert dunes": ("among", "in front of"),
    "~village houses": ("among", "in front of"),
    "~small houses": ("among", "in front of"),
    "a city skyline": ("in front of",),
    "the city skyline": ("in front of",),
    "~skyscrapers": ("among", "in front of"),
    "~tall buildings": ("among", "in front of"),
    "downtown": ("",),
    "the bottom of the ocean": ("at",),
    "the ocean floor": ("above",),
    "a coral reef": ("above", "by"),
    "the underside of the ice": ("below",),
    "a frozen lake from below": ("in",),
    "the clouds from above": ("above",),
    "~clouds seen from above": ("above",),
    "~cloud tops": ("above", "over"),
    "outer space": ("in",),
    "deep space": ("in",),
    "the universe": ("in",),
    "a planet in space": ("near",),
    "a galaxy": ("in",),
    "a starry galaxy": ("in",),
    "a flight through a tunnel": ("in",),
}
"""Noun phrase to its own prepositions, where the place's are wrong."""
UNDESCRIBED: Final = frozenset(
    {
        *("~tall trees", "the trees of a forest", "~ocean waves", "~waves of the sea", "~open water", "~skyscrapers"),
        *("~tall buildings", "a quiet forest", "a quiet river", "a quiet village", "downtown", "the water of a river"),
        *("the clouds from above", "~clouds seen from above", "the sky above the clouds", "a lighthouse by the sea"),
        *(
            "a lighthouse on the coast",
            "a lighthouse on a cliff",
            "a lighthouse on a headland",
            "a lighthouse on the shore",
        ),
        *("a lighthouse", "~waves"),
        *("~village houses", "~small houses", "~cloud tops", "~icy water under a frozen surface"),
        *("~dark water beneath the ice", "the underside of the ice"),
    }
)
"""Noun phrases before which no adjective of the weather stands."""
