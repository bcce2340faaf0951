"""What is computed once gives the numbers that are computed on every call, up to the order of sums."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from streamgen_engines.bundle import Bundle
from streamgen_export.variants.distance import Streams
from streamgen_export.variants.emulation import emulated, folded


@pytest.mark.parametrize("name", ["fp8", "int8-gpu"])
def test_chunks_are_the_same(variants: dict[str, Bundle], name: str, tmp_path: Path) -> None:
    quicker = emulated(variants[name], tmp_path / name)
    streams = Streams(("waves",), chunks=3, seed=1)
    for one, other in zip(streams.made_by(variants[name]), streams.made_by(quicker), strict=True):
        np.testing.assert_allclose(one.latents.video, other.latents.video, atol=1e-4)
        np.testing.assert_allclose(one.latents.audio, other.latents.audio, atol=1e-4)
    before, after = (
        [node.op_type for node in onnx.load(bundle.path("denoise")).graph.node].count("DequantizeLinear")
        for bundle in (variants[name], quicker)
    )
    assert 0 < after < before  # those of activations stay


def test_what_has_nothing_to_widen_stays(variants: dict[str, Bundle], tmp_path: Path) -> None:
    assert folded(variants["fp16"].path("denoise").read_bytes()) is None
    assert emulated(variants["fp16"], tmp_path / "fp16") is variants["fp16"]
    assert not (tmp_path / "fp16").exists()
