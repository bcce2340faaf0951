"""Origins of web pages (RFC 6454), in the one form in which they are compared."""

from collections.abc import Collection
from typing import Final
from urllib.parse import urlsplit

EVERY: Final = "*"
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


def normal_origin(text: str) -> str | None:
    """`scheme://host:port` in lower case, without the scheme's own port; None for what is no web page's origin.

    `null`, which a browser says for a sandboxed frame or a file, could be anybody: it is none.
    """
    try:
        parts = urlsplit(text.strip())
        port = parts.port
    except ValueError:
        return None
    name = parts.hostname
    if parts.scheme not in _DEFAULT_PORTS or not name or not name.isascii() or any(map(str.isspace, text.strip())):
        return None
    if parts.path or parts.query or parts.fragment or "@" in parts.netloc:
        return None
    host = f"[{name}]" if ":" in name else name
    return f"{parts.scheme}://{host}" + ("" if port in (None, _DEFAULT_PORTS[parts.scheme]) else f":{port}")


def listed(origin: str, origins: Collection[str]) -> bool:
    """Whether this `Origin` is one of `origins`, which are in their normal form, or `*`."""
    return EVERY in origins or (normal_origin(origin) or origin) in origins


def own_page(origin: str, host: str | None) -> bool:
    """Whether this is the origin of the page that the server itself delivers as `host` (the header of that name).

    The scheme does not count: a proxy may have taken TLS off.
    """
    normal = normal_origin(origin)
    if normal is None or not host:
        return False
    return any(
        normal_origin(f"{scheme}://{host}") == f"{scheme}://{normal.split('//')[1]}" for scheme in _DEFAULT_PORTS
    )
