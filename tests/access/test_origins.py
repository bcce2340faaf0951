import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgen.access.origins import listed, normal_origin, own_page


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("https://stage.example", "https://stage.example"),
        ("HTTPS://Stage.Example:443", "https://stage.example"),
        ("http://stage.example:80", "http://stage.example"),
        ("https://stage.example:80", "https://stage.example:80"),
        ("http://localhost:5173", "http://localhost:5173"),
        ("http://[2001:DB8::1]:8000", "http://[2001:db8::1]:8000"),
        ("null", None),
        ("", None),
        ("stage.example", None),
        ("ftp://stage.example", None),
        ("file://", None),
        ("https://", None),
        ("https://stage.example/", None),
        ("https://stage.example/page", None),
        ("https://stage.example?a", None),
        ("https://stage.example#a", None),
        ("https://ann@stage.example", None),
        ("https://stage.example:port", None),
        ("https://stage.example:99999", None),
        ("https://[", None),
        ("https://stage example", None),
        ("https://bühne.example", None),
    ],
)
def test_normal_forms(text: str, normal: str | None) -> None:
    assert normal_origin(text) == normal


@given(st.text())
def test_any_text_has_one_or_none_and_it_stays(text: str) -> None:
    normal = normal_origin(text)
    assert normal is None or normal_origin(normal) == normal


def test_what_is_listed() -> None:
    origins = ("https://stage.example", "http://localhost:5173")
    for origin in ("https://stage.example", "https://STAGE.example:443", "http://localhost:5173"):
        assert listed(origin, origins)
    for origin in (
        "http://stage.example", "https://stage.example:8443", "https://a.stage.example", "https://stage.example.evil",
        "http://localhost", "null", "", "*", "https://[",
    ):  # fmt: skip
        assert not listed(origin, origins)
        assert not listed(origin, ())
        assert listed(origin, ("*",))


def test_our_own_page() -> None:
    assert own_page("http://192.0.2.7:8000", "192.0.2.7:8000")
    assert own_page("https://stage.example", "Stage.Example")  # a proxy took TLS off
    assert own_page("https://stage.example", "stage.example:443")
    assert own_page("http://[2001:db8::1]:8000", "[2001:db8::1]:8000")
    for origin, host in (
        ("http://192.0.2.7:8000", "192.0.2.7"), ("https://evil.example", "stage.example"), ("null", "null"),
        ("https://stage.example", None), ("https://stage.example", ""), ("https://stage.example", "["),
    ):  # fmt: skip
        assert not own_page(origin, host)
