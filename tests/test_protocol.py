"""The messages: what is read, what is refused and how, and that the documentation shows all of them as they are."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamgen.protocol import (
    CLIENT_TYPES,
    MAX_BLENDED,
    MAX_FRAME_BYTES,
    MAX_GUIDANCE,
    MAX_ID_CHARS,
    MAX_SEED,
    MAX_TEXT_CHARS,
    MAX_TRANSITION_MS,
    MAX_TRANSPORT_BYTES,
    PROTOCOL_VERSION,
    AudienceControl,
    ClientMessage,
    ConfigUpdate,
    Panic,
    Ping,
    PromptSet,
    Propose,
    ProtocolError,
    Reason,
    Rejected,
    ServerMessage,
    State,
    Vote,
    Weighted,
    encode,
    normalise_text,
    parse_client,
    parse_server,
)

DOCUMENT = (Path(__file__).parent.parent / "docs" / "protocol.md").read_text()
EXAMPLES = re.findall(r"^### (\S+)$.*?^```json\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL)
SERVER_TYPES = tuple(each.model_fields["type"].default for each in get_args(ServerMessage))


def refused(frame: str | bytes) -> ProtocolError:
    with pytest.raises(ProtocolError) as caught:
        parse_client(frame)
    return caught.value


def prompt_set(**changes: Any) -> str:
    return json.dumps({"type": "prompt.set", "id": "a", "text": "rain", **changes})


# What clients send --------------------------------------------------------------------------------------------------


def test_messages_are_read_into_their_types() -> None:
    assert parse_client(prompt_set()) == PromptSet(id="a", text="rain")
    assert parse_client(prompt_set(cut=True)) == PromptSet(id="a", text="rain", cut=True)
    assert parse_client('{"type":"config.update","id":"c","guidance":2}') == ConfigUpdate(id="c", guidance=2.0)
    assert parse_client('{"type":"config.update","id":"c","seed":7}') == ConfigUpdate(id="c", seed=7)
    blend = parse_client(prompt_set(text=None, blend=[{"text": "rain", "weight": 3}, {"text": "snow"}]))
    assert blend == PromptSet(id="a", blend=(Weighted(text="rain", weight=3.0), Weighted(text="snow")))
    assert blend.shown == "75 % rain + 25 % snow"
    assert parse_client('{"type":"panic","id":"p","action":"black"}') == Panic(id="p", action="black")
    assert parse_client('{"type":"ping","id":"p","t":1.5}') == Ping(id="p", t=1.5)
    assert parse_client('{"type":"propose","id":"a","text":" a  fox "}') == Propose(id="a", text="a fox")
    assert parse_client('{"type":"vote","id":"a","option":"o1"}') == Vote(id="a", option="o1")
    extend = parse_client('{"type":"audience.control","id":"a","action":"extend","seconds":5}')
    assert extend == AudienceControl(id="a", action="extend", seconds=5.0)


@pytest.mark.parametrize(
    ("frame", "reason", "field"),
    [
        (b"\x00\x01", "not_text", "frame"),
        (b'{"type":"ping","id":"p","t":1}', "not_text", "frame"),
        ("", "not_json", "frame"),
        ("{", "not_json", "frame"),
        ("rain", "not_json", "frame"),
        ('{"type":"ping","id":"p","t":NaN}', "not_json", "frame"),
        ('{"a":1}{"a":2}', "not_json", "frame"),
        ("[" * 10_000, "not_json", "frame"),
        ('"\ud800"', "not_json", "frame"),
        ("[]", "not_an_object", "frame"),
        ("null", "not_an_object", "frame"),
        ('"ping"', "not_an_object", "frame"),
        ("{}", "missing", "type"),
        ('{"type":"prompt.get","id":"a"}', "unknown_type", "type"),
        ('{"type":["ping"],"id":"a"}', "unknown_type", "type"),
        ('{"type":null,"id":"a"}', "unknown_type", "type"),
        ('{"type":"prompt.set","text":"rain"}', "missing", "id"),
        ('{"type":"prompt.set","id":"a"}', "missing", "text"),
        ('{"type":"ping","id":"a"}', "missing", "t"),
        ('{"type":"panic","id":"a"}', "missing", "action"),
        ('{"type":"approve","id":"a"}', "missing", "target"),
        ('{"type":"reject","id":"a","target":""}', "empty", "target"),
        ('{"type":"panic","id":"a","action":"run"}', "invalid", "action"),
        ('{"type":"panic","id":"a","action":1}', "invalid", "action"),
        ('{"type":"propose","id":"a","text":"fox","stage":""}', "empty", "stage"),
        ('{"type":"propose","id":"a","text":" "}', "empty", "text"),
        ('{"type":"vote","id":"a"}', "missing", "option"),
        ('{"type":"audience.control","id":"a","action":"vote"}', "invalid", "action"),
        ('{"type":"audience.control","id":"a","action":"extend"}', "missing", "seconds"),
        ('{"type":"audience.control","id":"a","action":"extend","seconds":0}', "out_of_range", "seconds"),
        ('{"type":"audience.control","id":"a","action":"skip","seconds":1}', "invalid", "seconds"),
        ('{"type":"ping","id":"a","t":1e400}', "out_of_range", "t"),
        ('{"type":"config.update","id":"a"}', "missing", "guidance"),
        ('{"type":"config.update","id":"a","guidance":null}', "missing", "guidance"),
        ('{"type":"config.update","id":"a","guidance":-0.1}', "out_of_range", "guidance"),
        (f'{{"type":"config.update","id":"a","guidance":{MAX_GUIDANCE + 1}}}', "out_of_range", "guidance"),
        ('{"type":"config.update","id":"a","guidance":"2"}', "wrong_type", "guidance"),
        ('{"type":"config.update","id":"a","seed":-1}', "out_of_range", "seed"),
        (f'{{"type":"config.update","id":"a","seed":{MAX_SEED + 1}}}', "out_of_range", "seed"),
        ('{"type":"config.update","id":"a","seed":1.5}', "wrong_type", "seed"),
        ('{"type":"config.update","id":"a","seed":true}', "wrong_type", "seed"),
        (prompt_set(text=5), "wrong_type", "text"),
        (prompt_set(text=None), "missing", "text"),
        (prompt_set(blend=[{"text": "snow"}]), "invalid", "blend"),
        (prompt_set(text=None, blend=[{"text": "snow", "weight": 0}]), "out_of_range", "blend.0.weight"),
        (prompt_set(text=None, blend=[{"text": ""}]), "empty", "blend.0.text"),
        (prompt_set(text=None, blend=[{"text": "snow"}] * (MAX_BLENDED + 1)), "too_long", "blend"),
        (prompt_set(text=None, blend="snow"), "wrong_type", "blend"),
        (prompt_set(target="smell"), "invalid", "target"),
        (prompt_set(transition_ms=MAX_TRANSITION_MS + 1), "out_of_range", "transition_ms"),
        (prompt_set(keep=-1), "out_of_range", "keep"),
        (prompt_set(keep=1, cut=True), "invalid", "keep"),
        (prompt_set(recache=True, cut=True), "invalid", "recache"),
        (prompt_set(recache=1), "wrong_type", "recache"),
        (prompt_set(transition_ms=500, cut=True), "invalid", "transition_ms"),
        (prompt_set(text=""), "empty", "text"),
        (prompt_set(text=" \n\t\u2003"), "empty", "text"),
        (prompt_set(text="\u200d\u202e\u200b"), "empty", "text"),
        (prompt_set(text="x" * (MAX_TEXT_CHARS + 1)), "too_long", "text"),
        (prompt_set(text="x" * 100_000), "too_long", "text"),
        (prompt_set(text=" " * 100_000), "too_long", "text"),
        (prompt_set(cut="yes"), "wrong_type", "cut"),
        (prompt_set(cut=1), "wrong_type", "cut"),
        (prompt_set(weight=2), "unknown_field", "weight"),
        (prompt_set(**{"w" * 200: 2}), "unknown_field", "w" * MAX_ID_CHARS + "…"),
        (prompt_set(id=""), "empty", "id"),
        (prompt_set(id="i" * (MAX_ID_CHARS + 1)), "too_long", "id"),
        (prompt_set(id="a\nb"), "invalid", "id"),
        (prompt_set(id=7), "wrong_type", "id"),
        ('{"type":"ping","id":"p","t":1' + " " * MAX_FRAME_BYTES + "}", "frame_too_long", "frame"),
        (" " * (MAX_TRANSPORT_BYTES + 1), "frame_too_long", "frame"),
    ],
    ids=lambda value: str(value)[:40].encode("ascii", "replace").decode(),
)
def test_anything_else_is_refused_by_reason_and_field(frame: str | bytes, reason: Reason, field: str) -> None:
    error = refused(frame)
    assert (error.reason, error.field) == (reason, field)
    assert error.message
    assert "\n" not in error.message
    assert len(error.message) < 400


def test_an_answer_to_a_refused_frame_carries_the_id_when_it_can_be_read() -> None:
    assert refused(prompt_set(text="")).rejected() == Rejected(
        id="a", reason="empty", field="text", message=refused(prompt_set(text="")).message
    )
    assert refused(prompt_set(id=7)).id is None
    assert refused("{").id is None


@pytest.mark.parametrize(
    "text",
    [
        "大雨が降る海",
        "тихое море",
        "بحر هادئ",
        "👩\u200d🚀 🌊",
        "a\u0301gua",
        "mer calme, ciel d’été",
        "x" * MAX_TEXT_CHARS,
    ],
    ids=["ja", "ru", "ar", "emoji", "combining", "fr", "longest"],
)
def test_any_language_is_a_prompt(text: str) -> None:
    message = parse_client(prompt_set(text=text))
    assert isinstance(message, PromptSet)
    assert message.text == normalise_text(text)


def test_text_has_one_form() -> None:
    assert normalise_text("  red\r\n\tball\x00\u2028 bounces ") == "red ball bounces"
    assert normalise_text("e\u0301") == "é"
    assert parse_client(prompt_set(text="e\u0301 \n x")) == PromptSet(id="a", text="é x")


@given(st.text())
@settings(deadline=None, derandomize=True)
def test_normalising_twice_is_normalising_once(text: str) -> None:
    once = normalise_text(text)
    assert normalise_text(once) == once


json_values = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.integers() | st.text(max_size=80),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
field_names = st.sampled_from(["type", "id", "text", "cut", "guidance", "seed", "t", "other"])
almost_messages = st.dictionaries(field_names, json_values | st.sampled_from(CLIENT_TYPES), max_size=6)


@given(st.text() | st.binary() | (almost_messages | json_values).map(json.dumps))
@settings(deadline=None, derandomize=True, max_examples=400)
def test_no_frame_makes_it_raise_anything_but_its_own_error(frame: str | bytes) -> None:
    answer: ClientMessage | ServerMessage
    try:
        answer = parse_client(frame)
    except ProtocolError as error:
        answer = error.rejected()
    read = parse_server if isinstance(answer, Rejected) else parse_client
    assert read(encode(answer)) == answer


# What servers send --------------------------------------------------------------------------------------------------


def test_a_client_reads_a_newer_server() -> None:
    frame = '{"type":"state","version":2,"revision":1,"channel":"main","status":"live","prompt":"sea","mood":"calm"}'
    assert parse_server(frame) == State(version=2, revision=1, channel="main", status="live", prompt="sea")
    with pytest.raises(ProtocolError) as caught:
        parse_server('{"type":"weather","id":"x"}')
    assert caught.value.reason == "unknown_type"


def test_a_server_message_can_come_as_bytes() -> None:
    assert parse_server(b'{"type":"received","id":"a"}').type == "received"
    with pytest.raises(ProtocolError):
        parse_server(b"\xff")


# The documentation ---------------------------------------------------------------------------------------------------


def test_the_document_shows_every_message_once() -> None:
    assert sorted(name for name, _ in EXAMPLES) == sorted((*CLIENT_TYPES, *SERVER_TYPES))


@pytest.mark.parametrize(("name", "example"), EXAMPLES)
def test_every_example_is_a_message_with_all_of_its_fields(name: str, example: str) -> None:
    message: ClientMessage | ServerMessage
    document = json.loads(example)
    message = parse_client(example) if name in CLIENT_TYPES else parse_server(example)
    assert message.type == name
    assert set(document) == set(type(message).model_fields)
    assert json.loads(encode(message)) == document


def test_the_document_names_every_reason_and_the_limits() -> None:
    for reason in get_args(Reason):
        assert f"`{reason}`" in DOCUMENT, reason
    assert f"This is version {PROTOCOL_VERSION};" in DOCUMENT
    assert f"up to {MAX_TEXT_CHARS} characters" in DOCUMENT
    assert f"1 to {MAX_ID_CHARS} printable characters" in DOCUMENT
    assert f"0 to {MAX_GUIDANCE:.0f}" in DOCUMENT
    assert f"0 to {MAX_SEED}" in DOCUMENT
    assert f"at most {MAX_FRAME_BYTES // 1024} KiB" in DOCUMENT
    assert f"over {MAX_TRANSPORT_BYTES // 1024**2} MiB" in DOCUMENT


def test_the_rates_in_the_document_are_those_of_the_server() -> None:
    from streamgen.steering.rate import BURST_MESSAGES, MESSAGES_PER_S

    assert f"more than {BURST_MESSAGES} messages at once, or {MESSAGES_PER_S:.0f} a second" in DOCUMENT


def test_clients_need_only_pydantic() -> None:
    program = (
        "import sys; before = set(sys.modules); import streamgen.protocol; "
        "print(*sorted({name.split('.')[0] for name in set(sys.modules) - before} - sys.stdlib_module_names))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    loaded = {name for name in done.stdout.split() if not name.startswith("_sysconfigdata")}
    of_pydantic = {"annotated_types", "pydantic", "pydantic_core", "typing_extensions", "typing_inspection"}
    assert loaded <= {"streamgen"} | of_pydantic


# The timeline --------------------------------------------------------------------------------------------------------


def schedule(**changes: Any) -> str:
    message = {"type": "schedule", "id": "a", "at": {"chunk": 4}, "prompt": {"text": "rain"}, **changes}
    return json.dumps(message)


@pytest.mark.parametrize(
    ("changes", "field", "reason"),
    [
        ({"at": {}}, "at", "invalid"),
        ({"at": {"chunk": 1, "beat": 2.0}}, "at", "invalid"),
        ({"at": {"chunk": -1}}, "at.chunk", "out_of_range"),
        ({"prompt": {}}, "prompt.text", "missing"),
        ({"prompt": {"text": "rain", "blend": [{"text": "snow"}]}}, "prompt.blend", "invalid"),
        ({"prompt": {"text": "rain", "cut": True, "keep": 1}}, "prompt.keep", "invalid"),
        ({"prompt": {"text": "rain", "cut": True, "recache": True}}, "prompt.recache", "invalid"),
        ({"prompt": {"text": "rain", "cut": True, "transition_ms": 9}}, "prompt.transition_ms", "invalid"),
        ({"prompt": {"text": ""}}, "prompt.text", "empty"),
        ({"loop": {"every": 1.5}}, "loop.every", "invalid"),
        ({"loop": {"every": 0.0}}, "loop.every", "out_of_range"),
    ],
)
def test_what_is_wrong_with_a_schedule_is_named(changes: dict[str, Any], field: str, reason: Reason) -> None:
    error = refused(schedule(**changes))
    assert (error.field, error.reason, error.id) == (field, reason, "a")


def test_a_document_is_checked_with_the_places_of_what_is_wrong() -> None:
    entry = {"id": "x", "at": {"chunk": 1}, "action": {"type": "prompt", "text": ""}}
    whole = {"type": "timeline.load", "id": "a", "document": {"entries": [entry]}}
    assert refused(json.dumps(whole)).field.startswith("document.entries.0.action")
    entry["action"] = {"type": "dance"}
    error = refused(json.dumps(whole))
    assert error.field.startswith("document.entries.0.action")
    assert "known types" not in error.message


def test_a_whole_timeline_may_be_longer_than_any_other_frame() -> None:
    entries = [
        {"id": str(number), "at": {"chunk": number}, "action": {"type": "prompt", "text": "x" * 400}}
        for number in range(250)
    ]
    frame = json.dumps({"type": "timeline.load", "id": "a", "document": {"entries": entries}})
    assert len(frame) > MAX_FRAME_BYTES
    assert parse_client(frame).type == "timeline.load"
    padded = frame + " " * MAX_TRANSPORT_BYTES
    assert refused(padded).reason == "frame_too_long"


def test_a_tempo_counts_one_way() -> None:
    error = refused(json.dumps({"type": "tempo", "id": "a", "bpm": 120, "phase": 0.5, "beat": 3}))
    assert (error.field, error.reason) == ("beat", "invalid")
