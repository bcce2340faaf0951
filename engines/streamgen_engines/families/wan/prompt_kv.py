"""The prompt that `denoise` attends to: its keys and values in every layer, computed once per text and held.

They are large (94 MB for Wan 2.1 1.3B in float16), so that a pass does not take them along: they are held inputs, which
a runtime keeps until others take their place. What was computed stays in the host's memory for the next time, up to
`CACHE_BYTES`, least recent first out.

Several texts are mixed by their keys and values: the weighted mean in each layer, one set to hold and one pass per
step. It is cheap and no more than an approximation, since attention is not linear in its keys; with a share of 0 a text
leaves no trace, and with a share of 1 it is alone, bit for bit. The exact way is by velocities (`Condition.exact`): a
pass per text and step, and because only one set can be held, every one of these passes is preceded by a change of it.
"""

from collections import OrderedDict
from typing import Final

import numpy as np

from streamgen_engines.bundle import Bundle
from streamgen_engines.families.wan.prompt_mix import Arrays, PromptMix
from streamgen_engines.families.wan.signatures import prompt_signature
from streamgen_engines.manifest import WanManifest
from streamgen_engines.prompt import Prompt
from streamgen_engines.runtimes.interface import Engine, Runtime

CACHE_BYTES: Final = 2**30
"""Of keys and values in the host's memory; at least `LEAST_CACHED` texts whatever their size."""
LEAST_CACHED: Final = 2  # those of a transition


class PromptKv:
    """Keys and values of prompts, and which of them `denoise` holds. Belongs to the thread of the generator."""

    def __init__(
        self,
        bundle: Bundle,
        manifest: WanManifest,
        runtime: Runtime,
        denoise: Engine,
        *,
        threads: int = 1,
        cache_bytes: int = CACHE_BYTES,
    ) -> None:
        graph = manifest.graphs["prompt_kv"]
        self._engine = runtime.load(bundle.path("prompt_kv"), graph.states, threads=threads)
        self._engine.signature.require(prompt_signature(manifest), graph="prompt_kv")
        self._denoise = denoise
        self._mix = PromptMix()
        size = sum(
            int(np.prod(spec.shape)) * np.dtype(spec.dtype).itemsize for spec in self._engine.signature.outputs.values()
        )
        self._most = max(LEAST_CACHED, cache_bytes // max(size, 1))
        self._cache: OrderedDict[str, Arrays] = OrderedDict()
        self._held: tuple[tuple[str, float], ...] | None = None  # the shares of what is held

    def hold(self, prompt: Prompt) -> None:
        """Let the next passes attend to this prompt; nothing is done where they do already.

        Raises:
            GraphRunError: the keys and values cannot be computed or held.
        """
        if prompt.shares == self._held:
            return
        found = [(part.text, self._of(part), share) for part, share in prompt.alone]
        self._held = None  # of a change that fails, nothing is known
        if len(found) == 1:
            self._denoise.hold(found[0][1])
            self._mix.forget()
        else:
            self._denoise.hold(self._mix.of(found))
        self._held = prompt.shares

    def _of(self, prompt: Prompt) -> Arrays:
        found = self._cache.get(prompt.text)
        if found is None:
            found = self._engine.run({"context": prompt.context})
            self._cache[prompt.text] = found
            if len(self._cache) > self._most:
                self._cache.popitem(last=False)
        self._cache.move_to_end(prompt.text)
        return found
