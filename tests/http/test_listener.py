import errno
import socket

import pytest

from streamgen.http import listener
from streamgen.http.listener import ListenError, listen, page_url


def test_a_free_port_is_picked() -> None:
    with listen("127.0.0.1", 0) as sock:
        assert sock.getsockname()[1] > 0


def test_the_page_is_where_the_server_listens() -> None:
    assert page_url("127.0.0.1", 8000) == "http://127.0.0.1:8000/"
    assert page_url("localhost", 80) == "http://localhost:80/"
    assert page_url("::1", 8000) == page_url("[::1]", 8000) == "http://[::1]:8000/"


@pytest.mark.parametrize(("addresses", "name"), [(["192.0.2.7", "10.0.0.1"], "192.0.2.7"), ([], "localhost")])
def test_a_server_on_every_address_is_named_by_one_of_them(
    monkeypatch: pytest.MonkeyPatch, addresses: list[str], name: str
) -> None:
    monkeypatch.setattr(listener, "network_addresses", lambda: addresses)
    assert page_url("0.0.0.0", 8000) == f"http://{name}:8000/"


def test_a_busy_port_names_another() -> None:
    with listen("127.0.0.1", 0) as sock:
        port = sock.getsockname()[1]
        with pytest.raises(ListenError, match=f"in use by another program; .* --port {port + 1}$"):
            listen("127.0.0.1", port)


def test_a_port_that_needs_rights(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", refuse)
    with pytest.raises(ListenError, match="use a port above 1023"):
        listen("127.0.0.1", 80)
