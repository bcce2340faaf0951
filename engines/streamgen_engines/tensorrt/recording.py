"""What a bundle's graphs are really given: some chunks are made on the CPU, and every call is written down."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from streamgen_engines.bundle import Bundle
from streamgen_engines.families import Condition, load
from streamgen_engines.families.pocket import PICTURE_GRAPH, PictureEncoder
from streamgen_engines.families.pocket_sound import VIDEO_GRAPH, VideoEncoder
from streamgen_engines.families.upscaling import PICTURES
from streamgen_engines.manifest import UPSCALE_GRAPH, State
from streamgen_engines.runtimes.interface import Array, Engine, Runtime, Signature
from streamgen_engines.text_placement import IN_PLACE, TextPlacement

Call = dict[str, Array]
"""The inputs of one run, those that are held among them, and states left out."""
PROMPTS = ("a red ball bounces on the sand", "rain over a city at night, thunder")
CHUNKS = 3
"""Enough to read states that were written, and to wrap nothing."""


@dataclass(slots=True)
class Recording:
    """Calls of each graph in order, by its file."""

    calls: dict[Path, list[Call]] = field(default_factory=dict)


def record_calls(
    bundle: Bundle, runtime: Runtime, *, chunks: int = CHUNKS, seed: int = 1, texts: TextPlacement = IN_PLACE
) -> dict[str, list[Call]]:
    """Make some chunks, encode their pictures again, and give the calls of each graph by its name in the manifest.

    Args:
        bundle: whose graphs.
        runtime: what they run on; the reference, on the CPU.
        chunks: how many; each half of them follows another prompt.
        seed: of the noise.
        texts: where texts are encoded; of a text graph that runs elsewhere, there are no calls.
    """
    recorder = RecordingRuntime(runtime)
    upscale = UPSCALE_GRAPH in bundle.manifest.graphs
    # Known texts are left aside, because every graph has to run.
    model = load(bundle, seed=seed, runtime=lambda: recorder, known_texts=False, texts=texts, upscale=upscale)
    prompts = [model.text.encode(prompt) for prompt in PROMPTS]
    model.close()
    found = recorder.recording.calls
    shown = None
    for index in range(chunks):
        shown = model.decoder.decode(model.generator.step(Condition(prompts[2 * index // max(chunks, 1)]))).video
    if upscale and shown is not None:  # what is encoded again has the decoder's own size
        shown = found[bundle.path(UPSCALE_GRAPH)][-1][PICTURES]
    if PICTURE_GRAPH in bundle.manifest.graphs and shown is not None:
        PictureEncoder(bundle, recorder).encode(shown[-1])
    if VIDEO_GRAPH in bundle.manifest.graphs and shown is not None:
        VideoEncoder(bundle, recorder).encode(shown)
    return {name: found.get(bundle.path(name), []) for name in bundle.manifest.graphs}


class RecordingRuntime:
    """A runtime that writes down what its engines are given."""

    def __init__(self, inner: Runtime) -> None:
        self._inner = inner
        self.recording = Recording()

    @property
    def name(self) -> str:
        """That of the runtime inside."""
        return self._inner.name

    def load(
        self,
        path: Path,
        states: Sequence[State] = (),
        *,
        threads: int = 1,
        in_place: bool = False,
        held: Sequence[str] = (),
    ) -> Engine:
        """Load one graph; see `Runtime`."""
        engine = self._inner.load(path, states, threads=threads, in_place=in_place, held=held)
        return _RecordingEngine(engine, self.recording.calls.setdefault(path, []))


class _RecordingEngine:
    def __init__(self, inner: Engine, calls: list[Call]) -> None:
        self._inner, self._calls = inner, calls
        self._held: Call = {}

    @property
    def signature(self) -> Signature:
        """Inputs, outputs and held inputs, without the carried states."""
        return self._inner.signature

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Run, and keep a copy of the inputs. What is held is large and does not change: of it, no copy is kept."""
        self._calls.append({name: array.copy() for name, array in inputs.items()} | self._held)
        return self._inner.run(inputs)

    def hold(self, arrays: Mapping[str, Array]) -> None:
        """Hold, and note what."""
        self._inner.hold(arrays)
        self._held = {**self._held, **arrays}

    def state(self, name: str) -> Array:
        """The carried state itself."""
        return self._inner.state(name)

    def take_states(self, other: Engine) -> None:
        """Go on from the states of another engine, which may be written down as well."""
        self._inner.take_states(other._inner if isinstance(other, _RecordingEngine) else other)

    def reset(self) -> None:
        """Set every carried state to zero."""
        self._inner.reset()
