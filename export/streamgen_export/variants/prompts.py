"""What streams are told while ranges and errors are measured.

Plain prompts in a model's own world, with light and dark, still and busy pictures and several kinds of sound, so that
activations are seen as they are in use. The judge scores with prompts of its own.
"""

from __future__ import annotations

from typing import Final

CALIBRATING: Final = (
    "a calm blue sea at noon",
    "heavy rain over a grey city at night, thunder",
    "soft snow falls on a forest, slow chords",
    "fireworks over a river, a crowd, fast music",
    "a red ball bounces on the sand at sunset",
    "stars and a ringed planet, a deep hum",
    "a green fish swims under the ice",
    "a camp fire in the dark, crackling",
)
"""On these ranges are measured."""

MEASURING: Final = (
    "a storm at sea, high waves, a lighthouse",
    "a yellow bird over a meadow in the morning",
    "neon rings pulse with a fast beat",
    "a white boat on a misty lake at dawn",
)
"""On these errors are measured: none of them is one of the others."""
