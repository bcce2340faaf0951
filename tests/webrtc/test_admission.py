import pytest

from streamgen.webrtc.admission import (
    MAX_ADDRESSES,
    MAX_RETRY_S,
    Admission,
    AdmissionLimits,
    JoinRate,
    Place,
    address_key,
)
from streamgen.webrtc.errors import TooManyViewersError


def watching(count: int, address: str | None = None) -> list[Place]:
    return [Place(address, connected=True)] * count


def joining(count: int, address: str | None = None) -> list[Place]:
    return [Place(address, connected=False)] * count


def refusal(admission: Admission, host: str | None, taken: list[Place], now_s: float = 0.0) -> TooManyViewersError:
    with pytest.raises(TooManyViewersError) as caught:
        admission.admit(host, taken, now_s)
    assert caught.value.status == 503
    return caught.value


@pytest.mark.parametrize(
    ("host", "key"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("127.0.0.1", None),
        ("::1", None),
        ("::ffff:127.0.0.1", None),
        ("unknown", None),
        ("", None),
        (None, None),
    ],
)
def test_addresses_that_are_counted_on_their_own(host: str | None, key: str | None) -> None:
    assert address_key(host) == key


# Places --------------------------------------------------------------------------------------------------------------


def test_the_last_place_is_given_and_no_further_one() -> None:
    admission = Admission(AdmissionLimits(max_viewers=3))
    admission.admit(None, watching(2), 0.0)
    error = refusal(admission, None, watching(3))
    assert error.retry_after_s == 10
    assert "all 3 places" in error.detail


def test_those_who_are_joining_are_limited_apart_from_those_who_watch() -> None:
    admission = Admission(AdmissionLimits(max_pending=2))
    admission.admit(None, [*watching(20), *joining(1)], 0.0)
    error = refusal(admission, None, [*watching(20), *joining(2)])
    assert error.retry_after_s == 1
    assert "joining" in error.detail


def test_one_address_leaves_a_quarter_of_the_places_to_others() -> None:
    admission = Admission(AdmissionLimits(max_viewers=8, max_pending=8))
    admission.admit("192.0.2.7", watching(5, "192.0.2.7"), 0.0)
    assert "your address" in refusal(admission, "192.0.2.7", watching(6, "192.0.2.7")).detail
    admission.admit("192.0.2.8", watching(6, "192.0.2.7"), 0.0)
    # This machine itself, or a proxy on it, is limited by the number of places alone.
    admission.admit("127.0.0.1", watching(7), 0.0)


def test_offers_of_one_address_that_never_connect_do_not_keep_others_out() -> None:
    admission = Admission(AdmissionLimits(max_viewers=100, max_pending=4))
    assert "your address" in refusal(admission, "192.0.2.7", joining(3, "192.0.2.7")).detail
    admission.admit("192.0.2.8", joining(3, "192.0.2.7"), 0.0)


def test_a_single_place_can_be_taken() -> None:
    Admission(AdmissionLimits(max_viewers=1, max_pending=1)).admit("192.0.2.7", [], 0.0)


# Rates ---------------------------------------------------------------------------------------------------------------


def test_joins_of_one_second_may_come_at_once_and_the_rest_at_the_rate() -> None:
    admission = Admission(AdmissionLimits(joins_per_s=4))
    for _ in range(4):
        admission.admit(None, [], 100.0)
    assert "at this moment" in refusal(admission, None, [], 100.0).detail
    admission.admit(None, [], 100.25)
    refusal(admission, None, [], 100.25)


def test_those_who_are_refused_are_sent_away_for_different_times() -> None:
    admission = Admission(AdmissionLimits(joins_per_s=4))
    for _ in range(4):
        admission.admit(None, [], 0.0)
    waits = [refusal(admission, None, []).retry_after_s for _ in range(12)]
    assert waits == [1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3]
    assert max(refusal(admission, None, []).retry_after_s or 0 for _ in range(500)) == MAX_RETRY_S


def test_one_address_cannot_use_up_the_rate_of_all() -> None:
    limits = AdmissionLimits(joins_per_s=20, address_joins_per_s=2, address_burst=3)
    admission = Admission(limits)
    for _ in range(3):
        admission.admit("192.0.2.7", [], 0.0)
    for _ in range(100):
        assert "your address" in refusal(admission, "192.0.2.7", []).detail
    for last in range(17):
        admission.admit(f"198.51.100.{last}", [], 0.0)
    assert "at this moment" in refusal(admission, "198.51.100.99", []).detail


def test_all_addresses_of_one_ipv6_network_are_one() -> None:
    admission = Admission(AdmissionLimits(address_burst=2))
    admission.admit("2001:db8::1", [], 0.0)
    admission.admit("2001:db8::2", [], 0.0)
    refusal(admission, "2001:db8::3", [])
    admission.admit("2001:db8:0:1::3", [], 0.0)


def test_a_refused_join_costs_nothing() -> None:
    admission = Admission(AdmissionLimits(max_viewers=1, joins_per_s=1))
    for _ in range(100):
        refusal(admission, "192.0.2.7", watching(1))
    admission.admit("192.0.2.7", [], 0.0)


def test_memory_of_addresses_is_bounded_and_forgets_the_oldest() -> None:
    admission = Admission(AdmissionLimits(joins_per_s=1e6, address_burst=1))
    for number in range(MAX_ADDRESSES + 1):
        admission.admit(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", [], 0.0)
    admission.admit("10.0.0.0", [], 0.0)
    refusal(admission, "10.0.0.5", [])
    assert len(admission._addresses) == MAX_ADDRESSES


def test_a_rate_saves_a_burst_and_no_more() -> None:
    rate = JoinRate(rate_hz=4, burst=2)  # exact in binary
    for now_s in (0.0, 1000.0):
        assert rate.wait_s(now_s) == 0.0
        rate.take(now_s)
        assert rate.wait_s(now_s) == 0.0
        rate.take(now_s)
        assert rate.wait_s(now_s) == 0.25
        assert rate.wait_s(now_s + 0.125) == 0.125
