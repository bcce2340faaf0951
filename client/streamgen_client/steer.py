"""Steering a channel: one line to it, requests with a life to follow.

All methods belong to the event loop's thread.
"""

import asyncio
import json
import secrets
import time
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from types import TracebackType
from typing import Final, Self

from streamgen.protocol import (
    Accepted,
    Applied,
    At,
    AudienceOverlay,
    ClientMessage,
    ControlAction,
    Held,
    Loop,
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
    Timeline,
    TimelineDocument,
    encode,
    parse_client,
    parse_server,
)
from streamgen_client.errors import (
    ClientError,
    ConnectionLostError,
    MessageTooLongError,
    OutboxFullError,
    RefusedError,
    RejectedError,
    UnreachableError,
)
from streamgen_client.lines import POLICY_VIOLATION, Line
from streamgen_client.open_requests import OpenRequests
from streamgen_client.prompt_document import prompt_document
from streamgen_client.request import Request

OPEN_TIMEOUT_S: Final = 10.0
OUTBOX_MESSAGES: Final = 64
MESSAGE_BACKLOG: Final = 256  # per reader of `messages()`; full: the oldest is dropped


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
        self._timeline: Timeline | None = None
        self._joined = asyncio.Event()
        self._farewell: Rejected | None = None  # why the server is about to hang up, if it says so
        self._outbox: asyncio.Queue[tuple[ClientMessage, Request | None]] = asyncio.Queue(OUTBOX_MESSAGES)
        self._requests = OpenRequests()
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

    @property
    def timeline(self) -> Timeline | None:
        """What is scheduled, as last told; None for those who may neither schedule nor moderate."""
        return self._timeline

    def prompt(
        self,
        text: str | Mapping[str, float],
        *,
        cut: bool = False,
        keep: int | None = None,
        recache: bool | None = None,
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
            recache: read what is left of it again under the new prompt, where the model can; None = as it is used to.
            knobs: turn what `state.choices` offers while this prompt plays: `{"camera": "left", "mood": "calm"}`.
            target: for the picture, the sound or both.
            transition_ms: how long the way from what plays takes.
        """
        asked = prompt_document(
            text, cut=cut, keep=keep, recache=recache, knobs=knobs, target=target, transition_ms=transition_ms
        )
        return self._send_request({"type": "prompt.set", **asked})

    def schedule(
        self,
        text: str | Mapping[str, float],
        at: At,
        *,
        cut: bool = False,
        keep: int | None = None,
        recache: bool | None = None,
        knobs: Mapping[str, str] | None = None,
        target: Target = "av",
        transition_ms: int = 0,
        loop: Loop | None = None,
        replace: str | None = None,
    ) -> Request:
        """Play a prompt at a media time (s), a chunk or a beat: `schedule("rain", At(media_time=120.0))`.

        The result's `id` names the entry. Await it for the moment when it is in the media for the first time.

        Args:
            text, cut, keep, recache, knobs, target, transition_ms: as for `prompt`.
            at: when.
            loop: play it again after that.
            replace: id of the entry whose place it takes; that entry's request ends as superseded.
        """
        document: dict[str, object] = {
            "type": "schedule",
            "at": at.model_dump(exclude_none=True),
            "prompt": prompt_document(
                text,
                cut=cut,
                keep=keep,
                recache=recache,
                knobs=knobs,
                target=target,
                transition_ms=transition_ms,
            ),
        }
        if loop is not None:
            document["loop"] = loop.model_dump()
        if replace is not None:
            document["replace"] = True
        return self._send_request(document, replace)

    def unschedule(self, entry: str) -> Request:
        """Take an entry off the timeline, by its id."""
        return self._send_request({"type": "unschedule", "target": entry})

    def loop(self, entries: Sequence[str], every: float, times: int | None = None) -> Request:
        """Repeat a section: each of these entries comes again after `every`, in the unit of its own time."""
        return self._send_request({"type": "loop", "targets": list(entries), "every": every, "times": times})

    def set_tempo(
        self, bpm: float, *, from_s: float | None = None, phase: float | None = None, beat: float | None = None
    ) -> Request:
        """Count beats from a media time on (None: from now), `phase` into one or at this `beat`."""
        asked = {"bpm": bpm, "from_s": from_s, "phase": phase, "beat": beat}
        return self._send_request({"type": "tempo", **asked})

    def load_timeline(self, document: TimelineDocument) -> Request:
        """Put a whole document in the place of what is scheduled."""
        return self._send_request({"type": "timeline.load", "document": document.model_dump(mode="json")})

    def clear_timeline(self) -> Request:
        """Take everything off the timeline."""
        return self._send_request({"type": "timeline.clear"})

    def play(self) -> Request:
        """Go on where `pause` stopped."""
        return self._send_request({"type": "play"})

    def pause(self) -> Request:
        """Have no more chunks made: the last picture stays, in silence."""
        return self._send_request({"type": "pause"})

    def reset(self) -> Request:
        """Drop what the model remembers with the next chunk, and keep the prompt."""
        return self._send_request({"type": "reset"})

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

    def _send_request(self, document: dict[str, object], id: str | None = None) -> Request:
        request = Request(_new_id() if id is None else id)
        try:
            message = parse_client(json.dumps({**document, "id": request.id}))
        except ProtocolError as error:
            raise RejectedError(error.rejected()) from None
        self._put(message, request)
        self._requests.add(request)
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
                try:
                    await self._line.send(encode(message))
                except MessageTooLongError as error:
                    if request is not None:
                        told = Rejected(id=request.id, reason="too_long", field="frame", message=str(error))
                        self._requests.take(told)
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
            case Timeline():
                self._timeline = message
            case Pong():
                pong = self._pings.get(message.id)
                if pong is not None and not pong.done():
                    pong.set_result(message)
            case Rejected(id=None, field="token" | "connection"):
                if message.reason in ("forbidden", "unavailable"):  # others are about one message
                    self._farewell = message
            case Received() | Held() | Accepted() | Queued() | Applied() | Superseded() | Rejected():
                self._requests.take(message)
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
        self._requests.fail(error)
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
