"""What a client sends. Checked strictly: an unknown field is an error that names the field."""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from streamgen.prompt_text import MAX_TEXT_CHARS, PromptText
from streamgen.protocol.terms import (
    MAX_BLENDED,
    MAX_KEEP,
    MAX_TRANSITION_MS,
    MAX_WEIGHT,
    FromClient,
    Guidance,
    Knobs,
    PanicAction,
    RequestId,
    Seed,
    Target,
    as_tuple,
)


class Weighted(FromClient):
    """One text of a blend; weights are relative to one another."""

    text: PromptText
    weight: Annotated[float, Field(gt=0.0, le=MAX_WEIGHT, allow_inf_nan=False)] = 1.0


def shown(text: str | None, blend: Sequence[Weighted]) -> str:
    """A text, or the texts of a blend with their shares, to be read."""
    if text is not None:
        return text
    if len(blend) == 1:
        return blend[0].text
    total = sum(part.weight for part in blend)
    words = " + ".join(f"{100 * part.weight / total:.0f} % {part.text}" for part in blend)
    return words if len(words) <= MAX_TEXT_CHARS else f"{words[: MAX_TEXT_CHARS - 1]}…"


class PromptWords(FromClient):
    """What shall be shown and heard, and how the way there is; `PromptSet` says what each field means."""

    text: PromptText | None = None
    blend: Annotated[tuple[Weighted, ...], Field(max_length=MAX_BLENDED), BeforeValidator(as_tuple)] = ()
    cut: bool = False
    keep: Annotated[int, Field(ge=0, le=MAX_KEEP)] | None = None
    recache: bool | None = None
    knobs: Knobs = Field(default={})
    target: Target = "av"
    transition_ms: Annotated[int, Field(ge=0, le=MAX_TRANSITION_MS)] = 0

    @property
    def shown(self) -> str:
        """The text, or the texts of the blend with their shares, to be read."""
        return shown(self.text, self.blend)


class PromptSet(PromptWords):
    """Play `text`, or the texts of `blend` together, from the next chunk that can still take it.

    `cut` also drops what the model remembers, `keep` all of it but the last so many chunks, and `recache` lets it read
    that again under the new prompt. `knobs` turn what the channel offers in `state.choices`, for as long as this prompt
    plays. `target` says whether it is for the picture,
    the sound or both. `transition_ms` is how long the way from what plays takes.
    """

    type: Literal["prompt.set"] = "prompt.set"
    id: RequestId


class ConfigUpdate(FromClient):
    """Change the settings that are given and leave the others as they are."""

    type: Literal["config.update"] = "config.update"
    id: RequestId
    guidance: Guidance | None = None
    seed: Seed | None = None


class Panic(FromClient):
    """Cover the programme at once, whatever the generator does.

    `hold` keeps the last picture, in silence, `slate` and `black` show those; each replaces the one before. `mute`
    takes the sound away, whatever is shown. `off` takes all of it back.
    """

    type: Literal["panic"] = "panic"
    id: RequestId
    action: PanicAction


class Approve(FromClient):
    """Let a prompt through that is held (`state.held`), or a proposal (`audience.queue`)."""

    type: Literal["approve"] = "approve"
    id: RequestId
    target: RequestId


class Reject(FromClient):
    """Refuse a prompt that is held, or a proposal; `message` is told to the one who asked."""

    type: Literal["reject"] = "reject"
    id: RequestId
    target: RequestId
    message: Annotated[str, Field(max_length=MAX_TEXT_CHARS)] = ""


class Ping(FromClient):
    """Ask for a `pong`; `t` is the client's own clock and comes back unchanged."""

    type: Literal["ping"] = "ping"
    id: RequestId
    t: Annotated[float, Field(allow_inf_nan=False)]
