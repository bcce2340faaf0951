"""What is judged, and the right answers."""

from __future__ import annotations

from typing import Final

from streamgen_export.pocket.world.attributes import NONE, VOCABULARY, Attributes

CHANGED: Final = ("place", "time", "weather", "subject", "colour", "style")
"""Attributes that the pictures of one chunk show, and that prompts are changed in."""
JUDGED: Final = (*CHANGED, "palette", "camera", "motion", "happening", "mood", "tempo")
"""All attributes that are recognised."""
TARGETS: Final = ("place", "subject", "colour", "weather", "style", "mood")
"""Attributes of which the asked value must be named in at least `TARGET_SHARE` of the chunks."""
TARGET_SHARE: Final = 0.85
WINDOW_CHUNKS: Final = 8
"""Chunks that are seen or heard at once to name what takes time, 1.92 s: every motion, beat and happening shows."""
TEMPO_CHUNKS: Final = 12
"""Chunks of sound in which the tempo shows: three slow beats."""
WINDOW: Final = {
    **dict.fromkeys(JUDGED, 1),
    **dict.fromkeys(("camera", "motion", "happening", "mood"), WINDOW_CHUNKS),
    "tempo": TEMPO_CHUNKS,
}
"""Chunks that the recogniser of each attribute sees at once."""
EVENTS: Final = ("contact", "splash", "burst", "flash")
"""Kinds of events that are both seen and heard."""
UNASKED: Final = -1


def label(attributes: Attributes) -> list[int]:
    """Class number of each attribute of `JUDGED`; `UNASKED` where there is no right answer to ask for.

    A place without weather has none to recognise, two different subjects have no one name and colour, there are no
    colours in shades of grey, and music that is not there has no tempo.
    """
    a = attributes
    classes = [VOCABULARY[name].index(getattr(a, name)) for name in JUDGED]
    for name in ("time", "weather", "subject", "colour", "motion"):
        if getattr(a, name) == NONE:
            classes[JUDGED.index(name)] = UNASKED
    if a.second != NONE:
        classes[JUDGED.index("subject")] = classes[JUDGED.index("colour")] = UNASKED
    if a.palette == "mono":
        classes[JUDGED.index("colour")] = UNASKED
    if a.mood == NONE:
        classes[JUDGED.index("tempo")] = UNASKED
    return classes
