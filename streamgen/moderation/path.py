"""The one path that a text takes before any model sees it. It fails closed: what is not judged is not shown.

    length -> rules -> similarity -> external service -> mode

Each part can only make the verdict stricter, and the first that refuses ends the path. Rules and similarity run in one
worker thread, one text at a time; the event loop never computes. Methods of `Moderation` belong to the event loop.

What holds:

- `judge` returns within `bound_s`, whatever the parts do, and never raises but for cancellation;
- an error in any part, a full queue and a closed path all refuse, with the category `unavailable`;
- what was cancelled frees its place in the queue as soon as the worker is done with it, or at once if it had not begun.
"""

import asyncio
import logging
import threading
from collections import Counter, OrderedDict
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Final, Literal, Protocol

from streamgen.moderation.errors import ExternalError
from streamgen.moderation.external import External
from streamgen.moderation.normalise import MAX_TEXT_CHARS, too_long
from streamgen.moderation.verdict import UNAVAILABLE, Decision, Evidence, Verdict, strictest

Mode = Literal["auto", "hold_unsure", "hold_all"]

COMPUTE_TIMEOUT_S: Final = 2.0  # waiting for the worker included; a text takes it some milliseconds
MAX_WAITING: Final = 32  # texts in the worker's queue; one more is refused, so that steering stays prompt
CACHED_VERDICTS: Final = 512  # of the last texts; the one asked for longest ago goes
_TOLD_UNAVAILABLE: Final = "Requests cannot be checked right now; please try again in a moment."
_TOLD_LONG: Final = f"This text is too long; keep to {MAX_TEXT_CHARS} letters."
_TOLD_HELD: Final = "This waits for an operator, who looks at every request."

_log = logging.getLogger("streamgen.moderation")


class Judge(Protocol):
    """A part that runs in the worker thread: `Rules` and `Similarity`."""

    version: str

    def judge(self, text: str) -> Verdict:
        """What this part says of a text."""
        ...


