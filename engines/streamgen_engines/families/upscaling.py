"""A bundle's optional graph `upscale`: the pictures of its decoder, a whole factor larger.

It takes what one run of `decode_video` gives, and gives the same type at that factor times width and height; planes for
encoders are then made of these. It may carry states, as networks for video do that look back. Where the runtime has a
device of its own the pictures stay there in between, and each graph has its own stream; on a processor both run one
after the other on the caller's thread.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias

import numpy as np

from streamgen_engines.bundle import Bundle
from streamgen_engines.chunk import Size, UInt8Array
from streamgen_engines.manifest import UPSCALE_GRAPH, Manifest
from streamgen_engines.planes.interface import Beginning, Fetch, PlanesRuntime, advance, begin
from streamgen_engines.planes.request import RGB_OUTPUT, PlaneRequest, planes_shape
from streamgen_engines.runtimes.interface import (
    Array,
    Engine,
    Leaving,
    LeavingRuntime,
    Placed,
    Runtime,
    Signature,
    TensorSpec,
)

PICTURES: Final = "pictures"
"""Its input, uint8 `[T, H, W, 3]`; its output is called like that of the decoder."""
Decoded: TypeAlias = Callable[[], UInt8Array]
"""Gives the decoder's own pictures, waiting for them; only where they come to the host."""


class Upscaler:
    """Follows a decoder. One thread at a time calls it, the one that decodes.

    Attributes:
        planes: which output has the planes of each size.
        may_rest: pictures can be shown without it at any time, because the runtime has no device on which they stay.
    """

    def __init__(
        self, bundle: Bundle, runtime: Runtime, *, threads: int = 1, planes: PlaneRequest | None = None
    ) -> None:
        """Load the graph.

        Args:
            bundle: which has it.
            runtime: that of the decoder, so that pictures need not leave its device in between.
            threads: compute threads.
            planes: of the enlarged pictures, where the runtime makes them.

        Raises:
            MissingGraphError: the bundle has no such graph.
            BundleError: it does not load or does not fit the manifest.
        """
        path, manifest = bundle.path(UPSCALE_GRAPH), bundle.manifest
        states = manifest.graphs[UPSCALE_GRAPH].states
        made = planes if isinstance(runtime, PlanesRuntime) else None
        self._engine: Engine
        if made is not None and isinstance(runtime, PlanesRuntime):
            self._engine = runtime.load_planes(path, states, made, threads=threads)
        else:
            self._engine = runtime.load(path, states, threads=threads)
        self._engine.signature.require(upscale_signature(manifest, made), graph=UPSCALE_GRAPH)
        self.planes: Mapping[Size, str] = {} if made is None else made.outputs()
        self.may_rest = not isinstance(runtime, LeavingRuntime)
        self._carries = bool(states)
        self._on = True
        self._spent_ns = 0

    @property
    def on(self) -> bool:
        """Whether pictures are enlarged; may be changed between chunks where it `may_rest`."""
        return self._on

    @on.setter
    def on(self, wanted: bool) -> None:
        if wanted and not self._on:
            self.reset()  # it has not seen what was shown meanwhile
        self._on = wanted

    @property
    def works_beside(self) -> bool:
        """Whether it works while its caller does something else."""
        return isinstance(self._engine, Beginning)

    def begin(
        self,
        decoder: Engine,
        inputs: Mapping[str, Array],
        placed: Mapping[str, Placed] | None = None,
        order: Sequence[int] | None = None,
    ) -> tuple[Fetch, Decoded]:
        """Begin to decode pictures and to enlarge them; what can only be done whole is done here.

        Args:
            decoder: makes the pictures; loaded by `load_decoder`.
            inputs, placed: of its run.
            order: which of its pictures, one after the other; None is all of them.

        Returns:
            What waits for the results of the graph, or for the decoder's where pictures are not enlarged, and what
            gives the decoder's. Both are to be called before the next is begun.
        """
        if isinstance(decoder, Leaving):
            left = decoder.leave(inputs, placed)
            fetch = begin(self._engine, {}, {PICTURES: left.place(RGB_OUTPUT, order)})
            return fetch, lambda: _ordered(left.fetch()[RGB_OUTPUT], order)
        decoded = _ordered(begin(decoder, inputs, placed)()[RGB_OUTPUT], order)
        if not self._on:
            return lambda: {RGB_OUTPUT: decoded}, lambda: decoded
        started_ns = time.perf_counter_ns()
        fetch = begin(self._engine, {PICTURES: decoded})
        self._spent_ns += time.perf_counter_ns() - started_ns
        return fetch, lambda: decoded

    def take_spent_ns(self) -> int:
        """How long the caller's thread has enlarged pictures since this was asked last; 0 where a device does."""
        spent_ns, self._spent_ns = self._spent_ns, 0
        return spent_ns

    def advance(self, decoder: Engine, inputs: Mapping[str, Array]) -> None:
        """Run the decoder for the sake of the states, of this graph too where it has some; nothing is shown."""
        if not self._carries or not self._on:
            advance(decoder, inputs)
        elif isinstance(decoder, Leaving):
            advance(self._engine, {}, {PICTURES: decoder.leave(inputs).place(RGB_OUTPUT)})
        else:
            advance(self._engine, {PICTURES: decoder.run(inputs)[RGB_OUTPUT]})

    def reset(self) -> None:
        """Begin anew: no picture before the next one."""
        self._engine.reset()


def load_decoder(bundle: Bundle, runtime: Runtime, graph: str, *, threads: int = 1, fetches: bool = False) -> Engine:
    """Load a graph that makes pictures for an `Upscaler` of the same runtime.

    Args:
        bundle: whose graph.
        runtime: leaves them on its device if it has one.
        graph: its name in the manifest.
        threads: compute threads.
        fetches: whether somebody wants to see the decoder's own pictures on the host.
    """
    path, states = bundle.path(graph), bundle.manifest.graphs[graph].states
    if isinstance(runtime, LeavingRuntime):
        return runtime.load_leaving(path, states, threads=threads, fetches=fetches)
    return runtime.load(path, states, threads=threads)


def upscale_signature(manifest: Manifest, planes: PlaneRequest | None = None) -> Signature:
    """What the manifest promises of the graph, with planes in the place of its pictures or beside them."""
    video, count = manifest.video, manifest.pictures_per_decoding
    width, height = manifest.shown_size(upscale=True)
    shown: dict[str, TensorSpec] = {}
    if planes is None or planes.rgb:
        shown[RGB_OUTPUT] = TensorSpec((count, height, width, 3), "uint8")
    for size, name in (planes.outputs() if planes is not None else {}).items():
        shown[name] = TensorSpec(planes_shape(count, size), "uint8")
    return Signature({PICTURES: TensorSpec((count, video.height, video.width, 3), "uint8")}, shown)


def _ordered(pictures: UInt8Array, order: Sequence[int] | None) -> UInt8Array:
    return pictures if order is None else np.ascontiguousarray(pictures[list(order)])
