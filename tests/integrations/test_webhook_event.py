from streamgen.integrations.webhook_event import EventReader
from streamgen.protocol import AudienceOption, AudienceOverlay, Chunk, State, Status


def state(status: Status = "live", *, prompt_id: str | None = None) -> State:
    return State(revision=1, channel="main", status=status, prompt="sea", prompt_id=prompt_id, media_time=4.0)


def chunk(index: int, prompt_id: str | None, prompt: str = "rain") -> Chunk:
    return Chunk(index=index, media_time=index * 0.25, prompt=prompt, prompt_id=prompt_id, rtp_video=0)


def vote(round: str, phase: str = "result", stage: str = "prompt") -> AudienceOverlay:
    return AudienceOverlay.model_validate(
        {
            "revision": 1,
            "mode": "single",
            "phase": phase,
            "round": round,
            "stage": stage,
            "options": (
                AudienceOption(id="p1", text="fox", votes=3, names=("Ada",)),
                AudienceOption(id="p2", text="sea", votes=1),
            ),
            "voters": 4,
            "winners": ("p1",) if phase == "result" else (),
            "decided_by": "votes" if phase == "result" else None,
        }
    )


def test_a_prompt_is_told_with_its_first_chunk_and_once() -> None:
    reader = EventReader("main")
    assert reader.read(state()) == ()
    assert reader.read(chunk(1, None, "sea")) == ()
    (event,) = reader.read(chunk(2, "a"))
    assert event.type == "prompt.applied"
    assert event.content == {
        "channel": "main",
        "prompt": "rain",
        "prompt_id": "a",
        "chunk": 2,
        "media_time": 0.5,
    }
    assert reader.read(chunk(3, "a")) == ()
    assert [each.content["prompt_id"] for each in reader.read(chunk(4, "b"))] == ["b"]
    # A new generator begins with the picture's prompt, which is the older one where the sound has its own.
    assert reader.read(chunk(5, "a")) == ()


def test_what_played_already_on_joining_is_no_event() -> None:
    reader = EventReader("main")
    assert reader.read(state(prompt_id="a")) == ()
    assert reader.read(chunk(1, "a")) == ()
    assert reader.read(state(prompt_id="a")) == ()


def test_each_change_of_status() -> None:
    reader = EventReader("main")
    assert reader.read(state("starting")) == ()
    (live,) = reader.read(state("live"))
    assert live.type == "status.changed"
    assert live.content == {"channel": "main", "status": "live", "before": "starting", "media_time": 4.0}
    assert reader.read(state("live")) == ()
    assert [each.content["status"] for each in reader.read(state("slate"))] == ["slate"]


def test_a_vote_is_told_when_it_is_decided_and_once() -> None:
    reader = EventReader("main")
    assert reader.read(vote("4", "vote")) == ()
    (event,) = reader.read(vote("4"))
    assert event.type == "vote.decided"
    assert (event.content["round"], event.content["decided_by"], event.content["voters"]) == ("4", "votes", 4)
    assert event.content["options"] == [
        {"id": "p1", "text": "fox", "votes": 3, "won": True, "names": ["Ada"]},
        {"id": "p2", "text": "sea", "votes": 1, "won": False, "names": []},
    ]
    assert reader.read(vote("4")) == ()
    assert len(reader.read(vote("4", stage="style"))) == 1
    assert len(reader.read(vote("5"))) == 1
