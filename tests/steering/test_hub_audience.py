"""The audience on a hub with connections: who hears what, what the log says, and the one path of prompts."""

import asyncio
from typing import Any

from streamgen.audience.audience import Audience
from streamgen.audience.proposals import PROPOSAL_ID
from streamgen.audience.settings import AudienceSettings
from streamgen.log.contents import Content, Decided, Requested, Voted
from streamgen.moderation.verdict import ALLOWED, Verdict
from streamgen.packets import Command, PromptQueued, SetPrompt
from streamgen.protocol import (
    Applied,
    Approve,
    AudienceControl,
    AudienceOverlay,
    Held,
    Permission,
    PromptSet,
    Propose,
    Queued,
    Rejected,
    ServerMessage,
    State,
    Vote,
)
from streamgen.steering.crowd import BROADCASTS_PER_S
from streamgen.steering.hub import Connection, SteeringHub
from streamgen.steering.session import SteeringSession
from streamgen.steering.voting import Voting
from tests.steering.records import record

TAKES_PART: frozenset[Permission] = frozenset({"propose", "vote"})
LEADS: frozenset[Permission] = frozenset({"prompt", "moderate"})


class Room:
    """A hub whose clock stands still until it is moved."""

    def __init__(self, *, moderated: bool = False, **rules: Any) -> None:
        self.now_s = 0.0
        self.sent: list[Command] = []
        self.log: list[Content] = []
        settings = AudienceSettings.model_validate({"collect_s": 10, "vote_s": 10, "result_s": 5, **rules})
        self.hub = SteeringHub(
            SteeringSession("main", prompt="sea", moderated=moderated, reserved=PROPOSAL_ID),
            send=self.sent.append,
            log=self.log.append,
            voting=Voting(Audience(settings), moderated=moderated),
            now_s=lambda: self.now_s,
        )
        self.hub.generator_ready()
        self.operator = self.hub.connect("op", LEADS)
        self.hub.take(self.operator, AudienceControl(id="start", action="start"))

    def join(self, voter: str) -> Connection:
        return self.hub.connect(None, TAKES_PART, voter=voter)

    def at(self, now_s: float) -> None:
        self.now_s = now_s
        self.hub.tick_audience()


async def drain(connection: Connection) -> list[ServerMessage]:
    return [await connection.outbox.get() for _ in range(len(connection.outbox))]


def of(messages: list[ServerMessage], *kinds: type) -> list[ServerMessage]:
    return [each for each in messages if isinstance(each, kinds)]


async def test_joining_tells_the_vote_with_ones_own_choice_and_the_queue_to_those_who_decide() -> None:
    room = Room()
    ann = room.join("ann")
    room.hub.take(ann, Propose(id="1", text="a fox"))
    room.at(10.0)
    room.hub.take(ann, Vote(id="2", option="p1"))
    first, vote = await drain(room.join("ann"))
    assert isinstance(first, State)
    assert isinstance(vote, AudienceOverlay)
    assert (vote.mine, [each.votes for each in vote.options], vote.queue) == ("p1", [1], ())
    _, vote, _ = await drain(room.hub.connect("other", LEADS))  # and the timeline
    assert isinstance(vote, AudienceOverlay)
    assert [(each.id, each.listed) for each in vote.queue] == [("p1", True)]


async def test_all_connections_of_one_person_hear_of_their_proposal_and_nobody_else_does() -> None:
    room = Room()
    phone, laptop, bob = room.join("ann"), room.join("ann"), room.join("bob")
    room.hub.take(phone, Propose(id="1", text="a fox"))
    room.at(10.0)
    room.hub.take(bob, Vote(id="1", option="p1"))
    room.at(20.0)
    assert [each.text for each in room.sent if isinstance(each, SetPrompt)] == ["sea", "a fox"]
    room.hub.prompt_queued(PromptQueued("vote-1", 300))
    room.hub.chunk_started(record(1, "vote-1", "a fox", applied=("vote-1",)))
    kinds = [each.type for each in await drain(phone) if getattr(each, "id", None) is not None]
    assert kinds == ["received", "accepted", "queued", "applied"]
    kinds = [each.type for each in await drain(laptop) if getattr(each, "id", None) is not None]
    assert kinds == ["accepted", "queued", "applied"]
    assert [each.type for each in await drain(bob) if getattr(each, "id", None) is not None] == ["applied"]


