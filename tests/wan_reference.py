"""The chunk loop of the `wan` family by its rules, in plain lists: what `WanGenerator` has to make."""

from collections.abc import Sequence

import numpy as np

from tests.tiny_wan_bundle import LEVELS, Kept, Reals, TinyWan

Told = list[tuple[Reals, Reals]]


def mixed(parts: Sequence[tuple[Told, float]]) -> Told:
    """The weighted mean of keys and values in each layer."""
    (first, share), *rest = parts
    total: Told = [(np.float32(share) * key, np.float32(share) * value) for key, value in first]
    for told, share in rest:
        total = [
            (key + np.float32(share) * k, value + np.float32(share) * v)
            for (key, value), (k, v) in zip(total, told, strict=True)
        ]
    return total


class Reference:
    """Makes chunks as the rules say.

    Attributes:
        past: what is visible, oldest first, each with whether it belongs to the sink.
    """

    def __init__(
        self,
        *,
        chunk: int = 3,
        window: int = 6,
        sink: int = 3,
        clean_pass: bool = True,
        fresh: bool = True,
        seed: int = 0,
        recache_sink: bool = False,
    ) -> None:
        self.model = TinyWan(chunk)
        self.window, self.sink = window // chunk, sink // chunk
        self.clean_pass, self.fresh, self.seed = clean_pass, fresh, seed
        self.past: list[tuple[bool, Kept]] = []
        self.recache_sink = recache_sink
        self.length = 0  # of the stream as it is remembered, in chunks
        self.made = 0

    def make(
        self,
        told: Told,
        *,
        exactly: Sequence[tuple[Told, float]] = (),
        cut: bool = False,
        keep: int | None = None,
        recache: bool = False,
        levels: Sequence[float] = LEVELS,
    ) -> Reals:
        """The clean latents of the next chunk.

        Args:
            told: the prompt's keys and values.
            exactly: texts by themselves and their shares, when their velocities are added up.
            cut, keep, recache: what happens to the past before.
            levels: noise levels.
        """
        if cut:
            keep = 0
        if keep is not None and keep < len(self.past):
            self.past = self.past[len(self.past) - keep :]
            self.length = keep
        if recache:
            oldest = self.past[: self.sink]
            longer = self.length > self.sink + self.window + 1 and all(stays for stays, _ in oldest)
            left = self.sink if longer and not self.recache_sink else 0
            past, self.past = self.past[left:], self.past[:left]
            for _, kept in past:
                self._add(self._step(kept.latent, kept.sigma, told)[1])
        random = np.random.default_rng((self.seed, 0, self.made))
        self.made += 1
        x = random.standard_normal(self.model.latent_shape, np.float32)
        for sigma, lower in zip(levels, [*levels[1:], 0.0], strict=True):
            velocity = np.zeros_like(x)
            for part, share in exactly or ((told, 1.0),):
                one, trace = self._step(x, sigma, part)
                velocity += np.float32(share) * one
            clean = x - np.float32(sigma) * velocity
            if lower:
                noise = random.standard_normal(x.shape, np.float32) if self.fresh else clean + velocity
                x = np.float32(1 - lower) * clean + np.float32(lower) * noise
        if self.clean_pass:
            trace = self._step(clean, 0.0, told)[1]
        elif exactly:
            trace = self._step(x, sigma, told)[1]
        self._add(trace)
        self.length += 1
        return clean

    def _step(self, x: Reals, sigma: float, told: Told) -> tuple[Reals, Kept]:
        return self.model.step(x, sigma, [kept for _, kept in self.past], told)

    def _add(self, kept: Kept) -> None:
        stays = sum(sink for sink, _ in self.past) < self.sink
        self.past.append((stays, kept))
        moving = [each for sink, each in self.past if not sink]
        if len(moving) > self.window:
            self.past = [(sink, each) for sink, each in self.past if each is not moving[0]]
