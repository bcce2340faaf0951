from dataclasses import replace

import pytest

from streamgen.access.keys import TokenKeys
from streamgen.access.roles import Grant, Role
from streamgen.access.tokens import Claims, sign_token
from streamgen.http.auth import (
    EVERYTHING,
    WATCHING,
    OperatorAccess,
    ViewerAccess,
    WrongTokenError,
    bearer,
    challenge,
    is_loopback,
)
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
    [
        {"host": "0.0.0.0"},
        {"host": "::"},
        {"allowed_hosts": "stage.example"},
        {"trusted_proxies": "127.0.0.1"},
        {"allowed_origins": "https://stage.example"},
        {"viewer_token": "for those who watch"},
    ],
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


# Signed tokens -------------------------------------------------------------------------------------------------------

SECRET = "0123456789abcdef0123456789abcdef"
NOW_S = 1_785_400_000.0


def signed(*roles: Role, channel: str | None = None, secret: str = SECRET) -> str:
    claims = Claims(frozenset(roles), "seat-12", NOW_S + 60, NOW_S, channel)
    return sign_token(TokenKeys([secret]), claims)


def access(now_s: float = NOW_S, **changes: object) -> OperatorAccess:
    settings = Settings(token_secret=SECRET, **changes)  # type: ignore[arg-type]
    return replace(OperatorAccess.for_settings(settings), wall_s=lambda: now_s)


def test_a_signed_token_allows_what_its_roles_do_until_it_ends() -> None:
    grant = access().grant(None, signed("vote", "propose"))
    assert grant == Grant(frozenset({"vote", "propose"}), "seat-12", NOW_S + 60)
    assert grant.can == {"watch", "vote", "propose"}
    assert access().grant(f"Bearer {signed('operate')}").can >= {"prompt", "config", "panic"}
    assert access().grant(None, signed("admin")).can == EVERYTHING


@pytest.mark.parametrize(
    ("token", "now_s", "fault"),
    [
        (signed("vote"), NOW_S + 60, "expired"),
        (signed("vote"), NOW_S - 3600, "not_yet_valid"),
        (signed("vote", secret="f" * 32), NOW_S, "wrong_signature"),
        (signed("vote", channel="side"), NOW_S, "other_channel"),
        (signed("vote")[:-1], NOW_S, "wrong_signature"),
        ("a.b.c", NOW_S, "malformed"),
        ("a word", NOW_S, "unknown"),
    ],
)
def test_one_that_does_not_hold_says_why(token: str, now_s: float, fault: str) -> None:
    # Cut by one character it may not even be base64 any more.
    faults = {fault, "malformed"} if fault == "wrong_signature" else {fault}
    for authorization, query in ((None, token), (f"Bearer {token}", None)):
        with pytest.raises(WrongTokenError) as caught:
            access(now_s).grant(authorization, query)
        assert caught.value.fault in faults
        assert token not in str(caught.value)


def test_without_a_secret_a_signed_token_is_nobodys() -> None:
    with pytest.raises(WrongTokenError):
        OperatorAccess(TOKEN).grant(None, signed("admin"))


def test_a_previous_secret_still_holds() -> None:
    old = "an older secret of enough characters"
    settings = Settings(token_secret=SECRET, token_secrets_previous=old)  # type: ignore[arg-type]
    both = replace(OperatorAccess.for_settings(settings), wall_s=lambda: NOW_S)
    assert both.grant(None, signed("vote", secret=old)).subject == "seat-12"
    with pytest.raises(WrongTokenError):
        access().grant(None, signed("vote", secret=old))


@pytest.mark.parametrize("changes", [{"token_secret": SECRET}, {"anonymous": "watch"}, {"anonymous": "nothing"}])
def test_who_issues_tokens_or_speaks_of_visitors_does_not_trust_everybody(changes: dict[str, str]) -> None:
    made = OperatorAccess.for_settings(Settings(**changes))  # type: ignore[arg-type]
    assert made.token is not None
    assert made.permissions(None, made.token) == EVERYTHING


@pytest.mark.parametrize(
    ("changes", "can"),
    [
        ({"host": "0.0.0.0"}, {"watch"}),
        ({"viewer_token": "for those who watch"}, set()),
        ({"viewer_token": "for those who watch", "anonymous": "nothing"}, set()),
        ({"anonymous": "nothing"}, set()),
        ({"anonymous": "watch"}, {"watch"}),
        ({"anonymous": "propose, vote"}, {"watch", "propose", "vote"}),
    ],
)
def test_what_visitors_without_a_token_may_do(changes: dict[str, str], can: set[str]) -> None:
    settings = Settings(**changes)  # type: ignore[arg-type]
    operator = OperatorAccess.for_settings(settings)
    assert operator.permissions(None, None) == can
    assert ViewerAccess.for_settings(settings, operator).allows(None) == ("watch" in can)


def test_where_watching_is_restricted_a_signed_token_needs_a_role_that_watches() -> None:
    settings = Settings(token_secret=SECRET, viewer_token="for those who watch")  # type: ignore[arg-type]
    operator = replace(OperatorAccess.for_settings(settings), wall_s=lambda: NOW_S)
    viewers = ViewerAccess.for_settings(settings, operator)
    roles: tuple[Role, ...] = ("watch", "vote", "operate", "admin")
    for role in roles:
        assert viewers.allows(f"Bearer {signed(role)}")
    for token in (signed("publish"), signed("watch", secret="f" * 32), signed("watch", channel="side")):
        assert not viewers.allows(f"Bearer {token}")


def test_restricted_watching_is_restricted_even_where_everybody_may_steer() -> None:
    viewers = ViewerAccess.for_settings(Settings(anonymous="nothing"), OperatorAccess(None))  # type: ignore[arg-type]
    assert not viewers.allows(None)
    assert not viewers.allows("Bearer guess")


def test_challenges() -> None:
    lacking, wrong = WrongTokenError("x", "lacking"), WrongTokenError("x", "expired")
    assert challenge(lacking, None) == (401, "Bearer")
    assert challenge(wrong, "Bearer ") == (401, "Bearer")
    assert challenge(wrong, "Bearer x") == (401, 'Bearer error="invalid_token"')
    assert challenge(lacking, "Bearer x") == (403, 'Bearer error="insufficient_scope"')
