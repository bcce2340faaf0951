"""Steps of closing, all of which are taken, whatever a GPU that is lost says against some of them."""

import logging
from collections.abc import Callable, Sequence
from typing import Protocol

from streamgen_engines.errors import GraphRunError

_log = logging.getLogger(__name__)

Step = Callable[[], object]


class Closable(Protocol):
    """What holds something of a device."""

    def close(self) -> None:
        """Give it back. Idempotent."""
        ...


def take_every(steps: Sequence[Step], name: str) -> None:
    """Take each step; a `GraphRunError` of one does not keep the later ones from being taken.

    What cannot be given back is logged once, and the first reason with it: the driver frees it with the process.

    Args:
        steps: in order.
        name: how the log names what is closed.
    """
    refusals: list[GraphRunError] = []
    for step in steps:
        try:
            step()
        except GraphRunError as error:
            refusals.append(error)
    if refusals:
        _log.warning("%s: %d of %d parts cannot be given back: %s", name, len(refusals), len(steps), refusals[0])
