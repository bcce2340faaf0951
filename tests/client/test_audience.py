"""An audience through the real application: two people over WebSockets propose and vote, and the winner plays."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

import streamgen_client
from streamgen.audience.audience import Audience
from streamgen.audience.settings import AudienceSettings
from streamgen.packets import SetPrompt
from streamgen.protocol import AudienceOverlay
from streamgen.steering.voting import Voting
from streamgen_client.errors import RejectedError
from streamgen_client.steer import Steering
from tests.client.station import on_air


def voting(**rules: Any) -> Voting:
    """Phases last as long as the test lets them: an operator ends them."""
    return Voting(
        Audience(AudienceSettings.model_validate({"collect_s": 600, "vote_s": 600, "result_s": 600, **rules}))
    )


async def seen(steering: Steering, wanted: Callable[[AudienceOverlay], bool]) -> AudienceOverlay:
    """The vote, once it is as wanted."""
    if steering.audience is None or not wanted(steering.audience):
        async for message in steering.messages():
            if isinstance(message, AudienceOverlay) and wanted(message):
                return message
    assert steering.audience is not None
    return steering.audience


async def test_what_an_audience_proposes_and_votes_for_plays() -> None:
    async with (
        asyncio.timeout(60),
        on_air(voting=voting()) as station,
        streamgen_client.connect(station.url) as client,
        client.steer() as operator,
        client.steer() as ann,
        client.steer() as bob,
    ):
        assert {"propose", "vote"} <= set(ann.state.can)
        await operator.lead("start")
        fox = ann.propose("a fox in the snow", name="Ada")
        dog = bob.propose("a dog")
        await seen(bob, lambda vote: len(vote.options) == 2)
        with pytest.raises(RejectedError, match="vote"):
            await bob.vote("p1")
        await operator.lead("skip")
        for voter in (ann, bob):
            options = {each.text: each.id for each in (await seen(voter, lambda vote: vote.phase == "vote")).options}
            await voter.vote(options["a dog"])
            await voter.vote(options["a fox in the snow"])
        now = await seen(operator, lambda vote: vote.voters == 2)
        assert [(each.text, each.votes, each.share, each.names) for each in now.options] == [
            ("a fox in the snow", 2, 1.0, ("Ada",)),
            ("a dog", 0, 0.0, ()),
        ]
        assert [each.text for each in now.queue] == ["a fox in the snow", "a dog"]
        await operator.lead("skip")
        applied = await fox
        assert [event.type for event in fox.events] == ["received", "accepted", "queued", "applied"]
        assert applied.chunk is not None
        assert station.commands[-1] == SetPrompt("vote-1", "a fox in the snow", transition_ms=2000)
        assert [event.type for event in dog.events] == ["received", "accepted"], "it waits for the next round"
        result = await seen(bob, lambda vote: vote.phase == "result")
        assert (result.winners, result.decided_by, result.queue == () or "moderate" in bob.state.can) == (
            ("p1",),
            "votes",
            True,
        )


async def test_a_vote_for_a_ballot_that_is_over_does_not_count_for_the_next_one() -> None:
    async with (
        asyncio.timeout(60),
        on_air(voting=voting(options=["rain", "snow"])) as station,
        streamgen_client.connect(station.url) as client,
        client.steer() as operator,
        client.steer() as ann,
    ):
        await operator.lead("start")
        await seen(ann, lambda vote: vote.ballot == "1.prompt")
        late = ann.audience
        await operator.lead("skip")
        await operator.lead("skip")
        await seen(ann, lambda vote: vote.ballot == "2.prompt")
        ann._audience = late  # as if the news had not come yet
        with pytest.raises(RejectedError) as caught:
            await ann.vote("o1")
        assert caught.value.answer.reason == "closed"
        assert (await seen(operator, lambda vote: vote.ballot == "2.prompt")).voters == 0


async def test_leading_says_what_it_takes() -> None:
    async with (
        asyncio.timeout(60),
        on_air(voting=voting()) as station,
        streamgen_client.connect(station.url) as client,
        client.steer() as operator,
    ):
        with pytest.raises(RejectedError, match="how many seconds"):
            operator.lead("extend")
        await operator.lead("start")
        before = await seen(operator, lambda vote: vote.phase == "collect")
        await operator.lead("extend", seconds=300)
        after = await seen(operator, lambda vote: vote.revision > before.revision)
        assert before.remaining_s is not None
        assert after.remaining_s is not None
        assert after.remaining_s > 800 > before.remaining_s


async def test_without_an_audience_there_is_none() -> None:
    async with on_air() as station, streamgen_client.connect(station.url) as client, client.steer() as steering:
        assert steering.audience is None
        assert not {"propose", "vote"} & set(steering.state.can)
        with pytest.raises(RejectedError, match="no audience"):
            await steering.vote("o1")
