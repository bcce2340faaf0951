"""The way in: one server, one channel."""

from types import TracebackType
from typing import Final, Self

import httpx

from streamgen_client.errors import UnreachableError
from streamgen_client.lines import WebSocketLine
from streamgen_client.refusal import refused
from streamgen_client.steer import Steering
from streamgen_client.watch import Watch

HTTP_TIMEOUT_S: Final = 15.0
DEFAULT_CHANNEL: Final = "main"


class Client:
    """One channel of one server. Made by `connect`; use it with `async with`."""

    def __init__(self, url: str, token: str | None = None, *, channel: str = DEFAULT_CHANNEL) -> None:
        base = httpx.URL(url if "://" in url else f"http://{url}")
        # A link from the server's start message or from `streamgen token` may be pasted as it is, with its token.
        if token is None:
            token = base.params.get("token") or httpx.QueryParams(base.fragment).get("token")
        self._base = base.copy_with(query=None, fragment=None, path=base.path.rstrip("/") + "/")
        self._token = token
        self._channel = channel
        self._http = httpx.AsyncClient(
            timeout=HTTP_TIMEOUT_S, headers={} if token is None else {"Authorization": f"Bearer {token}"}
        )

    async def __aenter__(self) -> Self:
        """Check that a server is there. Raises `UnreachableError` or `RefusedError`."""
        url = self._base.join("healthz")
        try:
            response = await self._http.get(url)
        except httpx.HTTPError as error:
            await self.close()
            raise UnreachableError(
                f"no server answers at {self._base} ({error}); start one with `streamgen serve`"
            ) from error
        if response.status_code != 200:
            await self.close()
            raise refused(response)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def watch(self, *, steer: bool = False) -> Watch:
        """Receive the channel's picture and sound; with `steer` also steer over the same connection (`Watch.steer`)."""
        return Watch(self._http, str(self._base.join(f"whep/{self._channel}")), steer=steer)

    def steer(self, *, name: str | None = None) -> Steering:
        """Follow and change what the channel plays.

        With a `name` for yourself, best random and of at most 64 printable characters, all connections under it are one
        client: the answers to a request reach the one that is open, also when the one that asked has broken.
        """
        url = self._base.join(f"steer/{self._channel}")
        if name is not None:
            url = url.copy_add_param("client", name)
        address = str(url.copy_with(scheme="wss" if url.scheme == "https" else "ws"))
        return Steering(WebSocketLine(address, self._token))

    async def close(self) -> None:
        """Give up the HTTP connections. Idempotent."""
        await self._http.aclose()


def connect(url: str, token: str | None = None, *, channel: str = DEFAULT_CHANNEL) -> Client:
    """A client of the server at `url`, such as `http://127.0.0.1:8080`.

    `token` is the operator's or a signed one of `streamgen token`, needed to steer a server that is not on this
    machine; a link that carries one needs no other. Use it with `async with`.
    """
    return Client(url, token, channel=channel)
