"""How a channel goes, for those who look after it: one message a second. Read leniently, as all that a server sends."""

from typing import Literal

from streamgen.protocol.terms import FromServer


class PromptTimes(FromServer):
    """From taking a prompt to the first packet of its first chunk, over the newest `prompts` of them (ms)."""

    prompts: int = 0
    p50_ms: int | None = None  # None before the first
    p95_ms: int | None = None
    last_ms: int | None = None


class QueueDepths(FromServer):
    """How much waits in each queue of the channel now."""

    moderation: int = 0  # texts whose verdict has not come
    held: int = 0  # prompts that wait for an operator
    prompts: int = 0  # accepted, and not yet in the media
    chunks: int = 0  # made, behind the one that plays
    outbox: int = 0  # messages to the connection that is furthest behind


class Health(FromServer):
    """How the channel goes now, about once a second, to those who may moderate.

    `margin_ms` is how long before it was due the newest chunk was ready, `least_margin_ms` the least since the message
    before (negative: late). `realtime_ratio` is media made per time that the slowest stage works: 1 just keeps up.
    `fps` is pictures that began to play per second, `planned_fps` what the model makes. `skew_ms` is how much later
    than planned the newest picture left, less the same of the newest sound. `late_ms` is the latest release since the
    message before: how long the server was busy with other things. None where nothing was measured yet.
    """

    type: Literal["health"] = "health"
    media_time: float
    margin_ms: float | None = None
    least_margin_ms: float | None = None
    realtime_ratio: float | None = None
    steps: int | None = None
    behind: bool = False  # chunks come late even with the fewest steps
    fps: float = 0.0
    planned_fps: float | None = None
    skew_ms: float | None = None
    late_ms: float = 0.0
    viewers: int = 0
    connections: int = 0
    underruns: int = 0  # times that the media stood still, since the start
    restarts: int = 0  # of the generator, since the start
    prompt_to_packet: PromptTimes = PromptTimes()
    queues: QueueDepths = QueueDepths()
    generator_bytes: int | None = None  # resident memory
    server_bytes: int | None = None
