"""Makes takes with a bundle: the same chunk loop as serving, without the clock."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from queue import SimpleQueue
from typing import Protocol, TypeVar

from streamgen_engines.errors import EngineError
from streamgen_engines.families import Condition, Model
from streamgen_engines.manifest import Manifest
from streamgen_export.pocket.judge.briefs import Brief
from streamgen_export.pocket.judge.takes import Footage, Take, taken
from streamgen_export.pocket.world.formats import PICTURES_PER_CHUNK, POCKET, Format

Result = TypeVar("Result")


class Stream(Protocol):
    """An endless programme. Belongs to one thread at a time.

    Attributes:
        form: sizes and rates of what it makes.
    """

    form: Format

    def start(self, seed: int) -> None:
        """Begins anew: no context, zero states, noise from `seed`."""

    def chunk(self, prompt: str) -> Footage:
        """The next chunk."""


def form_of(manifest: Manifest) -> Format:
    """Sizes and rates of what a bundle makes.

    Raises:
        EngineError: the training world does not come in them.
    """
    video, audio = manifest.video, manifest.audio
    got = f"{video.frames_per_chunk} pictures a chunk at {video.fps[0]}/{video.fps[1]} Hz with {audio.sample_rate} Hz"
    try:
        form = Format(video.width, video.height, Fraction(*video.fps), audio.sample_rate)
    except ValueError as error:
        raise EngineError(
            f"bundle {manifest.name} makes {got}: {error}; judge it with the code that trained it"
        ) from error
    known = (PICTURES_PER_CHUNK, POCKET.sample_rate, form.samples_per_chunk)
    if (video.frames_per_chunk, audio.sample_rate, audio.samples_per_chunk) != known:
        raise EngineError(
            f"the judge knows {known[0]} pictures a chunk and sound of {known[1]} Hz, but bundle {manifest.name} makes "
            f"{got}; judge it with the code that trained it"
        )
    return form


class ModelStream:
    """A loaded model as a stream.

    Attributes:
        form: sizes and rates of what it makes.
    """

    def __init__(self, model: Model) -> None:
        self.form = form_of(model.bundle.manifest)
        self._model = model

    def start(self, seed: int) -> None:
        """Begins anew with this seed."""
        self._model.generator.reset(seed)
        self._model.decoder.reset(seed)

    def chunk(self, prompt: str) -> Footage:
        """Generates and decodes the next chunk."""
        condition = Condition(self._model.text.encode(prompt))
        chunk = self._model.decoder.decode(self._model.generator.step(condition))
        return chunk.video, chunk.audio


def shoot(stream: Stream, brief: Brief) -> Iterator[Footage]:
    """Generates a brief chunk by chunk, never all in memory."""
    stream.start(brief.seed)
    return map(stream.chunk, brief.prompts)


def take_of(stream: Stream, brief: Brief) -> Take:
    """Generates a whole take."""
    return taken(stream.form, brief, shoot(stream, brief))


def side_by_side(
    streams: Sequence[Stream], briefs: Sequence[Brief], work: Callable[[Stream, Brief], Result]
) -> Iterator[Result]:
    """Does `work` for each brief, one thread per stream; the results do not depend on how many streams there are."""
    free: SimpleQueue[Stream] = SimpleQueue()
    for stream in streams:
        free.put(stream)

    def one(brief: Brief) -> Result:
        stream = free.get()
        try:
            return work(stream, brief)
        finally:
            free.put(stream)

    with ThreadPoolExecutor(len(streams)) as pool:
        yield from pool.map(one, briefs)
