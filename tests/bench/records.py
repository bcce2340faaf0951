"""Records of runs that never happened, for tests of what is made of them."""

from typing import Any


def run(bench: str, figures: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {
        "bench": bench,
        "at": "2026-01-02T03:04:05+00:00",
        "commit": "0123456789abcdef0123456789abcdef01234567",
        "dirty": False,
        "hardware": {"cpu": "Test CPU", "cores": 2, "memory_mib": 8192},
        "software": {"python": "3.11.7", "onnxruntime": "1.32.0"},
        "bundle": {"name": "pocket", "manifest_sha256": "fedcba9876543210" * 4},
        "load_average_1m": 0.1,
        "load_average_1m_after": 1.5,
        "settings": {"minutes": 10.0, "prompts": 50, "joins": 10, "steps": 4, "guidance": 1.5},
        "figures": figures,
        "failures": [],
    } | fields


def summary(value: float) -> dict[str, float]:
    return {"count": 50, "p50": value, "p95": value + 100, "least": value - 1, "most": value + 200}


def served() -> dict[str, Any]:
    """Figures that meet every target."""
    return {
        "realtime_ratio": summary(1.8),
        "sampler_steps": {"count": 1, "p50": 4.0, "p95": 4.0, "least": 4.0, "most": 4.0},
        "first_picture_ms": summary(700),
        "prompt_to_photon_ms": summary(640),
        "playout_skew_ms": summary(-5),
        "playout_skew_abs_ms": {"count": 50, "p50": 5.0, "p95": 20.0, "least": 0.0, "most": 30.0},
        "memory_mib": {"both": {"first": 300.0, "last": 300.5, "slope_per_min": 0.02, "samples": 96}},
        "underruns": 0,
        "holds": [],
    }


def generated() -> dict[str, Any]:
    ms = {"chunk: denoise": summary(120), "chunk: decode and encode": summary(60), "denoise": summary(13)}
    return {
        "chunk_ms": 320.0,
        "variants": [{"steps": 4, "guidance": 1.5, "passes": 9, "realtime_ratio": 2.25, "ms": ms}],
    }
