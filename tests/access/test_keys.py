import base64
import hashlib
import hmac
import json
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgen.access.errors import WrongTokenError
from streamgen.access.keys import ALGORITHM, ISSUER, MAX_SECRETS, MAX_TOKEN_CHARS, TokenKeys

SECRET = "s" * 16 + "0123456789abcdef"
OTHER = "t" * 16 + "0123456789abcdef"
KEYS = TokenKeys([SECRET])
CLAIMS = {"sub": "ann", "exp": 100}


def fault(token: str, keys: TokenKeys = KEYS, audience: str = "a") -> str:
    with pytest.raises(WrongTokenError) as caught:
        keys.verify(token, audience)
    return caught.value.fault


def forged(header: object, payload: object, secret: str | None = SECRET) -> str:
    """A token that is put together by hand, with a right signature if there is a secret."""
    parts = [base64.urlsafe_b64encode(json.dumps(each).encode()).rstrip(b"=") for each in (header, payload)]
    signing = b".".join(parts)
    mac = b"" if secret is None else hmac.new(secret.encode(), signing, hashlib.sha256).digest()
    return (signing + b"." + base64.urlsafe_b64encode(mac).rstrip(b"=")).decode()


def test_what_was_signed_comes_back() -> None:
    assert KEYS.verify(KEYS.sign(CLAIMS, "a"), "a") == {**CLAIMS, "iss": ISSUER, "aud": "a"}


def test_any_other_library_can_sign_with_the_secret() -> None:
    payload = {**CLAIMS, "iss": ISSUER, "aud": "a"}
    assert KEYS.verify(forged({"typ": "JWT", "alg": "HS256"}, payload), "a") == payload


def test_a_rotation_accepts_the_old_secret_and_signs_with_the_new_one() -> None:
    old, both, new = TokenKeys([OTHER]), TokenKeys([SECRET, OTHER]), TokenKeys([SECRET])
    assert both.verify(old.sign(CLAIMS, "a"), "a")["sub"] == "ann"
    assert new.verify(both.sign(CLAIMS, "a"), "a")["sub"] == "ann"
    assert fault(old.sign(CLAIMS, "a"), new) == "wrong_signature"
    assert fault(both.sign(CLAIMS, "a"), old) == "wrong_signature"


def test_a_token_for_something_else_is_none() -> None:
    assert fault(KEYS.sign(CLAIMS, "b")) == "wrong_purpose"
    assert fault(forged({"alg": "HS256"}, {**CLAIMS, "iss": "somebody", "aud": "a"})) == "wrong_purpose"


@pytest.mark.parametrize("algorithm", ["none", "HS384", "RS256", "", None, ["HS256"], {}, 1])
def test_a_token_does_not_choose_its_algorithm(algorithm: Any) -> None:
    payload = {**CLAIMS, "iss": ISSUER, "aud": "a"}
    for secret in (None, SECRET):
        assert fault(forged({"alg": algorithm, "typ": "JWT"}, payload, secret)) == "malformed"
    assert fault(jwt.encode(payload, "", algorithm="none")) == "malformed"
    assert ALGORITHM == "HS256"


def test_one_changed_character_is_noticed() -> None:
    token = KEYS.sign(CLAIMS, "a")
    for place, character in enumerate(token):
        changed = token[:place] + ("A" if character != "A" else "B") + token[place + 1 :]
        assert fault(changed) in {"wrong_signature", "malformed"}


def test_nothing_is_decoded_of_a_token_that_is_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jwt, "decode", lambda *_, **__: pytest.fail("it was decoded"))
    assert fault("a" * (MAX_TOKEN_CHARS + 1)) == "too_long"


@pytest.mark.parametrize("missing", ["sub", "exp", "iss", "aud"])
def test_what_every_token_says_may_not_be_missing(missing: str) -> None:
    payload = {name: value for name, value in {**CLAIMS, "iss": ISSUER, "aud": "a"}.items() if name != missing}
    assert fault(forged({"alg": "HS256"}, payload)) in {"malformed", "wrong_purpose"}


@pytest.mark.parametrize("secrets", [[], ["short"], [SECRET, "short"], [SECRET] * (MAX_SECRETS + 1)])
def test_secrets_that_are_none(secrets: list[str]) -> None:
    with pytest.raises(ValueError, match="32 characters"):
        TokenKeys(secrets)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
header_names = st.sampled_from(["alg", "typ", "b64", "crit", "kid", "x"])


@given(st.one_of(st.text(), st.from_regex(r"[A-Za-z0-9_-]{0,20}\.[A-Za-z0-9_-]{0,20}\.[A-Za-z0-9_-]{0,20}")))
def test_no_text_raises_anything_else(text: str) -> None:
    assert fault(text) in {"malformed", "too_long", "wrong_signature"}


@given(st.one_of(json_values, st.dictionaries(header_names, json_values)), json_values, st.sampled_from([None, SECRET]))
def test_no_token_raises_anything_else(header: object, payload: object, secret: str | None) -> None:
    if header == {"alg": "HS256"}:
        return
    fault(forged(header, payload, secret))


@given(st.one_of(json_values, st.dictionaries(st.sampled_from(["iss", "aud", "sub", "exp", "jti"]), json_values)))
def test_no_signed_content_raises_anything_else(payload: object) -> None:
    fault(forged({"alg": "HS256"}, payload))
