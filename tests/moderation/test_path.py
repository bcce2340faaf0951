import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable

import httpx
import pytest

from streamgen.moderation.external import External, ExternalSettings
from streamgen.moderation.lists import read_lists
from streamgen.moderation.path import Mode, Moderation, in_mode
from streamgen.moderation.rules import Rules
from streamgen.moderation.verdict import ALLOWED, Decision, Evidence, Verdict

HOLD = Verdict("hold", "fog", "No fog.", (Evidence("rules", "fog"),))
REFUSE = Verdict("refuse", "storms", "No storms.", (Evidence("rules", "storm"),))


class Part:
    """A part that says what stands in a table, fails where that is an error, and counts what it was asked."""

    def __init__(self, says: dict[str, Verdict | Exception] | None = None) -> None:
        self.version = "1"
        self.says = says or {}
        self.asked: list[str] = []
        self.before: Callable[[], object] = lambda: None

    def judge(self, text: str) -> Verdict:
        self.before()
        self.asked.append(text)
        said = self.says.get(text, ALLOWED)
        if isinstance(said, Exception):
            raise said
        return said


def external(decision: str | None) -> External:
    """A service that decides so; None: it is broken."""
    response = {"decision": decision, "category": "outside"}
    transport = httpx.MockTransport(lambda _: httpx.Response(500 if decision is None else 200, json=response))
    return External(ExternalSettings("https://moderation.test", timeout_s=60), transport=transport)


@pytest.fixture
async def opened() -> AsyncIterator[Callable[..., Moderation]]:
    paths: list[Moderation] = []

    def make(*parts: Part, **options: object) -> Moderation:
        options.setdefault("compute_timeout_s", 60.0)  # however busy the machine is
        path = Moderation(*parts, **options)  # type: ignore[arg-type]
        paths.append(path)
        return path

    yield make
    for path in paths:
        await path.close()


Opened = Callable[..., Moderation]


@pytest.mark.parametrize(
    ("verdict", "mode", "decision"),
    [
        (ALLOWED, "auto", "allow"),
        (HOLD, "auto", "refuse"),
        (REFUSE, "auto", "refuse"),
        (ALLOWED, "hold_unsure", "allow"),
        (HOLD, "hold_unsure", "hold"),
        (REFUSE, "hold_unsure", "refuse"),
        (ALLOWED, "hold_all", "hold"),
        (HOLD, "hold_all", "hold"),
        (REFUSE, "hold_all", "refuse"),
    ],
)
def test_modes(verdict: Verdict, mode: Mode, decision: Decision) -> None:
    judged = in_mode(verdict, mode)
    assert judged.decision == decision
    assert judged.category == verdict.category
    assert decision == "allow" or judged.told


async def test_the_first_refusal_ends_the_path(opened: Opened) -> None:
    rules, similarity = Part({"a": REFUSE, "b": HOLD}), Part({"b": REFUSE})
    path = opened(rules, similarity, mode="hold_unsure")
    assert (await path.judge("a")).category == "storms"
    assert similarity.asked == []
    verdict = await path.judge("b")
    assert (verdict.decision, verdict.category, len(verdict.evidence)) == ("refuse", "storms", 2)
    assert (await path.judge("c")) == ALLOWED
    assert path.decisions == {"refuse": 2, "allow": 1}


@pytest.mark.parametrize(
    ("says", "decision"), [("allow", "allow"), ("hold", "hold"), ("refuse", "refuse"), (None, "hold")]
)
async def test_the_service_outside_can_only_be_stricter(opened: Opened, says: str | None, decision: str) -> None:
    path = opened(Part({"a": HOLD}), None, external(says), mode="hold_unsure")
    assert (await path.judge("free")).decision == decision
    assert (await path.judge("a")).decision == ("refuse" if says == "refuse" else "hold")


async def test_a_broken_service_refuses_where_nobody_looks(opened: Opened) -> None:
    path = opened(Part(), None, external(None))
    verdict = await path.judge("free")
    assert (verdict.decision, verdict.category) == ("refuse", "unavailable")


