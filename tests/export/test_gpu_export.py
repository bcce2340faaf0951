"""A bundle for GPUs, exported from a run: half precision, and TensorRT takes every graph of it as it is."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from streamgen_engines.bundle import Bundle, bundled
from streamgen_engines.families import Condition, PocketDecoder, PocketGenerator
from streamgen_engines.runtimes import OnnxRuntimeCpu
from streamgen_engines.tensorrt.compile import Compiler
from streamgen_engines.tensorrt.lint import lint
from streamgen_engines.text import TextEncoder
from streamgen_export.pocket import checkpoint
from streamgen_export.pocket import export as exporting
from streamgen_export.pocket.config import SMOKE
from streamgen_export.pocket.encoders import Encoders
from streamgen_export.pocket.export import WORST_HALF, export
from streamgen_export.pocket.transformer import JointTransformer
from tests.tensorrt.rtx import needs_rtx, rtx


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose weights are random, and nowhere zero."""
    folder = tmp_path_factory.mktemp("runs")
    torch.manual_seed(5)
    encoders, model = Encoders(SMOKE), JointTransformer(SMOKE)
    with torch.no_grad():
        for module in (encoders, model):
            for parameter in module.parameters():
                if not parameter.any():
                    parameter.normal_(0, 0.05)
    checkpoint.save(folder / "encoders.pt", encoders.state_dict())
    checkpoint.save(folder / "transformer.pt", {"ema": model.state_dict()})
    (folder / exporting.GUARD_FILE).write_text(json.dumps({"limit": 4.5}))
    return folder


@pytest.fixture(scope="module")
def made(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("bundles") / "smoke"
    folder.mkdir()
    for file in ("text.onnx", "tokenizer.json"):
        shutil.copyfile(bundled("pocket").root / file, folder / file)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(exporting, "CHECKED_CHUNKS", 4)  # the arithmetic is that of 20, and the test quick
        export(SMOKE, run, folder, precision="fp16")
    return Bundle.open(folder)


def test_the_manifest_says_half_precision_and_how_far_it_is_off(made: Bundle) -> None:
    assert {graph.precision for graph in made.manifest.graphs.values()} == {"fp16"}
    parity: Any = made.manifest.training["parity"]
    for graph in ("denoise", "decode_video", "decode_audio", "encode_picture"):
        assert 0 < max(parity[graph]["fp16_relative_error"].values()) < WORST_HALF


def test_nothing_is_known_against_its_graphs(made: Bundle) -> None:
    for name, graph in made.manifest.graphs.items():
        assert lint(made.path(name).read_bytes(), "tensorrt", graph.states) == []


@needs_rtx
def test_tensorrt_builds_every_graph_of_it(made: Bundle) -> None:
    outcomes = list(Compiler(made, rtx(), gpu=None, plans=None).run())
    assert [outcome.failure for outcome in outcomes] == [None] * 9
    reports = {outcome.graph: outcome.built for outcome in outcomes}
    denoise = reports["denoise"]
    assert denoise is not None
    assert denoise.caches == len(made.manifest.graphs["denoise"].states)
    assert denoise.fused_attentions + denoise.decomposed_attentions == 2 * SMOKE.layers


def test_it_runs_on_a_cpu_too(made: Bundle) -> None:
    runtime = OnnxRuntimeCpu()
    prompt = TextEncoder(made, runtime).encode("a red ball bounces on the sand")
    generator, decoder = PocketGenerator(made, runtime), PocketDecoder(made, runtime)
    chunk = decoder.decode(generator.step(Condition(prompt)))
    assert chunk.video.shape == (4, SMOKE.height, SMOKE.width, 3)


def test_the_bundle_for_cpus_is_not_written_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["export", "--precision", "fp16"])
    with pytest.raises(SystemExit):
        exporting.main()
