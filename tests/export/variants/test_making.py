"""Every variant is a bundle that loads and runs, and only what should differ does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from streamgen_engines.bundle import Bundle, bundled
from streamgen_engines.families import Condition, load
from streamgen_export.quantise import QuantisationError
from streamgen_export.variants.kinds import KINDS
from streamgen_export.variants.making import make_variants, measured_ranges


def operators(bundle: Bundle, graph: str) -> set[str]:
    return {node.op_type for node in onnx.load(bundle.path(graph)).graph.node}


def test_all_are_made_float32_first(variants: dict[str, Bundle]) -> None:
    assert list(variants) == list(KINDS)
    assert next(iter(variants)) == "float32"
    assert {bundle.root.name for bundle in variants.values()} == set(KINDS)


@pytest.mark.parametrize("name", KINDS)
def test_each_loads_and_runs(variants: dict[str, Bundle], name: str) -> None:
    model = load(variants[name])
    latents = model.generator.step(Condition(model.text.encode("rain over a city")))
    chunk = model.decoder.decode(latents)
    assert np.isfinite(latents.video).all()
    assert chunk.video.std() > 0
    assert np.isfinite(chunk.audio).all()


def test_what_is_computed_is_what_the_name_says(variants: dict[str, Bundle]) -> None:
    assert not operators(variants["float32"], "text") & {"MatMulInteger", "DynamicQuantizeLinear"}
    assert "MatMulInteger" in operators(variants["int8-dynamic"], "denoise")
    assert {"QuantizeLinear", "MatMulIntegerToFloat"} <= operators(variants["int8-static"], "denoise")
    precisions = {name: bundle.manifest.graphs["denoise"].precision for name, bundle in variants.items()}
    assert precisions == {
        "float32": "fp32",
        "int8-dynamic": "int8",
        "int8-static": "int8",
        "fp16": "fp16",
        "fp8": "fp8",
        "int8-gpu": "int8",
    }


def test_variants_for_cpus_keep_the_bundles_text_graph(tiny: Bundle, variants: dict[str, Bundle]) -> None:
    own = tiny.manifest.graphs["text"].sha256
    assert variants["int8-dynamic"].manifest.graphs["text"].sha256 == own
    assert variants["int8-static"].manifest.graphs["text"].sha256 == own
    assert variants["float32"].manifest.graphs["text"].sha256 != own


def test_a_bundle_that_is_dynamic_int8_stays_what_it_is(tmp_path: Path) -> None:
    small = bundled("pocket-small")
    made = make_variants(small, tmp_path, ["int8-dynamic"])
    assert list(made) == ["float32", "int8-dynamic"]
    assert made["int8-dynamic"].manifest.graphs == small.manifest.graphs


def test_ranges_are_the_same_again(variants: dict[str, Bundle]) -> None:
    first, again = (measured_ranges(variants["float32"], chunks=1) for _ in range(2))
    assert first == again
    assert all(span.low <= 0 <= span.high for span in first.values())


def test_what_cannot_be_made_is_refused(tiny: Bundle, tmp_path: Path) -> None:
    with pytest.raises(QuantisationError, match="no variant int3"):
        make_variants(tiny, tmp_path, ["int3"])
    with pytest.raises(QuantisationError, match="no MatMul"):
        make_variants(bundled("testcard"), tmp_path, ["int8-static"])
