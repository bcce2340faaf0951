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

import uvloop

from bench.lean_socket import LeanSocket

JOINING_AT_ONCE: Final = 16
ANSWER_LIMIT_S: Final = 30.0
SHOWN_WITHIN_S: Final = 2.0  # after the last answer, so that the last votes show
_AUDIENCE: Final = b'{"type":"audience"'
_APPLIED: Final = b'{"type":"applied"'
_REJECTED: Final = b'{"type":"rejected"'


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

    def __init__(self, seen: Seen) -> None:
        self._seen = seen
        self._answer: asyncio.Future[tuple[float, bytes]] | None = None  # of the one vote that is under way
        self._sent_s = 0.0  # of that one
        self._unshown: list[float] = []  # when votes were sent that are counted and not seen yet
        self._socket: LeanSocket | None = None
        self.choice: str | None = None

    async def join(self, url: str, token: str) -> None:
        """Connect."""
        self._socket = await LeanSocket.connect(url, token, self.take)

    @property
    def lost(self) -> bool:
        """Whether the connection has ended."""
        return self._socket is None or self._socket.closed

    def leave(self) -> None:
        """End the connection."""
        if self._socket is not None:
            self._socket.abort()

    def take(self, text: bytes) -> None:
        """A message has come."""
        if text.startswith(_AUDIENCE):
            now_s = time.monotonic()
            self._seen.overlays += 1
            # Messages of one connection are in order, so this one was made after the answers before it.
            self._seen.shown_s += [now_s - sent_s for sent_s in self._unshown]
            self._unshown.clear()
        elif text.startswith((_APPLIED, _REJECTED)) and self._answer is not None and not self._answer.done():
            self._answer.set_result((time.monotonic(), text))
            # Here, not where the answer is waited for: the `audience` that has it in it may come with the same read.
            if text.startswith(_APPLIED):
                self._unshown.append(self._sent_s)

    async def vote(self, id: str, ballot: str, option: str) -> None:
        """Vote, and wait for the answer."""
        if self.lost:
            self._seen.refused["connection lost"] += 1
            return
        assert self._socket is not None
        self._answer = asyncio.get_running_loop().create_future()
        sent_s = self._sent_s = time.monotonic()
        self._socket.send(json.dumps({"type": "vote", "id": id, "option": option, "ballot": ballot}))
        self._seen.sent += 1
        try:
            async with asyncio.timeout(ANSWER_LIMIT_S):
                at_s, text = await self._answer
        except TimeoutError:
            self._seen.refused["no answer"] += 1
            return
        if text.startswith(_APPLIED):
            self._seen.counted += 1
            self._seen.answer_s.append(at_s - sent_s)
            self.choice = option
        else:
            self._seen.refused[json.loads(text)["reason"]] += 1


def drawn_choices(draw: random.Random, options: Sequence[str], times: int) -> list[str]:
    """What one voter votes for: never twice the same in a row, which would change nothing that could show."""
    choices: list[str] = []
    for _ in range(times):
        choices.append(draw.choice([each for each in options if not choices or each != choices[-1]]))
    return choices


def _run(pipe: Connection, url: str, tokens: list[str], seed: int) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_vote_as_told(pipe, url, tokens, random.Random(seed)))


async def _vote_as_told(pipe: Connection, url: str, tokens: list[str], draw: random.Random) -> None:
    room = asyncio.Semaphore(JOINING_AT_ONCE)
    seen = Seen()
    voters = [Voter(seen) for _ in tokens]

    async def join(voter: Voter, token: str) -> None:
        async with room:
            await voter.join(url, token)

    await asyncio.gather(*(join(voter, token) for voter, token in zip(voters, tokens, strict=True)))
    pipe.send("joined")
    while (told := await asyncio.to_thread(pipe.recv)) is not None:
        seen.lasted_s = await _all_vote(voters, draw, *told)
        seen.choices = Counter(voter.choice for voter in voters if voter.choice is not None)
        seen.lost = sum(voter.lost for voter in voters)
        pipe.send(seen)
    for voter in voters:
        voter.leave()


async def _all_vote(
    voters: Sequence[Voter], draw: random.Random, ballot: str, options: Sequence[str], times: int, seconds: float
) -> float:
    """Returns how long it took until the last answer, s."""
    began_s = time.monotonic()

    async def take_part(voter: Voter, moments: list[float], choices: list[str]) -> None:
        for turn, (moment_s, option) in enumerate(zip(moments, choices, strict=True)):
            await asyncio.sleep(began_s + moment_s - time.monotonic())
            await voter.vote(str(turn), ballot, option)

    plans = [
        (sorted(draw.uniform(0, seconds) for _ in range(times)), drawn_choices(draw, options, times)) for _ in voters
    ]
    await asyncio.gather(*(take_part(voter, *plan) for voter, plan in zip(voters, plans, strict=True)))
    lasted_s = time.monotonic() - began_s
    await asyncio.sleep(SHOWN_WITHIN_S)
    return lasted_s
