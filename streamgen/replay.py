"""From a channel's log back to its latents: the same bundle, seed and conditions give the same numbers, bit for bit.

A replay follows the generators that the log names, each from its first chunk. A generator's past decides what comes
next, so chunks can only be made again where everything since its beginning is in the log.

The same runtime, number of threads, kind of processor and place of the text encoder are needed for equal bits; on
others the latents are close.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial

from streamgen.log.contents import ChunkMade, Content, GeneratorStarted
from streamgen.log.errors import ReplayError
from streamgen.log.fingerprint import fingerprint
from streamgen_engines.bundle import Bundle
from streamgen_engines.chunk import Float32Array, LatentChunk, picture_name
from streamgen_engines.condition import Condition
from streamgen_engines.families import Decoder, Generator, Model, load
from streamgen_engines.gpu_options import GpuOptions, Precision
from streamgen_engines.runtimes import runtime_named
from streamgen_engines.text_placement import TextPlacement


@dataclass(frozen=True, slots=True)
class Life:
    """What a log holds of one generator.

    Attributes:
        started: how it began; None when that is not in the log.
        first, last: of its chunks that follow on one another, as far as they do; None when there is none.
        whole: it can be replayed from its beginning, and no chunk is missing.
    """

    number: int
    started: GeneratorStarted | None
    first: int | None
    last: int | None
    whole: bool


def lives(contents: Iterable[Content]) -> tuple[Life, ...]:
    """The generators of a log, in order, and whether each can be replayed."""
    found: dict[int, Life] = {}
    for content in contents:
        if isinstance(content, GeneratorStarted):
            found[content.life] = Life(content.life, content, None, None, whole=True)
        elif isinstance(content, ChunkMade):
            life = found.get(content.life) or Life(content.life, None, None, None, whole=False)
            expected = 0 if life.last is None else life.last + 1
            found[content.life] = replace(
                life,
                first=content.chunk if life.first is None else life.first,
                last=content.chunk if content.chunk == expected or life.last is None else life.last,
                whole=life.whole and content.chunk == expected,
            )
    return tuple(found.values())


def replay(
    contents: Iterable[Content],
    bundle: Bundle,
    *,
    life: int | None = None,
    pictures: Sequence[Float32Array] = (),
    threads: int | None = None,
    gpu: GpuOptions | None = None,
    texts: TextPlacement | None = None,
    upscale: bool = False,
) -> Iterator[tuple[LatentChunk, Decoder]]:
    """Make the latents of a log again, one chunk after the other, each with what turns it into pictures.

    Args:
        contents: of the log, in order: `(each.content for each in LogReader(folder, "main"))`.
        bundle: the one that the channel ran.
        life: of this generator alone; None = of all, one after the other.
        pictures: latents of the pictures that the programme started from, as `PictureEncoder` makes them.
        threads: compute threads; None = as many as each generator had.
        gpu: where a runtime on a GPU finds it and its plans; the precision is that of each generator.
        texts: where texts are encoded; None = where each generator had them encoded, if that was no service.
        upscale: whether the decoder enlarges pictures by the bundle's graph `upscale`; latents are the same.

    Yields:
        The chunks, numbered as in the log, and the decoder that belongs to their generator, as it was when that began.

    Raises:
        RuntimeUnavailableError: the runtime that a generator had is not here.
        ReplayError: the log names another bundle, a picture that is not given, lacks a chunk or holds none to replay.
    """
    known = {picture_name(latent): latent for latent in pictures}
    model: Model | None = None
    loaded: tuple[int, str, Precision | None, TextPlacement] | None = None  # what it was loaded with
    following: _Following | None = None
    made = 0
    with ExitStack() as stack:
        for content in contents:
            if isinstance(content, GeneratorStarted) and life in (None, content.life):
                _check_bundle(content, bundle)
                placed = _placed(content) if texts is None else texts
                wanted = (threads or content.threads, content.runtime, content.precision, placed)
                if model is None or wanted != loaded:
                    options = replace(gpu or GpuOptions(), precision=content.precision)
                    runtime = partial(runtime_named, content.runtime, options)
                    stack.close()
                    model = load(
                        bundle, threads=wanted[0], seed=content.seed, runtime=runtime, texts=placed, upscale=upscale
                    )
                    stack.callback(model.close)
                    loaded = wanted
                model.generator.reset(content.seed)
                model.decoder.reset(content.seed)
                following = _Following(model.generator, content.life)
            elif isinstance(content, ChunkMade) and life in (None, content.life):
                if following is None or model is None or content.life != following.life:
                    raise ReplayError(
                        f"the beginning of generator {content.life} is not in the log any more, and its chunk "
                        f"{content.chunk} follows from it; replay a later generator alone "
                        f"(`lives` says which are whole)"
                    )
                yield following.make(content, _condition(content, model, known)), model.decoder
                made += 1
    if not made:
        what = "chunk" if life is None else f"chunk of generator {life}"
        raise ReplayError(f"the log holds no {what}; choose another log or generator")


class _Following:
    """One generator, kept in step with what the log says of it."""

    def __init__(self, generator: Generator, life: int) -> None:
        self.life = life
        self._generator = generator
        self._next = 0

    def make(self, made: ChunkMade, condition: Condition) -> LatentChunk:
        if made.chunk != self._next:
            raise ReplayError(
                f"chunk {self._next} of generator {self.life} is not in the log (chunk {made.chunk} comes next), and "
                f"all after it follow from it; replay another generator (`lives` says which are whole)"
            )
        self._next += 1
        if made.fresh:
            self._generator.reset(made.seed)
        return replace(self._generator.step(condition), index=made.chunk)


def _condition(made: ChunkMade, model: Model, pictures: dict[str, Float32Array]) -> Condition:
    picture = None
    if made.picture is not None:
        picture = pictures.get(made.picture)
        if picture is None:
            raise ReplayError(
                f"chunk {made.chunk} of generator {made.life} starts from a picture; give the one that the channel "
                f"was started with (its latent hashes to {made.picture[:12]})"
            )
    told = made.told or ((model.bundle.manifest.told(made.prompt, made.knobs), 1.0),)
    return Condition(
        prompt=model.text.blend(told),
        guidance=made.guidance,
        seed=made.seed,
        steps=made.steps,
        cut=made.cut,
        picture=picture,
        keep=made.keep,
        alone_above=made.alone_above,
        recache=made.recache,
        sound=model.text.blend(made.sound) if made.sound else None,
        exact=made.exact,
    )


def _placed(started: GeneratorStarted) -> TextPlacement:
    """Where a generator had its texts encoded."""
    if started.texts == "service":
        raise ReplayError(
            f"a text service encoded the texts of generator {started.life}; name it with --text-encoder, or say "
            f"model or cpu for latents that are close"
        )
    return TextPlacement(started.texts)


def _check_bundle(started: GeneratorStarted, bundle: Bundle) -> None:
    found = fingerprint(bundle.manifest)
    if found != started.fingerprint:
        raise ReplayError(
            f"generator {started.life} ran another bundle ({started.bundle}, {started.fingerprint[:12]}) than "
            f"{bundle.manifest.name} ({found[:12]}); give the one that the log names"
        )
