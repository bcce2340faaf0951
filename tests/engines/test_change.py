"""A new prompt takes over: the past is hidden and guidance is raised for as long as the manifest says."""

import json
from pathlib import Path

from streamgen_engines.bundle import Bundle
from streamgen_engines.families import Condition, PocketGenerator
from streamgen_engines.runtimes import OnnxRuntimeCpu
from streamgen_engines.text import TextEncoder
from tests.counting_engine import CountingEngine

STEPS = 4


def passes_of(folder: Path, change: dict[str, float] | None) -> list[int]:
    """Passes of the graph per chunk, three under one prompt and four under another, without guidance."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["sampler"]["change"] = change
    path.write_text(json.dumps(manifest))
    bundle = Bundle.open(folder)
    runtime = OnnxRuntimeCpu()
    text = TextEncoder(bundle, runtime)
    generator = PocketGenerator(bundle, runtime)
    engine = CountingEngine(generator._engine)
    generator._engine = engine
    counts = []
    for prompt in [text.encode("a red ball")] * 3 + [text.encode("the sea")] * 4:
        before = engine.runs
        generator.step(Condition(prompt, guidance=1, steps=STEPS))
        counts.append(engine.runs - before)
    return counts


def test_guidance_is_raised_for_the_first_chunks_of_a_new_prompt(folder: Path) -> None:
    plain, pushed = STEPS + 1, 2 * STEPS + 1
    counts = passes_of(folder, {"keep": 0, "guidance": 3.0, "chunks": 2})
    assert counts == [plain] * 3 + [pushed] * 2 + [plain] * 2


def test_without_the_field_nothing_is_raised(folder: Path) -> None:
    assert passes_of(folder, None) == [STEPS + 1] * 7
