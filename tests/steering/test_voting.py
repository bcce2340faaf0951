"""The audience on a channel, without I/O: who is told what, what becomes a prompt, and what a restart keeps."""

import json
from typing import Any

import pytest

from streamgen.audience.audience import Audience
from streamgen.audience.effects import AudienceStateError
from streamgen.audience.settings import AudienceSettings
from streamgen.log.contents import Voted
from streamgen.moderation.verdict import Verdict
from streamgen.protocol import (
    Applied,
    Approve,
    AudienceControl,
    AudienceOverlay,
    Permission,
    PromptSet,
    Propose,
    Queued,
    Reject,
    Rejected,
    Superseded,
    Vote,
    Weighted,
)
from streamgen.steering.voting import MAX_JUDGED, Asker, Moment, Voting, VotingEffects

RULES: dict[str, Any] = {"collect_s": 10, "vote_s": 10, "result_s": 5, "overlay_hz": 20}
CASCADE: dict[str, Any] = {
    "mode": "cascade",
    "stages": [{"name": "subject"}, {"name": "setting", "options": ["a wood", "the sea"]}, {"name": "style"}],
}
MOMENT = Moment(2.0, 7)


def asker(voter: str | None, *can: Permission, client: str | None = None) -> Asker:
    return Asker(client or f"{voter}'s phone", voter, frozenset(can or ("propose", "vote")))


ANN, BOB, OP = asker("ann"), asker("bob"), asker("op", "moderate")


def voting(*, moderated: bool = False, **rules: Any) -> Voting:
    made = Voting(Audience(AudienceSettings.model_validate({**RULES, **rules})), moderated=moderated)
    made.request(OP, AudienceControl(id="start", action="start"), 0.0, MOMENT)
    return made


def told(effects: VotingEffects) -> list[tuple[str | None, str, str]]:
    """To whom, what and about which id; what goes to everybody is left out."""
    return [
        (each.client or each.voter, each.message.type, getattr(each.message, "id", ""))
        for each in effects.deliveries
        if (each.client or each.voter) is not None
    ]


def overlays(effects: VotingEffects) -> list[AudienceOverlay]:
    return [each.message for each in effects.deliveries if isinstance(each.message, AudienceOverlay)]


def rejection(effects: VotingEffects) -> Rejected:
    (found,) = [each.message for each in effects.deliveries if isinstance(each.message, Rejected)]
    return found


def test_a_proposal_from_its_text_to_the_media() -> None:
    room = voting()
    effects = room.request(ANN, Propose(id="1", text="a fox", name="Ada"), 1.0, MOMENT)
    assert told(effects) == [("ann's phone", "received", "1"), ("ann", "accepted", "1")]
    room.tick(10.0)
    effects = room.request(BOB, Vote(id="v", option="p1", ballot="1.prompt"), 11.0, MOMENT)
    (counted,) = [each for each in effects.deliveries if each.client == "bob's phone"]
    assert counted.message == Applied(id="v", chunk=7, media_time=2.0, rtp_video=180_000)
    assert not counted.logged
    (shown,) = overlays(effects)
    assert [(each.id, each.text, each.votes, each.names) for each in shown.options] == [("p1", "a fox", 1, ("Ada",))]
    effects = room.tick(20.0)
    (chosen,) = effects.prompts
    assert chosen.judged
    assert chosen.message == PromptSet(id="vote-1", text="a fox", transition_ms=2000)
    (note,) = effects.notes
    assert note == Voted(
        id="1.prompt",
        counts={"p1": 1},
        texts={"p1": "a fox"},
        winner="p1",
        winners=("p1",),
        decided_by="votes",
    )
    assert told(room.prompt_said(Queued(id="vote-1", eta_ms=400))) == [("ann", "queued", "1")]
    again = room.request(ANN, Propose(id="1", text="a fox", name="Ada"), 21.0, MOMENT)
    assert [each[1] for each in told(again)] == ["received", "accepted", "queued"]
    (said,) = room.prompt_said(Applied(id="vote-1", chunk=9, media_time=3.0)).deliveries
    assert (said.voter, said.message) == ("ann", Applied(id="1", chunk=9, media_time=3.0))
    assert told(room.prompt_said(Superseded(id="vote-9", by="x"))) == []


