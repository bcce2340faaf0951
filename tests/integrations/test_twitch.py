"""The chat against a server of our own that speaks as Twitch does."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Self

import pytest
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from streamgen.access.limits import Limits, Rates
from streamgen.access.rate_limit import RateLimit
from streamgen.integrations import twitch as module
from streamgen.integrations.twitch import TwitchChat
from streamgen.protocol import AudienceOption, AudienceOverlay, Prompt, Propose, RequestMessage, Vote
from tests.integrations.stage import Stage, until

CHANNEL = "some_channel"
OPTIONS = (AudienceOption(id="p3", text="fox"), AudienceOption(id="p5", text="sea"))
VOTE = AudienceOverlay(revision=1, mode="single", phase="vote", ballot="4.prompt", options=OPTIONS)


class Twitch:
    """A server that speaks IRC over WebSocket. `heard` is what clients sent, line by line."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.visits = 0
        self.refuse = False
        self.open: ServerConnection | None = None
        self.server: Server | None = None

    async def __aenter__(self) -> Self:
        self.server = await serve(self._visited, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self.server is not None
        self.server.close()
        await self.server.wait_closed()

    @property
    def url(self) -> str:
        assert self.server is not None
        return f"ws://127.0.0.1:{next(iter(self.server.sockets)).getsockname()[1]}"

    async def _visited(self, connection: ServerConnection) -> None:
        self.visits += 1
        if self.refuse:
            await connection.close(1011)
            return
        with contextlib.suppress(ConnectionClosed):
            async for frame in connection:
                assert isinstance(frame, str)
                self.heard.append(frame)
                if frame.startswith("CAP REQ"):
                    await connection.send(":tmi.twitch.tv CAP * ACK :twitch.tv/tags twitch.tv/commands\r\n")
                elif frame.startswith("NICK "):
                    await connection.send(f":tmi.twitch.tv 001 {frame[5:]} :Welcome, GLHF!\r\n")
                elif frame.startswith("JOIN "):
                    name = frame[5:]
                    self.open = connection
                    await connection.send(f":tmi 353 j = {name} :j\r\n:tmi 366 j {name} :End of /NAMES list\r\n")

    async def says(self, *lines: str) -> None:
        assert self.open is not None
        await self.open.send("".join(f"{line}\r\n" for line in lines))

    async def chats(self, user: int, text: str, *, id: str = "", name: str = "Ada") -> None:
        await self.says(f"@display-name={name};id={id};user-id={user} :ada!ada@x PRIVMSG #{CHANNEL} :{text}")


class Pauses:
    """Counts pauses and does not wait; `hold` holds the next one."""

    def __init__(self) -> None:
        self.taken: list[float] = []
        self.goes_on = asyncio.Event()
        self.goes_on.set()

    async def __call__(self, seconds: float) -> None:
        self.taken.append(seconds)
        await self.goes_on.wait()
        await asyncio.sleep(0)


def chat(stage: Stage, url: str, pauses: Pauses | None = None, *, limits: Limits | None = None) -> TwitchChat:
    return TwitchChat(
        stage,
        CHANNEL,
        limits=limits if limits is not None else Limits(),
        url=url,
        pause=pauses if pauses is not None else Pauses(),
        spread=lambda: 0.0,
        now_s=lambda: 0.0,
    )


@contextlib.asynccontextmanager
async def reading(limits: Limits | None = None) -> AsyncIterator[tuple[Stage, Twitch, TwitchChat]]:
    stage = Stage()
    async with Twitch() as twitch, chat(stage, twitch.url, limits=limits) as running:
        await until(lambda: running.joined)
        yield stage, twitch, running


async def begin_vote(stage: Stage, vote: AudienceOverlay = VOTE) -> None:
    stage.tell(vote)
    await until(lambda: not len(stage.joined[0].outbox))
    await asyncio.sleep(0)


def asked(stage: Stage) -> list[tuple[str | None, RequestMessage]]:
    return [(connection.voter, message) for connection, message in stage.asked if not isinstance(message, Prompt)]


async def test_it_reads_without_an_account() -> None:
    async with reading() as (_, twitch, _):
        cap, nick, join = twitch.heard
        assert cap == "CAP REQ :twitch.tv/tags twitch.tv/commands"
        assert nick.startswith("NICK justinfan")
        assert nick[14:].isdigit()
        assert join == f"JOIN #{CHANNEL}"


async def test_a_ping_is_answered() -> None:
    async with reading() as (_, twitch, _):
        await twitch.says("PING :tmi.twitch.tv")
        await until(lambda: twitch.heard[-1] == "PONG :tmi.twitch.tv")


async def test_proposals_and_votes_of_the_chat_are_those_of_its_accounts() -> None:
    async with reading() as (stage, twitch, running):
        await begin_vote(stage)
        await twitch.chats(1337, "!propose a fox in the snow", id="m-1", name="Ada\\sB")
        await twitch.chats(1337, "2", id="m-2")
        await twitch.chats(99, "!vote 1", id="m-3")
        await twitch.chats(99, "hello everybody", id="m-4")
        await until(lambda: len(stage.asked) == 3)
        assert asked(stage) == [
            ("twitch:1337", Propose(id="m-1", text="a fox in the snow", name="Ada B")),
            ("twitch:1337", Vote(id="m-2", option="p5", ballot="4.prompt")),
            ("twitch:99", Vote(id="m-3", option="p3", ballot="4.prompt")),
        ]
        assert all(connection.can == {"watch", "propose", "vote"} for connection, _ in stage.asked)
        assert (running.counts["proposal"], running.counts["vote"]) == (1, 2)
        assert stage.connections == 1


async def test_a_number_is_a_vote_only_during_one_and_an_option_has_to_be_there() -> None:
    async with reading() as (stage, twitch, running):
        await twitch.chats(1, "2")
        await twitch.chats(1, "!vote 2")
        await until(lambda: running.counts["refused"] == 1)
        await begin_vote(stage)
        await twitch.chats(1, "3")
        await until(lambda: running.counts["refused"] == 2)
        await begin_vote(stage, VOTE.model_copy(update={"paused": True}))
        await twitch.chats(1, "1")
        await begin_vote(stage, AudienceOverlay(revision=3, mode="single"))
        await twitch.chats(1, "2")
        await twitch.says("PING :last")
        await until(lambda: twitch.heard[-1] == "PONG :last")
        assert stage.asked == []


async def test_a_line_without_an_id_gets_one() -> None:
    async with reading() as (stage, twitch, _):
        for id in ("", "x" * 65):
            await twitch.chats(1 + len(id), "!propose a fox", id=id)
        await until(lambda: len(stage.asked) == 2)
        assert len({message.id for _, message in asked(stage)}) == 2


async def test_what_is_no_proposal_is_refused() -> None:
    async with reading() as (stage, twitch, running):
        await twitch.chats(1, "!propose")
        await twitch.chats(2, f"!propose {'x' * 501}")
        await until(lambda: running.counts["refused"] == 2)
        assert stage.asked == []


async def test_each_account_has_limits_of_its_own() -> None:
    limits = Limits(Rates(vote=RateLimit(2, 10.0), propose=RateLimit(1, 10.0)))
    async with reading(limits) as (stage, twitch, running):
        await begin_vote(stage)
        for user in (1, 2):
            for _ in range(5):
                await twitch.chats(user, "1")
                await twitch.chats(user, "!propose a fox")
        await until(lambda: running.counts["limited"] == 14)
        assert [voter for voter, message in asked(stage) if isinstance(message, Vote)] == ["twitch:1"] * 2 + [
            "twitch:2"
        ] * 2
        assert [voter for voter, message in asked(stage) if isinstance(message, Propose)] == ["twitch:1", "twitch:2"]


async def test_the_whole_chat_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WISHES_PER_S", 3.0)
    async with reading() as (stage, twitch, running):
        await begin_vote(stage)
        for user in range(10):
            await twitch.chats(user, "1")
        await until(lambda: running.counts["limited"] == 7)
        assert len(stage.asked) == 3


async def test_reconnect_is_done_when_twitch_asks_for_it() -> None:
    async with reading() as (_, twitch, running):
        await twitch.says(":tmi.twitch.tv RECONNECT")
        await until(lambda: twitch.visits == 2 and running.joined)
        assert running.counts["connected"] == 2


async def test_a_chat_that_is_not_reached_is_tried_with_longer_and_longer_pauses() -> None:
    stage, pauses = Stage(), Pauses()
    async with Twitch() as twitch:
        twitch.refuse = True
        async with chat(stage, twitch.url, pauses) as running:
            await until(lambda: len(pauses.taken) >= 8)
            assert pauses.taken[:8] == [2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0]
            assert not running.joined
            twitch.refuse = False
            await until(lambda: running.joined)
            pauses.taken.clear()
            await twitch.says(":tmi.twitch.tv RECONNECT")
            await until(lambda: running.counts["connected"] == 2)
            assert pauses.taken == [1.0]
    assert stage.connections == 0


async def test_nobody_listening_and_a_frame_that_is_too_long_are_no_trouble(caplog: pytest.LogCaptureFixture) -> None:
    async with Twitch() as twitch:
        url = twitch.url
    stage, pauses = Stage(), Pauses()
    async with chat(stage, url, pauses):
        await until(lambda: len(pauses.taken) >= 3)
    assert caplog.text.count("is not reached") == 1
    async with reading() as (stage, twitch, running):
        await twitch.chats(1, "x" * 200_000)
        await until(lambda: twitch.visits == 2 and running.joined)
        assert stage.asked == []


async def test_lines_that_are_none_are_passed_over() -> None:
    async with reading() as (stage, twitch, _):
        assert twitch.open is not None
        await twitch.open.send(b"\xff\x00")
        await twitch.says("", "@", ":", "@user-id=1 PRIVMSG", "NOTICE * :This room is closed", f"PRIVMSG #{CHANNEL} :2")
        await twitch.chats(5, "!propose a fox")
        await until(lambda: stage.asked)
        assert [voter for voter, _ in asked(stage)] == ["twitch:5"]


async def test_the_end_is_quick_also_while_it_pauses() -> None:
    stage, pauses = Stage(), Pauses()
    pauses.goes_on.clear()
    async with Twitch() as twitch:
        twitch.refuse = True
        async with chat(stage, twitch.url, pauses) as running:
            await until(lambda: pauses.taken)
        await running.close()
    assert stage.connections == 0
