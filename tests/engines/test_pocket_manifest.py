"""What a manifest changes in the chunk loop of the pocket family."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streamgen_engines.bundle import Bundle
from streamgen_engines.errors import GraphMismatchError
from streamgen_engines.families import Condition, PocketDecoder, PocketGenerator
from streamgen_engines.manifest import ChannelRanges
from streamgen_engines.runtimes import OnnxRuntimeCpu
from streamgen_engines.text import Prompt
from tests.pocket_loop import all_equal, run
from tests.tiny_bundle import WINDOW


def rewritten(folder: Path, change: dict[str, Any]) -> Bundle:
    file = folder / "manifest.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    return Bundle.open(folder)


def test_a_graph_that_does_another_thing_is_refused(folder: Path) -> None:
    (folder / "decode_video.onnx").write_bytes((folder / "decode_audio.onnx").read_bytes())
    raw = json.loads((folder / "manifest.json").read_text())
    raw["graphs"]["decode_video"] = raw["graphs"]["decode_audio"]
    bundle = rewritten(folder, raw)
    with pytest.raises(GraphMismatchError, match=r"graphs\.decode_video does not fit .*output frames is missing"):
        PocketDecoder(bundle, OnnxRuntimeCpu())


def test_the_guard_of_the_manifest_is_applied(folder: Path, ball: Prompt, generator: PocketGenerator) -> None:
    free = generator.step(Condition(ball))
    raw = json.loads((folder / "manifest.json").read_text())
    channels = free.video.shape[1]
    ranges = ChannelRanges(mean=((-0.1, 0.1),) * channels, deviation=((0.0, 9.0),) * channels)
    raw["sampler"]["guard"] = {"pull": 1.0, "video": json.loads(ranges.model_dump_json())}
    held = PocketGenerator(rewritten(folder, raw), OnnxRuntimeCpu()).step(Condition(ball))
    assert np.abs(free.video.mean(axis=(0, 2, 3))).max() > 0.2
    assert np.abs(held.video.mean(axis=(0, 2, 3))).max() < 0.1 + 1e-5
    raw["sampler"]["guard"] = {"limit": 0.25}
    limited = PocketGenerator(rewritten(folder, raw), OnnxRuntimeCpu()).step(Condition(ball))
    assert np.abs(limited.video).max() == np.float32(0.25)


def test_a_ring_without_a_sink_needs_no_other_code(folder: Path, ball: Prompt, generator: PocketGenerator) -> None:
    raw = json.loads((folder / "manifest.json").read_text())
    raw["attention"] |= {"window": WINDOW + 1, "sink": 0}  # as many slots; the tiny graph only looks for age 1
    without = PocketGenerator(rewritten(folder, raw), OnnxRuntimeCpu())
    assert all_equal(run(without, [Condition(ball)] * 20), run(generator, [Condition(ball)] * 20))
