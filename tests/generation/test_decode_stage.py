import numpy as np

from streamgen.generation.decode_stage import DecodeStage
from streamgen.generation.denoise_stage import DenoiseStage
from streamgen_engines.chunk import Chunk, LatentChunk
from streamgen_engines.errors import NonFiniteError
from streamgen_engines.manifest import Manifest
from streamgen_engines.text import null_prompt
from tests.generation.scripted_generator import ScriptedGenerator


def test_decoder_that_ran_away_starts_afresh_once(manifest: Manifest) -> None:
    class Decoder:
        def __init__(self) -> None:
            self.failures, self.resets = 1, 0

        def decode(self, latents: LatentChunk) -> Chunk:
            if self.failures:
                self.failures -= 1
                raise NonFiniteError("ran away")
            return Chunk(latents.index, np.zeros((4, 96, 160, 3), np.uint8), np.zeros((2, 7_680), np.float32))

        def reset(self, seed: int | None = None) -> None:
            self.resets += 1

    decoder = Decoder()
    denoised = DenoiseStage(ScriptedGenerator(), manifest, null_prompt(manifest.text)).make()
    decoded = DecodeStage(decoder).decode(denoised)
    assert decoder.resets == 1
    assert set(decoded.record.timings_ms) == {"denoise", "decode"}
