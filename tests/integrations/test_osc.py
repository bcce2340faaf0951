"""OSC over real UDP sockets of this machine."""

import asyncio
import contextlib
import ipaddress
import socket
import struct
from collections.abc import Iterator
from dataclasses import replace
from typing import Self

import pytest
from pythonosc.udp_client import SimpleUDPClient

from streamgen.access.limits import Limits, Rates
from streamgen.access.rate_limit import RateLimit
from streamgen.integrations.errors import OscUnavailableError
from streamgen.integrations.osc import ALL_PER_S, DATAGRAMS_PER_S, MAX_SENDERS, Network, Osc, OscSettings
from streamgen.integrations.osc_datagram import OscCall, read_datagram, write_call
from streamgen.integrations.osc_desk import FADER_BURST
from streamgen.packets import SetConfig, SetPrompt
from streamgen.protocol import Panic, PromptSet, State
from tests.integrations.stage import Stage, until
from tests.steering.records import record

HERE = "127.0.0.1"
ROOT = "/streamgen/main/"


class Surface(asyncio.DatagramProtocol):
    """What an OSC surface hears."""

    def __init__(self) -> None:
        self.heard: list[OscCall] = []
        self.port = 0

    async def __aenter__(self) -> Self:
        self.transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: self, local_addr=(HERE, 0)
        )
        self.port = self.transport.get_extra_info("sockname")[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self.transport.close()

    def datagram_received(self, data: bytes, addr: tuple[str | int, ...]) -> None:
        self.heard += read_datagram(data)

    def values(self, name: str) -> list[object]:
        return [call.arguments[0] for call in self.heard if call.address == ROOT + name]


def osc(
    stage: Stage, *, send: int | None = None, limits: Limits | None = None, allow: tuple[Network, ...] | None = None
) -> Osc:
    settings = OscSettings((HERE, 0), None if send is None else (HERE, send))
    if allow is not None:
        settings = replace(settings, allow=allow)
    return Osc(stage, settings, channel="main", limits=limits if limits is not None else Limits())


@contextlib.contextmanager
def sender(to: Osc) -> Iterator[SimpleUDPClient]:
    assert to.listens_on is not None
    client = SimpleUDPClient(*to.listens_on)
    with contextlib.closing(client._sock):
        yield client


async def test_a_client_of_others_steers_and_is_told() -> None:
    stage = Stage()
    stage.generator_ready()
    async with Surface() as surface, osc(stage, send=surface.port) as running:
        with sender(running) as client:
            client.send_message(f"{ROOT}prompt", "ein Fuchs im Schnee")
            client.send_message(f"{ROOT}config/guidance", 2.5)
            client.send_message(f"{ROOT}panic/black", 1.0)
        await until(lambda: len(stage.asked) == 3)
        assert SetConfig(guidance=2.5) in stage.commands
        (told,) = (each for each in stage.commands if isinstance(each, SetPrompt) and each.id != "start")
        assert told.text == "ein Fuchs im Schnee"
        stage.chunk_started(record(0, told.id, told.text, applied=(told.id,)))
        await until(lambda: surface.values("chunk"))
        await until(lambda: surface.values("panic")[-1:] == ["black"])
        await until(lambda: surface.values("status")[-1:] == ["live"])
        await until(lambda: surface.values("applied") == ["sea", "ein Fuchs im Schnee"])


async def test_the_map_comes_back_to_whoever_asks() -> None:
    stage = Stage()
    stage.offer({"camera": ("still", "left")})
    async with osc(stage) as running, Surface() as surface:
        assert running.listens_on is not None
        await until(lambda: any(each.path.endswith("/camera") for each in running.addresses))
        surface.transport.sendto(write_call("/streamgen/map", ""), running.listens_on)
        await until(lambda: surface.heard and surface.heard[-1].address == "/streamgen/map/end")
        entries = {call.arguments[0]: call.arguments for call in surface.heard[:-1]}
        assert surface.heard[-1].arguments == (len(entries),)
        assert entries[f"{ROOT}transition"][:5] == (f"{ROOT}transition", "f", "in", 0.0, 120.0)
        assert entries[f"{ROOT}knob/camera"][5] == "still,left"
        # It is much for a little, so not again and again.
        for _ in range(20):
            surface.transport.sendto(write_call("/streamgen/map", ""), running.listens_on)
        await until(lambda: running.counts.calls["taken"] == 21)
        assert sum(call.address == "/streamgen/map/end" for call in surface.heard) <= 2


async def test_what_has_no_effect_is_told_and_counted() -> None:
    stage = Stage(moderated=True)
    async with Surface() as surface, osc(stage, send=surface.port) as running:
        with sender(running) as client:
            client.send_message(f"{ROOT}config/guidance", 99.0)
            client.send_message(f"{ROOT}approve", "nothing")  # refused by the channel, not by the desk
        await until(lambda: len([1 for call in surface.heard if call.address == f"{ROOT}rejected"]) == 2)
        refusals = {call.arguments for call in surface.heard if call.address == f"{ROOT}rejected"}
        assert (f"{ROOT}config/guidance", "send a number from 0 to 10") in refusals
        assert (f"{ROOT}approve", "nothing is not held; `state.held` lists what is") in refusals
        assert running.counts.calls == {"refused": 1, "taken": 1}


async def test_everything_is_said_again_when_asked_for() -> None:
    stage = Stage()
    async with Surface() as surface, osc(stage, send=surface.port) as running:
        await until(lambda: surface.values("viewers"))
        with sender(running) as client:
            client.send_message(f"{ROOT}report", [])
        await until(lambda: len(surface.values("viewers")) == 2)


async def test_a_flood_of_anything_is_bounded_and_counted_and_panic_still_works_after_it() -> None:
    stage, now_s = Stage(), [50.0]
    stage.generator_ready()
    settings = OscSettings((HERE, 0), None)
    async with Osc(stage, settings, channel="main", limits=Limits(), now_s=lambda: now_s[0]) as running:
        place = (HERE, 40_000)
        never_ends = b"#bundle\0" + bytes(8) + struct.pack(">i", -4)
        for index in range(3 * round(DATAGRAMS_PER_S)):
            fader = write_call(f"{ROOT}prompt", "s", f"text {index}")
            running.datagram((never_ends, b"\xff" * 100, fader)[index % 3], place)
        assert running.counts.datagrams == {"flood": 2000, "malformed": 667, "taken": 333}
        assert len(stage.asked) == FADER_BURST
        # Another surface is not held up by the one that floods.
        running.datagram(write_call(f"{ROOT}panic/mute", ""), (HERE, 40_001))
        assert [message.action for _, message in stage.asked if isinstance(message, Panic)] == ["mute"]
        now_s[0] += 2 / DATAGRAMS_PER_S
        running.datagram(write_call(f"{ROOT}panic/off", ""), place)
        assert [message.action for _, message in stage.asked if isinstance(message, Panic)] == ["mute", "off"]


async def test_senders_without_number_share_a_bounded_rate() -> None:
    stage = Stage()
    settings = OscSettings((HERE, 0), None)
    async with Osc(stage, settings, channel="main", limits=Limits(), now_s=lambda: 50.0) as running:
        for index in range(round(ALL_PER_S) + 500):
            running.datagram(b"/x\0\0", (HERE, 1024 + index))
        assert running.counts.datagrams == {"taken": round(ALL_PER_S), "flood": 500}
        assert len(running._senders) == MAX_SENDERS


async def test_the_newest_prompt_of_a_burst_is_asked_for_in_the_end() -> None:
    stage, now_s = Stage(), [50.0]
    stage.generator_ready()
    settings = OscSettings((HERE, 0), None)
    async with Osc(stage, settings, channel="main", limits=Limits(), now_s=lambda: now_s[0]) as running:
        for index in range(200):
            running.datagram(write_call(f"{ROOT}prompt", "s", f"text {index}"), (HERE, 40_000))
        assert len(stage.asked) == FADER_BURST
        assert running.coalesced == 200 - FADER_BURST - 1
        now_s[0] += 0.2
        await until(lambda: len(stage.asked) == FADER_BURST + 1)
        newest = stage.asked[-1][1]
        assert isinstance(newest, PromptSet)
        assert newest.text == "text 199"


async def test_the_limits_of_the_server_hold() -> None:
    stage = Stage()
    limits = Limits(Rates(prompt=RateLimit(1, 3600.0)))
    async with osc(stage, limits=limits) as running:
        for text in ("rain", "snow", "wind"):
            running.datagram(write_call(f"{ROOT}prompt", "s", text), (HERE, 40_000))
        assert [message.text for _, message in stage.asked if isinstance(message, PromptSet)] == ["rain"]


@pytest.mark.parametrize(
    ("allow", "sender", "taken"),
    [
        (None, "127.0.0.1", True),
        (None, "::1", True),
        (None, "192.0.2.7", False),
        ("192.0.2.0/24", "192.0.2.7", True),
        ("192.0.2.0/24", "::ffff:192.0.2.7", True),
        ("192.0.2.0/24", "127.0.0.1", False),
        ("fe80::/10", "fe80::1%eth0", True),
    ],
)
async def test_only_allowed_addresses_send(allow: str | None, sender: str, taken: bool) -> None:
    stage = Stage()
    async with osc(stage, allow=None if allow is None else (ipaddress.ip_network(allow),)) as running:
        running.datagram(write_call(f"{ROOT}panic/hold", ""), (sender, 40_000))
        assert len(stage.asked) == int(taken)
        assert running.counts.datagrams == {"taken" if taken else "foreign": 1}


async def test_it_is_held_by_the_moderation_like_everybody() -> None:
    stage = Stage(moderated=True)
    stage.generator_ready()
    before = list(stage.commands)
    async with osc(stage) as running:
        running.datagram(write_call(f"{ROOT}prompt", "s", "a fox"), (HERE, 40_000))
        assert len(stage.asked) == 1
        assert stage.commands == before, "nothing has judged it"
        assert stage.asked[0][0].voter == "osc"


async def test_an_address_that_is_taken_is_said_to_be() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind((HERE, 0))
        settings = OscSettings(other.getsockname(), None)
        stage = Stage()
        with pytest.raises(OscUnavailableError, match=r"osc_listen: UDP 127\.0\.0\.1:"):
            await Osc(stage, settings, channel="main", limits=Limits()).__aenter__()
        assert stage.connections == 0


async def test_a_name_that_is_not_found_is_said_to_be() -> None:
    settings = OscSettings(None, ("no.such.host.invalid", 9000))
    with pytest.raises(OscUnavailableError, match=r"osc_send: UDP no\.such\.host\.invalid:9000"):
        await Osc(Stage(), settings, channel="main", limits=Limits()).__aenter__()


async def test_nobody_at_the_other_end_is_no_trouble() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind((HERE, 0))
        port = other.getsockname()[1]
    stage = Stage()
    async with Osc(stage, OscSettings(None, (HERE, port)), channel="main", limits=Limits()) as running:
        assert running.listens_on is None
        for index in range(20):
            stage.chunk_started(record(index))
            await until(lambda: not len(stage.joined[0].outbox))
        assert running.counts.sent + running.counts.unsent > 20
    await running.close()
    assert stage.connections == 0


async def test_after_the_end_nothing_is_asked_for() -> None:
    stage = Stage()
    settings = OscSettings((HERE, 0), None)
    async with Osc(stage, settings, channel="main", limits=Limits(), now_s=lambda: 50.0) as running:
        for index in range(10):
            running.datagram(write_call(f"{ROOT}prompt", "s", f"text {index}"), (HERE, 40_000))
        asked = len(stage.asked)
        assert running._timer is not None
    assert running._timer is None
    assert len(stage.asked) == asked
    assert isinstance(stage.state(), State)
