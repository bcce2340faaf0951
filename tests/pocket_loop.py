"""The chunk loop of the pocket family: programmes for it, and how two runs of one are compared."""

import itertools
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from streamgen_engines.bundle import Bundle
from streamgen_engines.chunk import Chunk, LatentChunk
from streamgen_engines.device.resident import BUFFERS
from streamgen_engines.families import Condition, PocketDecoder, PocketGenerator
from streamgen_engines.prompt import Prompt, transition
from streamgen_engines.text import TextEncoder
from tests.tiny_bundle import VIDEO, WINDOW, write_tiny_bundle

TOLERANCE = 1e-5
CHUNKS = 12


def run(generator: PocketGenerator, log: Sequence[Condition]) -> list[LatentChunk]:
    return [generator.step(condition) for condition in log]


def decode(generator: PocketGenerator, decoder: PocketDecoder, log: Sequence[Condition]) -> list[Chunk]:
    """Each chunk is decoded before the next one is made."""
    return [decoder.decode(generator.step(condition)) for condition in log]


def decode_behind(
    generator: PocketGenerator, decoder: PocketDecoder, log: Sequence[Condition], drawn: random.Random
) -> list[Chunk]:
    """Up to as many chunks wait to be decoded as a sampler has buffers, and one more."""
    made: list[Chunk] = []
    waiting: list[LatentChunk] = []
    for condition in log:
        waiting.append(generator.step(condition))
        while len(waiting) > drawn.randrange(BUFFERS + 2):
            made.append(decoder.decode(waiting.pop(0)))
    return made + [decoder.decode(latents) for latents in waiting]


# What is compared ----------------------------------------------------------------------------------------------------


def equal(a: LatentChunk, b: LatentChunk) -> bool:
    return np.array_equal(a.video, b.video) and np.array_equal(a.audio, b.audio)


def all_equal(first: Sequence[LatentChunk], second: Sequence[LatentChunk]) -> bool:
    return all(equal(a, b) for a, b in zip(first, second, strict=True))


def require_close(found: Sequence[LatentChunk], right: Sequence[LatentChunk]) -> None:
    for a, b in zip(found, right, strict=True):
        assert (a.index, a.seed, a.cut) == (b.index, b.seed, b.cut)
        np.testing.assert_allclose(a.video, b.video, atol=TOLERANCE, rtol=TOLERANCE)
        np.testing.assert_allclose(a.audio, b.audio, atol=TOLERANCE, rtol=TOLERANCE)


def require_mended(again: Sequence[LatentChunk], right: Sequence[LatentChunk]) -> None:
    """After a reset the same chunks are made as at first; only their numbers go on."""
    require_close([replace(chunk, index=index) for index, chunk in enumerate(again)], right)


def require_same_programme(made: Sequence[Chunk], right: Sequence[Chunk], *, sound: float = 1e-3) -> None:
    """Pictures differ by no more than a level that lies between two; phases of the sound add up over chunks."""
    for a, b in zip(made, right, strict=True):
        assert np.abs(a.video.astype(int) - b.video).max() <= 1
        np.testing.assert_allclose(a.audio, b.audio, atol=sound)


# Programmes ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Kind:
    """What decides which graphs a chunk takes, and in which shapes."""

    steps: int | None
    guidance: float
    split: bool
    exact: bool
    alone: bool

    def programme(self, ball: Prompt, sea: Prompt, blended: Prompt) -> list[Condition]:
        """Twelve chunks with everything that can happen between two of them."""
        first = Condition(
            blended if self.exact else ball,
            steps=self.steps,
            guidance=self.guidance,
            sound=sea if self.split else None,
            exact=self.exact,
            alone_above=0.6 if self.alone else None,
        )
        log = [first] * CHUNKS
        log[3:] = [replace(first, prompt=blended)] * (CHUNKS - 3)
        log[5] = replace(log[5], cut=True)
        log[7] = replace(log[7], keep=1)
        log[8] = replace(
            log[8], picture=np.random.default_rng(1).standard_normal((1, *VIDEO.latent)).astype(np.float32)
        )
        log[9] = replace(log[9], seed=11)
        return log


KINDS = [
    Kind(steps, guidance, split, exact, alone)
    for steps, guidance, (split, exact, alone) in itertools.product(
        (None, 2), (1.0, 2.5), itertools.product((False, True), repeat=3)
    )
]


def changing_shapes(ball: Prompt, sea: Prompt, blended: Prompt) -> list[Condition]:
    """Another shape with every chunk."""
    return [
        Condition(ball, steps=1),
        Condition(blended, exact=True),
        Condition(blended, exact=True, sound=sea),
        Condition(ball, sound=blended, exact=True, guidance=1),
        Condition(sea, steps=6, guidance=1),
    ] * 4


def settling(ball: Prompt, sea: Prompt) -> list[Condition]:
    """A transition, and then one prompt for so long that it becomes the sink."""
    between = [Condition(transition(ball, sea, share), alone_above=0.6) for share in np.linspace(0, 1, 5)]
    return [*[Condition(ball)] * 3, *between, *[Condition(sea)] * (WINDOW + 4)]


def any_programme(drawn: random.Random, text: TextEncoder, changes: int) -> list[Condition]:
    """One that is drawn, in which so many times something else is asked for."""
    prompts = [text.encode("rain"), text.encode("sea"), text.blend([("rain", 1), ("sea", 2), ("a ball", 1)])]
    log: list[Condition] = []
    for _ in range(changes):
        log += [
            Condition(
                drawn.choice(prompts),
                steps=drawn.choice([None, None, 1, 5]),
                guidance=drawn.choice([None, 1.0, 3.0]),
                exact=drawn.random() < 0.4,
                sound=drawn.choice([None, *prompts]),
                alone_above=drawn.choice([None, 0.6]),
                seed=drawn.choice([None, None, 7]),
                cut=drawn.random() < 0.1,
            )
        ] * drawn.choice([1, 2, 3])
    return log


# What is wrong -------------------------------------------------------------------------------------------------------


def broken(prompt: Prompt) -> Prompt:
    """What the latents run away with."""
    return Prompt("broken", prompt.context, prompt.context_bias, np.full_like(prompt.pooled, np.nan))


def with_a_state_that_does_not_fit(bundle: Bundle) -> tuple[Bundle, str]:
    """The bundle with another shape for the last state of the denoise graph, and that state's name."""
    wrong = replace(bundle, manifest=bundle.manifest.model_copy(deep=True))
    states = wrong.manifest.graphs["denoise"].states
    wrong.manifest.graphs["denoise"] = wrong.manifest.graphs["denoise"].model_copy(
        update={"states": (*states[:-1], states[-1].model_copy(update={"shape": (1, 1, 2, 3)}))}
    )
    return wrong, states[-1].name


def with_longer_texts(folder: Path) -> Bundle:
    """A tiny bundle whose manifest promises one token more than its graphs have."""
    write_tiny_bundle(folder)
    raw = json.loads((folder / "manifest.json").read_text())
    raw["text"]["max_tokens"] += 1
    (folder / "manifest.json").write_text(json.dumps(raw))
    return Bundle.open(folder)
