"""What the channel says, as OSC values. Free of I/O.

A value is sent when it changes, so it is also what was last sent: at most one for each address of the map.
"""

from dataclasses import dataclass
from typing import Final, TypeAlias

from streamgen.integrations.osc_map import PREFIX, SHOWN_OPTIONS
from streamgen.protocol import AudienceOverlay, Chunk, ServerMessage, State

OscOut: TypeAlias = tuple[str, str, tuple[str | int | float, ...]]  # address, type tags, values

NO_END: Final = -1.0


@dataclass(frozen=True, slots=True)
class _Said:
    tags: str
    value: str | int | float


class OscReport:
    """What goes out of one channel."""

    def __init__(self, channel: str) -> None:
        self._root = f"{PREFIX}/{channel}/"
        self._said: dict[str, _Said] = {}

    def of(self, message: ServerMessage) -> list[OscOut]:
        """What has changed with this message, in the order of the map."""
        match message:
            case State():
                return self._changes(_of_state(message))
            case Chunk():
                return self._changes(_of_chunk(message))
            case AudienceOverlay():
                return self._changes(_of_vote(message))
            case _:
                return []

    def rejected(self, address: str, why: str) -> OscOut:
        """A call had no effect."""
        return f"{self._root}rejected", "ss", (address, why)

    def everything(self) -> list[OscOut]:
        """All that has been said and still holds."""
        return [(self._root + name, said.tags, (said.value,)) for name, said in self._said.items()]

    def _changes(self, now: dict[str, _Said]) -> list[OscOut]:
        changed = {name: said for name, said in now.items() if self._said.get(name) != said}
        self._said |= changed
        return [(self._root + name, said.tags, (said.value,)) for name, said in changed.items()]


def _of_state(state: State) -> dict[str, _Said]:
    return {
        "applied": _Said("s", state.prompt),
        "sound": _Said("s", state.sound or ""),
        "status": _Said("s", state.status),
        "viewers": _Said("i", state.viewers),
        "panic": _Said("s", state.cover),
        "muted": _Said("i", int(state.muted)),
        "held": _Said("i", len(state.held)),
        "held/id": _Said("s", state.held[0].id if state.held else ""),
    }


def _of_chunk(chunk: Chunk) -> dict[str, _Said]:
    return {
        "chunk": _Said("i", chunk.index),
        "media_time": _Said("d", chunk.media_time),
    }


def _of_vote(vote: AudienceOverlay) -> dict[str, _Said]:
    texts = {option.id: option.text for option in vote.options}
    won = " + ".join(texts.get(each, "") for each in vote.winners)
    said = {
        "audience/phase": _Said("s", vote.phase),
        "audience/paused": _Said("i", int(vote.paused)),
        "audience/remaining": _Said("f", NO_END if vote.remaining_s is None else vote.remaining_s),
        "audience/voters": _Said("i", vote.voters),
        "audience/winner": _Said("s", won),
    }
    for index in range(SHOWN_OPTIONS):
        option = vote.options[index] if index < len(vote.options) else None
        place = f"audience/option/{index + 1}"
        said[f"{place}/text"] = _Said("s", "" if option is None else option.text)
        said[f"{place}/votes"] = _Said("i", 0 if option is None else option.votes)
        said[f"{place}/share"] = _Said("f", 0.0 if option is None else option.share)
    return said
