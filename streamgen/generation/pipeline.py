"""All stages of generation in one thread, one after the other; the worker gives each a thread of its own instead."""

from types import TracebackType
from typing import Self

from streamgen.generation.decode_stage import Decoded, DecodeStage
from streamgen.generation.denoise_stage import DenoiseStage
from streamgen.generation.encode_stage import EncodeStage
from streamgen.generation.encoded_prompt import encode_request
from streamgen.generation.prompts import Taken
from streamgen.generation.rtp_timeline import Timeline
from streamgen.media.video_encoder import DEFAULT_SCALE
from streamgen.packets import EncodedChunk, Layer, SetPrompt
from streamgen_engines.chunk import Float32Array
from streamgen_engines.families import Model
from streamgen_engines.prompt import Prompt


class Pipeline:
    """All stages in this thread, one chunk after the other: for rendering to files and for tests.

    `with` ends the threads of its encoders.
    """

    def __init__(
        self, model: Model, *, scale: int = DEFAULT_SCALE, seed: int = 0, picture: Float32Array | None = None
    ) -> None:
        manifest = model.bundle.manifest
        self.timeline = Timeline.of(manifest)
        self._text, self._manifest = model.text, manifest
        self._denoise = DenoiseStage(model.generator, manifest, model.text.encode(""), picture)
        self._decode = DecodeStage(model.decoder)
        self._encode = EncodeStage(manifest, scale=scale, upscale=model.upscale)
        self._seed: int | None = seed
        self._taken: tuple[Taken[Prompt], ...] = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the threads of the encoders. Idempotent."""
        self._encode.close()

    def set_prompt(self, request: SetPrompt) -> None:
        """Show this prompt from the next chunk on."""
        self._taken = (Taken(request, *encode_request(request, self._text, self._manifest)),)

    def next_decoded(self, *, guidance: float | None = None, steps: int | None = None) -> Decoded:
        """The next chunk's pictures and sound."""
        taken, self._taken = self._taken, ()
        seed, self._seed = self._seed, None
        return self._decode.decode(self._denoise.make(taken, guidance=guidance, seed=seed, steps=steps))

    def next_encoded(
        self,
        layers: frozenset[Layer],
        keyframes: frozenset[Layer] = frozenset(),
        *,
        steps: int | None = None,
    ) -> EncodedChunk:
        """The next chunk as packets."""
        return self._encode.encode(self.next_decoded(steps=steps), layers, keyframes)
