"""The scenes at sea: by day, in a storm, at night and at sunset."""

from __future__ import annotations

from streamgen_export.pocket.scenes.backdrop import Backdrop, Lighting
from streamgen_export.pocket.scenes.sky import Clouds, LowSun, Stars, add_moon, add_sun, sky
from streamgen_export.pocket.scenes.water import Breakers, Water
from streamgen_export.pocket.scenes.weather import Mist


def sea(light: str, key: str, variant: int) -> Backdrop:
    """Open water under an open, a stormy or a night sky."""
    x = (106.0, 58.0, 84.0)[variant]
    if light == "stormy":
        base = sky([(0, "#2c343d"), (30, "#4c5761"), (50, "#7d8a8e")])
        clouds = Clouds(
            "storm",
            rows=52,
            size=(100, 26),
            cover=0.8,
            edge=1.5,
            lit="#7f8b92",
            shaded="#1f262e",
            opacity=0.9,
            speed=11.0,
            light_from=(2, 3),
            roughness=0.9,
            fade=20,
        )
        mist = Mist("storm", top=42, bottom=58, strength=0.5, colour="#98a5a8", speed=14.0)
        return Backdrop(
            base,
            (clouds, Breakers(50, far="#5c6f74", near="#17323b", foam="#e3eceb", through="#4f9a96"), mist),
            (),
            Lighting((-0.3, -0.8), "#e8eef0", 0.52, "#dfe8ea", "#b5c2c6", 0.25, mirror=0.2),
        )
    if light == "night":
        base = sky([(0, "#050a20"), (30, "#11224c"), (48, "#34507f")])
        add_moon(base, x, 19, 9, "#a9c4ff")
        clouds = Clouds(
            "sea night",
            rows=44,
            size=(100, 13),
            cover=-0.7,
            edge=1.6,
            lit="#8fa6d4",
            shaded="#1a2a55",
            opacity=0.36,
            speed=2.4,
            roughness=0.7,
        )
        water = Water(
            48,
            colours=("#24406e", "#060f28"),
            crest="#5f82bd",
            mirror=0.4,
            swell=0.8,
            glitter="#f3f3e0",
            glitter_x=x,
            sparkle=0.85,
        )
        return Backdrop(
            base,
            (Stars("sea", 40, 44), clouds, water),
            (),
            Lighting(
                (0.4 if x > 80 else -0.4, -0.7), "#e4ecff", 0.46, "#b9ceff", "#8ba6e0", 0.3, mirror=0.5, glow=0.16
            ),
        )
    base = sky([(0, "#3f8fdc"), (26, "#83c3f0"), (48, "#d8f0f6")])
    add_sun(base, x, 13, 7, "#fffef2", "#fff6cf", 30)
    clouds = Clouds(
        "sea",
        rows=46,
        size=(62, 28),
        cover=-0.85,
        edge=0.7,
        lit="#ffffff",
        shaded="#aac8e2",
        opacity=0.92,
        speed=3.0,
        roughness=1.7,
    )
    water = Water(
        48,
        colours=("#4a9cc9", "#0d4f86"),
        crest="#a9def0",
        mirror=0.35,
        swell=0.9,
        glitter="#fffef0",
        glitter_x=x,
        sparkle=0.6,
    )
    return Backdrop(
        base, (clouds, water), (), Lighting((-0.5, -0.65), "#fffdf0", 0.56, "#ffffff", "#e6f3fa", 0.25, mirror=0.45)
    )


def sunset(light: str, key: str, variant: int) -> Backdrop:
    """The sun on the horizon of the sea."""
    x = (80.0, 52.0, 110.0)[variant]
    if light == "cloudy":
        base = sky([(0, "#2b1f4a"), (22, "#6a3a72"), (38, "#c25f7f"), (50, "#ff9d86")])
        sun = LowSun(x, 45, 9, colour="#ffd9a8", glow="#ff7a6a", bottom=50)
        clouds = Clouds(
            "sunset cloudy",
            rows=50,
            size=(130, 18),
            cover=0.35,
            edge=1.3,
            lit="#ff9a8c",
            shaded="#46305f",
            opacity=0.9,
            speed=3.6,
            light_from=(0, 3),
            roughness=0.8,
            fade=10,
        )
        water = Water(
            50,
            colours=("#b0587c", "#1d1638"),
            crest="#f0919a",
            mirror=0.55,
            swell=0.8,
            glitter="#ffc3a0",
            glitter_x=x,
            sparkle=0.6,
        )
        return Backdrop(
            base,
            (clouds, sun, water),
            (),
            Lighting((-0.5, -0.5), "#ffdcd2", 0.5, "#ff9f8a", "#e3a0b8", 0.3, mirror=0.5, glow=0.06),
        )
    base = sky([(0, "#33286a"), (16, "#7d4385"), (33, "#e0664f"), (50, "#ff9f48")])
    sun = LowSun(x, 42, 13, colour="#fff2b0", glow="#ffa53c", bottom=50)
    clouds = Clouds(
        "sunset",
        rows=46,
        size=(120, 12),
        cover=-0.3,
        edge=1.2,
        lit="#ffc274",
        shaded="#94507c",
        opacity=0.85,
        speed=2.6,
        light_from=(0, 3),
        roughness=0.8,
    )
    water = Water(
        50,
        colours=("#e08a5a", "#3b2350"),
        crest="#ffc98a",
        mirror=0.55,
        swell=0.8,
        glitter="#fff0b8",
        glitter_x=x,
        sparkle=0.9,
    )
    return Backdrop(
        base,
        (clouds, sun, water),
        (),
        Lighting((-0.5, -0.5), "#fff0d2", 0.52, "#ffc070", "#ffc79a", 0.3, mirror=0.5, glow=0.05),
    )
