import base64

import pytest

from streamgen.integrations.webhook_signature import read_secret, signature, verify

# The example of the Standard Webhooks libraries (standardwebhooks.com).
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ID, TIMESTAMP_S, BODY = "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
HEADERS = {"webhook-id": ID, "webhook-timestamp": str(TIMESTAMP_S), "webhook-signature": SIGNATURE}


def test_the_example_of_the_specification() -> None:
    assert signature(read_secret(SECRET), ID, TIMESTAMP_S, BODY) == SIGNATURE


def test_a_receiver_can_check_it() -> None:
    key = read_secret(SECRET)
    assert verify(key, HEADERS, BODY, now_s=TIMESTAMP_S + 299)
    assert verify(key, HEADERS | {"webhook-signature": f"v1,other {SIGNATURE}"}, BODY, now_s=TIMESTAMP_S)


@pytest.mark.parametrize(
    ("headers", "body", "later_s"),
    [
        ({}, b'{"test": 1}', 0),
        ({}, BODY, 301),
        ({}, BODY, -301),
        ({"webhook-id": "msg_other"}, BODY, 0),
        ({"webhook-timestamp": str(TIMESTAMP_S + 1)}, BODY, 0),
        ({"webhook-timestamp": "soon"}, BODY, 0),
        ({"webhook-signature": ""}, BODY, 0),
        ({"webhook-signature": SIGNATURE.replace("v1", "v2")}, BODY, 0),
    ],
)
def test_what_does_not_hold(headers: dict[str, str], body: bytes, later_s: int) -> None:
    assert not verify(read_secret(SECRET), HEADERS | headers, body, now_s=TIMESTAMP_S + later_s)


@pytest.mark.parametrize(
    ("secret", "why"),
    [
        ("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "write whsec_"),
        ("whsec_???", "no base64"),
        ("whsec_" + base64.b64encode(bytes(23)).decode(), "23 bytes"),
        ("whsec_" + base64.b64encode(bytes(65)).decode(), "65 bytes"),
    ],
)
def test_a_secret_that_is_none(secret: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        read_secret(secret)
