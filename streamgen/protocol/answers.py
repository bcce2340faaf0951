"""What a server sends. Read leniently: an unknown field is ignored, so an old client understands a newer server."""

from typing import Literal

from pydantic import Field

from streamgen.protocol.terms import PROTOCOL_VERSION, Cover, FromServer, Permission, Reason, Stage, Status


class Config(FromServer):
    """The settings in force: those of the last request that was accepted."""

    guidance: float | None = None
    seed: int | None = None


class Pending(FromServer):
    """A prompt that is on its way into the media."""

    id: str
    text: str
    stage: Stage
    eta_ms: int | None = None


class HeldPrompt(FromServer):
    """A prompt that waits for an operator. `category` is what it may be about, null where everything is held."""

    id: str
    text: str
    category: str | None = None


class State(FromServer):
    """The whole situation: sent on joining and after each change. A higher `revision` replaces a lower one."""

    type: Literal["state"] = "state"
    version: int = PROTOCOL_VERSION
    revision: int
    channel: str
    status: Status
    prompt: str
    prompt_id: str | None = None
    sound: str | None = None  # what the sound was told where that is not `prompt`
    pending: tuple[Pending, ...] = ()
    held: tuple[HeldPrompt, ...] = ()  # only for those who may decide about them
    knobs: dict[str, str] = Field(default={})  # of the prompt that plays
    choices: dict[str, tuple[str, ...]] = Field(default={})  # knobs that a prompt can turn, and to what
    recaches: bool = False  # a prompt can ask for the past to be read again under it
    config: Config = Config()
    cover: Cover = "none"  # what is shown in the programme's place
    muted: bool = False
    paused: bool = False  # no chunks are made
    media_time: float = 0.0  # seconds: of the first picture of `chunk`
    chunk: int | None = None  # the chunk that is playing, None before the first
    viewers: int = 0
    can: tuple[Permission, ...] = ()


class Received(FromServer):
    """The request was read and understood."""

    type: Literal["received"] = "received"
    id: str


class Held(FromServer):
    """An operator has to look at the request first; `message` says so in words."""

    type: Literal["held"] = "held"
    id: str
    message: str


class Accepted(FromServer):
    """The request is allowed and is on its way to the generator."""

    type: Literal["accepted"] = "accepted"
    id: str


class Rejected(FromServer):
    """The request has no effect. `field` names what is wrong, `message` says what to do instead."""

    type: Literal["rejected"] = "rejected"
    id: str | None = None
    reason: Reason
    field: str | None = None
    message: str
    retry_after_s: float | None = None


class Queued(FromServer):
    """The generator holds the prompt; it is expected in the media `eta_ms` from now."""

    type: Literal["queued"] = "queued"
    id: str
    eta_ms: int


class Applied(FromServer):
    """The first chunk made with it starts now; `media_time` (seconds) is that of its first picture.

    `rtp_video` is the pts of that picture in 90 kHz ticks: an RTP timestamp less the viewer's own offset. For a `panic`
    it is the media time that leaves now, and `chunk` the one that is covered, None before the first.
    """

    type: Literal["applied"] = "applied"
    id: str
    chunk: int | None
    media_time: float
    rtp_video: int | None = None


class Superseded(FromServer):
    """A later request (`by`) took its place before it could be applied."""

    type: Literal["superseded"] = "superseded"
    id: str
    by: str


class Buffering(FromServer):
    """The media stands still (`active`) or goes on again, and why."""

    type: Literal["buffering"] = "buffering"
    active: bool
    reason: Literal["underrun", "starting", "restarting", "paused"] | None = None
    media_time: float = 0.0


class Chunk(FromServer):
    """A chunk begins to play. `rtp_video` is the pts of its first picture in 90 kHz ticks."""

    type: Literal["chunk"] = "chunk"
    index: int
    media_time: float
    prompt: str
    prompt_id: str | None = None
    rtp_video: int


class Pong(FromServer):
    """The answer to `ping`: the client's own `t`, and the media time (seconds) that leaves the server now."""

    type: Literal["pong"] = "pong"
    id: str
    t: float
    server_media_time: float
