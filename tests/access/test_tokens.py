import math
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgen.access.errors import Fault, WrongTokenError
from streamgen.access.keys import TokenKeys
from streamgen.access.roles import ROLES, Role
from streamgen.access.tokens import AUDIENCE, LEEWAY_S, Claims, new_token_id, read_token, sign_token

KEYS = TokenKeys(["0123456789abcdef0123456789abcdef"])
NOW_S = 1_785_400_000.0
names = st.text(min_size=1, max_size=64).filter(str.isprintable)


def claims(**changes: Any) -> Claims:
    known: dict[str, Any] = {
        "roles": frozenset({"vote"}), "subject": "seat-12", "expires_at": NOW_S + 60, "not_before": NOW_S,
        "token_id": "t",
    }  # fmt: skip
    return Claims(**{**known, **changes})


def refused(token: str, now_s: float = NOW_S, channel: str = "main") -> WrongTokenError:
    with pytest.raises(WrongTokenError) as caught:
        read_token(KEYS, token, channel=channel, now_s=now_s)
    # It becomes the reason of a WebSocket's close (RFC 6455, section 5.5.1: 125 bytes with the code).
    assert len(str(caught.value).encode()) <= 123
    assert caught.value.fault in get_args(Fault)
    return caught.value


@given(st.frozensets(st.sampled_from(ROLES), min_size=1), names, st.none() | st.just("main"))
def test_what_is_signed_is_read(roles: frozenset[Role], subject: str, channel: str | None) -> None:
    try:
        subject.encode()
    except UnicodeEncodeError:
        return
    made = claims(roles=roles, subject=subject, channel=channel, token_id=new_token_id())
    assert read_token(KEYS, sign_token(KEYS, made), channel="main", now_s=NOW_S) == made


def test_it_ends_exactly_when_it_says() -> None:
    token = sign_token(KEYS, claims())
    assert read_token(KEYS, token, channel="main", now_s=NOW_S + 59.999).expires_at == NOW_S + 60
    assert refused(token, NOW_S + 60).fault == "expired"
    assert "expired" in str(refused(token, NOW_S + 60))


def test_it_begins_a_little_early_for_clocks_that_differ() -> None:
    token = sign_token(KEYS, claims())
    assert read_token(KEYS, token, channel="main", now_s=NOW_S - LEEWAY_S).subject == "seat-12"
    assert refused(token, NOW_S - LEEWAY_S - 1).fault == "not_yet_valid"
    assert "not valid yet" in str(refused(token, NOW_S - LEEWAY_S - 1))


def test_a_token_of_one_channel_holds_on_no_other() -> None:
    token = sign_token(KEYS, claims(channel="main"))
    assert read_token(KEYS, token, channel="main", now_s=NOW_S).channel == "main"
    assert refused(token, channel="side").fault == "other_channel"
    assert "another channel" in str(refused(token, channel="side"))


def test_a_signature_of_another_secret() -> None:
    error = refused(sign_token(TokenKeys(["f" * 32]), claims()))
    assert error.fault == "wrong_signature"
    assert "signature is wrong" in str(error)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("roles", []),
        ("roles", "admin"),
        ("roles", ["admin", "emperor"]),
        ("roles", [["admin"]]),
        ("roles", ["admin"] * 100),
        ("sub", ""),
        ("sub", "a\nb"),
        ("sub", "x" * 65),
        ("exp", "never"),
        ("exp", True),
        ("exp", math.inf),
        ("exp", math.nan),
        ("nbf", "now"),
        ("channel", 1),
        ("channel", ""),
        ("jti", "x" * 65),
    ],
)
def test_content_that_cannot_be(field: str, value: object) -> None:
    payload = {"roles": ["vote"], "sub": "ann", "exp": NOW_S + 60, field: value}
    assert refused(KEYS.sign(payload, AUDIENCE)).fault == "malformed"


def test_what_a_newer_server_says_besides_is_ignored() -> None:
    token = KEYS.sign({"roles": ["vote"], "sub": "ann", "exp": NOW_S + 60, "seat": 12}, AUDIENCE)
    assert read_token(KEYS, token, channel="main", now_s=NOW_S).roles == {"vote"}


@given(
    st.dictionaries(
        st.sampled_from(["roles", "sub", "exp", "nbf", "channel", "jti"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(ROLES) | st.just("ann"),
            lambda inner: st.lists(inner, max_size=2),
            max_leaves=4,
        ),
    )
)
def test_signed_nonsense_raises_nothing_else(payload: dict[str, object]) -> None:
    try:
        token = KEYS.sign(payload, AUDIENCE)
    except (TypeError, ValueError):
        return  # PyJWT signs no such thing
    try:
        read = read_token(KEYS, token, channel="main", now_s=NOW_S)
    except WrongTokenError:
        return
    assert read.roles
    assert read.expires_at > NOW_S


@pytest.mark.parametrize(
    "changes", [{"roles": frozenset()}, {"subject": ""}, {"subject": "a\nb"}, {"channel": "x" * 65}]
)
def test_nothing_is_signed_that_no_server_accepts(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"role|characters"):
        sign_token(KEYS, claims(**changes))
