"""Findings that nobody found, for tests of what follows from them."""

from __future__ import annotations

import hashlib

from streamgen_engines.bundle import Bundle
from streamgen_export.variants.distance import Distance
from streamgen_export.variants.finding import Finding
from streamgen_export.variants.kinds import KINDS
from streamgen_export.variants.score import Look
from streamgen_export.variants.speed import Speed
from streamgen_export.variants.verdict import Judged


def judged(gain: float | None, margin: float | None = 0.02) -> Judged:
    return Judged(0.5 + (gain or 0.0), 0.04, gain, None if gain is None else margin, takes=48, chunks=8)


def finding(
    variant: str = "int8-static", *, gain: float | None = 0.0, margin: float | None = 0.02, manifest: str = "0" * 64
) -> Finding:
    return Finding(
        variant=variant,
        device=KINDS[variant].device,
        manifest_sha256=manifest,
        precisions={"text": "int8", "denoise": "int8"},
        graph_bytes={"text": 16_000_000, "denoise": 20_000_000},
        errors={
            "text": {"context": 0.0, "pooled": 0.0},
            "denoise": {"video_velocity": 0.061, "audio_velocity": 0.031, "states": 0.04},
        },
        distance=Distance((0.1, 0.4), (0.05, 0.3), (2.0, 9.0)),
        speed=Speed(1.62, 1.5, 1.7, 9.1, 10),
        judged=judged(gain, margin),
        look=Look({"place": 0.6}, -0.01, 0.9, 0.0, 0.2, 0.005, 0.007),
    )


def sha256_of(bundle: Bundle) -> str:
    return hashlib.sha256((bundle.root / "manifest.json").read_bytes()).hexdigest()
