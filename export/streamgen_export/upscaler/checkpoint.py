"""Weights of a compact network of Real-ESRGAN (Wang et al. 2021), read and checked before anything is made of them.

The network (`SRVGGNetCompact` in the published code) works at the size of what goes in: a 3x3 convolution to some
features, then further ones of as many features, each followed by a PReLU with a slope for every feature, and a last one
to 3 r^2 channels that are shuffled into pictures r times as large. These are what has to be added to the picture
itself, enlarged by nearest neighbours. `realesr-animevideov3` and `realesr-general-x4v3` are two sizes of it, both for
r = 4.

Its modules are numbered through, `body.0` to `body.N`: convolutions have the even numbers, slopes the odd ones. So how
many features and convolutions there are, and r, can be read from names and shapes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, cast

import numpy as np
from numpy.typing import NDArray

from streamgen_export.wan.errors import CheckpointError
from streamgen_export.wan.tensor_files import Tensors, open_tensors

ENTRIES: Final = ("params_ema", "params")
"""Under which files have the weights, best first; some have them without."""
COLOURS: Final = 3
KERNEL: Final = 3
PUBLISHED_FEATURES: Final = 64
PUBLISHED_LAST: Final = 34
"""Number of the last module of `realesr-animevideov3`: what is missed in files of other models is told by it."""
SHOWN: Final = 4
"""Tensors that an error names of each kind; it tells how many there are."""
_NUMBERED: Final = re.compile(r"body\.(\d+)\.weight")

Factor = Literal[2, 3, 4]
FACTORS: Final[Mapping[int, Factor]] = {2: 2, 3: 3, 4: 4}
Reals = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Compact:
    """The weights of one network.

    Attributes:
        factor: how many times as wide and high pictures get.
        convolutions: weight `[out, in, 3, 3]` and bias `[out]` of each, in order.
        slopes: of the PReLU behind each convolution but the last, `[features]`.
    """

    factor: Factor
    convolutions: tuple[tuple[Reals, Reals], ...]
    slopes: tuple[Reals, ...]

    @property
    def features(self) -> int:
        """Channels inside."""
        return int(self.convolutions[0][0].shape[0])

    @property
    def parameters(self) -> int:
        """Numbers that it has."""
        weights = sum(weight.size + bias.size for weight, bias in self.convolutions)
        return weights + sum(slope.size for slope in self.slopes)


def load(path: Path) -> Compact:
    """Read the weights.

    Args:
        path: a `.pth` or `.safetensors` file.

    Raises:
        CheckpointError: the file is missing, cut short, or of another model; the message says what is missing in it and
            what is unexpected.
        UnsafeCheckpointError: it holds more than weights. Nothing of it was run.
    """
    found = open_tensors(path, ENTRIES)
    shapes = _expected(found)
    _require_match(path, shapes, found)
    last = max(int(name.split(".")[1]) for name in shapes)
    factor = _factor(path, found[f"body.{last}.weight"].shape[0])

    def read(name: str) -> Reals:
        value = cast(Reals, found[name].read().float().numpy())
        if not np.isfinite(value).all():
            raise CheckpointError(f"{path}: {name} holds NaN or infinity; the file is damaged, download it again")
        return np.ascontiguousarray(value)

    return Compact(
        factor,
        tuple((read(f"body.{place}.weight"), read(f"body.{place}.bias")) for place in range(0, last + 1, 2)),
        tuple(read(f"body.{place}.weight") for place in range(1, last, 2)),
    )


def _expected(found: Tensors) -> dict[str, tuple[int, ...]]:
    """Shapes by name of the network that these tensors seem to be, or of a published one."""
    numbers = [int(match[1]) for name in found if (match := _NUMBERED.fullmatch(name))]
    first = found.get("body.0.weight")
    alike = first is not None and len(first.shape) == 4 and numbers
    features = first.shape[0] if first is not None and alike else PUBLISHED_FEATURES
    last = max(max(numbers) // 2 * 2, 2) if alike else PUBLISHED_LAST
    end = found.get(f"body.{last}.weight")
    channels = end.shape[0] if end is not None and len(end.shape) == 4 else COLOURS * 16
    shapes: dict[str, tuple[int, ...]] = {}
    for place in range(0, last + 1, 2):
        out = channels if place == last else features
        shapes[f"body.{place}.weight"] = (out, features if place else COLOURS, KERNEL, KERNEL)
        shapes[f"body.{place}.bias"] = (out,)
        if place < last:
            shapes[f"body.{place + 1}.weight"] = (features,)
    return shapes


def _require_match(path: Path, shapes: Mapping[str, tuple[int, ...]], found: Tensors) -> None:
    """All names and shapes, before anything is read."""
    wrong = [
        f"{name} {list(found[name].shape)} in place of {list(shape)}"
        for name, shape in shapes.items()
        if name in found and found[name].shape != shape
    ]
    untyped = [name for name in shapes if name in found and not _is_number(found, name)]
    faults = (
        ("missing", [name for name in shapes if name not in found]),
        ("unexpected", [name for name in found if name not in shapes]),
        ("wrongly shaped", wrong),
        ("not of numbers", untyped),
    )
    said = [
        f"{len(names)} {kind} ({', '.join(names[:SHOWN])}{', ...' if len(names) > SHOWN else ''})"
        for kind, names in faults
        if names
    ]
    if said:
        raise CheckpointError(
            f"{path}: not the weights of a compact network of Real-ESRGAN: of {len(shapes)} tensors, "
            f"{'; '.join(said)}.{_seems(found)} Give realesr-animevideov3.pth or realesr-general-x4v3.pth"
        )


def _is_number(found: Tensors, name: str) -> bool:
    dtype = found[name].dtype
    return dtype is not None and dtype.is_floating_point


def _seems(found: Tensors) -> str:
    """What a file that does not fit seems to be."""
    if any(".rdb" in name for name in found):
        return " It seems to be of one of the large networks (RRDBNet), which no stream has time for."
    return ""


def _factor(path: Path, channels: int) -> Factor:
    factor = FACTORS.get(round((channels / COLOURS) ** 0.5))
    if factor is None or COLOURS * factor**2 != channels:
        raise CheckpointError(
            f"{path}: its last convolution has {channels} channels; pictures become 2, 3 or 4 times as large with 12, "
            f"27 or 48"
        )
    return factor
