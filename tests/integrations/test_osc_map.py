from pathlib import Path

from streamgen.integrations import osc_map
from streamgen.integrations.osc_datagram import OscCall, OscValue
from streamgen.integrations.osc_desk import OscDesk
from streamgen.integrations.osc_map import OscAddress, addresses
from streamgen.integrations.osc_report import OscReport
from streamgen.protocol import AudienceOverlay, Chunk, State

KNOBS: dict[str, tuple[str, ...]] = {"camera": ("still", "left")}


def a_value(of: OscAddress) -> tuple[OscValue, ...]:
    if not of.tags:
        return ()
    if of.tags == "s":
        return (of.words[0] if of.words else "a fox",)
    assert of.low is not None
    assert of.high is not None
    return (of.high,)


def test_everything_that_comes_in_is_understood() -> None:
    desk = OscDesk("main")
    desk.follow(State(revision=1, channel="main", status="live", prompt="sea", choices=KNOBS, recaches=True))
    incoming = [each for each in desk.addresses if each.direction == "in"]
    assert len(incoming) > 35
    for each in incoming:
        desk.take(OscCall(each.path, a_value(each)))
        if each.tags == "f":
            desk.take(OscCall(each.path, (each.low,)))


def test_everything_that_goes_out_is_in_the_map_with_its_type() -> None:
    outgoing = {each.path: each for each in addresses("main", KNOBS) if each.direction == "out"}
    report = OscReport("main")
    sent = [
        *report.of(State(revision=1, channel="main", status="live", prompt="sea")),
        *report.of(Chunk(index=1, media_time=0.24, prompt="rain", rtp_video=0)),
        *report.of(AudienceOverlay(revision=1, mode="single")),
        report.rejected("/streamgen/main/prompt", "why"),
    ]
    for path, tags, values in sent:
        assert outgoing[path].tags == tags
        assert len(values) == len(tags)
        for value in values:
            assert not outgoing[path].words or value in outgoing[path].words
    assert {path for path, _, _ in sent} == set(outgoing)


def test_no_address_stands_there_twice() -> None:
    every = [(each.direction, each.path) for each in addresses("main", KNOBS, recaches=True)]
    assert len(every) == len(set(every))


def test_the_documentation_has_the_table() -> None:
    page = (Path(__file__).parents[2] / "docs" / "integrations.md").read_text(encoding="utf-8")
    assert osc_map.table() in page, "run `python -m streamgen.integrations.osc_map`"


def test_the_map_can_be_shown() -> None:
    (camera,) = (each for each in addresses("main", KNOBS) if each.path.endswith("/knob/camera"))
    assert camera.as_json() == {
        "path": "/streamgen/main/knob/camera",
        "tags": "s",
        "direction": "in",
        "about": "a knob of the model, by word or by its place in the list; an empty text lets go of it",
        "low": None,
        "high": None,
        "words": ("still", "left"),
    }
