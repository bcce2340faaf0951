"""The words for things, colours, motions, looks and music; a word that stands twice is said twice as often."""

from __future__ import annotations

from typing import Final

COLOUR_WORDS: Final[dict[str, tuple[str, ...]]] = {
    "red": ("red", "red", "red", "red", "crimson", "scarlet"),
    "orange": ("orange", "orange", "orange", "amber"),
    "yellow": ("yellow", "yellow", "yellow", "golden"),
    "green": ("green", "green", "green", "emerald"),
    "cyan": ("cyan", "cyan", "turquoise", "teal", "aqua"),
    "blue": ("blue", "blue", "blue", "blue", "azure"),
    "purple": ("purple", "purple", "purple", "violet"),
    "pink": ("pink", "pink", "pink", "bright pink", "rose"),
    "white": ("white", "white", "white", "pure white"),
}
SUBJECT_WORDS: Final[dict[str, tuple[str, ...]]] = {
    "ball": ("ball", "ball", "ball", "sphere", "orb", "rubber ball"),
    "cube": ("cube", "cube", "cube", "box", "block", "square box"),
    "star": ("star", "star", "star", "star shape", "five-pointed star"),
    "heart": ("heart", "heart", "heart", "heart shape"),
    "ring": ("ring", "ring", "ring", "hoop", "torus"),
    "pyramid": ("pyramid", "pyramid", "pyramid", "triangle"),
    "balloon": ("balloon", "balloon", "balloon", "hot air balloon", "hot air balloon", "air balloon"),
    "lantern": ("lantern", "lantern", "paper lantern", "sky lantern", "glowing lantern"),
    "kite": ("kite", "kite", "kite", "paper kite"),
    "bird": ("bird", "bird", "bird", "gull", "seagull", "sparrow", "swallow", "eagle", "dove"),
    "butterfly": ("butterfly", "butterfly", "butterfly", "moth"),
    "boat": ("boat", "boat", "sailboat", "sailing boat", "sailing ship", "ship", "yacht"),
    "paper_boat": ("paper boat", "paper boat", "little paper boat", "folded paper boat", "origami boat"),
    "fish": ("fish", "fish", "fish", "little fish", "carp"),
    "whale": ("whale", "whale", "whale", "big whale", "humpback whale"),
    "jellyfish": ("jellyfish", "jellyfish", "glowing jellyfish", "big jellyfish"),
    "spaceship": ("spaceship", "spaceship", "rocket", "rocket ship", "UFO", "flying saucer", "spacecraft", "starship"),
    "comet": ("comet", "comet", "comet", "bright comet", "comet with a tail"),
    "train": ("train", "train", "train", "steam train", "locomotive", "railway train"),
    "dancer": ("dancer", "dancer", "dancer", "ballet dancer", "person", "human figure"),
    "robot": ("robot", "robot", "robot", "little robot", "toy robot", "android"),
    "creature": ("creature", "creature", "little creature", "monster", "cute monster", "animal", "funny animal"),
}
KINDS: Final[dict[str, str]] = {
    **dict.fromkeys(("ball", "cube", "star", "heart", "ring", "pyramid"), "shape"),
    **dict.fromkeys(("balloon", "lantern", "kite", "bird", "butterfly", "spaceship", "comet"), "air"),
    **dict.fromkeys(("boat", "paper_boat"), "boat"),
    **dict.fromkeys(("fish", "whale", "jellyfish"), "swimmer"),
    **dict.fromkeys(("dancer", "robot", "creature"), "figure"),
    "train": "train",
}
"""Subject to what it is in English: which prepositions go with it."""

