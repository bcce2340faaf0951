"""The listening socket: made before anything heavy is loaded, so that a busy port is known at once."""

import errno
import socket
from typing import Final

import psutil

from streamgen.errors import StreamgenError

ANY_ADDRESS: Final = ("0.0.0.0", "::")


class ListenError(StreamgenError):
    """The address cannot be listened on; the message names the command that can."""


def listen(host: str, port: int) -> socket.socket:
    """A listening TCP socket. Raises `ListenError`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host.strip("[]"), port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise ListenError(_cannot_listen(host, port, error)) from error
    return listener


def page_url(host: str, port: int) -> str:
    """The address to open in a browser, for a server that listens there."""
    host = host.strip("[]")
    if host in ANY_ADDRESS:
        host = next(iter(network_addresses()), "localhost")
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def network_addresses() -> list[str]:
    """IPv4 addresses of this machine, without loopback."""
    return [
        address.address
        for addresses in psutil.net_if_addrs().values()
        for address in addresses
        if address.family == socket.AF_INET and not address.address.startswith("127.")
    ]


def _cannot_listen(host: str, port: int, error: OSError) -> str:
    where = f"{host}:{port}"
    other = f"streamgen serve --host {host} --port {port + 1 if port < 65535 else 8000}"
    if error.errno == errno.EADDRINUSE:
        return f"{where} is in use by another program; use another port: {other}"
    if error.errno == errno.EACCES:
        return f"{where} needs rights that this user lacks; use a port above 1023: streamgen serve --port 8000"
    return f"cannot listen on {where} ({error.strerror or error}); check --host: 127.0.0.1 or 0.0.0.0"