async def test_everybody_gets_the_same_object_which_is_encoded_once() -> None:
    room = Room(options=["rain", "snow"])
    crowd = [room.join(f"v{number}") for number in range(3)]
    room.at(1.0)
    room.hub.take(crowd[0], Vote(id="1", option="o1"))
    last = [of(await drain(each), AudienceOverlay)[-1] for each in crowd]
    assert last[1] is last[2], "the first one has a vote of its own to be told of on joining"
    assert room.hub.encoded(last[1]) is room.hub.encoded(last[2])


async def test_the_log_has_proposals_decisions_and_tallies_but_no_single_vote() -> None:
    room = Room()
    ann = room.join("ann")
    room.hub.take(ann, Propose(id="1", text="a fox"))
    room.at(10.0)
    for number in range(50):
        room.hub.take(room.join(f"v{number}"), Vote(id="1", option="p1"))
    room.hub.take(ann, Vote(id="x", option="p9"))
    room.at(20.0)
    room.hub.chunk_started(record(1, "vote-1", "a fox", applied=("vote-1",)))
    asked = [(each.id, each.message["type"], each.voter) for each in room.log if isinstance(each, Requested)]
    assert asked == [("start", "audience.control", None), ("1", "propose", "ann"), ("vote-1", "prompt.set", None)]
    decided = [(each.id, each.voter, each.decision) for each in room.log if isinstance(each, Decided)]
    assert decided == [
        ("start", None, "accepted"),
        ("start", None, "applied"),
        ("1", "ann", "accepted"),
        ("vote-1", None, "accepted"),
        ("vote-1", None, "applied"),
        ("1", "ann", "applied"),
    ]
    assert [each.counts for each in room.log if isinstance(each, Voted)] == [{"p1": 50}]


async def test_what_one_may_not_ask_for_is_logged_without_its_text() -> None:
    room = Room()
    room.hub.take(room.hub.connect("eve", frozenset({"vote"}), voter="eve"), Propose(id="1", text="something bad"))
    assert [each.message for each in room.log if isinstance(each, Requested)][-1] == {"type": "propose"}


async def test_a_proposal_waits_for_its_verdict_beside_prompts_that_wait_for_theirs() -> None:
    room = Room(moderated=True)
    ann = room.join("ann")
    answers: dict[str, asyncio.Future[Verdict]] = {
        text: asyncio.get_running_loop().create_future() for text in ("a fox", "rain")
    }
    asked: asyncio.Queue[str] = asyncio.Queue()

    async def judge(text: str) -> Verdict:
        asked.put_nowait(text)
        return await answers[text]

    task = asyncio.create_task(room.hub.moderate(judge))
    room.hub.take(ann, Propose(id="1", text="a fox"))
    room.hub.take(room.operator, PromptSet(id="a", text="rain"))
    assert {await asked.get(), await asked.get()} == {"a fox", "rain"}, "neither waits for the other"
    answers["rain"].set_result(ALLOWED)
    answers["a fox"].set_exception(RuntimeError("the judge is ill"))
    async with asyncio.timeout(30):
        while not isinstance(rejected := await ann.outbox.get(), Rejected):
            pass
    assert rejected.reason == "moderation"
    task.cancel()
    await asyncio.wait([task])
    room.at(10.0)
    assert room.hub.voting is not None
    assert room.hub.voting.joined(None, 10.0).options == ()