_FLOATING = ("float", "float", "hover")
_RISING = ("rise", "rise", "float upwards", "go up", "climb", "rise into the air")
MOTION_WORDS: Final[dict[str, tuple[str, ...]]] = {
    "bounces": ("bounce", "bounce", "bounce up and down", "jump", "jump up and down", "hop"),
    "rolls": ("roll", "roll", "roll along"),
    "floats": (*_FLOATING, "float", "float up and down"),
    "drifts": ("drift", "drift", "glide", "move along", "drift along", "float along"),
    "circles": ("circle", "circle", "go round in circles", "move in a circle", "circle around"),
    "pulses": ("pulse", "pulse", "throb", "grow and shrink"),
    "spins": ("spin", "spin", "turn", "rotate", "spin around", "whirl"),
    "rises": _RISING,
    "leaps": ("leap", "jump"),
    "dances": ("dance", "dance", "dance about", "groove"),
}
"""Motion to verbs that are right for anything."""
_FLYING_IN_CIRCLES = ("circle", "circle", "fly in circles", "circle around")
OWN_MOTION_WORDS: Final[dict[tuple[str, str], tuple[str, ...]]] = {
    ("heart", "pulses"): ("beat", "pulse", "throb", "grow and shrink"),
    ("star", "pulses"): ("pulse", "twinkle", "grow and shrink"),
    ("balloon", "floats"): (*_FLOATING, "hang in the air", "float up and down"),
    ("lantern", "floats"): (*_FLOATING, "hang in the air", "float up and down"),
    ("balloon", "drifts"): ("drift", "drift", "fly", "glide", "float along", "sail"),
    ("balloon", "rises"): (*_RISING, "lift off", "float up"),
    ("lantern", "rises"): (*_RISING, "float up", "rise into the sky"),
    ("kite", "floats"): ("fly", "hover", "flutter", "flutter in the wind"),
    ("kite", "drifts"): ("fly", "glide", "drift", "fly along"),
    ("kite", "circles"): (*_FLYING_IN_CIRCLES, "fly loops"),
    ("bird", "floats"): ("hover", "flap its wings", "flutter", "hover in the air"),
    ("bird", "drifts"): ("fly", "fly", "glide", "soar", "fly along"),
    ("bird", "circles"): (*_FLYING_IN_CIRCLES, "soar in circles"),
    ("butterfly", "floats"): ("flutter", "flutter", "hover", "flap its wings"),
    ("butterfly", "drifts"): ("fly", "flutter", "flutter along"),
    ("butterfly", "circles"): ("flutter in circles", *_FLYING_IN_CIRCLES),
    ("boat", "floats"): ("float", "bob", "rock", "bob up and down"),
    ("boat", "drifts"): ("sail", "sail", "drift", "glide", "sail along"),
    ("paper_boat", "floats"): ("float", "bob", "rock", "bob up and down"),
    ("paper_boat", "drifts"): ("drift", "drift", "sail", "float along"),
    ("fish", "floats"): ("hover", "float", "hang in the water"),
    ("fish", "drifts"): ("swim", "swim", "glide", "swim along"),
    ("fish", "leaps"): ("leap", "jump", "leap"),
    ("whale", "floats"): ("float", "hover", "hang in the water"),
    ("whale", "drifts"): ("swim", "swim", "glide", "swim along"),
    ("whale", "leaps"): ("leap", "jump", "breach"),
    ("jellyfish", "floats"): ("float", "hover", "bob up and down"),
    ("jellyfish", "drifts"): ("drift", "swim", "glide", "drift along"),
    ("jellyfish", "rises"): ("rise", "swim upwards", "float upwards", "go up"),
    ("spaceship", "floats"): ("hover", "hover", "float", "hang in the air"),
    ("spaceship", "drifts"): ("fly", "fly", "glide", "cruise", "fly along"),
    ("spaceship", "circles"): (*_FLYING_IN_CIRCLES, "orbit"),
    ("spaceship", "rises"): ("rise", "take off", "lift off", "climb", "blast off", "go up"),
    ("comet", "drifts"): ("fly", "fly", "streak", "glide", "race"),
    ("comet", "circles"): (*_FLYING_IN_CIRCLES, "orbit"),
    ("train", "drifts"): ("ride", "travel", "run", "go", "steam"),
    ("dancer", "spins"): ("spin", "twirl", "whirl", "spin around", "turn"),
    ("robot", "drifts"): ("glide", "move along", "drift", "float along"),
    ("creature", "drifts"): ("glide", "move along", "drift", "float along"),
}
"""(subject, motion) to the verbs that people use for just that."""

PACE_WORDS: Final[dict[str, tuple[str, ...]]] = {
    "slow": ("slowly", "slowly", "gently", "very slowly"),
    "normal": ("at normal speed", "at a normal pace", "at a steady pace"),
    "fast": ("fast", "quickly", "quickly", "rapidly", "at high speed"),
}
COUNT_WORDS: Final[dict[str, tuple[str, ...]]] = {
    "one": ("a single", "one", "just one"),
    "two": ("two", "two", "two", "a pair of"),
    "three": ("three", "three", "three", "a group of three"),
}
SIDE_WORDS: Final[dict[str, tuple[str, ...]]] = {
    "left": ("on the left", "on the left", "on the left side", "at the left"),
    "centre": ("in the middle", "in the middle", "in the centre", "in the center"),
    "right": ("on the right", "on the right", "on the right side", "at the right"),
}

