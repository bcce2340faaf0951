"""The scenes that shine by themselves: city, fire, northern lights, space and pulses."""

from __future__ import annotations

from typing import Final

from streamgen_export.pocket.scenes.backdrop import Backdrop, Layer, Lighting
from streamgen_export.pocket.scenes.canvas import curve
from streamgen_export.pocket.scenes.landscape import Land, Wandering
from streamgen_export.pocket.scenes.sky import Clouds, Stars, add_moon, sky
from streamgen_export.pocket.scenes.skyline import Skyline
from streamgen_export.pocket.scenes.spectacles import Aurora, Embers, Flames, Nebula, Planet, Rings
from streamgen_export.pocket.scenes.weather import Mist


def city(light: str, key: str, variant: int) -> Backdrop:
    """A skyline at night behind a wet quay."""
    misty = light == "misty"
    base = sky(
        [(0, "#222a3c"), (40, "#4d5468"), (74, "#7c7a80")]
        if misty
        else [(0, "#070a1f"), (34, "#221c48"), (58, "#6a3a66"), (74, "#c0705c")]
    )
    glow = "#85838c" if misty else "#a8566a"
    skyline = Skyline(key, glow=glow, haze=0.95 if misty else 0.6)
    if not misty:
        add_moon(base, (128.0, 30.0, 92.0)[variant], 14, 6, "#cdb8e8", 0.9)
        layers: tuple[Layer, ...] = (
            Stars("city", 22, 34, 0.7),
            Clouds(
                "city",
                rows=40,
                size=(110, 12),
                cover=-0.6,
                edge=1.6,
                lit="#b46a86",
                shaded="#2c2250",
                opacity=0.6,
                speed=2.0,
                light_from=(0, 3),
            ),
            skyline,
        )
        return Backdrop(
            base, layers, (), Lighting((-0.4, -0.6), "#fff0e0", 0.5, "#ffb48a", "#b8a0d8", 0.4, mirror=0.35, glow=0.18)
        )
    fog = Mist("city", top=30, bottom=78, strength=0.8, colour="#9c9da6", speed=5.0)
    low = Mist("city low", top=66, bottom=100, strength=0.4, colour="#9a9aa2", speed=-6.0)
    return Backdrop(
        base,
        (skyline, fog),
        (low,),
        Lighting((-0.2, -0.8), "#f4f2ee", 0.54, "#d8d4cc", "#b8b8c4", 0.35, mirror=0.3, glow=0.14),
    )


def fire(light: str, key: str, variant: int) -> Backdrop:
    """Flames or embers in the dark."""
    if light == "dim":
        base = sky([(0, "#0b0507"), (50, "#1a0a09"), (96, "#2c0f0a")])
        embers = Embers("embers", 70, "#5e1208", "#e2460f", 1.25)
        flames = Flames(
            ("#3a0d08", "#8f230b", "#7c1c08", "#c8480e", "#b8400c", "#f08a28"), 60 + 4 * variant, "#c23c0c", 0.42
        )
        return Backdrop(
            base, (flames, embers), (), Lighting((0.1, 0.8), "#ffc28a", 0.5, "#ff7a2e", "#d88a60", 0.3, glow=0.1)
        )
    base = sky([(0, "#1a0808"), (50, "#3a1108"), (96, "#54180a")])
    flames = Flames(
        ("#a81c06", "#f04a0c", "#ff6a10", "#ffb02a", "#ffd24a", "#fff6c8"), 104 + 6 * variant, "#ff7a22", 0.6
    )
    embers = Embers("coals", 82, "#5e1208", "#e2460f", 1.3)
    return Backdrop(
        base, (flames, embers), (), Lighting((0.1, 0.7), "#ffdca6", 0.54, "#ffb04a", "#e8a070", 0.3, glow=0.05)
    )


