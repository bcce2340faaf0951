import json
from pathlib import Path

import numpy as np

from streamgen.generation.decode_stage import Decoded
from streamgen.generation.pipeline import Pipeline
from streamgen.packets import EncodedChunk, Layer, SetPrompt
from streamgen_engines.bundle import Bundle
from streamgen_engines.families import load
from streamgen_engines.manifest import MANIFEST_FILE
from tests.tiny_bundle import write_tiny_bundle

BOTH = frozenset({Layer("vp8", 0), Layer("h264", 0)})


def test_the_same_seed_and_prompts_make_the_same_programme(bundle: Bundle) -> None:
    def play(seed: int) -> list[Decoded]:
        pipeline = Pipeline(load(bundle), seed=seed)
        pipeline.set_prompt(SetPrompt("a", "a red sun over the sea"))
        made = [pipeline.next_decoded() for _ in range(3)]
        pipeline.set_prompt(SetPrompt("b", "snow at night"))
        return made + [pipeline.next_decoded() for _ in range(3)]

    one, same, other = play(1), play(1), play(2)
    for left, right in zip(one, same, strict=True):
        np.testing.assert_array_equal(left.chunk.video, right.chunk.video)
        np.testing.assert_array_equal(left.chunk.audio, right.chunk.audio)
    assert any(not np.array_equal(a.chunk.audio, b.chunk.audio) for a, b in zip(one, other, strict=True))
    assert [decoded.record.applied for decoded in one] == [("a",), (), (), ("b",), (), ()]


def test_pipeline_makes_packets(bundle: Bundle) -> None:
    with Pipeline(load(bundle)) as pipeline:
        chunks: list[EncodedChunk] = [pipeline.next_encoded(BOTH) for _ in range(2)]
    assert [len(chunk.video) for chunk in chunks] == [8, 8]
    assert set(chunks[0].record.timings_ms) == {"denoise", "decode", "encode"}


def test_knobs_are_encoded_with_the_text_and_recorded(tmp_path: Path) -> None:
    folder = write_tiny_bundle(tmp_path)
    manifest = json.loads((folder / MANIFEST_FILE).read_text())
    manifest["knobs"] = {"camera": {"left": "the camera pans left"}}
    (folder / MANIFEST_FILE).write_text(json.dumps(manifest))

    def first(text: str, **knobs: str) -> Decoded:
        pipeline = Pipeline(load(Bundle.open(folder)), scale=1)
        pipeline.set_prompt(SetPrompt("a", text, knobs=knobs))
        return pipeline.next_decoded()

    turned = first("a red sun", camera="left")
    assert turned.record.prompt == "a red sun"
    assert turned.record.knobs == {"camera": "left"}
    np.testing.assert_array_equal(turned.chunk.video, first("a red sun, the camera pans left").chunk.video)
    assert not np.array_equal(turned.chunk.video, first("a red sun").chunk.video)