@pytest.mark.parametrize(
    ("who", "message", "reason"),
    [
        (asker("eve", "vote"), Propose(id="1", text="a fox"), "forbidden"),
        (asker("eve", "propose"), Vote(id="1", option="p1"), "forbidden"),
        (asker(None, "propose", "vote"), Vote(id="1", option="p1"), "forbidden"),
        (ANN, AudienceControl(id="1", action="skip"), "forbidden"),
        (ANN, Approve(id="1", target="p1"), "forbidden"),
    ],
)
def test_nobody_does_what_they_may_not(who: Asker, message: Any, reason: str) -> None:
    effects = voting().request(who, message, 1.0, MOMENT)
    assert [each[1] for each in told(effects)] == ["received", "rejected"]
    assert rejection(effects).reason == reason
    assert all(each.client == who.client for each in effects.deliveries)


def test_no_text_is_shown_before_its_verdict() -> None:
    room = voting(moderated=True)
    effects = room.request(ANN, Propose(id="1", text="a fox", name="Ada"), 1.0, MOMENT)
    assert told(effects) == [("ann's phone", "received", "1")]
    assert effects.screening is not None
    assert effects.screening.texts == ("a fox", "Ada")
    now = room.joined("ann", 1.0)
    assert (now.options, now.queue) == ((), ())
    assert told(room.request(ANN, Propose(id="1", text="a fox", name="Ada"), 1.5, MOMENT)) == told(effects)
    other = room.request(ANN, Propose(id="1", text="a dog"), 1.5, MOMENT)
    assert rejection(other).reason == "id_reused"
    effects = room.judged(effects.screening, Verdict("hold", "violence", "An operator looks at it."), 2.0)
    assert told(effects) == [("ann", "held", "1")]
    (waits,) = room.joined(None, 2.0).queue
    assert (waits.id, waits.status, waits.category) == ("p1", "held", "violence")
    assert room.joined(None, 2.0).options == ()
    effects = room.request(OP, Approve(id="a", target="p1"), 3.0, MOMENT)
    assert told(effects) == [
        ("op's phone", "received", "a"),
        ("op's phone", "accepted", "a"),
        ("op's phone", "applied", "a"),
        ("ann", "accepted", "1"),
    ]
    assert [each.id for each in room.joined(None, 3.0).options] == ["p1"]


def test_what_is_refused_and_what_an_operator_rejects_never_comes_on_the_ballot() -> None:
    room = voting(moderated=True)
    first = room.request(ANN, Propose(id="1", text="a fox"), 1.0, MOMENT).screening
    second = room.request(BOB, Propose(id="1", text="a dog"), 1.0, MOMENT).screening
    assert first is not None
    assert second is not None
    refused = room.judged(first, Verdict("refuse", "hate", "Not here."), 2.0)
    assert (rejection(refused).reason, rejection(refused).message) == ("moderation", "Not here.")
    room.judged(second, Verdict("hold"), 2.0)
    assert room.decides("p2")
    effects = room.request(OP, Reject(id="r", target="p2", message="not tonight"), 3.0, MOMENT)
    assert (rejection(effects).message, rejection(effects).reason) == ("not tonight", "moderation")
    assert told(effects)[-1] == ("bob", "rejected", "1")
    room.tick(10.0)
    assert room.joined(None, 10.0).phase == "collect"
    assert not room.decides("p9")


def test_verdicts_that_do_not_come_are_bounded_and_end_with_the_channel() -> None:
    room = voting(moderated=True)
    for number in range(MAX_JUDGED):
        room.request(asker(f"v{number}"), Propose(id="1", text="a fox"), 1.0, MOMENT)
    assert rejection(room.request(ANN, Propose(id="1", text="a fox"), 1.0, MOMENT)).reason == "unavailable"
    effects = room.close()
    assert len(effects.deliveries) == MAX_JUDGED
    assert rejection(room.request(ANN, Propose(id="2", text="a fox"), 1.0, MOMENT)).reason == "unavailable"
    assert room.close() == VotingEffects()


