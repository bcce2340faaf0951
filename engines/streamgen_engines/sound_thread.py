"""Sound on a thread of its own, made while the rest of the chunk's pictures are decoded.

One thread at a time calls `SoundThread`, as it would the sound inside, which only the thread here calls. What waits for
that thread are the calls of one chunk, because `finish` waits for all of them (policy: block). The thread ends with the
last reference to this object.
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

from streamgen_engines.chunk import Float32Array, Shares, UInt8Array
from streamgen_engines.sound import Sound


class SoundThread:
    """A `Sound` whose work is done elsewhere; errors come out of `finish`."""

    def __init__(self, sound: Sound) -> None:
        """`sound` belongs to the thread from here on."""
        self._sound = sound
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sound")
        self._waiting: list[Future[None]] = []

    def begin(self, heard: Shares, seed: int, *, cut: bool = False) -> None:
        """Begin the next chunk, and return at once."""
        self._submit(partial(self._sound.begin, heard, seed, cut=cut))

    def see(self, pictures: UInt8Array) -> None:
        """Hand pictures over, and return at once."""
        self._submit(partial(self._sound.see, pictures))

    def finish(self) -> Float32Array:
        """The sound of the chunk; waits for it, and raises what went wrong on the way."""
        waiting, self._waiting = self._waiting, []
        sound = self._thread.submit(self._sound.finish)
        for call in waiting:
            call.result()
        return sound.result()

    def reset(self) -> None:
        """Begin anew, after what is still being made; a chunk that was not finished is forgotten with its errors."""
        self._waiting.clear()
        self._thread.submit(self._sound.reset).result()

    def _submit(self, call: Callable[[], None]) -> None:
        self._waiting.append(self._thread.submit(call))
