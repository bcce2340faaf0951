"""Whatever is scheduled, with the largest and smallest values there are: nothing fails, and all can be told."""

import json
import math

from hypothesis import example, given, settings
from hypothesis import strategies as st

from streamgen.access.roles import PERMISSIONS
from streamgen.generation.scheduled import ScheduledPrompts, TimelineCommand
from streamgen.packets import ChunkRecord, Command
from streamgen.protocol import (
    ClientMessage,
    ProtocolError,
    State,
    Timeline,
    TimelineClear,
    Unschedule,
    encode,
    parse_client,
)
from streamgen.protocol.entries import LEAST_EVERY, MAX_BEAT, MAX_CHUNK, MAX_EVERY, MAX_TEMPO_BEAT, MAX_TIME_S
from streamgen.steering.hub import SteeringHub
from streamgen.steering.session import SteeringSession
from streamgen.timeline.document import parse_timeline

YEAR_S = 365 * 24 * 3600.0
CLOCK_HZ = 90_000

seconds = st.sampled_from([0.0, 1.0, MAX_EVERY, YEAR_S, MAX_TIME_S - 1.0, MAX_TIME_S]) | st.floats(0.0, MAX_TIME_S)
chunks = st.sampled_from([0, 1, 2**31, MAX_CHUNK - 1, MAX_CHUNK]) | st.integers(0, MAX_CHUNK)
beats = st.sampled_from([0.0, 1.0, MAX_TEMPO_BEAT, MAX_BEAT]) | st.floats(0.0, MAX_BEAT)
times_at = st.one_of(
    st.fixed_dictionaries({"media_time": seconds}),
    st.fixed_dictionaries({"chunk": chunks}),
    st.fixed_dictionaries({"beat": beats}),
)
every = st.sampled_from([LEAST_EVERY, 1.0, MAX_EVERY]) | st.floats(LEAST_EVERY, MAX_EVERY)
loops = st.none() | st.fixed_dictionaries({"every": every, "times": st.none() | st.sampled_from([1, 2, 2**31])})
ids = st.sampled_from(["a", "b", "c"])
bpm = st.sampled_from([20.0, 400.0])
tempos = st.fixed_dictionaries(
    {"bpm": bpm, "from_s": st.none() | seconds},
    optional={"beat": st.sampled_from([0.0, MAX_TEMPO_BEAT])},
) | st.fixed_dictionaries({"bpm": bpm, "from_s": st.none() | seconds, "phase": st.sampled_from([0.0, 0.999999])})
actions = st.sampled_from([{"type": "prompt", "text": "x"}, {"type": "config", "seed": 3}, {"type": "cut"}])
documents = st.fixed_dictionaries(
    {
        "tempo": st.lists(st.fixed_dictionaries({"bpm": bpm, "from_s": seconds, "beat": beats}), max_size=3),
        "entries": st.lists(
            st.fixed_dictionaries({"id": ids, "at": times_at, "action": actions, "loop": loops}),
            max_size=3,
            unique_by=lambda entry: entry["id"],
        ),
    }
)
wishes = st.one_of(
    st.fixed_dictionaries(
        {"type": st.just("schedule"), "id": ids, "at": times_at, "loop": loops, "replace": st.booleans()}
    ).map(lambda raw: {**raw, "prompt": {"text": "rain"}}),
    st.fixed_dictionaries({"type": st.just("loop"), "targets": st.lists(ids, min_size=1), "every": every}),
    tempos.map(lambda raw: {"type": "tempo", **raw}),
    documents.map(lambda document: {"type": "timeline.load", "document": document}),
    # A chunk that comes after a gap, or a generator that starts again.
    st.fixed_dictionaries(
        {"gap_chunks": st.sampled_from([1, 10**8, 2**39]), "gap_s": st.sampled_from([1.0, YEAR_S, MAX_TIME_S + 1.0])}
    ),
    st.just({"restart": True}),
)


