"""Every OSC address of a channel, as a list that can be shown, sent and tested.

`python -m streamgen.integrations.osc_map` prints the table of `docs/integrations.md`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Final, Literal, TypeAlias, get_args

from streamgen.protocol import (
    MAX_BLENDED,
    MAX_GUIDANCE,
    MAX_SEED,
    MAX_TRANSITION_MS,
    MAX_WEIGHT,
)
from streamgen.protocol.audience import MAX_PHASE_S

PREFIX: Final = "/streamgen"
MAP: Final = f"{PREFIX}/map"
MAP_END: Final = f"{PREFIX}/map/end"
SHOWN_OPTIONS: Final = 8  # of a vote, as many as faders on a usual surface

Direction: TypeAlias = Literal["in", "out"]
Past: TypeAlias = Literal["usual", "keep", "recache"]
"""What a prompt does to the past, where the model can read it again; a cut has an address of its own."""


@dataclass(frozen=True, slots=True)
class OscAddress:
    """One address.

    Attributes:
        path: the address, `N` and `NAME` filled in.
        pattern: the address with `N` or `NAME` in it where there are several alike.
        tags: type tags of its arguments, empty for a trigger: without an argument, or with a button's number.
        direction: `in` is what the server takes, `out` what it sends.
        about: one sentence.
        low, high: range of a number, both ends included.
        words: that a text may be; empty for any.
    """

    path: str
    pattern: str
    tags: str
    direction: Direction
    about: str
    low: float | None = None
    high: float | None = None
    words: tuple[str, ...] = ()

    def as_json(self) -> dict[str, object]:
        """What `GET /api/osc` shows."""
        return {name: value for name, value in asdict(self).items() if name != "pattern"}


def addresses(channel: str, knobs: Mapping[str, Sequence[str]], *, recaches: bool = False) -> tuple[OscAddress, ...]:
    """All addresses of a channel whose model has these knobs, and may read its past again under a new prompt."""
    root = f"{PREFIX}/{channel}"

    def way(
        direction: Direction,
        name: str,
        tags: str,
        about: str,
        low: float | None = None,
        high: float | None = None,
        *,
        words: Sequence[str] = (),
        pattern: str = "",
    ) -> OscAddress:
        return OscAddress(
            f"{root}/{name}", f"{root}/{pattern or name}", tags, direction, about, low, high, tuple(words)
        )

    found = [
        OscAddress(MAP, MAP, "", "in", "send this list back to whoever asks"),
        way("in", "report", "", "send everything that goes out once more"),
        way("in", "prompt", "s", "play this text"),
        way("in", "prompt/cut", "s", "play this text from a cut: the model forgets what was"),
        way("in", "target", "s", "what the next prompts are for", words=("av", "video", "audio")),
        way("in", "transition", "f", "seconds that the next prompts take to come in", 0.0, MAX_TRANSITION_MS / 1000),
    ]
    if recaches:
        about = "what the next prompts do to the past: what the model is used to, leave it, or have it read again"
        found.append(way("in", "past", "s", about, words=get_args(Past)))
    for index in range(1, MAX_BLENDED + 1):
        found.append(way("in", f"blend/{index}/text", "s", "a text of the blend", pattern="blend/N/text"))
        found.append(
            way(
                "in",
                f"blend/{index}/weight",
                "f",
                "its weight relative to the others; 0 takes it out",
                0.0,
                MAX_WEIGHT,
                pattern="blend/N/weight",
            )
        )
    for name, words in knobs.items():
        about = "a knob of the model, by word or by its place in the list; an empty text lets go of it"
        found.append(way("in", f"knob/{name}", "s", about, words=words, pattern="knob/NAME"))
    found += [
        way("in", "config/guidance", "f", "how closely to follow the prompt", 0.0, MAX_GUIDANCE),
        way("in", "config/seed", "i", "seed of the noise; beyond 2147483647 as `h`", 0.0, MAX_SEED),
        way("in", "play", "", "go on after a pause"),
        way("in", "pause", "", "make no more chunks; the last picture stays, in silence"),
        way("in", "reset", "", "drop what the model remembers, and keep the prompt"),
        way("in", "panic/hold", "", "keep the last picture, in silence"),
        way("in", "panic/slate", "", "show the slate"),
        way("in", "panic/black", "", "show black, in silence"),
        way("in", "panic/mute", "", "take the sound away"),
        way("in", "panic/off", "", "take all of that back"),
        way("in", "approve", "s", "let through what is held under this id"),
        way("in", "reject", "s", "turn away what is held under this id"),
        way("in", "audience/start", "", "begin a round of the vote"),
        way("in", "audience/stop", "", "break the vote off without a result"),
        way("in", "audience/pause", "", "stop the clock of the vote"),
        way("in", "audience/resume", "", "let the clock go on"),
        way("in", "audience/skip", "", "end the phase of the vote now"),
        way("in", "audience/extend", "f", "make the phase longer by so many seconds", 1.0, MAX_PHASE_S),
        way("out", "applied", "s", "the prompt that the picture follows from now on"),
        way("out", "sound", "s", "what the sound was told where that is something else, else empty"),
        way("out", "status", "s", "what viewers get", words=("starting", "live", "buffering", "slate")),
        way("out", "chunk", "i", "the chunk that begins to play", 0.0),
        way("out", "media_time", "d", "media time of its first picture, seconds", 0.0),
        way("out", "viewers", "i", "how many receive media", 0.0),
        way("out", "panic", "s", "what covers the programme", words=("none", "hold", "slate", "black")),
        way("out", "muted", "i", "whether the sound is taken away", 0.0, 1.0),
        way("out", "held", "i", "how many prompts wait for an operator", 0.0),
        way("out", "held/id", "s", "the id of the one that has waited longest, else empty"),
        way("out", "rejected", "ss", "an address that was sent here without effect, and why"),
        way("out", "audience/phase", "s", "of the vote", words=("idle", "collect", "vote", "result")),
        way("out", "audience/paused", "i", "whether its clock stands", 0.0, 1.0),
        way("out", "audience/remaining", "f", "seconds left of the phase when it was last changed; -1: no end"),
        way("out", "audience/voters", "i", "how many have voted", 0.0),
        way("out", "audience/winner", "s", "what won, in the phase result, else empty"),
    ]
    for index in range(1, SHOWN_OPTIONS + 1):
        option = f"audience/option/{index}"
        every = "audience/option/N"
        found.append(way("out", f"{option}/text", "s", "an option of the vote, else empty", pattern=f"{every}/text"))
        found.append(way("out", f"{option}/votes", "i", "its votes", 0.0, pattern=f"{every}/votes"))
        found.append(way("out", f"{option}/share", "f", "its part of all votes", 0.0, 1.0, pattern=f"{every}/share"))
    return tuple(found)


def table() -> str:
    """The addresses as the documentation shows them."""
    lines = ["| address | type | range or words | what it is for |", "|---|---|---|---|"]
    seen: set[tuple[Direction, str]] = set()
    heading: Direction | None = None
    for each in addresses("main", {"NAME": ()}, recaches=True):
        if (each.direction, each.pattern) in seen:
            continue
        seen.add((each.direction, each.pattern))
        if each.direction != heading:
            heading = each.direction
            lines.append(f"| **{'to the server' if heading == 'in' else 'from the server'}** | | | |")
        lines.append(f"| `{each.pattern}` | {f'`{each.tags}`' if each.tags else ''} | {_range(each)} | {each.about} |")
    return "\n".join(lines) + "\n"


def _range(each: OscAddress) -> str:
    if each.words:
        return ", ".join(f"`{word}`" for word in each.words)
    if each.low is None:
        return "`state.choices`" if each.pattern.endswith("/NAME") else ""
    return f"from {each.low:.0f}" if each.high is None else f"{each.low:.0f} to {each.high:.0f}"


if __name__ == "__main__":
    print(table(), end="")
