from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamgen.log.contents import (
    ChunkMade,
    ChunkShown,
    Content,
    Decided,
    GeneratorStarted,
    Logged,
    Lost,
    Panicked,
    Requested,
    Voted,
    from_line,
    to_line,
)
from tests.steering.records import record

NOON = datetime(2026, 3, 1, 12, 0, 0, 250, UTC)
CONTENTS: list[Content] = [
    Requested(id="c2f0", client="ann", role="operate", message={"type": "prompt.set", "text": "sea\n", "n": [1, None]}),
    Decided(id="c2f0", decision="rejected", by="moderation", reason="violence"),
    GeneratorStarted(life=2, bundle="pocket", fingerprint="ab", seed=7, threads=2, version="1"),
    ChunkMade(
        life=2,
        chunk=9,
        prompt="rain",
        knobs={"camera": "left"},
        seed=7,
        guidance=2.5,
        steps=4,
        told=(("rain, left", 1 / 3), ("sea", 2 / 3)),
        sound=(("drums", 1.0),),
        keep=2,
        picture="ff",
    ),
    ChunkShown(life=2, chunk=9, pts=194400, prompt_id="c2f0"),
    Panicked(action="black", by="ann"),
    Voted(id="v1", counts={"rain": 3, "sea": 2}, winner="rain"),
    Lost(records=3),
]


@pytest.mark.parametrize("content", CONTENTS, ids=lambda content: str(content.type))
def test_every_record_is_one_line_that_is_read_again(content: Content) -> None:
    logged = Logged(NOON, 2.16, content)
    line = to_line(logged)
    assert line.count(b"\n") == 1
    assert line.startswith(b'{"time":"2026-03-01T12:00:00.000250Z","media_time_s":2.16,"type":"')
    assert from_line(line) == logged


def test_wall_time_is_utc() -> None:
    there = NOON.astimezone(timezone(timedelta(hours=9)))
    assert to_line(Logged(there, 0.0, Lost(records=1))) == to_line(Logged(NOON, 0.0, Lost(records=1)))


def test_a_chunk_is_what_its_record_says_without_timings() -> None:
    made = ChunkMade.of(replace(record(3, "p", "rain", applied=("p",)), told=(("rain", 1.0),), cut=True), 1)
    assert (made.life, made.chunk, made.prompt_id, made.prompt, made.applied) == (1, 3, "p", "rain", ("p",))
    assert (made.told, made.cut, made.fresh) == ((("rain", 1.0),), True, False)
    assert b"timings" not in to_line(Logged(NOON, 0.0, made))


def test_fields_of_a_newer_version_are_passed_over_and_types_are_not_guessed() -> None:
    newer = to_line(Logged(NOON, 1.0, Lost(records=1))).replace(b'"type"', b'"colour":[1],"type"')
    read = from_line(newer)
    assert read is not None
    assert read.content == Lost(records=1)
    assert from_line(newer.replace(b'"lost"', b'"found"')) is None


@pytest.mark.parametrize(
    "line",
    [b"", b"\n", b"{}", b"[]", b"null", b'{"type":"lost","records":1}', b"\xff\xfe", b'{"time":1e999}', b"[" * 9999],
)
def test_what_is_no_record_is_none(line: bytes) -> None:
    assert from_line(line) is None


@settings(deadline=None)
@given(st.floats(0, 1), st.floats(allow_nan=False, allow_infinity=False), st.text())
def test_numbers_come_back_to_the_last_bit_and_texts_as_far_as_utf_8_goes(
    share: float, guidance: float, text: str
) -> None:
    made = ChunkMade(life=1, chunk=1, prompt=text, seed=1, guidance=guidance, steps=1, told=((text, share),))
    read = from_line(to_line(Logged(NOON, guidance, made)))
    assert read is not None
    assert isinstance(read.content, ChunkMade)
    assert (read.media_time_s, read.content.guidance, read.content.told[0][1]) == (guidance, guidance, share)
    assert read.content.prompt == text


def test_half_a_surrogate_pair_does_not_stop_the_log() -> None:
    read = from_line(to_line(Logged(NOON, 0.0, Requested(id="a", message={"text": "a\ud800b"}))))
    assert read is not None
    assert isinstance(read.content, Requested)
    assert read.content.message == {"text": "a?b"}
