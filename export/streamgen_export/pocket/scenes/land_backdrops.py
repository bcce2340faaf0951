"""The scenes on land: meadow, hills at night, rain, snow and desert, each in its lights."""

from __future__ import annotations

from streamgen_export.pocket.scenes.backdrop import Backdrop, Layer, Lighting
from streamgen_export.pocket.scenes.canvas import curve
from streamgen_export.pocket.scenes.landscape import Land, Wandering
from streamgen_export.pocket.scenes.sky import Clouds, Stars, add_moon, add_sun, sky
from streamgen_export.pocket.scenes.weather import Mist, Rain, Snow


def meadow(light: str, key: str, variant: int) -> Backdrop:
    """Green hills with two trees under a wide sky."""
    far, mid = curve(key + " far", 50, 5), curve(key + " mid", 58, 5)
    near = curve(key + " near", 70, 4, 2, 220)
    x = (122.0, 36.0, 100.0)[variant]
    if light == "golden":
        base = sky([(0, "#5f7fb4"), (22, "#b6a6ae"), (40, "#f6c583"), (56, "#ffdf9e")])
        add_sun(base, x, 37, 6.5, "#fff6d2", "#ffc35e", 42)
        clouds = Clouds(
            "meadow",
            rows=46,
            size=(80, 20),
            cover=-0.35,
            edge=1.3,
            lit="#ffe3b0",
            shaded="#b98a86",
            opacity=0.8,
            speed=3.0,
            roughness=0.8,
        )
        land = Land().hill(far, "#c79a6c", "#b98f6a", 10).hill(mid, "#b99a3e", "#7f7a34", 9, rim="#ffe08a")
        land.tree(30 if variant != 1 else 128, 66, 6.5, "#c9a545", "#57521f").tree(
            44 if variant != 1 else 140, 63, 4.5, "#b8993f", "#57521f"
        )
        land.hill(near, "#d8b545", "#5f6a22", 17, grain=key, rim="#ffeaa0")
        lighting = Lighting((-0.5, -0.45), "#ffe2ac", 0.5, "#ffd27a", "#ffcf8a", 0.5)
    elif light == "cloudy":
        base = sky([(0, "#8f9ba8"), (40, "#c3cace"), (60, "#d6d8d4")])
        clouds = Clouds(
            "meadow",
            rows=56,
            size=(110, 26),
            cover=0.7,
            edge=1.8,
            lit="#dde1e3",
            shaded="#8a949f",
            opacity=0.85,
            speed=5.0,
            roughness=0.8,
        )
        land = Land().hill(far, "#92a69a", "#9db0a2", 10).hill(mid, "#7f9b6c", "#6d8a5e", 9)
        land.tree(30 if variant != 1 else 128, 66, 6.5, "#6f8d58", "#33492f").tree(
            44 if variant != 1 else 140, 63, 4.5, "#6f8d58", "#3c5235"
        )
        land.hill(near, "#86a45c", "#4b6b35", 17, grain=key)
        lighting = Lighting((-0.2, -0.8), "#f2f5f7", 0.6, "#ffffff", "#dfe6ea", 0.32)
    else:
        base = sky([(0, "#2f7fd6"), (26, "#6db3ee"), (52, "#cdeaf7")])
        add_sun(base, x, 14, 7, "#fffef0", "#fff3c4", 30)
        clouds = Clouds(
            "meadow",
            rows=48,
            size=(58, 30),
            cover=-0.75,
            edge=0.7,
            lit="#ffffff",
            shaded="#a9c3dd",
            opacity=0.95,
            speed=3.4,
            roughness=1.7,
        )
        land = Land().hill(far, "#86b3b8", "#8fbf9f", 10).hill(mid, "#6fb04f", "#4c9340", 9)
        land.tree(30 if variant != 1 else 128, 66, 6.5, "#5fa83f", "#20562b").tree(
            44 if variant != 1 else 140, 63, 4.5, "#5fa83f", "#245c2e"
        )
        land.hill(near, "#8fd04f", "#3b8a33", 17, grain=key)
        lighting = Lighting((-0.55, -0.65), "#fffbe8", 0.56, "#ffffff", "#f3f8ee", 0.48)
    return Backdrop(base, (clouds, land, Wandering("meadow", 50, 0.13, 7.0, (70, 16))), (), lighting)


