"""The audience of a server's channel: its rules from a file, its vote from where it was left, and the tasks for it."""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from streamgen.audience.audience import Audience
from streamgen.audience.effects import AudienceStateError
from streamgen.audience.file import read_rules
from streamgen.settings import Settings
from streamgen.steering.hub import SteeringHub
from streamgen.steering.voting import Voting
from streamgen.steering.voting_clock import keep_time
from streamgen.steering.voting_store import VotingFile, VotingKeeper

logger = logging.getLogger(__name__)

FILE: Final = "{channel}.audience.json"  # in the folder of the log


@dataclass(frozen=True, slots=True)
class OpenVoting:
    """A vote that can go on, and where it is stored, if anywhere."""

    voting: Voting
    file: VotingFile | None


def open_voting(settings: Settings, channel: str, *, moderated: bool) -> OpenVoting | None:
    """The channel's vote; None where no audience takes part. Reads files.

    A stored vote that cannot be continued is set aside, and said: a server that does not start because of it would help
    nobody.

    Raises:
        AudienceFileError: the rules cannot be used.
    """
    if settings.audience is None:
        return None
    rules = read_rules(settings.audience)
    file = None if settings.log_folder is None else VotingFile(settings.log_folder / FILE.format(channel=channel))
    if file is not None:
        try:
            stored = file.read()
            if stored is not None:
                voting = Voting.load(rules, stored, time.monotonic(), moderated=moderated)
                logger.info("the audience goes on where it was: %s", voting.audience.phase)
                return OpenVoting(voting, file)
        except AudienceStateError as error:
            logger.warning("%s; it is kept as %s, and the audience begins anew", error, file.set_aside())
    return OpenVoting(Voting(Audience(rules), moderated=moderated), file)


@contextlib.asynccontextmanager
async def kept_going(steering: SteeringHub, opened: OpenVoting | None) -> AsyncIterator[None]:
    """While it is entered, the vote goes on in time and is stored; at the end it is stored once more."""
    if opened is None:
        yield
        return
    voting = opened.voting
    keeper = None
    if opened.file is not None:
        keeper = VotingKeeper(
            opened.file, lambda: voting.state(time.monotonic()), lambda: voting.version(time.monotonic())
        )
    tasks = [asyncio.create_task(keep_time(steering), name="audience")]
    if keeper is not None:
        tasks.append(asyncio.create_task(keeper.run(), name="audience on the disk"))
    for task in tasks:
        task.add_done_callback(_say_why)
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        if keeper is not None:
            await keeper.store()


def _say_why(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        logger.error("the task %s has failed; votes stand still", task.get_name(), exc_info=task.exception())
