"""What is wrong with a request at first sight, before anything of it is remembered. Free of I/O."""

from collections.abc import Mapping
from typing import TypeAlias

from streamgen.protocol import Permission, Reason, Schedule
from streamgen.steering.open_request import OpenRequest, Request, Worded, knobs_of, recaches_of
from streamgen.steering.permissions import PERMISSION_OF

Refusal: TypeAlias = tuple[Reason, str | None, str]
"""Reason, field and words."""


def refused(message: Request, known: OpenRequest | None, can: frozenset[Permission], *, closed: bool) -> Refusal | None:
    """Why a request is not taken; None: it is.

    Args:
        message: of the client.
        known: another request of this client with the same id.
        can: what the client may do.
        closed: the channel takes no more requests.
    """
    if known is not None and not (isinstance(message, Schedule) and message.replace):
        return "id_reused", "id", "this id belongs to another request of yours; give each request an id of its own"
    if closed:
        return "unavailable", None, "the channel is closing; reconnect later"
    if PERMISSION_OF[message.type] not in can:
        told = "you are watching; to steer, open the operator's link that the server printed when it started"
        return "forbidden", "token", told
    return None


def wrong_knob(message: Worded, choices: Mapping[str, tuple[str, ...]]) -> Refusal | None:
    """A knob that this channel lacks, or a value that it does not take; None: all can be turned."""
    for field, name, value in knobs_of(message):
        if value not in choices.get(name, ()):
            offered = ", ".join(choices.get(name, ())) or "nothing: this model has no such knob"
            return "invalid", field, f"{name} cannot be {value!r}; it can be {offered}"
    return None


def wrong_recache(message: Worded, recaches: bool) -> Refusal | None:
    """A past that shall be read again by a model that cannot, or for a sound alone; None: it can, or need not."""
    for field, target in recaches_of(message):
        if not recaches:
            told = "this model cannot read its past again under another prompt; leave recache out, or use cut or keep"
            return "invalid", field, told
        if target == "audio":
            told = "the past is read again for its pictures, and this prompt is for the sound alone; leave recache out"
            return "invalid", field, told
    return None
