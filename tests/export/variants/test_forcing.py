"""Errors on the same inputs: none against itself, ordered as the precisions are, and states that do not go apart."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from streamgen_engines.bundle import Bundle
from streamgen_engines.families import Condition, PocketGenerator
from streamgen_engines.runtimes import OnnxRuntimeCpu
from streamgen_engines.text import TextEncoder
from streamgen_export.bundle_copy import MadeGraph, write_copy
from streamgen_export.ranges import Range
from streamgen_export.static_linears import linear_inputs, quantise_static
from streamgen_export.variants.finding import finite
from streamgen_export.variants.forcing import STATES, Errors, ForcedRuntime, forced_errors
from streamgen_export.variants.verdict import LARGEST_ERROR, verdict
from tests.export.variants.material import judged

PROMPTS = ("waves", "snow in a forest")


@pytest.fixture(scope="module")
def errors(variants: dict[str, Bundle]) -> dict[str, Errors]:
    return forced_errors(variants["float32"], variants, PROMPTS, chunks=9, seed=5)


def worst(found: Mapping[str, float]) -> float:
    return max(found.values())


def test_float32_is_not_off_from_itself(errors: dict[str, Errors]) -> None:
    assert errors["float32"].keys() == {"text", "denoise", "decode_video", "decode_audio"}
    assert errors["float32"]["denoise"].keys() == {"video_velocity", "audio_velocity", STATES}
    assert {error for outputs in errors["float32"].values() for error in outputs.values()} == {0.0}


def test_errors_are_finite_and_ordered_as_the_precisions_are(errors: dict[str, Errors]) -> None:
    denoise = {name: worst(found["denoise"]) for name, found in errors.items()}
    assert all(np.isfinite(value) for value in denoise.values())
    assert 0 < denoise["fp16"] < 0.01
    for name in ("int8-dynamic", "int8-static", "int8-gpu", "fp8"):
        assert 2 * denoise["fp16"] < denoise[name] < 0.25, name


def test_what_a_variant_takes_over_is_exact(errors: dict[str, Errors]) -> None:
    for name in ("int8-dynamic", "int8-static"):
        assert set(errors[name]["decode_video"].values()) == {0.0}
        assert 0 < worst(errors[name]["text"]) < 0.4  # the bundle's own int8 against float32


def test_the_float32_stream_is_what_goes_on(variants: dict[str, Bundle]) -> None:
    """Chunks are those of float32 alone, past the point where the window is full and the sink has moved."""
    plain = variants["float32"]
    forced = ForcedRuntime(OnnxRuntimeCpu(), plain, {"int8-static": variants["int8-static"]})
    condition = Condition(TextEncoder(plain, OnnxRuntimeCpu()).encode("waves"))
    one, two = PocketGenerator(plain, forced, seed=3), PocketGenerator(plain, OnnxRuntimeCpu(), seed=3)
    for _ in range(10):
        np.testing.assert_array_equal(one.step(condition).video, two.step(condition).video)


def test_spoiled_scales_fail_the_rule(variants: dict[str, Bundle], tmp_path: Path) -> None:
    plain = variants["float32"]
    source = plain.path("denoise").read_bytes()
    spoiled = {name: Range(-0.001, 0.001) for name in linear_inputs(source)}
    graph = quantise_static(source, spoiled, name="denoise")
    broken = Bundle.open(write_copy(plain, tmp_path / "broken", {"denoise": MadeGraph(graph, "int8")}))
    found = forced_errors(plain, {"broken": broken}, PROMPTS[:1], chunks=2, seed=5)["broken"]
    assert worst(found["denoise"]) > LARGEST_ERROR
    assert verdict(finite(found), judged(0.0)).result == "lost"