def aurora(light: str, key: str, variant: int) -> Backdrop:
    """Northern lights over snowy mountains."""
    bright = light == "bright"
    base = sky(
        [(0, "#0b0722"), (40, "#221146"), (66, "#43246a")]
        if bright
        else [(0, "#040a1c"), (40, "#0a2236"), (66, "#174454")]
    )
    ridge, near = curve(key + " far", 62, 8, 4, 90), curve(key + " near", 76, 3, 2, 220)
    curtains = (
        Aurora("#ff5fb4", "#8a3dff", "#c46bff", "#4a4bff", 1.3)
        if bright
        else Aurora("#5dffa0", "#1fb5a0", "#39e0c0", "#3a6fd8", 1.25)
    )
    rock, snow_light = ("#1a1236", "#b48ad8") if bright else ("#0c1c2c", "#8fd8c4")
    land = Land().peaks(ridge, rock, snow_light, 9)
    land.hill(
        near,
        "#8d6cb8" if bright else "#6fae9f",
        "#241640" if bright else "#0d2a36",
        16,
        grain=key,
        rim="#e2b6ff" if bright else "#b4f2d8",
    )
    for x, h in ((16, 15), (26, 19), (146, 17)):
        land.pine(x, 79, h, "#0b0a1e" if bright else "#06121c")
    lighting = Lighting(
        (0.0, -0.8),
        "#f6e4ff" if bright else "#e2fff2",
        0.5,
        "#d88aff" if bright else "#7dffc0",
        "#b090e0" if bright else "#90c8c0",
        0.4,
        glow=0.14,
    )
    return Backdrop(
        base, (Stars("aurora", 46, 62, 0.9), curtains, land, Wandering("aurora", 60, 0.14, 5.0, (60, 16))), (), lighting
    )


def space(light: str, key: str, variant: int) -> Backdrop:
    """A ringed planet among stars."""
    misty = light == "misty"
    base = sky(
        [(0, "#0d0620"), (48, "#1d0c38"), (96, "#120726")]
        if misty
        else [(0, "#03050f"), (48, "#080d22"), (96, "#04060f")]
    )
    nebula = Nebula("nebula", ("#b23cff", "#ff4fa0"), 0.75) if misty else Nebula("space", ("#2a4fa8", "#234a78"), 0.48)
    x, y = ((124.0, 30.0), (34.0, 34.0), (118.0, 66.0))[variant]
    planet = Planet(
        x, y, 21.0, ("#8a5a3c", "#f0c48a", "#c98a5a", "#ffe3b4", "#b87a52", "#e8b884", "#7a4a38"), "#e6cfa8"
    )
    lighting = Lighting(
        (-0.6, -0.5),
        "#ffffff",
        0.46,
        "#a8c4ff" if not misty else "#ff9ae0",
        "#b4c0e8" if not misty else "#c8a0e8",
        0.0,
        glow=0.18,
    )
    return Backdrop(base, (Stars("space", 64, 96, 1.0), nebula, planet), (), lighting)


_RING_COLOURS: Final[dict[str, tuple[str, str]]] = {
    "none": ("#5a5f86", "#11121d"),
    "red": ("#ff2a2a", "#2c0508"),
    "orange": ("#ff8412", "#2c1404"),
    "yellow": ("#ffe01e", "#2a2406"),
    "green": ("#22e04a", "#04240e"),
    "cyan": ("#16e4f0", "#042428"),
    "blue": ("#2452ff", "#050c34"),
    "purple": ("#9a2cff", "#18062e"),
    "pink": ("#ff62b4", "#2e0a1e"),
    "white": ("#f4f6ff", "#1c1e26"),
}
"""Colour of the rings and of the dark between them; "none" where a subject has the colour."""


def pulses(light: str, colour: str) -> Backdrop:
    """Rings of light that leave the centre on every beat, in the given colour or, for "none", in grey."""
    bright, deep = _RING_COLOURS[colour]
    rings = Rings(bright, deep, 1.15 if light == "bright" else 0.5)
    still = sky([(0, deep), (96, deep)])
    return Backdrop(still, (rings,), (), Lighting((-0.4, -0.6), "#ffffff", 0.52, "#ffffff", "#d8def0", 0.0, glow=0.16))
