"""A session covers its programme."""

from typing import get_args

from streamgen.protocol import Accepted, Applied, Panic, PanicAction, Permission, Received, State
from streamgen.steering.session import SteeringSession
from tests.steering.asking import ALL, everybody, running, to

PANIC: frozenset[Permission] = frozenset({"panic"})


def test_panic_acts_at_once_and_needs_no_generator() -> None:
    session = SteeringSession("main", prompt="calm sea")
    held = session.request("op", Panic(id="p", action="hold"), PANIC, media_time_s=2.0)
    assert held.panic == "hold"
    assert held.commands == ()
    applied = Applied(id="p", chunk=None, media_time=2.0, rtp_video=180_000)
    assert to(held, "op") == [Received(id="p"), Accepted(id="p"), applied]
    assert (everybody(held, State)[-1].cover, everybody(held, State)[-1].muted) == ("hold", False)
    again = session.request("op", Panic(id="p", action="hold"), PANIC, media_time_s=9.0)
    assert again.panic is None, "sent again it acts once"
    assert to(again, "op") == to(held, "op")


def test_each_panic_replaces_the_cover_and_off_takes_all_back() -> None:
    session = running()
    found = []
    for number, action in enumerate(get_args(PanicAction)):
        session.request("op", Panic(id=f"p{number}", action=action), PANIC)
        found.append((action, session.state().cover, session.state().muted))
    assert found == [
        ("hold", "hold", False),
        ("slate", "slate", False),
        ("black", "black", False),
        ("mute", "black", True),
        ("off", "none", False),
    ]
    assert session.outcomes["applied"] == 5


def test_panic_is_not_for_everybody() -> None:
    refused = running().request("ann", Panic(id="p", action="black"), ALL)
    assert refused.panic is None
    assert to(refused, "ann")[-1].type == "rejected"


def test_a_cover_outlives_the_generator_and_a_closed_channel_takes_none() -> None:
    session = running()
    session.request("op", Panic(id="p", action="black"), PANIC)
    session.generator_lost()
    session.generator_ready()
    assert session.state().cover == "black"
    session.close()
    assert session.request("op", Panic(id="q", action="off"), PANIC).panic is None