class Moderation:
    """The path of one server. `close` it when the server closes.

    `decisions` counts verdicts by decision, `failures` what went wrong by part and kind.
    """

    def __init__(
        self,
        rules: Judge,
        similarity: Judge | None = None,
        external: External | None = None,
        *,
        mode: Mode = "auto",
        compute_timeout_s: float = COMPUTE_TIMEOUT_S,
        max_waiting: int = MAX_WAITING,
        cached: int = CACHED_VERDICTS,
    ) -> None:
        """Make a path.

        Args:
            rules: lists of words and patterns.
            similarity: to described policies; None leaves this part out.
            external: a service outside; None leaves this part out. It is closed with the path.
            mode: `auto`: nobody looks, so what is unsure is refused. `hold_unsure`: it is held for an operator.
                `hold_all`: everything is held but what is refused anyway.
            compute_timeout_s: for rules and similarity together, waiting included.
            max_waiting: texts that may wait for the worker.
            cached: verdicts that are remembered.
        """
        self.mode: Mode = mode
        self.decisions: Counter[Decision] = Counter()
        self.failures: Counter[str] = Counter()
        self._parts: tuple[Judge, ...] = (rules,) if similarity is None else (rules, similarity)
        self._external = external
        self._compute_timeout_s = compute_timeout_s
        self._max_waiting = max_waiting
        self._cached = cached
        self._cache: OrderedDict[tuple[str, str], Verdict] = OrderedDict()
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="moderation")
        self._lock = threading.Lock()  # guards `_waiting`, which the worker's thread counts down
        self._waiting = 0
        self._closed = False

    @property
    def version(self) -> str:
        """Of everything that decides inside the server."""
        return "+".join(part.version for part in self._parts)

    @property
    def bound_s(self) -> float:
        """The longest that `judge` takes."""
        return self._compute_timeout_s + (0.0 if self._external is None else self._external.settings.timeout_s)

    @property
    def waiting(self) -> int:
        """Texts that the worker has not finished."""
        with self._lock:
            return self._waiting

    async def judge(self, text: str) -> Verdict:
        """What becomes of a text. Cancelling it is safe."""
        key = (text, self.version)
        verdict = self._cache.get(key)
        if verdict is None:
            verdict, complete = await self._ask(text)
            if complete:  # a failure is about the server, and passes
                self._cache[key] = verdict
                if len(self._cache) > self._cached:
                    self._cache.popitem(last=False)
        else:
            self._cache.move_to_end(key)
        verdict = in_mode(verdict, self.mode)
        self.decisions[verdict.decision] += 1
        return verdict

    def forget(self) -> None:
        """Forget verdicts, for when the service outside decides otherwise from now on."""
        self._cache.clear()

    async def close(self) -> None:
        """Refuse from now on, and wait for the worker and the connections. Idempotent."""
        self._closed = True
        await asyncio.to_thread(self._worker.shutdown, wait=True, cancel_futures=True)
        if self._external is not None:
            await self._external.close()

    async def _ask(self, text: str) -> tuple[Verdict, bool]:
        """A verdict, and whether every part that it needed has worked."""
        if len(text) > MAX_TEXT_CHARS:  # before anything reads it; the worker measures what it is drawn as
            return _long(), True
        inside = await self._ask_worker(text)
        if inside.decision == "refuse" or self._external is None:
            return inside, inside.category != UNAVAILABLE
        try:
            outside, error = await self._external.judge(text)
        except Exception as unexpected:  # noqa: BLE001 - the edge of the path: no error of a part may let a text through
            return self._failed("external", unexpected), False
        if error is not None:
            self._note("external", error)
        return strictest((inside, outside)), error is None

    async def _ask_worker(self, text: str) -> Verdict:
        with self._lock:
            if self._closed or self._waiting >= self._max_waiting:
                full = "closed" if self._closed else "queue full"
                self.failures[f"worker: {full}"] += 1
                return _unavailable("worker", full)
            self._waiting += 1
        try:
            future = self._worker.submit(self._compute, text)
        except RuntimeError as error:  # it closed meanwhile
            self._done(None)
            return self._failed("worker", error)
        future.add_done_callback(self._done)
        try:
            async with asyncio.timeout(self._compute_timeout_s):
                return await asyncio.wrap_future(future)
        except TimeoutError as error:
            return self._failed("worker", error)
        except Exception as error:  # noqa: BLE001 - as above
            return self._failed("worker", error)

    def _compute(self, text: str) -> Verdict:
        """In the worker's thread."""
        if too_long(text):
            return _long()
        verdicts: list[Verdict] = []
        for part in self._parts:
            verdict = part.judge(text)
            if verdict.decision != "allow":
                verdicts.append(verdict)
            if verdict.decision == "refuse":
                break
        return strictest(verdicts)

    def _done(self, _: Future[Verdict] | None) -> None:
        with self._lock:
            self._waiting -= 1

    def _failed(self, part: str, error: Exception) -> Verdict:
        self._note(part, error)
        return _unavailable(part, type(error).__name__)

    def _note(self, part: str, error: Exception) -> None:
        """Count a failure, and log the first of its kind; never the text, which is somebody's words."""
        kind = f"{part}: {type(error).__name__}"
        self.failures[kind] += 1
        if self.failures[kind] == 1:
            known = isinstance(error, ExternalError | TimeoutError)
            _log.error(
                "moderation: %s failed (%s); what it should have judged is not let through",
                part,
                error or kind,
                exc_info=None if known else error,
            )


def in_mode(verdict: Verdict, mode: Mode) -> Verdict:
    """The verdict where nobody looks (`auto`), where somebody looks at what is unsure, or at everything."""
    noted = (*verdict.evidence, Evidence("mode", mode))
    if mode == "auto" and verdict.decision == "hold":
        return replace(verdict, decision="refuse", evidence=noted)
    if mode == "hold_all" and verdict.decision == "allow":
        return Verdict("hold", None, _TOLD_HELD, noted)
    return verdict


def _unavailable(part: str, why: str) -> Verdict:
    return Verdict("refuse", UNAVAILABLE, _TOLD_UNAVAILABLE, (Evidence("path", f"{part}: {why}"),))


def _long() -> Verdict:
    return Verdict("refuse", "length", _TOLD_LONG, (Evidence("length", f"more than {MAX_TEXT_CHARS}"),))