@pytest.mark.parametrize("broken", ["rules", "similarity"])
@pytest.mark.parametrize("mode", ["auto", "hold_unsure", "hold_all"])
async def test_an_error_in_a_part_refuses_and_is_logged_once(
    opened: Opened, broken: str, mode: Mode, caplog: pytest.LogCaptureFixture
) -> None:
    bad = Part({"some secret words": MemoryError("out"), "b": MemoryError("out")})
    path = opened(*((bad, Part()) if broken == "rules" else (Part(), bad)), mode=mode)
    with caplog.at_level(logging.ERROR, "streamgen.moderation"):
        for text in ("some secret words", "b", "b"):
            verdict = await path.judge(text)
            assert (verdict.decision, verdict.category) == ("refuse", "unavailable")
    assert len(caplog.records) == 1
    assert "some secret words" not in caplog.text
    assert path.failures == {"worker: MemoryError": 3}
    assert (await path.judge("c")).decision != "refuse"  # it goes on when the part does


async def test_failures_are_not_remembered_and_verdicts_are(opened: Opened) -> None:
    rules = Part({"a": ValueError("once"), "b": REFUSE})
    path = opened(rules)
    await path.judge("a")
    del rules.says["a"]
    assert (await path.judge("a")) == ALLOWED
    await path.judge("b")
    await path.judge("b")
    assert rules.asked == ["a", "a", "b"]
    rules.version = "2"
    await path.judge("b")
    path.forget()
    await path.judge("b")
    assert rules.asked == ["a", "a", "b", "b", "b"]


async def test_what_a_broken_service_left_open_is_asked_again(opened: Opened) -> None:
    rules = Part({"a": HOLD})
    path = opened(rules, None, external(None), mode="hold_unsure")
    await path.judge("a")
    await path.judge("a")
    assert rules.asked == ["a", "a"]


async def test_the_memory_of_verdicts_is_bounded(opened: Opened) -> None:
    rules = Part()
    path = opened(rules, cached=2)
    for text in ("a", "b", "a", "c", "a", "b"):
        await path.judge(text)
    assert rules.asked == ["a", "b", "c", "b"]


async def test_the_queue_is_bounded_and_full_means_refused(opened: Opened) -> None:
    gate, begun = threading.Event(), threading.Event()

    def wait() -> None:
        begun.set()
        gate.wait(60)

    rules = Part()
    rules.before = wait
    path = opened(rules, max_waiting=2, compute_timeout_s=60)
    async with asyncio.TaskGroup() as tasks:
        first = tasks.create_task(path.judge("a"))
        second = tasks.create_task(path.judge("b"))
        await asyncio.to_thread(begun.wait, 60)
        assert path.waiting == 2
        assert (await path.judge("c")).category == "unavailable"
        gate.set()
    assert first.result() == second.result() == ALLOWED
    assert path.failures == {"worker: queue full": 1}
    assert (await path.judge("c")) == ALLOWED


async def test_a_part_that_hangs_is_refused_within_the_bound(opened: Opened) -> None:
    gate = threading.Event()
    rules = Part()
    rules.before = lambda: gate.wait(60)
    path = opened(rules, compute_timeout_s=0.02)
    verdict = await path.judge("a")
    assert (verdict.decision, verdict.category) == ("refuse", "unavailable")
    gate.set()
    assert path.bound_s == 0.02
    assert opened(rules, None, external("allow"), compute_timeout_s=1).bound_s == 61


async def test_cancelling_frees_the_place(opened: Opened) -> None:
    gate, begun = threading.Event(), threading.Event()

    def wait() -> None:
        begun.set()
        gate.wait(60)

    rules = Part()
    rules.before = wait
    path = opened(rules, compute_timeout_s=60)
    running, waiting = asyncio.create_task(path.judge("a")), asyncio.create_task(path.judge("b"))
    await asyncio.to_thread(begun.wait, 60)
    for task in (running, waiting):
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    gate.set()
    assert (await path.judge("c")) == ALLOWED
    assert rules.asked == ["a", "c"]  # "b" had not begun, and never did
    await path.close()
    assert path.waiting == 0


async def test_a_closed_path_refuses(opened: Opened) -> None:
    path = opened(Part())
    await path.close()
    await path.close()
    assert (await path.judge("a")).category == "unavailable"


@pytest.mark.parametrize("text", ["a" * 501, "\ufdfa" * 100])
async def test_what_is_too_long_is_refused_unread(opened: Opened, text: str) -> None:
    rules = Part()
    verdict = await opened(rules).judge(text)
    assert (verdict.decision, verdict.category) == ("refuse", "length")
    assert rules.asked == []


@pytest.mark.parametrize("text", ["\ud800", "\x00", "", "\u202e", "a" * 500])
async def test_odd_texts_have_a_verdict(text: str) -> None:
    path = Moderation(Rules(read_lists()), compute_timeout_s=60)
    assert (await path.judge(text)) == ALLOWED
    await path.close()
