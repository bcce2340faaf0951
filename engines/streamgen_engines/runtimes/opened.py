"""The runtimes of one model: made when its parts ask for them, closed together.

    with OpenRuntimes("tensorrt-rtx", GpuOptions(device=1)) as runtimes:
        runtimes.admit(bundle)
        model = load(bundle, runtime=runtimes.make)
        ...

A runtime on a CPU has nothing to give back, and ends with its process. Belongs to one thread.
"""

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from streamgen_engines.bundle import Bundle
from streamgen_engines.gpu_options import GpuOptions
from streamgen_engines.planes.request import PlaneRequest
from streamgen_engines.runtime_name import DEFAULT_RUNTIME, read_runtime
from streamgen_engines.runtimes.choice import open_tensorrt, runtime_named
from streamgen_engines.runtimes.interface import ClosableRuntime, Runtime
from streamgen_engines.tensorrt.flavour import FLAVOURS, FlavourName
from streamgen_engines.text_placement import IN_PLACE, TextPlacement

if TYPE_CHECKING:
    from streamgen_engines.tensorrt.runtime import TensorRt


class OpenRuntimes:
    """Makes runtimes of one name, and keeps them.

    Args:
        name: of the runtime.
        gpu: what it is told if it is one on a GPU.
    """

    def __init__(self, name: str = DEFAULT_RUNTIME, gpu: GpuOptions | None = None) -> None:
        """Nothing is opened yet.

        Raises:
            RuntimeUnavailableError: there is no runtime of that name.
        """
        self._name = read_runtime(name)
        self._flavour = next((each for each in FLAVOURS if each == self._name), None)
        self._gpu = gpu or GpuOptions()
        self._opened: list[TensorRt] = []
        self._closing: list[ClosableRuntime] = []  # all that own memory of a GPU, in the order in which they were made
        self._first: TensorRt | None = None  # that has admitted a bundle, and has not been handed out
        self._hashes: Mapping[Path, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def admit(
        self,
        bundle: Bundle,
        planes: PlaneRequest | None = None,
        texts: TextPlacement = IN_PLACE,
        *,
        upscale: bool = False,
    ) -> None:
        """Log what a bundle needs of the GPU, and refuse one that does not fit, before anything of it is loaded.

        On a CPU nothing is done. ONNX Runtime on a GPU takes memory as it goes and says so when there is none left.

        Args:
            bundle: whose graphs.
            planes: what is taken of the pictures in place of RGB.
            texts: where texts are encoded; a graph that is elsewhere takes no room.
            upscale: whether pictures are enlarged by the graph `upscale`; one that is not used takes none either.

        Raises:
            RuntimeUnavailableError: the runtime is not here, or finds no device that it can use.
            GraphLoadError: a graph cannot be read, or not be prepared for TensorRT.
            OutOfMemoryError: there is no room for it.
            TextPlacementError: texts of this model cannot be encoded there.
        """
        if self._flavour is None:
            return
        self._first = self._first or self._tensorrt(self._flavour)
        self._hashes = self._first.admit(bundle, planes, texts, upscale=upscale).hashes

    def make(self) -> Runtime:
        """A runtime for one part of the model.

        Raises:
            RuntimeUnavailableError: it is not here, or finds no device that it can use.
        """
        if self._flavour is None:
            made = runtime_named(self._name, self._gpu)
            if isinstance(made, ClosableRuntime):
                self._closing.append(made)
            return made
        first, self._first = self._first, None
        return first or self._tensorrt(self._flavour)

    def keep(self) -> None:
        """Keep what the runtimes have compiled while they ran, so that the next start need not."""
        for runtime in self._opened:
            runtime.keep()

    def close(self) -> None:
        """Close them, the last one first. Idempotent. No engine of theirs may run any more."""
        while self._closing:
            self._closing.pop().close()
        self._opened.clear()
        self._first = None

    def _tensorrt(self, flavour: FlavourName) -> "TensorRt":
        made = open_tensorrt(flavour, self._gpu, self._hashes)
        self._opened.append(made)
        self._closing.append(made)
        return made
