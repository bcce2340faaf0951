import pytest

from streamgen.http.auth import EVERYTHING, WATCHING, OperatorAccess, ViewerAccess, WrongTokenError, bearer, is_loopback
from streamgen.settings import Settings

TOKEN = "a token of some length"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "localhost", "LOCALHOST", "::1", "[::1]", "a.localhost"])
def test_loopback_names(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.com", "localhost.example.com", "", "127.1"])
def test_other_names(host: str) -> None:
    assert not is_loopback(host)


def test_this_machine_needs_no_token() -> None:
    access = OperatorAccess.for_settings(Settings(host="127.0.0.1"))
    assert access.token is None
    assert access.permissions(None, None) == EVERYTHING
    assert access.permissions("Bearer stale", "stale") == EVERYTHING


@pytest.mark.parametrize(
    "changes",
    [{"host": "0.0.0.0"}, {"host": "::"}, {"allowed_hosts": "stage.example"}, {"viewer_token": "for those who watch"}],
)
def test_whoever_can_be_reached_by_others_has_a_new_token_at_each_start(changes: dict[str, str]) -> None:
    first, second = (OperatorAccess.for_settings(Settings(**changes)) for _ in range(2))  # type: ignore[arg-type]
    assert first.token is not None
    assert len(first.token) >= 32
    assert first.token != second.token


def test_a_token_of_the_settings_holds_everywhere() -> None:
    for host in ("127.0.0.1", "0.0.0.0"):
        access = OperatorAccess.for_settings(Settings(host=host, operator_token=TOKEN))  # type: ignore[arg-type]
        assert access.token == TOKEN


def test_permissions() -> None:
    access = OperatorAccess(TOKEN)
    assert access.permissions(None, None) == WATCHING
    assert access.permissions("Basic abc", None) == WATCHING
    assert access.permissions("Bearer ", None) == WATCHING
    assert access.permissions(None, "") == WATCHING
    assert access.permissions(None, TOKEN) == EVERYTHING
    assert access.permissions(f"Bearer {TOKEN}", None) == EVERYTHING
    for wrong in ("x", TOKEN[:-1], TOKEN + "x", "é", "\ud800"):
        with pytest.raises(WrongTokenError):
            access.permissions(None, wrong)


def test_the_viewers_token_opens_the_page_and_steers_nothing() -> None:
    access = OperatorAccess.for_settings(Settings(operator_token=TOKEN, viewer_token="for those who watch"))  # type: ignore[arg-type]
    assert access.permissions(None, "for those who watch") == WATCHING
    assert access.permissions("Bearer for those who watch", None) == WATCHING
    assert access.permissions(None, TOKEN) == EVERYTHING
    with pytest.raises(WrongTokenError):
        access.permissions(None, "for those who")


def test_without_a_token_for_viewers_everybody_watches() -> None:
    access = ViewerAccess.for_settings(Settings(host="0.0.0.0"), OperatorAccess(TOKEN))
    assert access.allows(None)
    assert access.allows("Bearer whatever")


def test_with_one_it_or_the_operators_is_needed() -> None:
    settings = Settings(viewer_token="for those who watch")  # type: ignore[arg-type]
    access = ViewerAccess.for_settings(settings, OperatorAccess.for_settings(settings))
    assert access.allows("Bearer for those who watch")
    assert access.allows(f"bearer {access.tokens[1]}")
    for wrong in (None, "", "Bearer ", "Basic for those who watch", "for those who watch", "Bearer é", "Bearer \ud800"):
        assert not access.allows(wrong)


@pytest.mark.parametrize(
    ("header", "token"),
    [
        ("Bearer a", "a"),
        ("BEARER  a ", "a"),
        ("Bearer", None),
        ("Bearer ", None),
        ("Basic a", None),
        ("", None),
        (None, None),
    ],
)
def test_tokens_in_headers(header: str | None, token: str | None) -> None:
    assert bearer(header) == token
