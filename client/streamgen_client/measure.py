"""Prompt to photon: how long until a prompt can be seen."""

import asyncio
import time
from dataclasses import dataclass
from typing import Final

from streamgen.protocol import Applied
from streamgen_client.errors import ClientError
from streamgen_client.rtp import VIDEO_CLOCK_HZ
from streamgen_client.steer import Steering
from streamgen_client.watch import Watch

TIMEOUT_S: Final = 30.0


@dataclass(frozen=True)
class PromptToPhoton:
    """One prompt's way, on the clock of `time.monotonic()`."""

    applied: Applied
    sent_s: float  # the request was handed to the connection
    applied_s: float  # the server's `applied` had come
    shown_s: float  # the first picture of that chunk was decoded
    shown_pts: int  # of that picture, in ticks of 90 kHz

    @property
    def latency_s(self) -> float:
        """From sending to the first picture that shows it."""
        return self.shown_s - self.sent_s


async def measure(
    watch: Watch, steering: Steering, text: str, *, cut: bool = False, timeout_s: float = TIMEOUT_S
) -> PromptToPhoton:
    """Send a prompt and wait for the first picture whose media time is that of `applied`, or later.

    Takes pictures from `watch`, so nobody else may. Raises `TimeoutError`, and what awaiting the prompt raises.
    """
    async with asyncio.timeout(timeout_s):
        request = steering.prompt(text, cut=cut)
        applied = await request
        applied_s = time.monotonic()
        pts = applied.rtp_video if applied.rtp_video is not None else round(applied.media_time * VIDEO_CLOCK_HZ)
        assert request.sent_s is not None
        async for picture in watch.pictures():
            if picture.pts is None:
                raise ClientError("this server does not tell its RTP offset, so media time is not known; update it")
            if picture.pts >= pts:
                return PromptToPhoton(applied, request.sent_s, applied_s, picture.received_s, picture.pts)
    raise ClientError("the session was closed before the prompt could be seen")
