"""The latents of a replay, for tests that do not decode them."""

from collections.abc import Iterable, Iterator
from typing import Any

from streamgen.log.contents import Content
from streamgen.replay import replay
from streamgen_engines.bundle import Bundle
from streamgen_engines.chunk import LatentChunk


def replayed(contents: Iterable[Content], bundle: Bundle, **options: Any) -> Iterator[LatentChunk]:
    """As `replay`, without what turns each chunk into pictures."""
    return (latents for latents, _ in replay(contents, bundle, **options))