def night_hills(light: str, key: str, variant: int) -> Backdrop:
    """Dark hills under a full moon."""
    x = (112.0, 46.0, 84.0)[variant]
    misty = light == "misty"
    if misty:
        base = sky([(0, "#1b2338"), (40, "#3a475e"), (64, "#5d6b7e")])
        add_moon(base, x, 22, 9, "#b9c8dd", 0.72)
    else:
        base = sky([(0, "#060b22"), (34, "#14234d"), (62, "#30477a")])
        add_moon(base, x, 22, 9.5, "#a9c4ff", 1.0)
    far, mid, near = curve(key + " far", 56, 6), curve(key + " mid", 65, 6), curve(key + " near", 76, 4, 2, 200)
    stars = Stars("night_hills", 48, 58, 0.35 if misty else 1.0)
    haze = ("#4a5870", "#3b4860", "#212b3c") if misty else ("#2a3d6d", "#1a2a52", "#0e1836")
    one = Land().hill(far, haze[0], haze[0], 12, rim="#7f97c4" if not misty else "#8392a8")
    two = Land().hill(mid, haze[1], haze[2], 14, rim="#5a75ac" if not misty else "#6d7d94")
    three = Land().hill(
        near, "#16233f" if not misty else "#2a3648", "#060a16" if not misty else "#121a26", 16, grain=key, rim="#4b679c"
    )
    three.pine(20, 80, 17, "#070c1a").pine(30, 82, 13, "#080e1e").pine(144, 80, 15, "#070c1a")
    clouds = Clouds(
        "night_hills",
        rows=50,
        size=(90, 16),
        cover=-0.7,
        edge=1.8,
        lit="#8fa6d4",
        shaded="#1d2a52",
        opacity=0.36,
        speed=2.2,
        roughness=0.7,
    )
    if misty:
        fog1 = Mist("night 1", top=48, bottom=68, strength=0.75, colour="#9fadc2", speed=5.0)
        fog2 = Mist("night 2", top=62, bottom=88, strength=0.8, colour="#8f9db3", speed=-4.0)
        layers: tuple[Layer, ...] = (stars, clouds, one, fog1, two, fog2, three)
        before: tuple[Layer, ...] = (Mist("night 3", top=76, bottom=100, strength=0.5, colour="#98a6bc", speed=7.0),)
    else:
        layers, before = (stars, clouds, one, two, three, Wandering("night_hills", 56, 0.2, 5.0, (70, 18))), ()
    return Backdrop(
        base,
        layers,
        before,
        Lighting((0.45 if x > 80 else -0.45, -0.7), "#dfe9ff", 0.46, "#a9c4ff", "#8ea8e0", 0.45, glow=0.16),
    )


def rain(light: str, key: str, variant: int) -> Backdrop:
    """Hills that pale in the rain."""
    far, mid, near = curve(key + " far", 50, 6), curve(key + " mid", 60, 6), curve(key + " near", 72, 4, 2, 220)
    if light == "stormy":
        base = sky([(0, "#20262e"), (40, "#46505a"), (60, "#626d74")])
        clouds = Clouds(
            "rain storm",
            rows=56,
            size=(110, 28),
            cover=0.8,
            edge=1.5,
            lit="#68737c",
            shaded="#171c23",
            opacity=0.9,
            speed=12.0,
            light_from=(1, 3),
            fade=22,
        )
        land = (
            Land()
            .hill(far, "#4a575d", "#56636a", 12)
            .hill(mid, "#39474a", "#3d4c4e", 12)
            .hill(near, "#3c4b42", "#161f1d", 18, grain=key)
        )
        rain = (
            Rain("heavy far", spacing=5, length=16, slant=0.42, strength=0.3, colour="#b9c6d0"),
            Rain("heavy near", spacing=9, length=24, slant=0.42, strength=0.36, colour="#d5e0e8"),
        )
        lighting = Lighting((-0.2, -0.8), "#e6edf2", 0.52, "#cfdae2", "#a4b2bc", 0.3, mirror=0.14)
    else:
        base = sky([(0, "#6c7884"), (40, "#98a3aa"), (60, "#b3babb")])
        clouds = Clouds(
            "rain",
            rows=54,
            size=(110, 24),
            cover=0.7,
            edge=1.8,
            lit="#b4bdc2",
            shaded="#66727d",
            opacity=0.85,
            speed=6.0,
        )
        land = (
            Land()
            .hill(far, "#8a9a9c", "#94a3a3", 12)
            .hill(mid, "#6e8480", "#74897f", 12)
            .hill(near, "#6d8668", "#33473a", 18, grain=key)
        )
        rain = (
            Rain("light far", spacing=8, length=14, slant=0.2, strength=0.3, colour="#dfe7ec"),
            Rain("light near", spacing=14, length=20, slant=0.2, strength=0.36, colour="#eef4f8"),
        )
        lighting = Lighting((-0.2, -0.8), "#f0f4f6", 0.56, "#e4ecf0", "#c3ced4", 0.3, mirror=0.12)
    haze = Mist(
        key + " haze", top=46, bottom=70, strength=0.5, colour="#8f9ca2" if light == "stormy" else "#b9c3c6", speed=8.0
    )
    return Backdrop(base, (clouds, land, haze, rain[0]), (rain[1],), lighting)


