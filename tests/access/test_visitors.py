import pytest

from streamgen.access.errors import WrongTokenError
from streamgen.access.keys import TokenKeys
from streamgen.access.limits import Limits, Rates
from streamgen.access.rate_limit import RateLimit
from streamgen.access.roles import Grant
from streamgen.access.tokens import Claims, read_token, sign_token
from streamgen.access.visitors import AUDIENCE, LIFETIME_S, Identity, identify, known_visitor, new_visitor

KEYS = TokenKeys(["0123456789abcdef0123456789abcdef"])
NOW_S = 1_785_400_000.0
ANYBODY = Grant(frozenset({"vote"}))


def someone(
    limits: Limits,
    *,
    grant: Grant = ANYBODY,
    cookie: str | None = None,
    host: str | None = "192.0.2.7",
    now_s: float = 0.0,
) -> Identity:
    return identify(grant, cookie=cookie, host=host, keys=KEYS, limits=limits, wall_s=NOW_S, now_s=now_s)


def few(times: int = 2) -> Limits:
    return Limits(Rates(address_visitors=RateLimit(times, 10.0)))


def test_the_holder_of_a_token_is_its_subject_whatever_cookie_comes_along() -> None:
    grant = Grant(frozenset({"vote"}), subject="seat-12")
    cookie = new_visitor(KEYS, NOW_S).cookie
    limits = few()
    assert {
        someone(limits, grant=grant, cookie=each, host=host) for each in (None, cookie) for host in (None, "::2")
    } == {Identity("token:seat-12")}
    assert len(limits.table) == 0  # and takes no visitor's place


def test_a_visitor_gets_a_cookie_once_and_is_known_by_it_everywhere() -> None:
    limits = few()
    first = someone(limits)
    assert first.voter.startswith("visitor:")
    assert first.new_cookie is not None
    assert someone(limits, cookie=first.new_cookie) == Identity(first.voter)
    assert someone(limits, cookie=first.new_cookie, host="198.51.100.1") == Identity(first.voter)


def test_newcomers_of_one_address_beyond_the_rate_are_one_voter_together() -> None:
    limits = few(2)
    separate = {someone(limits).voter for _ in range(2)}
    assert len(separate) == 2
    assert {someone(limits) for _ in range(50)} == {Identity("address:192.0.2.7")}
    assert someone(limits, host="198.51.100.1").voter.startswith("visitor:")
    assert someone(limits, now_s=5.0).voter.startswith("visitor:")  # the rate goes on
    assert someone(limits, now_s=5.0) == Identity("address:192.0.2.7")


def test_so_are_those_of_one_ipv6_network_and_of_this_machine() -> None:
    limits = few(1)
    someone(limits, host="2001:db8::1")
    assert someone(limits, host="2001:db8::2:1") == Identity("address:2001:db8::/64")
    for host in ("127.0.0.1", "::1", None):  # a proxy whose name is not in the settings, or a Unix socket
        someone(limits, host=host)
    assert someone(limits, host="127.0.0.1") == Identity("address:this machine")


@pytest.mark.parametrize("cookie", ["", "nonsense", "a.b.c", "x" * 5000, "\ud800"])
def test_a_cookie_that_is_not_ours_is_nobodys(cookie: str) -> None:
    assert known_visitor(KEYS, cookie, NOW_S) is None


def test_cookies_end_and_belong_to_their_secret() -> None:
    cookie = new_visitor(KEYS, NOW_S).cookie
    assert known_visitor(KEYS, cookie, NOW_S + LIFETIME_S - 1) is not None
    assert known_visitor(KEYS, cookie, NOW_S + LIFETIME_S) is None
    assert known_visitor(TokenKeys(["f" * 32]), cookie, NOW_S) is None
    assert known_visitor(KEYS, KEYS.sign({"sub": "a", "exp": "never"}, AUDIENCE), NOW_S) is None


def test_a_cookie_is_no_token_and_a_token_no_cookie() -> None:
    with pytest.raises(WrongTokenError, match="something else"):
        read_token(KEYS, new_visitor(KEYS, NOW_S).cookie, channel="main", now_s=NOW_S)
    token = sign_token(KEYS, Claims(frozenset({"vote"}), "ann", NOW_S + 60, NOW_S))
    assert known_visitor(KEYS, token, NOW_S) is None
