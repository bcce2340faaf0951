from streamgen.protocol import Buffering, Pong, Timeline, TimelineDocument, encode
from streamgen.steering.encoding import REMEMBERED, EncodedOnce


def test_what_goes_to_many_is_encoded_once_and_known_by_its_identity() -> None:
    encoder = EncodedOnce()
    first, same = Buffering(active=True), Buffering(active=True)
    text = encoder.text(first)
    assert text == encode(first)
    assert encoder.text(first) is text
    assert encoder.text(same) is not text
    assert encoder.text(same) == text


def test_answers_to_one_client_push_nothing_out_and_memory_is_bounded() -> None:
    encoder = EncodedOnce()
    first = Buffering(active=True)
    text = encoder.text(first)
    for number in range(100):
        encoder.text(Pong(id=str(number), t=0.0, server_media_time=0.0))
    assert encoder.text(first) is text
    for _ in range(REMEMBERED):
        encoder.text(Buffering(active=False))
    assert len(encoder._latest) == REMEMBERED
    assert encoder.text(first) is not text


def test_a_timeline_is_encoded_once_for_all_operators() -> None:
    encoder = EncodedOnce()
    timeline = Timeline(document=TimelineDocument())
    assert encoder.text(timeline) is encoder.text(timeline)
