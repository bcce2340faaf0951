"""A channel and its viewers without media, and the application around them."""

from dataclasses import dataclass, field
from typing import Any

import httpx
from fastapi import FastAPI

from streamgen.http.app import create_app
from streamgen.http.auth import OperatorAccess
from streamgen.packets import Command, GeneratorStats, Layer
from streamgen.protocol import Permission
from streamgen.settings import Settings
from streamgen.steering.hub import SteeringHub
from streamgen.steering.session import SteeringSession
from streamgen.steering.voting import Voting
from streamgen.webrtc.data_channels import ServeChannel
from streamgen.webrtc.errors import NoSuchSessionError
from streamgen.webrtc.fanout import FanoutStats
from streamgen.webrtc.viewer import TrackStats, ViewerStats
from streamgen.webrtc.whep import WhepAnswer

NO_PACKETS = FanoutStats(0, 0, 0, 0, 0, 0, 0)
ANSWER_SDP = "v=0\r\nanswer\r\n"


@dataclass
class FakeStats:
    generator: GeneratorStats | None = None
    fanout: FanoutStats = NO_PACKETS
    underruns: int = 0
    restarts: int = 0


class FakeChannel:
    def __init__(self, voting: Voting | None = None) -> None:
        self.commands: list[Command] = []
        self.numbers = FakeStats()
        self.steering = SteeringHub(
            SteeringSession("main", prompt="calm sea"),
            send=self.commands.append,
            media_time_s=lambda: 8.25,
            voting=voting,
        )

    def stats(self) -> FakeStats:
        return self.numbers


@dataclass
class FakeWhep:
    """Answers every offer, or raises `refusal`."""

    refusal: Exception | None = None
    offers: list[str] = field(default_factory=list)
    addresses: list[str | None] = field(default_factory=list)  # that the offers came from
    served: list[ServeChannel | None] = field(default_factory=list)  # how their data channels are
    ends: list[float | None] = field(default_factory=list)  # when their sessions are to end
    fragments: list[tuple[str, str]] = field(default_factory=list)
    open: set[str] = field(default_factory=set)

    @property
    def viewers(self) -> int:
        return len(self.open)

    async def offer(
        self, sdp: str, address: str | None, *, serve_channel: ServeChannel | None, ends_at: float | None
    ) -> WhepAnswer:
        if self.refusal is not None:
            raise self.refusal
        self.offers.append(sdp)
        self.addresses.append(address)
        self.served.append(serve_channel)
        self.ends.append(ends_at)
        session_id = f"session-{len(self.offers)}"
        self.open.add(session_id)
        return WhepAnswer(session_id, ANSWER_SDP, "vp8", 4_294_967_295, 17, 8.25)

    def has(self, session_id: str) -> bool:
        return session_id in self.open

    async def trickle(self, session_id: str, fragment: str) -> None:
        self._check(session_id)
        if self.refusal is not None:
            raise self.refusal
        self.fragments.append((session_id, fragment))

    async def delete(self, session_id: str) -> None:
        self._check(session_id)
        self.open.discard(session_id)

    async def stats(self) -> tuple[ViewerStats, ...]:
        return tuple(
            ViewerStats(
                state="connected",
                layer=Layer("vp8", 1),
                switches=0,
                video=TrackStats(loss=0.25),
                audio=TrackStats(),
                resent=3,
                refused=1,
            )
            for _ in self.open
        )

    def _check(self, session_id: str) -> None:
        if session_id not in self.open:
            raise NoSuchSessionError("the session is unknown or over; POST a new offer")


class Server:
    """The application with its fakes."""

    def __init__(
        self,
        *,
        voting: Voting | None = None,
        access: OperatorAccess | None = None,
        offered: frozenset[Permission] | None = None,
        **changes: Any,
    ) -> None:
        self.channel = FakeChannel(voting)
        self.whep = FakeWhep()
        self.settings = Settings(**changes)
        self.app: FastAPI = create_app(self.channel, self.settings, whep=self.whep, access=access, offered=offered)

    def client(self, host: str = "localhost:8000") -> httpx.AsyncClient:
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        return httpx.AsyncClient(transport=transport, base_url=f"http://{host}")
