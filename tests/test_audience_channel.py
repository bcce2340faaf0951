"""The audience on a running channel, whose generator is killed in the middle of a vote."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from streamgen.audience.audience import Audience
from streamgen.audience.settings import AudienceSettings
from streamgen.http.voting import OpenVoting, kept_going, open_voting
from streamgen.log.contents import Voted
from streamgen.log.reader import LogReader
from streamgen.log.writer import ChannelLog
from streamgen.protocol import Applied, AudienceControl, AudienceOverlay, Permission, Propose, ServerMessage, Vote
from streamgen.settings import Settings
from streamgen.steering.hub import Connection
from streamgen.steering.voting import Voting
from tests.taped_channel import LIMIT_S, TapedChannel
from tests.tiny_bundle import write_tiny_bundle

TAKES_PART: frozenset[Permission] = frozenset({"propose", "vote"})
SLATE_WITHIN_S = 1.0
RULES = "collect_s = 600\nvote_s = 600\nresult_s = 600\noverlay_hz = 20\ntransition_s = 0\n"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bundle(tmp_path_factory.mktemp("bundle"))


@asynccontextmanager
async def running(bundle: Path, opened: OpenVoting, log: ChannelLog | None = None) -> AsyncIterator[TapedChannel]:
    # The pause is longer than what is queued, so that the slate is seen however fast a new generator comes.
    channel = TapedChannel(
        bundle, prompt="a red sun", scale=1, first_restart_s=2.0, silence_timeout_s=30.0, voting=opened.voting, log=log
    )
    channel.videos, channel.audios, channel.records = [], [], []
    async with asyncio.timeout(LIMIT_S), channel, kept_going(channel.steering, opened):
        yield channel


async def until(connection: Connection, kind: type[ServerMessage], **fields: object) -> None:
    """Read until a message of this kind comes whose fields have these values."""
    while True:
        message = await connection.outbox.get()
        if isinstance(message, kind) and all(getattr(message, name) == value for name, value in fields.items()):
            return


def rules(folder: Path) -> Path:
    path = folder / "audience.toml"
    path.write_text(RULES)
    return path


async def test_a_generator_that_is_killed_in_the_middle_of_a_vote_loses_none(bundle: Path, tmp_path: Path) -> None:
    settings = Settings(audience=rules(tmp_path), log_folder=tmp_path / "log")
    with ChannelLog(tmp_path / "log", "main") as log:
        opened = open_voting(settings, "main", moderated=False)
        assert opened is not None
        async with running(bundle, opened, log) as channel:
            hub = channel.steering
            operator = hub.connect("op", frozenset({"moderate"}))
            voters = [hub.connect(None, TAKES_PART, voter=f"v{number}") for number in range(20)]
            await channel.until_live()
            hub.take(operator, AudienceControl(id="start", action="start"))
            hub.take(voters[0], Propose(id="a", text="snow at night"))
            hub.take(voters[1], Propose(id="b", text="a green sun"))
            hub.take(operator, AudienceControl(id="vote", action="skip"))
            for number, voter in enumerate(voters[:10]):
                hub.take(voter, Vote(id="v", option="p1" if number < 7 else "p2", ballot="1.prompt"))
            await until(operator, AudienceOverlay, voters=10)

            pid = channel.generator_pid
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            killed_s = time.monotonic()
            await channel.until(lambda: channel.steering.status == "slate")
            slate_s = time.monotonic() - killed_s
            assert slate_s < SLATE_WITHIN_S

            # While nothing is generated the vote goes on.
            assert channel.generator_pid is None
            for voter in voters[10:]:
                hub.take(voter, Vote(id="v", option="p1", ballot="1.prompt"))
            hub.take(voters[0], Vote(id="v", option="p1", ballot="1.prompt"))  # sent again: it counts once
            await until(operator, AudienceOverlay, voters=20)
            hub.take(operator, AudienceControl(id="decide", action="skip"))
            await until(operator, AudienceOverlay, phase="result", winners=("p1",))
            assert channel.generator_pid is None, "it was decided without a generator"
            # And its result is what the new one begins with.
            await until(voters[0], Applied, id="a")
            await channel.until(lambda: channel.records[-1].prompt == "snow at night")
            assert channel.stats().restarts == 1
            assert channel.generator_pid not in (None, pid)
    (tally,) = [each.content for each in LogReader(tmp_path / "log", "main") if isinstance(each.content, Voted)]
    assert (tally.counts, tally.winner) == ({"p1": 17, "p2": 3}, "p1")


async def test_a_server_that_starts_again_goes_on_with_the_vote(tmp_path: Path) -> None:
    settings = Settings(audience=rules(tmp_path), log_folder=tmp_path)
    opened = open_voting(settings, "main", moderated=False)
    assert opened is not None
    channel = TapedChannel(tmp_path, voting=opened.voting)
    async with kept_going(channel.steering, opened):
        hub = channel.steering
        operator = hub.connect("op", frozenset({"moderate"}))
        ann = hub.connect(None, TAKES_PART, voter="ann")
        hub.take(operator, AudienceControl(id="start", action="start"))
        hub.take(ann, Propose(id="a", text="snow at night"))
        hub.take(operator, AudienceControl(id="vote", action="skip"))
        hub.take(ann, Vote(id="v", option="p1", ballot="1.prompt"))
    again = open_voting(settings, "main", moderated=False)
    assert again is not None
    now = again.voting.joined("ann", time.monotonic())
    assert (now.phase, now.voters, now.mine) == ("vote", 1, "p1")
    assert now.remaining_s is not None
    assert 590 < now.remaining_s <= 600


async def test_a_stored_vote_of_other_rules_is_set_aside(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    settings = Settings(audience=rules(tmp_path), log_folder=tmp_path)
    other = Voting(Audience(AudienceSettings(mode="continuous")))
    opened = open_voting(settings, "main", moderated=False)
    assert opened is not None
    assert opened.file is not None
    opened.file.write(other.state(0.0).model_dump_json())
    again = open_voting(settings, "main", moderated=False)
    assert again is not None
    assert again.voting.audience.phase == "idle"
    assert "begins anew" in caplog.text
    assert (tmp_path / "main.audience.unused.json").exists()
    assert open_voting(Settings(), "main", moderated=False) is None
    without = open_voting(Settings(audience=settings.audience), "main", moderated=False)
    assert without is not None
    assert without.file is None
