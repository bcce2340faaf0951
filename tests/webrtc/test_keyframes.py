from streamgen.webrtc.keyframes import KEYFRAME_FLOOR_NS, KEYFRAME_PATIENCE_NS, KeyframeCoalescer

MS = 1_000_000


def test_floor_is_half_a_second() -> None:
    assert KEYFRAME_FLOOR_NS == 500 * MS


def test_first_request_reaches_the_encoder_at_once() -> None:
    assert KeyframeCoalescer().request(0)


def test_requests_on_the_way_to_a_keyframe_are_one() -> None:
    keyframes = KeyframeCoalescer()
    assert [keyframes.request(each * 40 * MS) for each in range(25)] == [True] + [False] * 24
    assert (keyframes.requests, keyframes.forwarded) == (25, 1)


def test_request_within_the_floor_is_kept_until_it_is_due() -> None:
    keyframes = KeyframeCoalescer()
    assert keyframes.request(0)
    keyframes.keyframe()
    assert not keyframes.request(100 * MS)
    assert not keyframes.due(KEYFRAME_FLOOR_NS - 1)
    assert keyframes.due(KEYFRAME_FLOOR_NS)
    assert not keyframes.due(KEYFRAME_FLOOR_NS)


def test_keyframe_serves_a_kept_request() -> None:
    keyframes = KeyframeCoalescer()
    keyframes.request(0)
    keyframes.keyframe()
    keyframes.request(100 * MS)
    keyframes.keyframe()
    assert not keyframes.due(10 * KEYFRAME_PATIENCE_NS)


def test_unanswered_request_is_made_again() -> None:
    keyframes = KeyframeCoalescer()
    keyframes.request(0)
    assert not keyframes.due(KEYFRAME_PATIENCE_NS - 1)
    assert keyframes.due(KEYFRAME_PATIENCE_NS)


def test_nothing_is_due_unasked() -> None:
    assert not KeyframeCoalescer().due(10 * KEYFRAME_PATIENCE_NS)


def test_reset_forgets_the_outstanding_request_but_keeps_the_floor() -> None:
    keyframes = KeyframeCoalescer()
    keyframes.request(0)
    keyframes.reset()
    assert not keyframes.request(KEYFRAME_FLOOR_NS - 1)
    assert keyframes.due(KEYFRAME_FLOOR_NS)