def test_one_person_counts_once_whatever_they_connect_with() -> None:
    room = voting(options=["rain", "snow"])
    phone, laptop = asker("ann", client="phone"), asker("ann", client="laptop")
    room.request(phone, Vote(id="1", option="o1"), 1.0, MOMENT)
    room.request(laptop, Vote(id="2", option="o2"), 2.0, MOMENT)
    # The phone's vote is sent again after its connection broke: it has been counted, and the newer one stands.
    assert told(room.request(phone, Vote(id="1", option="o1"), 3.0, MOMENT)) == [("phone", "applied", "1")]
    now = room.joined("ann", 3.0)
    assert [(each.id, each.votes) for each in now.options] == [("o1", 0), ("o2", 1)]
    assert (now.voters, now.mine) == (1, "o2")
    assert rejection(room.request(phone, Vote(id="1", option="o2"), 3.0, MOMENT)).reason == "id_reused"


def test_a_late_vote_is_closed_and_counts_for_nothing() -> None:
    room = voting(options=["rain", "snow"])
    effects = room.request(ANN, Vote(id="1", option="o1", ballot="1.prompt"), 10.0, MOMENT)
    assert (rejection(effects).reason, rejection(effects).field) == ("closed", "ballot")
    room.tick(15.0)
    assert room.joined(None, 15.0).ballot == "2.prompt"
    effects = room.request(ANN, Vote(id="1", option="o1", ballot="1.prompt"), 16.0, MOMENT)
    assert rejection(effects).reason == "closed"
    assert room.joined(None, 16.0).voters == 0


def test_a_tie_is_blended_into_one_prompt() -> None:
    room = voting(options=["rain", "snow"], tie="blend", transition_s=0)
    room.request(ANN, Vote(id="1", option="o1"), 1.0, MOMENT)
    room.request(BOB, Vote(id="1", option="o2"), 1.0, MOMENT)
    (chosen,) = room.tick(10.0).prompts
    assert chosen.message.blend == (Weighted(text="rain", weight=0.5), Weighted(text="snow", weight=0.5))
    assert chosen.message.transition_ms == 0


def test_a_proposal_sent_again_in_a_later_stage_is_the_same_one() -> None:
    room = voting(**CASCADE, no_vote="next_proposal")
    room.request(ANN, Propose(id="1", text="a fox"), 1.0, MOMENT)
    for now_s in (10.0, 20.0):
        room.tick(now_s)
    again = told(room.request(ANN, Propose(id="1", text="a fox"), 21.0, MOMENT))
    assert again == [("ann's phone", "received", "1"), ("ann's phone", "accepted", "1")]
    for now_s in (25.0, 35.0, 40.0):
        room.tick(now_s)
    assert room.joined(None, 40.0).stage == "style"
    assert told(room.request(ANN, Propose(id="1", text="a fox"), 41.0, MOMENT)) == again
    assert (
        rejection(room.request(ANN, Propose(id="1", text="a fox", stage="style"), 41.0, MOMENT)).reason == "id_reused"
    )
    room.request(BOB, Propose(id="1", text="ink"), 42.0, MOMENT)
    room.tick(50.0)
    (chosen,) = room.tick(60.0).prompts
    assert chosen.message.text == "a fox, a wood, ink"
    assert not chosen.judged
    said = room.prompt_said(Queued(id="vote-1", eta_ms=1))
    assert [(each.voter, each.message) for each in said.deliveries] == [
        ("ann", Queued(id="1", eta_ms=1)),
        ("bob", Queued(id="1", eta_ms=1)),
    ]


def test_winners_of_a_round_that_is_broken_off_are_told() -> None:
    room = voting(**CASCADE, no_vote="next_proposal")
    room.request(ANN, Propose(id="1", text="a fox"), 1.0, MOMENT)
    room.tick(10.0)
    room.tick(20.0)
    effects = room.request(OP, AudienceControl(id="s", action="stop"), 21.0, MOMENT)
    assert told(effects)[-1] == ("ann", "rejected", "1")
    assert rejection(effects).reason == "closed"


