"""Guards a server on the loopback address against pages of other sites.

Such a server asks for no token, so a page anywhere could steer it through the browser of the person who runs it:
by opening a WebSocket to localhost (told by its `Origin`), or after pointing its own name at 127.0.0.1 (DNS
rebinding, told by the `Host` that the browser asked for).
"""

from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from streamgen.access.origins import EVERY, listed, own_page
from streamgen.http.auth import is_loopback
from streamgen.http.problem import problem


def host_name(host: str) -> str | None:
    """The name in a `Host` header, in lower case and without the port; None when there is none."""
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None


def host_allowed(host: str | None, extra: Collection[str]) -> bool:
    """Whether this `Host` header can only come from somebody who means this machine, or names one of `extra`."""
    name = host_name(host) if host else None
    return name is not None and (is_loopback(name) or name in {each.lower() for each in extra})


def origin_allowed(origin: str | None, extra: Collection[str]) -> bool:
    """Whether a page of this `Origin` may steer without a token. Programs send none."""
    if origin is None:
        return True
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and host_allowed(parts.netloc, extra)


def steering_origin_allowed(
    origin: str | None, host: str | None, *, open_to_all: bool, names: Collection[str], origins: Collection[str]
) -> bool:
    """Whether a page of this `Origin` may steer, with whatever token it has.

    Args:
        origin: the header; None for programs, which send none.
        host: the header `Host` of the same request.
        open_to_all: whether steering needs no token, so that only pages of this machine and of `names` are trusted.
        names: under which a reverse proxy reaches this server.
        origins: the list of the settings. Empty: with a token, pages of every site. Else: those, and our own.
    """
    if origin is None or listed(origin, origins):
        return True
    if open_to_all:
        return origin_allowed(origin, names)
    return not origins or own_page(origin, host)


def cors_headers(origin: str | None, origins: Collection[str]) -> dict[str, str]:
    """Which pages may read an answer: every one, or those in the list of the settings (Fetch, "CORS protocol")."""
    if not origins or EVERY in origins:
        return {"Access-Control-Allow-Origin": "*"}
    # Caches have to keep answers to different pages apart.
    if origin is not None and listed(origin, origins):
        return {"Access-Control-Allow-Origin": origin, "Vary": "Origin"}
    return {"Vary": "Origin"}


class HostGuard:
    """ASGI middleware: answers 421 to requests that name another host than this one."""

    def __init__(self, app: ASGIApp, extra: Collection[str] = ()) -> None:
        self._app = app
        self._extra = extra

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request through, or answer it."""
        if scope["type"] in ("http", "websocket"):
            host = Headers(scope=scope).get("host")
            if not host_allowed(host, self._extra):
                name = host_name(host) if host else None
                refusal = problem(
                    421,
                    f"this server answers on the machine's own names only, and not as {name or 'nothing'}; "
                    "open it as http://localhost, or start it with --allowed-hosts",
                )
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)