STYLE_WORDS: Final[dict[str, tuple[str, ...]]] = {
    "natural": ("realistic", "realistic style", "natural style", "in a realistic style"),
    "watercolour": (
        *("in watercolour", "as a watercolour painting", "as a watercolour", "watercolour style", "watercolor"),
        *("painted in watercolours", "watercolour painting", "in watercolor"),
    ),
    "ink": (
        *("as an ink drawing", "ink drawing", "in ink", "drawn in ink", "ink style", "pen and ink", "ink sketch"),
        "as an ink sketch",
    ),
    "neon": (
        *("in neon", "neon style", "neon", "in neon style", "in glowing neon lines", "neon lights", "glowing neon"),
        "made of neon light",
    ),
    "pixel": (
        *("in pixel art", "pixel art", "pixel art style", "as pixel art", "like an old video game", "in pixels"),
        *("8-bit style", "retro video game style"),
    ),
    "paper": (
        *("paper cut-out style", "as a paper cut-out", "made of paper", "cut out of paper", "paper cutout"),
        *("paper collage", "in paper cut-out style", "made of cut paper"),
    ),
}
"""Style to what follows a description."""
STYLE_FRAMES: Final[dict[str, tuple[str, ...]]] = {
    "natural": ("a realistic picture of", "a realistic view of"),
    "watercolour": ("a watercolour of", "a watercolour painting of", "a watercolor painting of", "watercolour of"),
    "ink": ("an ink drawing of", "an ink sketch of", "a pen and ink drawing of"),
    "neon": ("a neon picture of", "a neon drawing of", "neon art of"),
    "pixel": ("pixel art of", "a pixel art picture of", "pixel art showing"),
    "paper": ("a paper cut-out of", "a paper collage of", "a paper cutout of"),
}
"""Style to what stands before a description that is a noun phrase."""
PALETTE_WORDS: Final[dict[str, tuple[str, ...]]] = {
    "natural": ("in natural colours", "natural colours", "natural colors"),
    "warm": ("in warm colours", "warm colours", "warm tones", "in warm tones", "warm colors", "warm palette"),
    "cool": ("in cool colours", "cool colours", "cool tones", "in cold colours", "cool colors", "cool palette"),
    "pastel": ("in pastel colours", "pastel colours", "pastel", "in soft pastels", "pastel tones", "pastel colors"),
    "mono": ("in black and white", "black and white", "black-and-white", "monochrome", "in monochrome"),
}
CAMERA_WORDS: Final[dict[str, tuple[str, ...]]] = {
    "still": ("still camera", "the camera stands still", "a fixed camera", "static shot"),
    "left": ("the camera pans left", "panning left", "camera moving left", "the camera moves to the left", "pan left"),
    "right": (
        *("the camera pans right", "panning right", "camera moving right", "the camera moves to the right"),
        "pan right",
    ),
    "zoom": (
        *("the camera slowly zooms in and out", "slowly zooming in and out", "slow zoom", "zooming in and out"),
        "the camera zooms",
    ),
    "sway": ("handheld camera", "a handheld shot", "swaying camera", "the camera sways", "shaky handheld camera"),
}

MOOD_WORDS: Final[dict[str, tuple[str, ...]]] = {
    "calm": ("calm", "calm", "calm", "gentle", "peaceful", "quiet", "relaxing", "soothing"),
    "joyful": ("joyful", "joyful", "happy", "happy", "cheerful", "merry"),
    "melancholy": ("melancholy", "melancholy", "sad", "sad", "sorrowful", "wistful"),
    "dreamy": ("dreamy", "dreamy", "dreamy", "dreamlike", "ethereal"),
    "tense": ("tense", "tense", "tense", "suspenseful", "nervous", "ominous"),
}
TEMPO_WORDS: Final[dict[str, tuple[str, ...]]] = {
    "slow": ("slow", "slow", "slow-paced"),
    "medium": ("medium-tempo", "moderate", "steady"),
    "fast": ("fast", "fast", "fast-paced", "quick"),
}
MUSIC_WORDS: Final = ("music", "music", "music", "music", "soundtrack", "score", "tune")
NO_MUSIC_WORDS: Final = ("no music", "no music", "without music", "without any music", "no soundtrack")
BEAT_WORDS: Final[dict[str, tuple[str, ...]]] = {
    "slow": ("with a slow beat", "to a slow beat", "slow tempo"),
    "medium": ("with a steady beat", "to a moderate beat", "medium tempo"),
    "fast": ("with a fast beat", "to a fast beat", "fast tempo"),
}
PULSE_WORDS: Final[dict[str, tuple[str, ...]]] = {
    "slow": ("pulsing slowly", "with a slow pulse"),
    "medium": ("pulsing steadily", "with a steady pulse"),
    "fast": ("pulsing fast", "with a fast pulse"),
}
"""Tempo where it is only seen: in an abstract place without music."""
