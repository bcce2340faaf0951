"""What is given up where a machine is too slow: first what the graph `upscale` adds to pictures, then steps of the
sampler (both `schedule`), then the size of pictures.

Pictures without the graph are enlarged to the same size by a filter. A bundle may name a smaller sibling, made for the
same prompts, with whose pictures the same is done. So no encoder ever sees another size.
"""

import logging
from pathlib import Path
from typing import Final

from streamgen_engines.bundle import Bundle
from streamgen_engines.errors import EngineError

logger = logging.getLogger(__name__)

PATIENCE: Final = 10
"""Reports in a row, one a second, after which a generator that is behind with the fewest steps is replaced."""


class Patience:
    """Counts the reports in a row that say a generator is behind."""

    def __init__(self, reports: int = PATIENCE) -> None:
        self._reports = reports
        self._in_a_row = 0

    def exhausted(self, behind: bool) -> bool:
        """Take in one more report; whether there were enough bad ones. Starts anew after that."""
        self._in_a_row = self._in_a_row + 1 if behind else 0
        if self._in_a_row < self._reports:
            return False
        self._in_a_row = 0
        return True


def smaller_sibling(bundle: Bundle, scale: int, *, upscale: bool = False) -> tuple[Path, int] | None:
    """The bundle to fall back on and the scale at which its pictures have the size of this one's.

    Its own pictures are enlarged by a filter alone; `upscale` says whether the graph of that name enlarges this one's.
    None where none is named, where it does not lie beside this one, or where viewers would notice more than the
    coarser picture: another size, rate or length of chunk.
    """
    name = bundle.manifest.smaller
    if name is None or not (bundle.root.parent / name).is_dir():
        return None
    try:
        sibling = Bundle.open(bundle.root.parent / name, bundle.absent)
    except EngineError as error:
        logger.warning("the smaller sibling of %s cannot be used: %s", bundle.manifest.name, error)
        return None
    ours, theirs = bundle.manifest, sibling.manifest
    width, height = ours.shown_size(upscale=upscale)
    factor, rest = divmod(width * scale, theirs.video.width)
    same_size = not rest and theirs.video.height * factor == height * scale
    same_time = (ours.video.fps, ours.chunk_duration) == (theirs.video.fps, theirs.chunk_duration)
    if not (same_size and same_time):
        logger.warning("%s is no sibling of %s: size, rate or chunk differ", theirs.name, ours.name)
        return None
    return sibling.root, factor
