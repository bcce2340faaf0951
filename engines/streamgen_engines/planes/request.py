"""Which planes a decoder is asked for."""

from dataclasses import dataclass
from typing import Final, Literal

from streamgen_engines.chunk import Size

PlaneOrder = Literal["i420", "nv12"]
"""Y above U above V, as software encoders take it, or Y above rows of U and V in turn, as those of GPUs do."""
RGB_OUTPUT: Final = "frames"
"""Output of `decode_video` in a bundle: uint8 `[T, H, W, 3]`."""


@dataclass(frozen=True, slots=True)
class PlaneRequest:
    """What `decode_video` shall give besides, or in place of, RGB.

    Attributes:
        sizes: (width, height) of each set of planes, in pixels; even.
        rgb: whether RGB is wanted as well; what nobody asks for is neither kept nor copied.
        order: of the colours within a set of planes.
    """

    sizes: tuple[Size, ...]
    rgb: bool = False
    order: PlaneOrder = "i420"

    def __post_init__(self) -> None:
        """Check the sizes.

        Raises:
            ValueError: there is none, one comes twice, or an edge is odd or not positive.
        """
        if not self.sizes:
            raise ValueError("planes of no size are asked for; ask for one at least, or for RGB alone")
        if len(set(self.sizes)) != len(self.sizes):
            raise ValueError(f"a size of planes is asked for twice: {self.sizes}; ask for each once")
        for width, height in self.sizes:
            if width < 2 or height < 2 or width % 2 or height % 2:
                raise ValueError(f"there are no 4:2:0 planes of {width}x{height}: edges must be even and positive")

    def __str__(self) -> str:
        """As reports name it."""
        sizes = " ".join(f"{width}x{height}" for width, height in self.sizes)
        return f"{self.order} {sizes}" + (" and rgb" if self.rgb else "")

    def outputs(self) -> dict[Size, str]:
        """Name of the graph's output for each size."""
        return {(width, height): f"planes_{width}x{height}" for width, height in self.sizes}


def planes_shape(pictures: int, size: Size) -> tuple[int, int, int]:
    """Shape of the planes of some pictures: `[T, 3/2 height, width]`, uint8."""
    width, height = size
    return pictures, height * 3 // 2, width