async def test_a_joined_prompt_of_a_cascade_is_judged_again_and_can_be_held() -> None:
    room = Room(
        moderated=True,
        mode="cascade",
        no_vote="next_proposal",
        stages=[{"name": "who", "options": ["a fox", "a dog"]}, {"name": "where"}],
    )
    ann = room.join("ann")

    async def judge(text: str) -> Verdict:
        return Verdict("hold", "violence", "wait") if text.startswith("a fox") else ALLOWED

    task = asyncio.create_task(room.hub.moderate(judge))
    room.at(10.0)
    room.at(15.0)
    room.hub.take(ann, Propose(id="1", text="a street"))
    while not of(await drain(ann), Held, Queued, Applied) and not room.hub.state().held:
        await asyncio.sleep(0)
        room.at(room.now_s + 1.0)
    (held,) = room.hub.state().held
    assert held.text == "a fox, a street"
    assert not any(isinstance(each, SetPrompt) and each.text == held.text for each in room.sent)
    room.hub.take(room.operator, Approve(id="ok", target=held.id))
    assert any(isinstance(each, SetPrompt) and each.text == held.text for each in room.sent)
    task.cancel()
    await asyncio.wait([task])


async def test_an_id_of_a_prompt_is_never_taken_for_that_of_a_proposal() -> None:
    room = Room(moderated=True)
    eve = room.hub.connect("eve", frozenset({"prompt"}))
    room.hub.take(eve, PromptSet(id="p1", text="something bad"))
    (screening,) = [room.hub._screenings.get_nowait()]
    room.hub._perform(room.hub.session.judged(screening.channel_id, Verdict("hold")))
    (held,) = room.hub.state().held
    assert PROPOSAL_ID.fullmatch(held.id) is None
    room.hub.take(room.operator, Approve(id="ok", target="p1"))
    assert [each.text for each in room.sent if isinstance(each, SetPrompt)] == ["sea"]


async def test_without_an_audience_it_is_said() -> None:
    hub = SteeringHub(SteeringSession("main"), send=lambda command: None)
    connection = hub.connect(None, TAKES_PART, voter="ann")
    await drain(connection)
    hub.take(connection, Vote(id="1", option="o1"))
    (rejected,) = await drain(connection)
    assert isinstance(rejected, Rejected)
    assert (rejected.reason, rejected.id) == ("unavailable", "1")
    assert hub.tick_audience() is None


async def test_whoever_keeps_the_time_is_woken_when_something_is_due_earlier() -> None:
    room = Room(overlay_hz=4)
    assert room.hub.tick_audience() == 10.0, "the end of collecting"
    waiting = asyncio.create_task(room.hub.audience_changed())
    room.hub.take(room.join("ann"), Propose(id="1", text="a fox"))
    await asyncio.wait_for(waiting, 10)
    assert room.hub.tick_audience() == 0.25, "the overlay of the start has just been published"


async def test_the_more_are_connected_the_less_often_all_of_them_are_told() -> None:
    room = Room(options=["rain", "snow"], overlay_hz=4, vote_s=600)
    voter = room.join("ann")
    crowd = [room.hub.connect(None, frozenset()) for _ in range(BROADCASTS_PER_S)]  # so that a second is the least
    room.at(1.0)
    heard = {"audience": 0, "chunk": 0}
    for step in range(100):
        room.now_s = 2.0 + step / 10
        room.hub.take(voter, Vote(id=str(step), option=f"o{1 + step % 2}"))
        room.hub.tick_audience()
        room.hub.chunk_started(record(step, None, "sea"))
        for message in await drain(crowd[0]):
            heard[message.type] = heard.get(message.type, 0) + 1
    assert 9 <= heard["audience"] <= 12
    assert 9 <= heard["chunk"] <= 12
    for connection in crowd[1:]:
        room.hub.disconnect(connection)
    room.at(20.0)
    await drain(crowd[0])
    for step in range(10):
        room.now_s = 20.0 + step / 10
        room.hub.chunk_started(record(200 + step, None, "sea"))
    assert [each.type for each in await drain(crowd[0])] == ["chunk"], "those that wait coalesce"


async def test_whoever_leads_does_not_wait_behind_a_crowd() -> None:
    room = Room()
    voter = room.join("v")
    waits = [room.hub.turn_s(voter) for _ in range(2000)]
    assert waits[-1] > 0.1
    assert room.hub.turn_s(room.operator) == 0.0
