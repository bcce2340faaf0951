"""What becomes of a chunk that a model ran away with: the model starts afresh, once."""

import logging
from collections.abc import Callable
from typing import TypeVar

from streamgen_engines.errors import DeviceLostError, GraphRunError, NonFiniteError

logger = logging.getLogger(__name__)

_Result = TypeVar("_Result")


def once_afresh(attempt: Callable[[], _Result], reset: Callable[[], None]) -> _Result:
    """What the attempt makes, or the second one once the model has been reset, if it ran away in the first.

    A cut in the picture is better than the end of the stream.
    """
    try:
        return attempt()
    except DeviceLostError:  # nothing of this process can start afresh
        raise
    except (NonFiniteError, GraphRunError) as error:
        logger.warning("starting afresh after: %s", error)
        reset()
        return attempt()
