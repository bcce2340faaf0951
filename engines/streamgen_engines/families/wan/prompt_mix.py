"""Weighted means of prompts' keys and values, tensor by tensor, computed in float32 and left in their own type.

A chunk of a transition needs one, so time counts: most of it goes into changing the type of numbers. The float32 copies
of the texts that are being mixed are kept until `forget` (189 MB each for Wan 2.1 1.3B), and the steps of a transition
allocate nothing.

There are two sets of results, which take turns: what an engine holds it may read where it lies, until other arrays take
its place (`Engine.hold`). So a result is valid until the next but one is made.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from streamgen_engines.chunk import Float32Array
from streamgen_engines.runtimes.interface import Array

Arrays = dict[str, Array]


class PromptMix:
    """Mixes, and what they are made with. One thread at a time calls it."""

    def __init__(self) -> None:
        self._wide: dict[str, dict[str, Float32Array]] = {}  # by text
        self._results: tuple[Arrays, Arrays] = ({}, {})
        self._turn = 0
        self._scratch: dict[tuple[int, ...], tuple[Float32Array, Float32Array]] = {}  # by shape

    def of(self, parts: Sequence[tuple[str, Mapping[str, Array], float]]) -> Arrays:
        """The weighted mean.

        Args:
            parts: of each text its name, its tensors and its share; the shares add up to 1. All have the same tensors.
        """
        texts = {text for text, _, _ in parts}
        self._wide = {text: wide for text, wide in self._wide.items() if text in texts}
        every = [(self._widened(text, arrays), np.float32(share)) for text, arrays, share in parts]
        results = self._results[self._turn]
        self._turn = 1 - self._turn
        _, first, _ = parts[0]
        for name, array in first.items():
            if name not in results:
                results[name] = np.empty_like(array)
            if array.shape not in self._scratch:
                self._scratch[array.shape] = np.empty(array.shape, np.float32), np.empty(array.shape, np.float32)
            total, one = self._scratch[array.shape]
            (wide, share), *rest = every
            np.multiply(wide[name], share, out=total)
            for wide, share in rest:
                np.add(total, np.multiply(wide[name], share, out=one), out=total)
            np.copyto(results[name], total, casting="same_kind")
        return results

    def forget(self) -> None:
        """No mix is under way: give up the copies of its texts."""
        self._wide.clear()

    def _widened(self, text: str, arrays: Mapping[str, Array]) -> dict[str, Float32Array]:
        if text not in self._wide:
            self._wide[text] = {name: array.astype(np.float32, copy=False) for name, array in arrays.items()}
        return self._wide[text]
