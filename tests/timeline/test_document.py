import json
from typing import Any

import pytest

from streamgen.protocol import CoverAction, PromptAction, TimelineDocument, TransitionAction
from streamgen.timeline.document import MAX_DOCUMENT_BYTES, entry_of, moved, parse_timeline
from streamgen.timeline.errors import TimelineError

WHOLE: dict[str, Any] = {
    "format": "streamgen-timeline",
    "version": 1,
    "tempo": [{"bpm": 120, "phase": 0.5}, {"bpm": 90.5, "from_s": 60}],
    "entries": [
        {"id": "dawn", "at": {"media_time": 0}, "action": {"type": "prompt", "text": "  a calm   sea ", "cut": True}},
        {
            "id": "storm",
            "at": {"beat": 16},
            "action": {
                "type": "transition",
                "blend": [{"text": "rain", "weight": 2}, {"text": "lightning", "weight": 1}],
                "target": "video",
                "keep": 3,
                "duration_ms": 4000,
                "knobs": {"camera": "left"},
            },
            "loop": {"every": 32, "times": 4},
        },
        {"id": "seed", "at": {"chunk": 200}, "action": {"type": "config", "seed": 7}, "loop": {"every": 100}},
        {"id": "cut", "at": {"chunk": 201}, "action": {"type": "cut"}},
        {"id": "end", "at": {"media_time": 90.5}, "action": {"type": "black"}},
    ],
}


def parse(raw: object) -> TimelineDocument:
    return parse_timeline(json.dumps(raw))


def changed(path: str, value: object) -> dict[str, Any]:
    """WHOLE with one field set (or taken out, for ...)."""
    raw = json.loads(json.dumps(WHOLE))
    *way, last = [int(step) if step.isdigit() else step for step in path.split(".")]
    place = raw
    for step in way:
        place = place[step]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return raw  # type: ignore[no-any-return]


def test_a_timeline_is_read() -> None:
    document = parse(WHOLE)
    dawn, storm, *_, end = document.entries
    assert isinstance(dawn.action, PromptAction)
    assert dawn.action.weighted == (("a calm sea", 1.0),)
    assert isinstance(storm.action, TransitionAction)
    assert storm.action.weighted == (("rain", 2.0), ("lightning", 1.0))
    assert storm.action.target == "video"
    assert isinstance(end.action, CoverAction)


def test_what_is_written_is_read_again() -> None:
    document = parse(WHOLE)
    assert parse_timeline(document.to_json()) == document
    assert parse_timeline("{}") == TimelineDocument()


@pytest.mark.parametrize(
    ("path", "value", "field", "reason"),
    [
        ("format", "other", "format", "invalid"),
        ("version", 2, "version", "unsupported_version"),
        ("version", "1", "version", "invalid"),
        ("colour", 1, "colour", "unknown_field"),
        ("tempo.0.bpm", 10, "tempo.0.bpm", "out_of_range"),
        ("tempo.0.bpm", "fast", "tempo.0.bpm", "wrong_type"),
        ("tempo.0.phase", 1, "tempo.0.phase", "out_of_range"),
        ("tempo.0.beat", 3, "tempo.0", "invalid"),
        ("entries.0.id", "", "entries.0.id", "empty"),
        ("entries.0.id", ..., "entries.0.id", "missing"),
        ("entries.0.at.chunk", 1, "entries.0.at", "invalid"),
        ("entries.0.at.media_time", ..., "entries.0.at", "invalid"),
        ("entries.0.at.media_time", -1, "entries.0.at.media_time", "out_of_range"),
        ("entries.2.at.chunk", 1.5, "entries.2.at.chunk", "wrong_type"),
        ("entries.0.action.type", "sing", "entries.0.action.type", "unknown_type"),
        ("entries.0.action.type", ..., "entries.0.action.type", "missing"),
        ("entries.0.action.text", " ", "entries.0.action.text", "empty"),
        ("entries.0.action.text", "x" * 501, "entries.0.action.text", "too_long"),
        ("entries.0.action.text", ..., "entries.0.action", "invalid"),
        ("entries.0.action.keep", 2, "entries.0.action", "invalid"),
        ("entries.0.action.colour", 2, "entries.0.action.colour", "unknown_field"),
        ("entries.1.action.text", "both", "entries.1.action", "invalid"),
        ("entries.1.action.blend.0.weight", -1, "entries.1.action.blend.0.weight", "out_of_range"),
        ("entries.1.action.blend", [{"text": "a", "weight": 0}], "entries.1.action.blend.0.weight", "out_of_range"),
        ("entries.1.action.blend", [{"text": "a", "weight": 1}] * 9, "entries.1.action.blend", "too_many"),
        ("entries.1.action.duration_ms", 0, "entries.1.action.duration_ms", "out_of_range"),
        ("entries.1.action.target", "smell", "entries.1.action.target", "invalid"),
        ("entries.1.loop.times", 0, "entries.1.loop.times", "out_of_range"),
        ("entries.1.loop.every", 0, "entries.1.loop.every", "out_of_range"),
        ("entries.2.loop.every", 1.5, "entries.2", "invalid"),
        ("entries.2.action.seed", ..., "entries.2.action", "invalid"),
        ("entries", [WHOLE["entries"][3]] * 257, "entries", "too_many"),
    ],
)
def test_a_wrong_field_is_named(path: str, value: object, field: str, reason: str) -> None:
    with pytest.raises(TimelineError) as caught:
        parse(changed(path, value))
    assert (caught.value.field, caught.value.reason) == (field, reason)
    assert str(caught.value).startswith(f"{field}: ")


@pytest.mark.parametrize("text", ["", "no", "[1]", "\ud800", '{"version": NaN}', b"\xff"])
def test_what_is_no_timeline_is_refused(text: str | bytes) -> None:
    with pytest.raises(TimelineError):
        parse_timeline(text)


def test_a_document_that_is_too_long_is_refused() -> None:
    with pytest.raises(TimelineError, match="at most 1048576 bytes"):
        parse_timeline(" " * (MAX_DOCUMENT_BYTES + 1))


def test_an_entry_of_a_message_is_read() -> None:
    assert entry_of(WHOLE["entries"][1]).id == "storm"
    with pytest.raises(TimelineError) as caught:
        entry_of({"id": "x", "at": {"beat": -1}, "action": {"type": "cut"}})
    assert caught.value.field == "at.beat"


def test_a_timeline_can_be_moved_to_now() -> None:
    later = moved(parse(WHOLE), by_s=100.0, by_chunks=50)
    assert [entry.at.model_dump(exclude_none=True) for entry in later.entries] == [
        {"media_time": 100.0},
        {"beat": 16.0},
        {"chunk": 250},
        {"chunk": 251},
        {"media_time": 190.5},
    ]
    assert [tempo.from_s for tempo in later.tempo] == [100.0, 160.0]
    with pytest.raises(TimelineError) as caught:
        moved(parse(WHOLE), by_s=-1.0)
    assert caught.value.field == "entries.0.at.media_time" or caught.value.field == "tempo.0.from_s"
