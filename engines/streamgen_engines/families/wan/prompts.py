"""Prompts of the `wan` family as generators take them: encoded texts, and blends of them. Thread-safe."""

from collections.abc import Sequence

import numpy as np

from streamgen_engines.errors import PromptError
from streamgen_engines.families.wan_text import TextEncoding
from streamgen_engines.prompt import MAX_BLENDED, Prompt, blend


class WanPrompts:
    """`PromptEncoder` over anything that encodes texts, here or elsewhere.

    These models attend to all places of a context, the empty ones being zero, so that nothing is masked; and their
    text graph gives no text as one vector. A blank text is encoded like any other, as it was when captions were dropped
    in training.

    Args:
        encoder: encodes texts, and remembers them.
    """

    def __init__(self, encoder: TextEncoding) -> None:
        self._encoder = encoder

    def encode(self, text: str) -> Prompt:
        """See `PromptEncoder`.

        Raises:
            PromptError: it cannot be encoded now; another one may.
            GraphRunError: the text graph failed.
        """
        encoded = self._encoder.encode(text)
        places = encoded.context.shape[1]
        return Prompt(encoded.text, encoded.context, np.zeros((1, places), np.float32), np.zeros((1, 0), np.float32))

    def blend(self, weighted: Sequence[tuple[str, float]]) -> Prompt:
        """See `PromptEncoder`."""
        texts = dict.fromkeys(text for text, weight in weighted if weight > 0)
        if len(texts) > MAX_BLENDED:
            raise PromptError(f"a blend has {len(texts)} texts, at most {MAX_BLENDED} fit; leave some out")
        return blend([(self.encode(text), weight) for text, weight in weighted])

    def close(self) -> None:
        """See `PromptEncoder`."""
        self._encoder.close()
