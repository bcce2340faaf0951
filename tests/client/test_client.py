import pytest

from streamgen_client.client import Client


@pytest.mark.parametrize(
    ("url", "token", "sent"),
    [
        ("http://stage.example/", None, None),
        ("http://stage.example/?token=a.b.c", None, "a.b.c"),
        ("https://stage.example/#token=a.b.c", None, "a.b.c"),
        ("https://stage.example/#settings", None, None),
        ("https://stage.example/#token=a.b.c", "mine", "mine"),
    ],
)
async def test_a_link_may_be_pasted_as_it_is(url: str, token: str | None, sent: str | None) -> None:
    client = Client(url, token)
    try:
        assert client._http.headers.get("authorization") == (None if sent is None else f"Bearer {sent}")
        assert client._base.fragment == client._base.query.decode() == ""
    finally:
        await client.close()
