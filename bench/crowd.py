"""Voters for `bench.voters`: WebSocket clients in processes of their own, each with a signed token.

They speak the protocol as a page does, but read only what they measure: reading thousands of copies of the same message
would measure this side. Times are those of one process's monotonic clock; only differences leave it.
"""

import asyncio
import json
import multiprocessing
import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Final, Self

from websockets.asyncio.client import ClientConnection, connect

JOINING_AT_ONCE: Final = 16
ANSWER_LIMIT_S: Final = 30.0
_VOTE: Final = '{"type":"audience"'
_APPLIED: Final = '{"type":"applied"'
_REJECTED: Final = '{"type":"rejected"'


@dataclass
class Seen:
    """What the voters of one process saw."""

    sent: int = 0
    counted: int = 0
    refused: Counter[str] = field(default_factory=Counter)  # by reason, or "no answer"
    answer_s: list[float] = field(default_factory=list)  # from sending a vote to its answer
    shown_s: list[float] = field(default_factory=list)  # from sending a vote to the first `audience` that has it in it
    overlays: int = 0
    lost: int = 0  # connections that ended early
    lasted_s: float = 0.0  # from the first vote to the last answer
    choices: Counter[str] = field(default_factory=Counter)  # for what the voters' last counted votes stand

    def add(self, other: "Seen") -> None:
        """Put what another process saw to this."""
        self.sent += other.sent
        self.counted += other.counted
        self.refused += other.refused
        self.answer_s += other.answer_s
        self.shown_s += other.shown_s
        self.overlays += other.overlays
        self.lost += other.lost
        self.lasted_s = max(self.lasted_s, other.lasted_s)
        self.choices += other.choices


class Crowd:
    """Voters in some processes: `async with Crowd(url, tokens, 2) as crowd: await crowd.vote(...)`."""

    def __init__(self, url: str, tokens: Sequence[str], processes: int) -> None:
        self._url = url
        self._shares = [list(tokens[number::processes]) for number in range(processes)]

    async def __aenter__(self) -> Self:
        """Start the processes, and have everybody connect."""
        context = multiprocessing.get_context("spawn")
        self._pipes: list[Connection] = []
        self._processes = []
        for number, share in enumerate(self._shares):
            ours, theirs = context.Pipe()
            process = context.Process(target=_run, args=(theirs, self._url, share, number), daemon=True)
            process.start()
            theirs.close()
            self._pipes.append(ours)
            self._processes.append(process)
        await self._all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for pipe in self._pipes:
            pipe.send(None)
        for process in self._processes:
            await asyncio.to_thread(process.join, 30)
        for pipe in self._pipes:
            pipe.close()

    async def vote(self, ballot: str, options: Sequence[str], times: int, seconds: float) -> Seen:
        """Everybody votes so many times within so many seconds, at times and for options that are drawn."""
        for pipe in self._pipes:
            pipe.send((ballot, tuple(options), times, seconds))
        seen = Seen()
        for each in await self._all():
            seen.add(each)
        return seen

    async def _all(self) -> list[Any]:
        return list(await asyncio.gather(*(asyncio.to_thread(pipe.recv) for pipe in self._pipes)))


class Voter:
    """One voter on one connection."""

    def __init__(self, connection: ClientConnection, seen: Seen) -> None:
        self._connection = connection
        self._seen = seen
        self._answers: asyncio.Queue[tuple[float, str]] = asyncio.Queue()  # as many as votes are sent, one at a time
        self._unshown: list[float] = []  # when votes were sent that are counted and not seen yet
        self.choice: str | None = None

    async def read(self) -> None:
        """Read until the connection ends."""
        async for frame in self._connection:
            assert isinstance(frame, str)
            if frame.startswith(_VOTE):
                now_s = time.monotonic()
                self._seen.overlays += 1
                # Messages of one connection are in order, so this one was made after the answers before it.
                self._seen.shown_s += [now_s - sent_s for sent_s in self._unshown]
                self._unshown.clear()
            elif frame.startswith((_APPLIED, _REJECTED)):
                self._answers.put_nowait((time.monotonic(), frame))

    async def vote(self, id: str, ballot: str, option: str) -> None:
        """Vote, and wait for the answer."""
        sent_s = time.monotonic()
        await self._connection.send(json.dumps({"type": "vote", "id": id, "option": option, "ballot": ballot}))
        self._seen.sent += 1
        try:
            async with asyncio.timeout(ANSWER_LIMIT_S):
                at_s, frame = await self._answers.get()
        except TimeoutError:
            self._seen.refused["no answer"] += 1
            return
        if frame.startswith(_APPLIED):
            self._seen.counted += 1
            self._seen.answer_s.append(at_s - sent_s)
            self._unshown.append(sent_s)
            self.choice = option
        else:
            self._seen.refused[json.loads(frame)["reason"]] += 1


def _run(pipe: Connection, url: str, tokens: list[str], seed: int) -> None:
    asyncio.run(_vote_as_told(pipe, url, tokens, random.Random(seed)))


async def _vote_as_told(pipe: Connection, url: str, tokens: list[str], draw: random.Random) -> None:
    room = asyncio.Semaphore(JOINING_AT_ONCE)
    seen = Seen()

    async def join(token: str) -> Voter:
        async with room:
            headers = {"Authorization": f"Bearer {token}"}
            connection = await connect(
                url, additional_headers=headers, compression=None, ping_interval=None, open_timeout=60
            )
        return Voter(connection, seen)

    voters = await asyncio.gather(*(join(token) for token in tokens))
    readers = [asyncio.create_task(voter.read()) for voter in voters]
    pipe.send("joined")
    while (told := await asyncio.to_thread(pipe.recv)) is not None:
        ballot, options, times, seconds = told
        began_s = time.monotonic()

        async def take_part(
            number: int, voter: Voter, moments: list[float], choices: list[str], ballot: str, began_s: float
        ) -> None:
            for turn, (moment_s, option) in enumerate(zip(moments, choices, strict=True)):
                await asyncio.sleep(began_s + moment_s - time.monotonic())
                await voter.vote(f"{number}-{turn}", ballot, option)

        plans = [
            (sorted(draw.uniform(0, seconds) for _ in range(times)), [draw.choice(options) for _ in range(times)])
            for _ in voters
        ]
        await asyncio.gather(
            *(
                take_part(number, voter, *plan, ballot, began_s)
                for number, (voter, plan) in enumerate(zip(voters, plans, strict=True))
            )
        )
        seen.lasted_s = time.monotonic() - began_s
        await asyncio.sleep(1.0)  # for the last votes to be shown
        seen.choices = Counter(voter.choice for voter in voters if voter.choice is not None)
        seen.lost = sum(reader.done() for reader in readers)
        pipe.send(seen)
    for reader in readers:
        reader.cancel()
    await asyncio.gather(*readers, return_exceptions=True)
    # The server does not need a farewell of each, and waiting for thousands of them would be all that is waited for.
    for voter in voters:
        voter._connection.transport.abort()
