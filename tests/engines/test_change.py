"""A new prompt takes over: the past is hidden and guidance is raised for as long as the manifest says."""

import json
from collections.abc import Mapping
from pathlib import Path

from streamgen_engines.bundle import Bundle
from streamgen_engines.families import Condition, PocketGenerator
from streamgen_engines.runtimes import Array, Engine, OnnxRuntimeCpu, Signature
from streamgen_engines.text import TextEncoder

STEPS = 4


class CountedEngine:
    """Counts the runs of another engine."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.runs = 0

    @property
    def signature(self) -> Signature:
        return self.engine.signature

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        self.runs += 1
        return self.engine.run(inputs)

    def state(self, name: str) -> Array:
        return self.engine.state(name)

    def reset(self) -> None:
        self.engine.reset()


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
    engine = CountedEngine(generator._engine)
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
