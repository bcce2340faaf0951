"""How many steering connections this process can hold open, which the system bounds by its file descriptors."""

import logging
import resource
from typing import Final

logger = logging.getLogger(__name__)

OWN: Final = 256  # for everything else: listener, log, pipes and shared memory of the generator, files of models
PER_VIEWER: Final = 8  # UDP sockets of one viewer, one for each address of this machine, and its HTTP request
LEAST: Final = 16


def steering_room(wanted: int, viewers: int) -> int:
    """How many steering connections there can be, `wanted` at most, beside so many viewers.

    Raises this process's own limit of open files as far as the system allows and this needs.
    """
    needed = OWN + PER_VIEWER * viewers + wanted
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        except (OSError, ValueError) as error:
            logger.warning("the limit of open files cannot be raised to %d (%s)", soft, error)
            soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    room = room_within(soft, wanted, viewers)
    if room < wanted:
        logger.warning(
            "max_steering: at most %d steering connections, because this process may open %d files; for more, raise "
            "the limit (ulimit -n, or LimitNOFILE of the service)",
            room,
            soft,
        )
    return room


def room_within(files: int, wanted: int, viewers: int) -> int:
    """The same for a limit of open files that stands; -1 is no limit."""
    if files == resource.RLIM_INFINITY:
        return wanted
    return max(min(wanted, LEAST), min(wanted, files - OWN - PER_VIEWER * viewers))
