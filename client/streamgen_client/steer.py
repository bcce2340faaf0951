"""Steering a channel: one line to it, requests with a life to follow.

All methods belong to the event loop's thread.
"""

import asyncio
import json
import secrets
import time
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Mapping
from types import TracebackType
from typing import Final, Self

from streamgen.protocol import (
    Accepted,
    Applied,
    AudienceOverlay,
    ClientMessage,
    ControlAction,
    Held,
    PanicAction,
    Ping,
    Pong,
    ProtocolError,
    Queued,
    Received,
    Rejected,
    ServerMessage,
    State,
    Superseded,
    Target,
    encode,
    parse_client,
    parse_server,
)
from streamgen_client.errors import (
    ClientError,
    ConnectionLostError,
    OutboxFullError,
    RefusedError,
    RejectedError,
    UnreachableError,
)
from streamgen_client.lines import POLICY_VIOLATION, Line
from streamgen_client.request import Request

OPEN_TIMEOUT_S: Final = 10.0
OUTBOX_MESSAGES: Final = 64
MESSAGE_BACKLOG: Final = 256  # per reader of `messages()`; full: the oldest is dropped
REMEMBERED_REQUESTS: Final = 1024  # further ones push out the oldest, which then fails


class Steering:
    """Prompts and settings of a channel. Made by `Client.steer` or `Watch.steer`; use it with `async with`.

    async with client.steer() as steering:
        applied = await steering.prompt("heavy rain over a city")
        print(applied.media_time)
    """

    def __init__(self, line: Line, *, open_timeout_s: float = OPEN_TIMEOUT_S) -> None:
        self._line = line
        self._open_timeout_s = open_timeout_s
        self.unknown_messages = 0  # of a newer server; skipped
        self._state: State | None = None
        self._audience: AudienceOverlay | None = None
        self._joined = asyncio.Event()
        self._farewell: Rejected | None = None  # why the server is about to hang up, if it says so
        self._outbox: asyncio.Queue[tuple[ClientMessage, Request | None]] = asyncio.Queue(OUTBOX_MESSAGES)
        self._requests: OrderedDict[str, Request] = OrderedDict()
        self._pings: dict[str, asyncio.Future[Pong]] = {}
        self._readers: list[_Mailbox] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._closing = False
        self._failure: ClientError | None = None

    async def __aenter__(self) -> Self:
        """Connect and wait for the channel's state. Raises `UnreachableError` or `RefusedError`."""
        try:
            async with asyncio.timeout(self._open_timeout_s):
                await self._line.open()
                self._tasks = [
                    asyncio.create_task(self._read(), name="steering reader"),
                    asyncio.create_task(self._write(), name="steering writer"),
                ]
                await self._joined.wait()
        except TimeoutError as error:
            await self.close()
            raise UnreachableError(
                f"the channel's state did not come within {self._open_timeout_s:.0f} s; is the server running?"
            ) from error
        except BaseException:
            await self.close()
            raise
        if self._failure is not None:
            await self.close()
            raise self._failure
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def state(self) -> State:
        """The channel's whole situation, as last told."""
        assert self._state is not None, "use `async with`"
        return self._state

    def prompt(
        self,
        text: str | Mapping[str, float],
        *,
        cut: bool = False,
        keep: int | None = None,
        knobs: Mapping[str, str] | None = None,
        target: Target = "av",
        transition_ms: int = 0,
    ) -> Request:
        """Play `text` from the next chunk that can take it, or several texts together, each with its weight.

        Sends at once. Await the result for the moment when it is in the media. Raises `RejectedError` for a text that
        cannot be sent at all, such as an empty one.

        Args:
            text: what to show, or texts and their weights: `{"rain": 3, "snow": 1}`.
            cut: also drop what the model remembers.
            keep: drop all of it but the last so many chunks.
            knobs: turn what `state.choices` offers while this prompt plays: `{"camera": "left", "mood": "calm"}`.
            target: for the picture, the sound or both.
            transition_ms: how long the way from what plays takes.
        """
        document: dict[str, object] = {"type": "prompt.set", "cut": cut}
        if isinstance(text, str):
            document["text"] = text
        else:
            document["blend"] = [{"text": part, "weight": float(weight)} for part, weight in text.items()]
        optional = {"keep": keep, "knobs": dict(knobs) if knobs else None}
        document |= {name: value for name, value in optional.items() if value is not None}
        if target != "av":
            document["target"] = target
        if transition_ms:
            document["transition_ms"] = transition_ms
        return self._send_request(document)

    def panic(self, action: PanicAction) -> Request:
        """Cover the programme at once (`hold`, `slate`, `black`, `mute`), or take all of it back (`off`)."""
        return self._send_request({"type": "panic", "action": action})

    @property
    def audience(self) -> AudienceOverlay | None:
        """The vote as last told; None where no audience takes part. Wait for a change with `messages()`."""
        return self._audience

    def propose(self, text: str, *, stage: str | None = None, name: str = "") -> Request:
        """Propose a text that the audience can vote for. Await the result for the moment when it plays.

        Args:
            text: what to show.
            stage: of a cascade, for which of its votes (`audience.stages`); None: for the one under way.
            name: how you want to be credited.
        """
        document: dict[str, object] = {"type": "propose", "text": text, "name": name}
        if stage is not None:
            document["stage"] = stage
        return self._send_request(document)

    def vote(self, option: str) -> Request:
        """Vote for one of `audience.options`, by its id, on the ballot that was last told.

        Awaiting raises `RejectedError` with the reason `closed` when the vote came too late.
        """
        document: dict[str, object] = {"type": "vote", "option": option}
        if self._audience is not None and self._audience.ballot is not None:
            document["ballot"] = self._audience.ballot
        return self._send_request(document)

    def lead(self, action: ControlAction, *, seconds: float | None = None) -> Request:
        """Lead the audience's vote: start, stop, pause, resume, skip, or extend it by some seconds."""
        document: dict[str, object] = {"type": "audience.control", "action": action}
        if seconds is not None:
            document["seconds"] = float(seconds)
        return self._send_request(document)

    def approve(self, held_id: str) -> Request:
        """Let a prompt or a proposal through that is held; `state.held` and `audience.queue` list them."""
        return self._send_request({"type": "approve", "target": held_id})

    def reject(self, held_id: str, message: str = "") -> Request:
        """Turn a prompt or a proposal away that is held; `message` is told to the one who asked."""
        return self._send_request({"type": "reject", "target": held_id, "message": message})

    def configure(self, *, guidance: float | None = None, seed: int | None = None) -> Request:
        """Change the settings that are given. Await the result as for `prompt`."""
        settings = {"guidance": guidance, "seed": seed}
        given = {name: value for name, value in settings.items() if value is not None}
        return self._send_request({"type": "config.update", **given})

    async def ping(self) -> Pong:
        """Ask for the media time that leaves the server now; `t` is this side's `time.monotonic()`."""
        pong: asyncio.Future[Pong] = asyncio.get_running_loop().create_future()
        message = Ping(id=_new_id(), t=time.monotonic())
        self._pings[message.id] = pong
        try:
            self._put(message, None)
            return await pong
        finally:
            self._pings.pop(message.id, None)

    async def messages(self) -> AsyncIterator[ServerMessage]:
        """Every message from now on. A reader that falls behind loses the oldest.

        Raises `ConnectionLostError` when the server goes away.
        """
        mailbox = _Mailbox()
        self._readers.append(mailbox)
        try:
            while True:
                while mailbox.messages:
                    yield mailbox.messages.popleft()
                if self._closing:
                    return
                if self._failure is not None:
                    raise self._failure
                mailbox.changed.clear()
                await mailbox.changed.wait()
        finally:
            self._readers.remove(mailbox)

    async def close(self) -> None:
        """Leave. Idempotent; requests whose outcome is open fail with `ConnectionLostError`."""
        self._closing = True
        await self._line.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._fail(self._lost(""))

    def _send_request(self, document: dict[str, object]) -> Request:
        request = Request(_new_id())
        try:
            message = parse_client(json.dumps({**document, "id": request.id}))
        except ProtocolError as error:
            raise RejectedError(error.rejected()) from None
        self._put(message, request)
        self._requests[request.id] = request
        if len(self._requests) > REMEMBERED_REQUESTS:
            _, oldest = self._requests.popitem(last=False)
            oldest.fail(ConnectionLostError("too many later requests; the outcome of this one is not followed"))
        return request

    def _put(self, message: ClientMessage, request: Request | None) -> None:
        if self._failure is not None:
            raise self._failure
        try:
            self._outbox.put_nowait((message, request))
        except asyncio.QueueFull:
            raise OutboxFullError(f"{OUTBOX_MESSAGES} requests wait to be sent; await some of them first") from None

    async def _write(self) -> None:
        try:
            while True:
                message, request = await self._outbox.get()
                if request is not None:
                    request.sent_s = time.monotonic()
                await self._line.send(encode(message))
        except ConnectionLostError:
            pass  # The reader sees it too, and tells everybody.

    async def _read(self) -> None:
        try:
            async for frame in self._line.frames():
                try:
                    message = parse_server(frame)
                except ProtocolError:
                    self.unknown_messages += 1
                    continue
                self._take(message)
            self._fail(self._ended())
        except ConnectionLostError as error:
            self._fail(self._lost(str(error)))
        except RefusedError as error:
            self._fail(error)

    def _ended(self) -> ClientError:
        """Why the server has hung up."""
        if self._farewell is None or self._closing:
            return self._lost("the server closed the steering connection; connect again")
        if self._farewell.reason == "forbidden":
            return RefusedError(self._farewell.message, status=POLICY_VIOLATION)
        return self._lost(f"the server closed the steering connection ({self._farewell.message})")

    def _take(self, message: ServerMessage) -> None:
        match message:
            case State():
                # Messages to one client are in order, so the newest state is the last.
                self._state = message
                self._joined.set()
            case AudienceOverlay():
                self._audience = message
            case Pong():
                pong = self._pings.get(message.id)
                if pong is not None and not pong.done():
                    pong.set_result(message)
            case Rejected(id=None, field="token" | "connection"):
                self._farewell = message
            case Received() | Held() | Accepted() | Queued() | Applied() | Superseded() | Rejected():
                request = self._requests.get(message.id) if message.id is not None else None
                if request is not None:
                    request.take(message)
                    if request.done:
                        del self._requests[request.id]
            case _:
                pass
        for mailbox in self._readers:
            mailbox.put(message)

    def _lost(self, reason: str) -> ConnectionLostError:
        return ConnectionLostError("this side closed the steering connection" if self._closing else reason)

    def _fail(self, error: ClientError) -> None:
        if self._failure is not None:
            return
        self._failure = error
        for request in self._requests.values():
            request.fail(error)
        self._requests.clear()
        for pong in self._pings.values():
            if not pong.done():
                pong.set_exception(error)
        for mailbox in self._readers:
            mailbox.changed.set()
        self._joined.set()


class _Mailbox:
    """One reader's messages."""

    def __init__(self) -> None:
        self.messages: deque[ServerMessage] = deque(maxlen=MESSAGE_BACKLOG)
        self.changed = asyncio.Event()

    def put(self, message: ServerMessage) -> None:
        self.messages.append(message)
        self.changed.set()


def _new_id() -> str:
    return secrets.token_hex(12)
