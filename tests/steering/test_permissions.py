from streamgen.http.app import OFFERED
from streamgen.protocol import CLIENT_TYPES
from streamgen.steering.permissions import PERMISSION_OF


def test_every_request_needs_a_permission_that_this_channel_offers() -> None:
    # `ping` is everybody's, and a `prompt` becomes a `prompt.set`.
    assert set(PERMISSION_OF) == set(CLIENT_TYPES) - {"ping", "prompt"}
    assert set(PERMISSION_OF.values()) == OFFERED
