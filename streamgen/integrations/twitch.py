"""Twitch chat as an audience: reads a channel's chat without an account and takes proposals and votes from it.

One task holds one WebSocket and opens it again when it ends, after pauses that double up to `MAX_PAUSE_S`. Each account
is a voter of its own (`twitch:NUMBER`) under the same limits as everybody. The library's own bound on received frames
holds the network back while lines are read. Full-policy: beyond `WISHES_PER_S` of all chatters together, further wishes
are dropped and counted.
"""

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Final, Self

from pydantic import ValidationError
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from streamgen.access.limits import Action, Limits
from streamgen.integrations.chat_words import WantsToPropose, read_wish
from streamgen.integrations.hub_client import HubClient, new_id
from streamgen.integrations.twitch_irc import IrcLine, Said, greeting, pong, read_frame, said
from streamgen.protocol import (
    MAX_CREDIT_CHARS,
    MAX_ID_CHARS,
    AudienceOverlay,
    Permission,
    Propose,
    ServerMessage,
    Vote,
)
from streamgen.steering.hub import SteeringHub
from streamgen.steering.rate import TokenBucket

logger = logging.getLogger(__name__)

URL: Final = "wss://irc-ws.chat.twitch.tv:443"
CAN: Final[frozenset[Permission]] = frozenset({"watch", "propose", "vote"})

MAX_FRAME_BYTES: Final = 128 * 1024
OPEN_TIMEOUT_S: Final = 10.0
PING_S: Final = 60.0
FIRST_PAUSE_S: Final = 1.0
MAX_PAUSE_S: Final = 60.0
PAUSE_SPREAD: Final = 0.5  # a pause is up to this much longer
WISHES_PER_S: Final = 500.0

_LOWEST_NUMBER: Final = 10_000  # of the names that Twitch keeps for readers without an account
_HIGHEST_NUMBER: Final = 99_999


class TwitchChat:
    """`async with TwitchChat(hub, "some_channel", limits=limits)`. Belongs to the event loop.

    Attributes:
        counts: since the start: `connected`, `line`, `vote`, `proposal`, `limited` (too often, or too many together),
            `refused` (no such option, no text).
        joined: whether the chat is being read now.

    Args:
        hub: the channel's.
        channel: name of the Twitch channel.
        limits: the server's.
        url: of Twitch's server.
        pause: waits so many seconds.
        spread: a number from 0 to 1 for each pause.
        now_s: a monotonic clock (s), by itself the loop's.
    """

    def __init__(
        self,
        hub: SteeringHub,
        channel: str,
        *,
        limits: Limits,
        url: str = URL,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
        spread: Callable[[], float] = random.random,
        now_s: Callable[[], float] | None = None,
    ) -> None:
        self.counts: Counter[str] = Counter()
        self.joined = False
        self._channel = channel
        self._limits = limits
        self._url = url
        self._pause = pause
        self._spread = spread
        self._now_s = now_s
        self._all = TokenBucket(WISHES_PER_S, round(WISHES_PER_S))
        self._client = HubClient(hub, "twitch", can=CAN, hear=self._hear)
        self._vote: AudienceOverlay | None = None
        self._reader: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Join the channel and begin to read the chat; does not wait for Twitch."""
        await self._client.__aenter__()
        self._reader = asyncio.create_task(self._read(), name=f"twitch chat {self._channel}")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Stop to read and leave the channel. Idempotent."""
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.cancel()
            await asyncio.wait([reader])
        await self._client.close()

    def _hear(self, message: ServerMessage) -> None:
        if isinstance(message, AudienceOverlay):
            self._vote = message

    async def _read(self) -> None:
        failures = 0
        while True:
            before = self.counts["connected"]
            try:
                await self._visit()
                logger.info("Twitch ends the connection to the chat of %s; it is opened again", self._channel)
            except (OSError, TimeoutError, InvalidHandshake, ConnectionClosed) as error:
                if failures == 0:
                    logger.warning("the Twitch chat of %s is not reached: %s; trying on", self._channel, error)
            except Exception:  # the task's outermost edge: the chat has to come back
                logger.exception("reading the Twitch chat of %s failed", self._channel)
            finally:
                self.joined = False
            failures = 0 if self.counts["connected"] > before else failures + 1
            pause_s = min(FIRST_PAUSE_S * 2**failures, MAX_PAUSE_S)
            await self._pause(pause_s * (1.0 + PAUSE_SPREAD * self._spread()))

    async def _visit(self) -> None:
        """One connection; returns when the other side ends it."""
        async with connect(
            self._url,
            open_timeout=OPEN_TIMEOUT_S,
            close_timeout=1.0,
            ping_interval=PING_S,
            ping_timeout=PING_S,
            max_size=MAX_FRAME_BYTES,
            proxy=None,
        ) as socket:
            # A name for reading only, of those that need no password.
            for words in greeting(self._channel, f"justinfan{random.randint(_LOWEST_NUMBER, _HIGHEST_NUMBER)}"):
                await socket.send(words)
            async for frame in socket:
                for line in read_frame(frame) if isinstance(frame, str) else ():
                    if not await self._take(socket, line):
                        return

    async def _take(self, socket: ClientConnection, line: IrcLine) -> bool:
        """A line arrives; whether the connection goes on."""
        self.counts["line"] += 1
        match line.command:
            case "PING":
                await socket.send(pong(line))
            case "RECONNECT":
                return False
            case "366":  # the end of the list of names: we have joined
                self.joined = True
                self.counts["connected"] += 1
                logger.info("reading the Twitch chat of %s", self._channel)
            case "NOTICE":
                logger.warning("Twitch says about the chat of %s: %s", self._channel, " ".join(line.arguments[1:]))
            case _:
                words = said(line, self._channel)
                if words is not None:
                    self._chatted(words)
        return True

    def _chatted(self, words: Said) -> None:
        vote = self._vote
        voting = vote is not None and vote.ballot is not None and not vote.paused
        wish = read_wish(words.text, voting=voting)
        if wish is None:
            return
        voter = f"twitch:{words.user}"
        action: Action = "propose" if isinstance(wish, WantsToPropose) else "vote"
        now_s = asyncio.get_running_loop().time() if self._now_s is None else self._now_s()
        if (
            self._limits.take(action, voter=voter, host=None, now_s=now_s) is not None
            or self._all.take(now_s) is not None
        ):
            self.counts["limited"] += 1
            return
        # Twitch's own id: a line that it sends twice acts once.
        id = words.id if 0 < len(words.id) <= MAX_ID_CHARS and words.id.isprintable() else new_id()
        message: Propose | Vote
        if isinstance(wish, WantsToPropose):
            try:
                message = Propose(id=id, text=wish.text, name=_credit(words.name))
            except ValidationError:
                self.counts["refused"] += 1
                return
            self.counts["proposal"] += 1
        else:
            if vote is None or vote.ballot is None or wish.option > len(vote.options):
                self.counts["refused"] += 1
                return
            message = Vote(id=id, option=vote.options[wish.option - 1].id, ballot=vote.ballot)
            self.counts["vote"] += 1
        self._client.ask_for(voter, message)


def _credit(name: str) -> str:
    return name[:MAX_CREDIT_CHARS]
