"""Planes that a graph makes against those of libswscale, in numbers: see `streamgen_engines.planes.resampling`.

Differences are in steps of a byte, over all planes of a size. What is left is rounding: libswscale rounds filters to 14
bits, drops taps that add up to less than 0.002, and rounds between its passes; the graph's float16 does the rest.
"""

import math
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from streamgen.media.scaler import Scaler
from streamgen_engines.bundle import bundled
from streamgen_engines.chunk import LatentChunk, Size
from streamgen_engines.families import PocketDecoder
from streamgen_engines.manifest import pocket_manifest
from streamgen_engines.planes.request import PlaneRequest
from streamgen_engines.runtimes import OnnxRuntimeCpu
from tests.engines.test_plane_graph import run

Pictures = NDArray[np.uint8]
LARGER, SAME, SMALLER = ((896, 512), (598, 342)), ((448, 256),), ((298, 170), (224, 128))


class Gap(NamedTuple):
    """How far one plane is from the other."""

    mean: float
    most: int
    psnr: float


@pytest.fixture(scope="module")
def decoded() -> Pictures:
    """Pictures of `pocket` from latents that are noise: full of edges and colours."""
    bundle = bundled("pocket")
    random = np.random.default_rng(2)
    video, audio = (1, *bundle.manifest.video.latent), (1, *pocket_manifest(bundle.manifest).audio.latent)
    decoder = PocketDecoder(bundle, OnnxRuntimeCpu())
    chunks = [
        decoder.decode(
            LatentChunk(index, random.standard_normal(video, np.float32), random.standard_normal(audio, np.float32))
        )
        for index in range(2)
    ]
    return np.concatenate([chunk.video[::2] for chunk in chunks])


@pytest.fixture(scope="module")
def drawn() -> Pictures:
    """Colour bars, hard slanting edges of pure colours, rings that get ever finer, and single bright pixels."""
    made = np.zeros((3, 256, 448, 3), np.uint8)
    rows, columns = np.mgrid[:256, :448]
    bars = [
        (255, 255, 255),
        (255, 255, 0),
        (0, 255, 255),
        (0, 255, 0),
        (255, 0, 255),
        (255, 0, 0),
        (0, 0, 255),
        (0,) * 3,
    ]
    made[0] = np.array(bars, np.uint8)[columns // 56]
    made[1] = np.where((rows * 2 + columns)[..., None] % 160 < 80, (255, 40, 0), (0, 60, 255))
    made[1, 128:] = (127.5 + 127.4 * np.cos((rows**2 + columns**2) / 400))[128:, :, None]
    made[2, 8::16, 8::16] = 255
    return made


def gaps(pictures: Pictures, size: Size, *, half: bool = True) -> tuple[Gap, Gap, Gap]:
    """Luma and both chromas: how far the graph is from libswscale."""
    width, height = size
    (found,) = run(pictures, PlaneRequest((size,)), half=half).keys() - {"brightest"}
    made = run(pictures, PlaneRequest((size,)), half=half)[found].reshape(len(pictures), -1)
    scaler = Scaler((pictures.shape[2], pictures.shape[1]), size)
    right = np.stack([scaler.planes(picture) for picture in pictures]).reshape(len(pictures), -1)
    ends = (0, width * height, width * height * 5 // 4, width * height * 3 // 2)
    told = []
    for start, end in pairwise(ends):
        told.append(gap(made[:, start:end], right[:, start:end]))
    return told[0], told[1], told[2]


def gap(made: Pictures, right: Pictures) -> Gap:
    off = np.abs(made.astype(int) - right)
    square = float((off**2).mean())
    return Gap(float(off.mean()), int(off.max()), 10 * math.log10(255**2 / max(square, 1e-9)))


@pytest.mark.parametrize("half", [True, False], ids=["float16", "float32"])
@pytest.mark.parametrize("size", [*LARGER, *SAME, *SMALLER], ids=str)
def test_no_number_is_off_by_more_than_one(decoded: Pictures, drawn: Pictures, size: Size, half: bool) -> None:
    """Both round nearly the same number, so they are never further apart than 1.

    When this was written the mean was 0.17 in rings that are finer than a pixel, and 0.12 in decoded pictures.
    """
    for pictures in (decoded, drawn):
        for gap in gaps(pictures, size, half=half):
            assert gap.most <= 1
            assert gap.mean < 0.2
            assert gap.psnr > 55


@pytest.mark.parametrize("size", [(896, 512), (448, 256), (224, 128)], ids=str)
def test_chroma_elsewhere_would_be_seen_by_these_numbers(drawn: Pictures, size: Size) -> None:
    """Chroma that lies on the left of two pixels, the other usual place, is a quarter of its sample away."""
    width, height = size
    planes = Scaler((448, 256), size).planes(drawn[1])
    chroma = planes.reshape(-1)[width * height :].reshape(2, height // 2, width // 2)
    moved = np.rint(0.75 * chroma + 0.25 * np.roll(chroma, 1, axis=2)).astype(np.uint8)
    found = gap(moved, chroma)
    assert found.most > 20
    assert found.psnr < 50
