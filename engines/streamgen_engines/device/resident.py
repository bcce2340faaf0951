"""Two buffers for finished latents, which take turns: one is filled while the other may still be read.

A decoder on another stream, and often on another thread, copies latents from here instead of from the host. It may come
late, or not at all (a chunk is dropped, a decoder runs on the CPU). So a buffer is only lent: when its turn comes again
it is taken back. Then either a copy was enqueued before, and the stream that fills the buffer waits for that copy's
event, or none was, and from then on none will be: whoever asks is told to take the arrays on the host. Nobody waits
for a decoder that never comes.

The host has waited for the latents before it hands them on, so that a reader needs no event for that.
"""

import threading
from dataclasses import dataclass
from typing import Final

import numpy as np

from streamgen_engines.chunk import Latents, Side
from streamgen_engines.device.allocations import Allocations, Layout
from streamgen_engines.device.interface import Device
from streamgen_engines.manifest import PocketManifest

BUFFERS: Final = 2


class Outcome:
    """How a finished chunk lies in memory: clean latents, and the energy that tells whether they are numbers.

    Args:
        manifest: of the bundle.

    Attributes:
        size: bytes in all.
        video: offset of the picture's latent.
        audio: offset of the sound's.
        energy: offset of the energy, float32 `[1]`.
    """

    def __init__(self, manifest: PocketManifest) -> None:
        self.shapes: dict[Side, tuple[int, ...]] = {
            "video": (1, *manifest.video.latent),
            "audio": (1, *manifest.audio.latent),
        }
        self.sizes: dict[Side, int] = {side: 4 * int(np.prod(shape)) for side, shape in self.shapes.items()}
        layout = Layout()
        self.video, self.audio, self.energy = (layout.add(size) for size in (*self.sizes.values(), 4))
        self.size = layout.size


@dataclass(frozen=True, slots=True)
class _Place:
    """One side in a buffer, and the event behind the copy that a reader has enqueued."""

    address: int
    size: int
    read: int


class LentLatents:
    """`chunk.Resident`: one chunk's latents in a buffer. Any thread may ask for them."""

    def __init__(self, device_index: int, places: dict[Side, _Place]) -> None:
        self._index, self._places = device_index, places
        self._lock = threading.Lock()
        self._over = False
        self._readers: dict[Side, int] = {}  # stream that reads each side

    def copy_to(self, side: Side, device: Device, address: int) -> bool:
        """Enqueue a copy of one side on a device's stream, to an address there.

        Returns:
            False when the device is another GPU, the buffer was taken back, or another stream has read this side.
        """
        with self._lock:  # a buffer is not taken back between the copy and its event
            if self._over or device.index != self._index:
                return False
            if self._readers.setdefault(side, device.stream) != device.stream:
                return False
            place = self._places[side]
            device.copy(address, place.address, place.size)
            device.record_event(place.read)
            return True

    def take_back(self, device: Device) -> None:
        """End the loan: what the device enqueues from here on is done after every copy that was enqueued."""
        with self._lock:
            self._over = True
            for side in self._readers:
                device.wait_event(self._places[side].read)


class LatentBuffer:
    """One of the buffers, with page-locked memory of the same size."""

    def __init__(self, device: Device, held: Allocations, outcome: Outcome) -> None:
        self._device, self._outcome = device, outcome
        self._memory = held.staging(outcome.size)
        self._address = held.allocate(outcome.size)
        offsets: dict[Side, int] = {"video": outcome.video, "audio": outcome.audio}
        self._places: dict[Side, _Place] = {
            side: _Place(self._address + at, outcome.sizes[side], held.event()) for side, at in offsets.items()
        }
        floats = self._memory.view(np.float32)
        self._arrays = Latents(
            *(
                floats[at // 4 :][: outcome.sizes[side] // 4].reshape(outcome.shapes[side])
                for side, at in offsets.items()
            )
        )
        self._energy = floats[outcome.energy // 4 :][:1]
        self._lent: LentLatents | None = None

    def fill(self, source: int) -> None:
        """Enqueue copies of a finished chunk into the buffer, and from there to the host."""
        self.take_back()
        self._device.copy(self._address, source, self._outcome.size)
        self._device.download(self._memory, self._address)

    def latents(self) -> Latents:
        """What came to the host, as arrays of the caller's own; only after the copies are done."""
        return Latents(self._arrays.video.copy(), self._arrays.audio.copy())

    def energy(self) -> float:
        """Not finite when anything on the way to these latents was not."""
        return float(self._energy[0])

    def lend(self) -> LentLatents:
        """The latents for a decoder, until the buffer is filled again."""
        self._lent = LentLatents(self._device.index, self._places)
        return self._lent

    def take_back(self) -> None:
        """End the loan, if there is one."""
        if self._lent is not None:
            self._lent.take_back(self._device)
            self._lent = None
