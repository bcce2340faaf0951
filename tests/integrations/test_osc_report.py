from streamgen.integrations.osc_report import OscReport
from streamgen.protocol import AudienceOption, AudienceOverlay, Chunk, HeldPrompt, Pong, State

ROOT = "/streamgen/main/"
FIRST = State(revision=1, channel="main", status="live", prompt="sea", viewers=2)


def names(of: list[tuple[str, str, tuple[str | int | float, ...]]]) -> dict[str, str | int | float]:
    return {address.removeprefix(ROOT): values[0] for address, _, values in of}


def test_the_first_state_says_everything_and_then_only_changes() -> None:
    report = OscReport("main")
    assert names(report.of(FIRST)) == {
        "applied": "sea",
        "sound": "",
        "status": "live",
        "viewers": 2,
        "panic": "none",
        "muted": 0,
        "held": 0,
        "held/id": "",
    }
    assert report.of(FIRST) == []
    held = (HeldPrompt(id="a", text="x"), HeldPrompt(id="b", text="y"))
    changed = FIRST.model_copy(update={"cover": "black", "muted": True, "held": held})
    assert names(report.of(changed)) == {"panic": "black", "muted": 1, "held": 2, "held/id": "a"}


def test_each_chunk_says_its_time() -> None:
    report = OscReport("main")
    report.of(FIRST)
    first = report.of(Chunk(index=1, media_time=0.24, prompt="rain", rtp_video=0))
    # Its prompt may be one for the sound alone; the state says what is for which.
    assert names(first) == {"chunk": 1, "media_time": 0.24}
    second = report.of(Chunk(index=2, media_time=0.48, prompt="rain", rtp_video=0))
    assert names(second) == {"chunk": 2, "media_time": 0.48}


def test_a_vote() -> None:
    report = OscReport("main")
    vote = AudienceOverlay(
        revision=1,
        mode="single",
        phase="result",
        options=(
            AudienceOption(id="p1", text="fox", votes=3, share=0.75),
            AudienceOption(id="p2", text="sea", votes=1),
        ),
        voters=4,
        winners=("p1",),
    )
    said = names(report.of(vote))
    assert said["audience/winner"] == "fox"
    assert (said["audience/option/1/text"], said["audience/option/1/share"]) == ("fox", 0.75)
    assert (said["audience/option/2/votes"], said["audience/option/3/text"]) == (1, "")
    assert said["audience/remaining"] == -1.0
    over = names(report.of(AudienceOverlay(revision=2, mode="single")))
    assert (over["audience/winner"], over["audience/option/1/text"]) == ("", "")


def test_everything_can_be_said_again() -> None:
    report = OscReport("main")
    report.of(FIRST)
    report.of(Chunk(index=7, media_time=1.0, prompt="rain", rtp_video=0))
    again = names(report.everything())
    assert (again["applied"], again["chunk"], again["viewers"]) == ("sea", 7, 2)


def test_other_messages_say_nothing() -> None:
    assert OscReport("main").of(Pong(id="a", t=0.0, server_media_time=0.0)) == []