def test_who_leads_is_answered_once_and_told_what_cannot_be_done() -> None:
    room = voting()
    extend = AudienceControl(id="e", action="extend", seconds=5.0)
    for _ in range(2):
        effects = room.request(OP, extend, 1.0, MOMENT)
        assert [each[1] for each in told(effects)] == ["received", "accepted", "applied"]
        assert room.joined(None, 1.0).remaining_s == 14.0
    for action in ("pause", "resume", "skip", "stop"):
        room.request(OP, AudienceControl(id=action, action=action), 2.0, MOMENT)
    effects = room.request(OP, AudienceControl(id="x", action="skip"), 3.0, MOMENT)
    assert (told(effects)[0][1], rejection(effects).reason) == ("received", "closed")
    reused = room.request(OP, AudienceControl(id="stop", action="start"), 4.0, MOMENT)
    assert [each[1] for each in told(reused)] == ["rejected"]


def test_a_proposal_that_waits_too_long_is_told() -> None:
    room = voting(expire_s=8)
    room.request(ANN, Propose(id="1", text="a fox"), 1.0, MOMENT)
    effects = room.tick(9.0)
    assert told(effects) == [("ann", "rejected", "1")]
    assert rejection(effects).reason == "expired"


def test_the_continuous_vote_makes_a_prompt_of_each_change_with_an_id_of_its_own() -> None:
    room = voting(mode="continuous", options=["rain", "snow"], period_s=10)
    room.request(ANN, Vote(id="1", option="o1"), 1.0, MOMENT)
    (first,) = room.tick(10.0).prompts
    room.request(BOB, Vote(id="1", option="o2"), 11.0, MOMENT)
    (second,) = room.tick(20.0).prompts
    assert [first.message.id, second.message.id] == ["vote-1.1", "vote-1.2"]
    assert first.message.text == "rain"
    assert [part.text for part in second.message.blend] == ["snow", "rain"]


def test_many_votes_make_few_messages_to_everybody() -> None:
    room = voting(options=["rain", "snow"], overlay_hz=4, vote_s=60)
    sent = 0
    for number in range(1000):
        effects = room.request(asker(f"v{number}"), Vote(id="1", option="o1"), 1.0 + number / 1000, MOMENT)
        sent += len(overlays(effects))
    assert sent <= 5
    assert overlays(room.tick(2.5))[0].voters == 1000


def test_a_restart_of_the_server_goes_on_in_the_middle_of_the_vote() -> None:
    settings = AudienceSettings.model_validate({**RULES, **CASCADE, "no_vote": "next_proposal"})
    room = Voting(Audience(settings))
    room.request(OP, AudienceControl(id="start", action="start"), 0.0, MOMENT)
    room.request(ANN, Propose(id="1", text="a fox"), 1.0, MOMENT)
    room.tick(10.0)
    room.tick(20.0)
    room.tick(25.0)
    room.request(BOB, Vote(id="v", option="o2", ballot="1.setting"), 26.0, MOMENT)
    stored = json.loads(json.dumps(room.dump(27.0)))
    again = Voting.load(settings, stored, 1000.0)
    now = again.joined("bob", 1000.0)
    assert (now.ballot, now.mine, now.voters, now.remaining_s) == ("1.setting", "o2", 1, 8.0)
    assert told(again.request(BOB, Vote(id="v", option="o2", ballot="1.setting"), 1001.0, MOMENT))
    assert again.joined("bob", 1001.0).voters == 1
    again.tick(1008.0)
    again.tick(1013.0)
    again.request(BOB, Propose(id="2", text="ink"), 1014.0, MOMENT)
    again.tick(1023.0)
    (chosen,) = again.tick(1033.0).prompts
    assert chosen.message.text == "a fox, the sea, ink"
    asked = [each.voter for each in again.prompt_said(Queued(id="vote-1", eta_ms=1)).deliveries]
    assert asked == ["ann", "bob"], "who won a stage before the restart is told as well"


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"version": 1, "audience": {}, "waiting": []},
        {**Voting(Audience(AudienceSettings())).dump(0.0), "version": 2},
    ],
)
def test_a_state_that_cannot_be_continued_is_refused(document: dict[str, Any]) -> None:
    with pytest.raises(AudienceStateError, match="start without it"):
        Voting.load(AudienceSettings(), document, 0.0)


def test_what_is_worth_storing_makes_another_version() -> None:
    room = voting(options=["rain", "snow"])
    before = room.version(1.0)
    assert room.version(1.1) == before
    room.request(ANN, Vote(id="1", option="o1"), 1.2, MOMENT)
    assert room.version(1.2) != before
    later = room.version(2.0)
    assert room.version(8.0) != later, "a phase runs out"