def snow(light: str, key: str, variant: int) -> Backdrop:
    """White hills with a cabin."""
    far, mid, near = curve(key + " far", 48, 7), curve(key + " mid", 60, 5), curve(key + " near", 72, 4, 2, 220)
    flakes = (
        Snow("far", spacing=19, size=1.2, speed=1.0, strength=0.62),
        Snow("near", spacing=32, size=2.1, speed=2.0, strength=0.85),
    )
    side = 128.0 if variant == 1 else 34.0
    if light == "night":
        base = sky([(0, "#0a1230"), (40, "#1f3060"), (60, "#3c5186")])
        add_moon(base, (118.0, 40.0, 96.0)[variant], 18, 7.5, "#b4c8ff")
        land = (
            Land().hill(far, "#5a6ea6", "#3a4d82", 14, rim="#9db2e6").hill(mid, "#6f86bd", "#45598f", 12, rim="#a9bdec")
        )
        land.cabin(side, 72, "#2b2438", "#8497c8", "#ffc764")
        for x, h in ((side - 17, 19), (side + 18, 16), (160 - side, 15)):
            land.pine(x, 71, h, "#16233f", "#8ca2d4")
        land.hill(near, "#a3b7e4", "#5a6fa8", 18, grain=key)
        lighting = Lighting((0.4, -0.7), "#e8efff", 0.5, "#c4d4ff", "#9fb4e6", 0.4, glow=0.12)
        layers: tuple[Layer, ...] = (
            Stars("snow", 30, 44, 0.8),
            land,
            Wandering("snow", 48, 0.1, 6.0, (80, 18)),
            flakes[0],
        )
    else:
        base = sky([(0, "#a3b2c4"), (40, "#cfd8e2"), (60, "#e6eaee")])
        clouds = Clouds(
            "snow",
            rows=52,
            size=(110, 24),
            cover=0.5,
            edge=1.9,
            lit="#eceff3",
            shaded="#a7b3c3",
            opacity=0.7,
            speed=4.0,
        )
        land = Land().hill(far, "#dbe4ee", "#b7c6d8", 14).hill(mid, "#eff4f9", "#c0cfe0", 12)
        land.cabin(side, 72, "#6b4a3c", "#f4f7fb", "#ffd27a")
        for x, h in ((side - 17, 19), (side + 18, 16), (160 - side, 15)):
            land.pine(x, 71, h, "#3d5a58", "#f1f6fb")
        land.hill(near, "#fbfdff", "#b9c9de", 18, grain=key)
        lighting = Lighting((-0.3, -0.8), "#ffffff", 0.6, "#ffffff", "#e8f0f8", 0.36)
        layers = (clouds, land, Wandering("snow", 48, 0.05, 6.0, (80, 18)), flakes[0])
    return Backdrop(base, layers, (flakes[1],), lighting)


def desert(light: str, key: str, variant: int) -> Backdrop:
    """Dunes with sharp crests."""
    far, mid, near = curve(key + " far", 54, 4), curve(key + " mid", 63, 6, 2, 130), curve(key + " near", 74, 5, 2, 190)
    x = (120.0, 40.0, 96.0)[variant]
    wind = Wandering("desert", 52, 0.07, 10.0, (60, 10))
    if light == "night":
        base = sky([(0, "#070a22"), (34, "#1a2152"), (56, "#4a4478")])
        add_moon(base, x, 18, 7, "#c4c8ff")
        land = (
            Land()
            .hill(far, "#4a4a78", "#3f4270", 10)
            .dune(mid, "#5f6296", "#262a55", "#3c3f70", 16)
            .dune(near, "#7678aa", "#23264c", "#2c2e58", 20)
        )
        return Backdrop(
            base,
            (Stars("desert", 54, 54), land, wind),
            (),
            Lighting((-0.5, -0.6), "#e4e8ff", 0.48, "#b4bcff", "#9aa0dc", 0.45, glow=0.16),
        )
    if light == "golden":
        base = sky([(0, "#4f4a86"), (22, "#c06a78"), (40, "#ff9f5a"), (56, "#ffd88a")])
        add_sun(base, x, 42, 8, "#fff3c0", "#ffb14e", 40)
        clouds = Clouds(
            "desert golden",
            rows=44,
            size=(120, 11),
            cover=-0.7,
            edge=1.2,
            lit="#ffc88a",
            shaded="#b06a80",
            opacity=0.75,
            speed=2.2,
            light_from=(0, 3),
        )
        land = (
            Land()
            .hill(far, "#c87a62", "#d08a62", 10)
            .dune(mid, "#f0a458", "#9a4a4a", "#d07a48", 16)
            .dune(near, "#ffbe6a", "#8a3f44", "#b5623c", 22)
        )
        return Backdrop(
            base, (clouds, land, wind), (), Lighting((-0.6, -0.4), "#fff0d2", 0.5, "#ffc070", "#ffc79a", 0.5)
        )
    base = sky([(0, "#2f86d8"), (26, "#78bcec"), (54, "#e6eee2")])
    add_sun(base, x, 14, 7, "#fffef2", "#fff3c4", 32)
    clouds = Clouds(
        "desert", rows=44, size=(110, 10), cover=-1.0, edge=1.2, lit="#ffffff", shaded="#c4d8e6", opacity=0.7, speed=2.4
    )
    land = (
        Land()
        .hill(far, "#d8b98a", "#dcc094", 10)
        .dune(mid, "#f0cf8e", "#c0905a", "#e0b878", 16)
        .dune(near, "#fbdc9c", "#b8844e", "#d8a862", 22)
    )
    return Backdrop(
        base, (clouds, land, wind), (), Lighting((-0.55, -0.65), "#fffbe8", 0.56, "#ffffff", "#fff4dc", 0.48)
    )
