"""A UDP address as it is written in the settings. Free of I/O."""

import ipaddress
from typing import Final, NamedTuple

LOOPBACK: Final = "127.0.0.1"


class Endpoint(NamedTuple):
    """A host or address, and a port."""

    host: str
    port: int

    @classmethod
    def read(cls, text: str) -> "Endpoint":
        """`9000`, `127.0.0.1:9000`, `[::1]:9000` or `stage.example:9000`; a port alone is on this machine.

        Raises `ValueError` with what is wrong.
        """
        host, colon, port = text.strip().rpartition(":")
        bare = host.startswith("[") and host.endswith("]")
        if (
            not (port.isascii() and port.isdigit() and len(port) <= 5 and 0 <= int(port) <= 65_535)
            or (colon and not host)
            or (":" in host and not bare)
            or any(char.isspace() for char in host)
        ):
            raise ValueError("write an address and a port, such as 127.0.0.1:9000 or [::1]:9000")
        return cls(host.strip("[]") or LOOPBACK, int(port))

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine reaches it."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host.lower() == "localhost"

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