class Channel:
    """A hub with the timeline of a generator under it, chunk by chunk."""

    def __init__(self) -> None:
        self.commands: list[Command] = []
        self.chunk, self.media_time_s = 0, 0.0
        self.hub = SteeringHub(
            SteeringSession("main"), send=self.commands.append, media_time_s=lambda: self.media_time_s
        )
        self.operator = self.hub.connect("op", PERMISSIONS)
        self.restart()

    def restart(self) -> None:
        self.hub.generator_lost()
        self.commands.clear()
        self.generator = ScheduledPrompts[str](1.0)
        self.generator.begin(self.chunk)
        self.hub.generator_ready()
        self.obey()

    def obey(self) -> None:
        for command in self.commands:
            if isinstance(command, TimelineCommand):
                for failure in self.generator.obey(command):
                    self.hub.prompt_failed(failure)
        self.commands.clear()

    def go_on(self, gap_chunks: int, gap_s: float) -> None:
        self.chunk, self.media_time_s = self.chunk + gap_chunks, self.media_time_s + gap_s
        while self.generator.begin_encoding(self.media_time_s) is not None:
            for queued in self.generator.encoded("E", None, self.media_time_s):
                self.hub.prompt_queued(queued)
        brought = self.generator.bring(self.chunk, self.media_time_s)
        applied = tuple(each.request.id for each in brought.taken)
        self.hub.chunk_started(
            ChunkRecord(
                chunk=self.chunk,
                first_frame=self.chunk,
                fps=(1, 1),
                pts=round(self.media_time_s * CLOCK_HZ),
                prompt_id=applied[-1] if applied else "start",
                prompt="x",
                seed=0,
                guidance=1.0,
                steps=1,
                applied=applied,
                scheduled=brought.occurred,
            )
        )

    def all_can_be_told(self) -> None:
        state, told = self.hub.state(), self.hub.session.timeline()
        assert isinstance(state, State)
        assert encode(state)
        assert parse_timeline(told.document.to_json()) == told.document
        assert all(math.isfinite(each.media_time) for each in told.next)
        assert Timeline.model_validate_json(encode(told)) == told
        self.hub.disconnect(self.hub.connect("late", PERMISSIONS))


def looping(**at: float) -> dict[str, object]:
    return {"type": "schedule", "id": "a", "at": at, "prompt": {"text": "rain"}, "loop": {"every": 4.0}}


BEYOND: dict[str, object] = {"gap_chunks": MAX_CHUNK, "gap_s": MAX_TIME_S + 1.0}


@settings(max_examples=300, deadline=None)
@example([looping(media_time=10.0), BEYOND, {"restart": True}])
@example([looping(chunk=10), BEYOND, {"restart": True}])
@example([{"type": "tempo", "bpm": 400.0, "beat": MAX_TEMPO_BEAT}, looping(beat=10.0), BEYOND, {"restart": True}])
@example([BEYOND, {"type": "tempo", "bpm": 120.0}, looping(media_time=1.0), looping(chunk=1)])
@given(st.lists(wishes, max_size=25))
def test_nothing_fails_and_everything_can_be_told(script: list[dict[str, object]]) -> None:
    channel = Channel()
    for number, wish in enumerate(script):
        if "restart" in wish:
            channel.restart()
        elif "gap_s" in wish:
            channel.go_on(int(str(wish["gap_chunks"])), float(str(wish["gap_s"])))
        else:
            message = read({"id": f"r{number}", **wish})
            if message is not None:
                channel.hub.take(channel.operator, message)
                channel.obey()
        channel.all_can_be_told()
    for last in (Unschedule(id="u", target="a"), TimelineClear(id="k")):
        channel.hub.take(channel.operator, last)
    assert channel.hub.session.timeline().document.entries == ()
    channel.hub.close()


def read(raw: dict[str, object]) -> ClientMessage | None:
    """A request as it comes over a line; None for one that the protocol refuses already."""
    try:
        return parse_client(json.dumps(raw))
    except ProtocolError:
        return None
