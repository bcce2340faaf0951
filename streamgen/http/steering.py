"""Lets clients in to steer: over a WebSocket of their own, or over the data channel of their WHEP session.

Both are let in by the same rules: the token, the page that they come from, the name that they give themselves.
"""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, Final

from aiortc import RTCDataChannel
from fastapi import WebSocket
from starlette.requests import HTTPConnection

from streamgen.access.errors import WrongTokenError
from streamgen.access.keys import TokenKeys
from streamgen.access.limits import MAX_STEERING, Limits
from streamgen.access.visitors import COOKIE, LIFETIME_S, identify
from streamgen.http.auth import OperatorAccess
from streamgen.http.hosts import steering_origin_allowed
from streamgen.protocol import MAX_ID_CHARS, Permission
from streamgen.settings import Settings
from streamgen.steering import data_channel
from streamgen.steering.conversation import POLICY_VIOLATION, Guest, converse
from streamgen.steering.data_channel import DataChannelLine
from streamgen.steering.hub import SteeringHub
from streamgen.steering.websocket import WebSocketLine
from streamgen.webrtc.data_channels import ServeChannel

# Of the permissions, what everybody may do only so often: whoever does it has to be somebody.
COUNTED: Final[frozenset[Permission]] = frozenset({"propose", "vote"})


class NotAdmittedError(Exception):
    """This client may not steer, and not watch what others do; the text says why, for people."""


@dataclass(frozen=True, slots=True)
class Admission:
    """Somebody who may come in."""

    client: str | None  # the name that they gave themselves
    can: frozenset[Permission]
    guest: Guest
    set_cookie: str | None = None  # for the answer that lets them in: the `Set-Cookie` of a new visitor


@dataclass(frozen=True, slots=True)
class SessionSteering:
    """What the data channel of one WHEP session is served with."""

    serve_channel: ServeChannel
    set_cookie: str | None = None  # as of `Admission`


class SteeringDoor:
    """Who may steer a channel. All methods belong to the event loop's thread.

    `limits` are shared by all connections, `visitor_keys` sign the cookies of visitors, and `offered` are the
    permissions for which the channel has messages. At most `max_steering` are connected at a time.
    """

    def __init__(
        self,
        hub: SteeringHub,
        operator: OperatorAccess,
        settings: Settings,
        *,
        limits: Limits,
        visitor_keys: TokenKeys,
        offered: frozenset[Permission],
        max_steering: int = MAX_STEERING,
    ) -> None:
        self._hub = hub
        self._operator = operator
        self._settings = settings
        self._limits = limits
        self._visitor_keys = visitor_keys
        self._offered = offered
        self._max_steering = max_steering

    async def serve_websocket(self, socket: WebSocket, *, token: str | None, client: str | None) -> None:
        """Take a WebSocket that asks to come in, until it ends."""
        try:
            admission = self.admit(socket, token=token, client=client)
        except NotAdmittedError as error:
            # Accepted first: a browser tells its page nothing about a WebSocket that was never open.
            await socket.accept()
            await socket.close(POLICY_VIOLATION, str(error))
            return
        cookie = admission.set_cookie
        await socket.accept(headers=[] if cookie is None else [(b"set-cookie", cookie.encode("ascii"))])
        await converse(
            WebSocketLine(socket),
            self._hub,
            client=admission.client,
            can=admission.can,
            guest=admission.guest,
            limits=self._limits,
            max_connections=self._max_steering,
        )

    def for_session(self, request: HTTPConnection, *, client: str | None) -> SessionSteering:
        """What a WHEP session's data channel is served with, by the request that opens the session.

        Who may not steer may watch all the same, if watching is open; they are told once they open the channel.
        """
        try:
            admission = self.admit(request, token=None, client=client)
        except NotAdmittedError as error:
            reason = str(error)
            return SessionSteering(lambda channel: data_channel.refuse(channel, reason))

        def serve(channel: RTCDataChannel) -> Coroutine[Any, Any, None]:
            # The line hears from now on, whenever the conversation is awaited.
            return converse(
                DataChannelLine(channel),
                self._hub,
                client=admission.client,
                can=admission.can,
                guest=admission.guest,
                limits=self._limits,
                max_connections=self._max_steering,
            )

        return SessionSteering(serve, admission.set_cookie)

    def admit(self, connection: HTTPConnection, *, token: str | None, client: str | None) -> Admission:
        """Let somebody in. Raises `NotAdmittedError`.

        Args:
            connection: what they ask with: its `Authorization`, page (`Origin`), cookies and address count.
            token: the one in the address, if any.
            client: the name that they give themselves, if any.
        """
        try:
            grant = self._operator.grant(connection.headers.get("authorization"), token)
        except WrongTokenError as error:
            raise NotAdmittedError(str(error)) from None
        self._check(connection, client)
        if "watch" not in grant.can:
            raise NotAdmittedError("a token that allows watching is needed; open the link that you were given")
        can = grant.can & self._offered
        host = connection.client.host if connection.client else None
        voter: str | None = None
        set_cookie: str | None = None
        if grant.subject is not None or can & COUNTED:
            identity = identify(
                grant,
                cookie=connection.cookies.get(COOKIE),
                host=host,
                keys=self._visitor_keys,
                limits=self._limits,
                wall_s=self._operator.wall_s(),
                now_s=asyncio.get_running_loop().time(),
            )
            voter = identity.voter
            if identity.new_cookie is not None:
                set_cookie = _set_cookie(identity.new_cookie, secure=connection.url.scheme in ("https", "wss"))
        # The operator's token has no subject: it is shared by all who run the server.
        trusted = grant.subject is None and "admin" in grant.roles
        return Admission(client, can, Guest(voter, host, grant.expires_at, trusted), set_cookie)

    def _check(self, connection: HTTPConnection, client: str | None) -> None:
        """What can be wrong with how somebody comes, whatever their token."""
        if not steering_origin_allowed(
            connection.headers.get("origin"),
            connection.headers.get("host"),
            open_to_all=self._operator.token is None,
            names=self._settings.allowed_hosts,
            origins=self._settings.allowed_origins,
        ):
            raise NotAdmittedError(
                "a page of another site may not steer this server; its operator can allow it (allowed_origins)"
            )
        if client is not None and not (0 < len(client) <= MAX_ID_CHARS and client.isprintable()):
            raise NotAdmittedError(f"client has 1 to {MAX_ID_CHARS} printable characters")


def _set_cookie(value: str, *, secure: bool) -> str:
    """`Set-Cookie` for a visitor. Lax: pages of other sites cannot vote in the name of whoever opens them."""
    attributes = f"Max-Age={LIFETIME_S}; Path=/; HttpOnly; SameSite=Lax" + ("; Secure" if secure else "")
    return f"{COOKIE}={value}; {attributes}"
