"""A real text service on a port of this machine."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import uvicorn

from streamgen.text_service import Encoder, text_app

TOKEN: Final = "a token of many letters"


@contextmanager
def serving(encoder: Encoder, places: int = 8, *, port: int = 0) -> Iterator[str]:
    """The service on a free port for 0; its address. Connections wait in the socket until it has started."""
    listening = socket.create_server(("127.0.0.1", port))
    config = uvicorn.Config(text_app(encoder, TOKEN, places=places), log_level="warning", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listening.close()


def nobody() -> str:
    """The address of a service that does not run."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return f"http://127.0.0.1:{taken.getsockname()[1]}"
