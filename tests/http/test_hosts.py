import pytest
from starlette.testclient import TestClient, WebSocketDenialResponse

from streamgen.http.auth import OperatorAccess
from streamgen.http.hosts import cors_headers, host_allowed, host_name, origin_allowed, steering_origin_allowed
from tests.http.fakes import Server


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("localhost", "localhost"),
        ("LOCALHOST:80", "localhost"),
        ("[::1]:8000", "::1"),
        ("evil.example:8000", "evil.example"),
        ("a@localhost", "localhost"),
        ("", None),
        ("[", None),
    ],
)
def test_names_in_host_headers(header: str, name: str | None) -> None:
    assert host_name(header) == name


def test_hosts_and_origins() -> None:
    assert host_allowed("127.0.0.1:8000", ())
    assert host_allowed("stage.example:443", ("Stage.Example",))
    assert not host_allowed("stage.example", ())
    assert not host_allowed(None, ())
    assert origin_allowed(None, ())
    assert origin_allowed("https://stage.example", ("stage.example",))
    assert not origin_allowed("https://stage.example.evil", ("stage.example",))
    assert not origin_allowed("ftp://localhost", ())


@pytest.mark.parametrize("path", ["/", "/healthz", "/whep/main", "/metrics"])
async def test_a_name_that_was_pointed_at_this_machine_gets_nothing(path: str) -> None:
    async with Server().client("rebound.example:8000") as client:
        answer = await client.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (421, "application/problem+json")
    assert "rebound.example" in answer.json()["detail"]


def test_nor_does_its_websocket() -> None:
    client = TestClient(Server().app, base_url="http://rebound.example")
    with pytest.raises(WebSocketDenialResponse) as caught, client.websocket_connect("ws://rebound.example/steer/main"):
        pass
    assert caught.value.status_code == 421


async def test_names_of_a_reverse_proxy_are_allowed_and_ask_for_a_token() -> None:
    server = Server(allowed_hosts=("stage.example",))
    async with server.client("stage.example") as client:
        assert (await client.get("/healthz")).status_code == 200
    with TestClient(server.app, base_url="http://stage.example").websocket_connect(
        "ws://stage.example/steer/main"
    ) as socket:
        assert socket.receive_json()["can"] == []


async def test_a_server_for_others_answers_under_any_name() -> None:
    async with Server(host="0.0.0.0", access=OperatorAccess("x" * 20)).client("whatever.example") as client:
        assert (await client.get("/healthz")).status_code == 200


STAGE = "https://stage.example"


@pytest.mark.parametrize(
    ("origin", "open_to_all", "origins", "allowed"),
    [
        # Without a list, as it was: pages of this machine, or with a token of every site.
        ("http://localhost:5173", True, (), True),
        (STAGE, True, (), False),
        ("null", True, (), False),
        (STAGE, False, (), True),
        ("null", False, (), True),
        # With one: the pages in it, our own, and programs.
        (STAGE, True, (STAGE,), True),
        ("http://localhost:5173", True, (STAGE,), True),
        ("null", True, (STAGE,), False),
        (STAGE, False, (STAGE,), True),
        ("HTTPS://STAGE.example:443", False, (STAGE,), True),
        ("https://stage.example:8443", False, (STAGE,), False),
        ("http://stage.example", False, (STAGE,), False),
        ("https://evil.example", False, (STAGE,), False),
        ("http://192.0.2.7:8000", False, (STAGE,), True),
        ("http://192.0.2.7:9000", False, (STAGE,), False),
        ("null", False, (STAGE,), False),
        (None, False, (STAGE,), True),
        ("null", True, ("*",), True),
        ("https://evil.example", False, ("*",), True),
    ],
)
def test_which_pages_may_steer(origin: str | None, open_to_all: bool, origins: tuple[str, ...], allowed: bool) -> None:
    host = "192.0.2.7:8000"
    found = steering_origin_allowed(origin, host, open_to_all=open_to_all, names=(), origins=origins)
    assert found == allowed


def test_which_pages_may_read_an_answer() -> None:
    for origin in (None, STAGE, "null"):
        assert cors_headers(origin, ()) == cors_headers(origin, ("*",)) == {"Access-Control-Allow-Origin": "*"}
    assert cors_headers(STAGE, (STAGE,)) == {"Access-Control-Allow-Origin": STAGE, "Vary": "Origin"}
    for origin in (None, "null", "https://evil.example", "http://stage.example"):
        assert cors_headers(origin, (STAGE,)) == {"Vary": "Origin"}


async def test_the_stream_is_for_the_pages_in_the_list() -> None:
    async with Server(allowed_origins=STAGE).client() as client:
        answers = {
            origin: await client.request(method, "/whep/main", headers={"Origin": origin})
            for method, origin in (("OPTIONS", STAGE), ("GET", "https://evil.example"))
        }
    assert answers[STAGE].headers["access-control-allow-origin"] == STAGE
    assert "access-control-allow-origin" not in answers["https://evil.example"].headers
    assert {answer.headers["vary"] for answer in answers.values()} == {"Origin"}
