"""Clients of a streamgen server: the page (`web/`) and a Python client.

async with streamgen_client.connect("http://127.0.0.1:8080") as client:
    async with client.watch() as watch, client.steer() as steering:
        applied = await steering.prompt("a lighthouse in a storm")
        async for picture in watch.pictures():
            print(picture.media_time_s, picture.rgb.shape)
"""

from streamgen.protocol import At, Loop, TimelineDocument
from streamgen_client.client import Client, connect
from streamgen_client.errors import (
    ClientError,
    ConnectionLostError,
    OutboxFullError,
    RefusedError,
    RejectedError,
    SupersededError,
    UnreachableError,
)
from streamgen_client.measure import PromptToPhoton, measure
from streamgen_client.request import LifeEvent, Request
from streamgen_client.steer import Steering
from streamgen_client.watch import Picture, Sound, Watch

__all__ = [
    "At",
    "Client",
    "ClientError",
    "ConnectionLostError",
    "LifeEvent",
    "Loop",
    "OutboxFullError",
    "Picture",
    "PromptToPhoton",
    "RefusedError",
    "RejectedError",
    "Request",
    "Sound",
    "Steering",
    "SupersededError",
    "TimelineDocument",
    "UnreachableError",
    "Watch",
    "connect",
    "measure",
]
