import asyncio

import pytest

from streamgen.integrations import hub_client
from streamgen.integrations.hub_client import HubClient, new_id
from streamgen.log.contents import Content, Requested
from streamgen.protocol import Applied, Permission, PromptSet, Rejected, ServerMessage, State, Superseded
from streamgen.steering.hub import SteeringHub
from streamgen.steering.outbox import MAX_WAITING
from streamgen.steering.session import SteeringSession
from tests.integrations.stage import Stage, until
from tests.steering.records import record

ALL: frozenset[Permission] = frozenset({"watch", "prompt"})


async def test_it_hears_the_state_first_and_then_everything() -> None:
    stage = Stage()
    heard: list[ServerMessage] = []
    async with HubClient(stage, "osc", can=ALL, hear=heard.append):
        await until(lambda: heard)
        assert isinstance(heard[0], State)
        assert heard[0].can == ("prompt", "watch")
        stage.chunk_started(record(0))
        await until(lambda: len(heard) == 4)
        assert [each.type for each in heard[1:]] == ["buffering", "chunk", "state"]
    assert stage.connections == 0


async def test_a_request_is_followed_to_its_end() -> None:
    stage = Stage()
    stage.generator_ready()
    async with HubClient(stage, "osc", can=ALL) as client:
        first = client.ask(PromptSet(id=new_id(), text="rain"))
        second = client.ask(PromptSet(id=new_id(), text="snow"))
        stage.chunk_started(record(1, second.message.id, "snow", applied=(second.message.id,)))
        async with asyncio.timeout(5):
            assert isinstance(await first.outcome(), Superseded)
            outcome = await second.outcome()
        assert isinstance(outcome, Applied)
        assert outcome.chunk == 1


async def test_what_it_may_not_do_is_rejected_as_for_everybody() -> None:
    stage = Stage()
    async with HubClient(stage, "webhook", can=frozenset({"watch"})) as client:
        asked = client.ask(PromptSet(id=new_id(), text="rain"))
        async with asyncio.timeout(5):
            outcome = await asked.outcome()
    assert isinstance(outcome, Rejected)
    assert outcome.reason == "forbidden"
    assert stage.commands == []


async def test_a_moderated_channel_judges_its_prompts() -> None:
    stage = Stage(moderated=True)
    stage.generator_ready()
    before = list(stage.commands)
    async with HubClient(stage, "osc", can=ALL) as client:
        asked = client.ask(PromptSet(id=new_id(), text="rain"))
        await until(lambda: asked.heard)
        assert asked.heard is not None
        assert asked.heard.type == "received"
        assert stage.commands == before


async def test_leaving_gives_up_what_is_under_way_and_asking_then_is_an_error() -> None:
    stage = Stage()
    async with HubClient(stage, "osc", can=ALL) as client:
        asked = client.ask(PromptSet(id=new_id(), text="rain"))
    assert asked.lost
    assert await asked.outcome() is None
    await client.close()
    with pytest.raises(RuntimeError, match="async with"):
        client.ask(PromptSet(id=new_id(), text="rain"))


async def test_falling_behind_means_joining_anew() -> None:
    stage = Stage()
    heard: list[ServerMessage] = []
    async with HubClient(stage, "osc", can=ALL, hear=heard.append) as client:
        await until(lambda: heard)
        asked = client.ask(PromptSet(id=new_id(), text="rain"))
        for _ in range(MAX_WAITING + 1):
            stage.joined[0].outbox.put(Rejected(reason="empty", message="no"))
        await until(lambda: client.fell_behind)
        await until(lambda: isinstance(heard[-1], State) and len(heard) > 1)
        assert asked.lost
        assert stage.connections == 1
        again = client.ask(PromptSet(id=new_id(), text="snow"))
        await until(lambda: again.heard)


async def test_a_listener_that_fails_does_not_end_the_listening(caplog: pytest.LogCaptureFixture) -> None:
    stage = Stage()
    heard: list[str] = []

    def hear(message: ServerMessage) -> None:
        heard.append(message.type)
        if len(heard) == 1:
            raise ValueError("broken")

    async with HubClient(stage, "osc", can=ALL, hear=hear):
        await until(lambda: heard)
        stage.set_viewers(2)
        await until(lambda: len(heard) == 2)
    assert "osc could not use a state message" in caplog.text


async def test_only_so_many_requests_are_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_client, "MAX_FOLLOWED", 2)
    async with HubClient(Stage(), "osc", can=ALL) as client:
        every = [client.ask(PromptSet(id=new_id(), text="rain")) for _ in range(3)]
        assert [each.lost for each in every] == [True, False, False]


async def test_the_log_says_who_asked_and_for_whom() -> None:
    noted: list[Content] = []
    hub = SteeringHub(SteeringSession("main"), send=lambda command: None, log=noted.append)
    async with HubClient(hub, "twitch", can=ALL) as client:
        client.ask(PromptSet(id="a", text="rain"))
        client.ask_for("twitch:7", PromptSet(id="a", text="snow"))
        client.ask_for("twitch:8", PromptSet(id="a", text="wind"))
    voters = [each.voter for each in noted if isinstance(each, Requested)]
    assert voters == ["twitch", "twitch:7", "twitch:8"]
    # Ids belong to whoever chose them: the same one of three people is three requests.
    assert hub.session.remembered == 3


async def test_asking_for_somebody_costs_no_connection() -> None:
    stage = Stage()
    async with HubClient(stage, "twitch", can=ALL) as client:
        for number in range(1000):
            client.ask_for(f"twitch:{number}", PromptSet(id="a", text="rain"))
        assert stage.connections == 1
        names = {connection.client for connection, _ in stage.asked}
        assert len(names) == 1000
        assert not any(name.isprintable() for name in names), "a client from outside could have this name"
