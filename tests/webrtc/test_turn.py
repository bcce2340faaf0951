import base64
import hashlib
import hmac

import pytest

from streamgen.webrtc.turn import Credentials, IceServers, credentials, is_stun_url, is_turn_url

URL = "turn:turn.example.net:3478?transport=udp"


def test_the_password_is_the_hmac_of_the_name_that_says_when_it_ends() -> None:
    # Computed with: echo -n 1700086400:ann | openssl dgst -sha1 -hmac north -binary | base64
    assert credentials("north", name="ann", now_s=1_700_000_000, ttl_s=86_400) == Credentials(
        "1700086400:ann", "7FWQB06tq8mR4TsnapfLHms2f5Y="
    )


@pytest.mark.parametrize(
    "url",
    ["stun:stun.example.net", "stun:stun.example.net:3478", "stuns:stun.example.net:5349", "stun:[2001:db8::1]:3478"],
)
def test_stun_servers(url: str) -> None:
    assert is_stun_url(url)
    assert not is_turn_url(url)


@pytest.mark.parametrize("url", [URL, "turn:192.0.2.1", "turns:turn.example.net:443?transport=tcp", "turn:[::1]"])
def test_turn_servers(url: str) -> None:
    assert is_turn_url(url)
    assert not is_stun_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "", "turn:", "turn:a b", "turn://turn.example.net", "http://turn.example.net", "turn:a>; rel=x", 'turn:a"',
        "turn:a?transport=sctp", "turn:a\r\nSet-Cookie: x", "turn:a:port", "stun:a?transport=udp", URL + "\n",
    ],
)  # fmt: skip
def test_what_could_not_stand_in_a_header_is_no_url(url: str) -> None:
    assert not is_stun_url(url)
    assert not is_turn_url(url)


def test_links_name_each_server_and_carry_credentials_for_turn_alone() -> None:
    servers = IceServers(("stun:stun.example.net",), (URL, "turns:turn.example.net:443?transport=tcp"), "north", 600)
    stun, turn, turns = servers.links(name="x", now_s=1000)
    assert stun == '<stun:stun.example.net>; rel="ice-server"'
    password = base64.b64encode(hmac.new(b"north", b"1600:x", hashlib.sha1).digest()).decode()
    rest = f'rel="ice-server"; username="1600:x"; credential="{password}"; credential-type="password"'
    assert turn == f"<{URL}>; {rest}"
    assert turns == f"<turns:turn.example.net:443?transport=tcp>; {rest}"


def test_each_viewer_has_credentials_of_its_own() -> None:
    servers = IceServers(turn_urls=(URL,), turn_secret="north")
    assert servers.links(name="ann", now_s=0) != servers.links(name="bob", now_s=0)
    assert servers.links(name="ann", now_s=0) != servers.links(name="ann", now_s=1)


def test_without_servers_there_is_nothing_to_tell() -> None:
    assert IceServers().links(name="x", now_s=0) == ()


def test_the_secret_is_not_shown() -> None:
    assert "north" not in repr(IceServers(turn_urls=(URL,), turn_secret="north"))
