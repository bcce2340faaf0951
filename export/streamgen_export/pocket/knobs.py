"""The knobs of a model: what can be turned beside the prompt, in words that its captions use."""

from __future__ import annotations

from typing import Final

from streamgen_export.pocket.world.attributes import CAMERAS, MOODS, NONE, PALETTES, STYLES, TEMPOS
from streamgen_export.pocket.world.captions.words import (
    BEAT_WORDS,
    CAMERA_WORDS,
    NO_MUSIC_WORDS,
    PALETTE_WORDS,
    STYLE_WORDS,
)

KNOBS: Final[dict[str, dict[str, str]]] = {
    "style": {style: STYLE_WORDS[style][0] for style in STYLES},
    "palette": {palette: PALETTE_WORDS[palette][0] for palette in PALETTES},
    "camera": {camera: CAMERA_WORDS[camera][0] for camera in CAMERAS},
    "motion": {"slow": "moving slowly", "normal": "moving at a steady pace", "fast": "moving fast"},
    "mood": {mood: NO_MUSIC_WORDS[0] if mood == NONE else f"{mood} music" for mood in MOODS},
    "tempo": {tempo: BEAT_WORDS[tempo][0] for tempo in TEMPOS},
}
"""Name to value to words."""
