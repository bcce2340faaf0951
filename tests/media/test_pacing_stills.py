from streamgen.packets import Still, VideoPacket
from tests.media.fakes import CHUNK_NS, H264, LAYERS, VP8, make_chunk, make_slate
from tests.media.test_pacing import Tape, covered


def test_a_still_leaves_right_behind_the_picture_that_it_repeats() -> None:
    tape = Tape()
    tape.run_for(50_000_000)
    tape.pacing.put(make_chunk(0, layers=(VP8, H264), stills=(VP8,)))
    tape.run_for(2 * CHUNK_NS)
    (still,) = tape.stills()
    kinds = [item for _, item in tape.items if isinstance(item, Still | VideoPacket)]
    place = kinds.index(still)
    before, after = kinds[place - 1], kinds[place + 1]
    assert isinstance(before, VideoPacket)
    assert before.data == b"picture 0.0"
    assert before.pts == still.pts
    assert isinstance(after, VideoPacket)
    assert after.data == b"picture 0.1"
    tape.check_rules()


def test_a_still_that_nobody_may_see_does_not_leave() -> None:
    tape = covered()
    tape.pacing.show_standby(make_slate(1, name="black"))
    tape.pacing.put(make_chunk(3, layers=LAYERS, stills=(VP8,)))
    tape.run_for(5 * CHUNK_NS)
    assert not tape.stills()
    tape.pacing.resume()
    tape.pacing.put(make_chunk(4, layers=LAYERS, keyframe=False, stills=(VP8,)))  # of no keyframe yet
    tape.run_for(2 * CHUNK_NS)
    assert not tape.stills()
    tape.pacing.put(make_chunk(5, layers=LAYERS, keyframe=True, stills=(VP8,)))
    tape.run_for(2 * CHUNK_NS)
    assert [still.data for still in tape.stills()] == [b"still 5"]
