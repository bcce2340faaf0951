import os

import pytest
from pylibsrtp import Policy, Session

from streamgen.webrtc.srtp import protector

PROFILES = (
    (Policy.SRTP_PROFILE_AES128_CM_SHA1_80, 30),
    (Policy.SRTP_PROFILE_AEAD_AES_128_GCM, 28),
    (Policy.SRTP_PROFILE_AEAD_AES_256_GCM, 44),
)


def session(key: bytes, profile: int, ssrc_type: int = Policy.SSRC_ANY_OUTBOUND) -> Session:
    return Session(Policy(key=key, ssrc_type=ssrc_type, srtp_profile=profile))


def packet(number: int, size: int) -> bytes:
    return b"\x80\x60" + number.to_bytes(2, "big") + bytes(4) + b"ssrc" + bytes([number % 251]) * size


@pytest.mark.parametrize(("profile", "key_bytes"), PROFILES)
def test_packets_are_protected_as_pylibsrtp_does_it(profile: int, key_bytes: int) -> None:
    key = os.urandom(key_bytes)
    theirs, receiver = session(key, profile), session(key, profile, Policy.SSRC_ANY_INBOUND)
    protect = protector(session(key, profile))
    packets = [packet(number, size) for number, size in enumerate([1, 1200, 0, 700, 1300])]
    protected = [*protect(packets[:3]), *protect(packets[3:]), *protect([])]
    assert protected == [theirs.protect(each) for each in packets]
    assert [receiver.unprotect(each) for each in protected] == packets


def test_a_packet_that_is_too_long_is_refused_and_the_next_is_not() -> None:
    protect = protector(session(bytes(30), Policy.SRTP_PROFILE_AES128_CM_SHA1_80))
    with pytest.raises(ValueError, match="too long"):
        protect([packet(1, 1400)])
    assert len(protect([packet(2, 1300)])) == 1


def test_what_libsrtp_refuses_is_left_out_and_the_rest_is_protected() -> None:
    key, profile = bytes(range(30)), Policy.SRTP_PROFILE_AES128_CM_SHA1_80
    policy = Policy(key=key, ssrc_type=Policy.SSRC_ANY_OUTBOUND, srtp_profile=profile)
    policy.allow_repeat_tx = True
    receiver = session(key, profile, Policy.SSRC_ANY_INBOUND)
    protect = protector(Session(policy))
    packets = [packet(number, 20) for number in range(400)]
    protect(packets)
    protected = protect([b"no rtp", packets[1], packet(400, 20)])  # too short; too far back; new
    assert [receiver.unprotect(each) for each in protected] == [packet(400, 20)]


def test_the_sessions_own_way_still_works_beside_it() -> None:
    key, profile = bytes(range(30)), Policy.SRTP_PROFILE_AES128_CM_SHA1_80
    sender, receiver = session(key, profile), session(key, profile, Policy.SSRC_ANY_INBOUND)
    protect = protector(sender)
    mixed = [*protect([packet(1, 50)]), sender.protect(packet(2, 60)), *protect([packet(3, 70)])]
    assert [receiver.unprotect(each) for each in mixed] == [packet(1, 50), packet(2, 60), packet(3, 70)]
