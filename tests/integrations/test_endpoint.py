import pytest

from streamgen.integrations.endpoint import Endpoint


@pytest.mark.parametrize(
    ("text", "endpoint", "loopback"),
    [
        ("9000", Endpoint("127.0.0.1", 9000), True),
        ("127.0.0.1:9000", Endpoint("127.0.0.1", 9000), True),
        ("0.0.0.0:0", Endpoint("0.0.0.0", 0), False),
        ("[::1]:9000", Endpoint("::1", 9000), True),
        ("[::]:9000", Endpoint("::", 9000), False),
        (" stage.example:9000 ", Endpoint("stage.example", 9000), False),
        ("localhost:9000", Endpoint("localhost", 9000), True),
    ],
)
def test_an_address_and_a_port(text: str, endpoint: Endpoint, loopback: bool) -> None:
    read = Endpoint.read(text)
    assert read == endpoint
    assert read.is_loopback == loopback
    assert Endpoint.read(str(read)) == read


@pytest.mark.parametrize("text", ["", "stage.example", ":9000", "a:b", "::1:9000", "a:65536", "a:-1", "a b:1", "a:１"])
def test_what_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="write an address and a port"):
        Endpoint.read(text)
