from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgen.media.clock import SLOT_NS, MediaClock
from streamgen.media.pacing import GRACE_NS, MAX_WAITING_CHUNKS, Pacing, Release, Shifted, StateChanged
from streamgen.packets import AudioPacket, ChunkRecord, Still, VideoPacket
from tests.media.fakes import (
    CHUNK_NS,
    DELAY,
    H264,
    LAYERS,
    PICTURE_TICKS,
    SILENCE,
    SMALL,
    SOUNDS,
    VP8,
    audio_s,
    make_chunk,
    make_slate,
    video_s,
)

EPOCH = 7_000_000_000
EVENTS = ("put", "put", "put", "slate", "flush", "restart", "hold", "standby", "resume", "mute", "unmute")


def make_pacing() -> Pacing:
    return Pacing(MediaClock(EPOCH), slate=make_slate(), silence=SILENCE)


class Tape:
    """Runs a `Pacing` to exact due times and keeps what was released with its time."""

    def __init__(self) -> None:
        self.pacing = make_pacing()
        self.now = EPOCH
        self.items: list[tuple[int, Release]] = []

    def run_until(self, end_ns: int) -> None:
        while (due := self.pacing.next_due_ns()) <= end_ns:
            self.now = max(self.now, due)
            released = self.pacing.release(self.now)
            assert released or self.pacing.gated_pictures or self.pacing.covered_pictures
            self.items += [(self.now, item) for item in released]
        self.now = end_ns

    def run_for(self, duration_ns: int) -> None:
        self.run_until(self.now + duration_ns)

    def audio(self) -> list[AudioPacket]:
        return [item for _, item in self.items if isinstance(item, AudioPacket)]

    def video(self) -> list[VideoPacket]:
        return [item for _, item in self.items if isinstance(item, VideoPacket)]

    def stills(self) -> list[Still]:
        return [item for _, item in self.items if isinstance(item, Still)]

    def records(self) -> list[ChunkRecord]:
        return [item for _, item in self.items if isinstance(item, ChunkRecord)]

    def states(self) -> list[str]:
        return [item.state for _, item in self.items if isinstance(item, StateChanged)]

    def shifts(self) -> list[int]:
        return [item.programme_epoch_ns for _, item in self.items if isinstance(item, Shifted)]

    def names(self, kind: Callable[[], list[AudioPacket]] | Callable[[], list[VideoPacket]]) -> list[str]:
        return [packet.data.decode() for packet in kind()]

    def check_rules(self) -> None:
        """What holds in every run, whatever happened."""
        sounds = self.audio()
        assert all(later.pts - packet.pts == 960 for packet, later in pairwise(sounds))
        assert all(packet.pts >= 0 for packet in sounds)
        for layer in LAYERS:
            pts = [packet.pts for packet in self.video() if packet.layer == layer]
            assert pts == sorted(set(pts)), layer
            assert all(p >= 0 for p in pts)
        clock = self.pacing.clock
        for now, item in self.items:
            if isinstance(item, AudioPacket):
                assert 0 <= now - clock.audio_due_ns(item.pts) <= GRACE_NS
            elif isinstance(item, VideoPacket | Still):
                assert 0 <= now - clock.video_due_ns(item.pts) <= GRACE_NS


def test_slate_plays_from_the_start_in_a_loop() -> None:
    tape = Tape()
    tape.run_for(3 * CHUNK_NS)

    names = tape.names(tape.audio)
    assert names[:17] == [f"slate sound 0.{n}" for n in range(16)] + ["slate sound 1.0"]
    assert names[32] == "slate sound 0.0"
    assert {packet.layer for packet in tape.video()} == set(LAYERS)
    assert tape.pacing.state == "slate"
    tape.check_rules()


def test_chunk_takes_over_from_the_slate_in_the_next_slot() -> None:
    tape = Tape()
    tape.run_for(100_000_000)
    tape.pacing.put(make_chunk(0))
    tape.run_for(CHUNK_NS)

    names = tape.names(tape.audio)
    first = names.index("sound 0.0")
    assert tape.audio()[first].pts == 600 + first * 960
    assert EPOCH + 100_000_000 <= tape.pacing.clock.audio_due_ns(tape.audio()[first].pts) <= EPOCH + 120_000_000
    assert names[first : first + 15] == [f"sound 0.{n}" for n in range(15)]
    # Nothing of the slate is shown once the chunk plays.
    live = tape.names(tape.video).index("picture 0.0")
    assert all(name.startswith("picture") for name in tape.names(tape.video)[live:])
    tape.check_rules()


def test_picture_follows_its_sound_by_the_encoders_delay() -> None:
    tape = Tape()
    for index in range(3):
        tape.pacing.put(make_chunk(index))
    tape.run_for(3 * CHUNK_NS - SLOT_NS)

    assert len(tape.records()) == 3
    by_name = {packet.data.decode(): packet for packet in tape.audio()}
    for index, record in enumerate(tape.records()):
        assert video_s(record.pts) - audio_s(by_name[f"sound {index}.0"].pts) == audio_s(DELAY)
    pictures = tape.video()
    assert [p.pts - pictures[0].pts for p in pictures] == [PICTURE_TICKS * n for n in range(len(pictures))]
    assert tape.states() == ["live"]
    assert tape.pacing.underruns == 0
    tape.check_rules()


def test_record_leaves_just_before_its_first_picture() -> None:
    tape = Tape()
    tape.pacing.put(make_chunk(0))
    tape.run_for(100_000_000)

    kinds = [type(item) for _, item in tape.items if isinstance(item, VideoPacket | ChunkRecord)]
    assert kinds[:2] == [ChunkRecord, VideoPacket]
    (record,) = tape.records()
    assert record.pts == tape.video()[0].pts
    assert record.first_frame == 0


def test_record_leaves_even_while_nobody_watches() -> None:
    tape = Tape()
    tape.pacing.put(replace(make_chunk(0), video=()))
    tape.run_for(100_000_000)
    assert [record.chunk for record in tape.records()] == [0]


def test_underrun_fades_then_is_silent_and_shifts_both_timelines() -> None:
    tape = Tape()
    tape.pacing.put(make_chunk(0))
    tape.run_for(CHUNK_NS + 150_000_000)
    tape.pacing.put(make_chunk(1))
    tape.run_for(CHUNK_NS)

    names = tape.names(tape.audio)
    gap = names[names.index("sound 0.15") + 1 : names.index("sound 1.0")]
    assert gap[:3] == ["fade 0.0", "fade 0.1", "fade 0.2"]
    assert gap[3:]
    assert set(gap[3:]) == {"silence"}
    assert tape.states() == ["live", "buffering", "live"]
    assert tape.pacing.underruns == 1
    assert tape.pacing.filled_slots == len(gap)

    one, two = tape.records()
    assert two.pts - one.pts == 4 * PICTURE_TICKS + len(gap) * 1800
    assert two.first_frame == 4  # counts pictures, not time
    assert tape.shifts()[-1] - tape.shifts()[0] == len(gap) * SLOT_NS
    tape.check_rules()


def test_a_gap_on_purpose_is_no_underrun() -> None:
    tape = Tape()
    tape.pacing = Pacing(MediaClock(EPOCH), slate=make_slate(), silence=SILENCE, paused=lambda: True)
    tape.pacing.put(make_chunk(0))
    tape.run_for(CHUNK_NS + 150_000_000)
    tape.pacing.put(make_chunk(1))
    tape.run_for(CHUNK_NS)
    assert tape.states() == ["live", "buffering", "live"]
    assert tape.pacing.underruns == 0
    tape.check_rules()


def test_no_picture_is_sent_while_the_last_one_is_held() -> None:
    tape = Tape()
    tape.pacing.put(make_chunk(0))
    tape.run_for(5 * CHUNK_NS)
    assert tape.names(tape.video) == [f"picture 0.{n}" for n in range(4)]


def test_grace_lets_a_slightly_late_chunk_through_without_a_gap() -> None:
    tape = Tape()
    tape.pacing.put(make_chunk(0))
    tape.run_for(SLOT_NS)
    late_slot = tape.pacing.clock.audio_due_ns(tape.audio()[0].pts + SOUNDS * 960)
    tape.run_until(late_slot + GRACE_NS - 1)
    tape.pacing.put(make_chunk(1))
    tape.run_for(100_000_000)

    assert tape.pacing.filled_slots == 0
    assert tape.states() == ["live"]
    tape.check_rules()


def test_dead_generator_fades_into_the_slate_and_a_new_one_goes_on() -> None:
    tape = Tape()
    tape.pacing.put(make_chunk(0, layers=LAYERS))
    tape.run_for(100_000_000)
    tape.pacing.show_slate()
    tape.run_for(10 * CHUNK_NS)
    tape.pacing.put(make_chunk(0, layers=LAYERS))  # a new process counts from zero
    tape.run_for(CHUNK_NS)

    names = tape.names(tape.audio)
    end = names.index("sound 0.15")  # what was queued is played
    assert names[end + 1 : end + 5] == ["fade 0.0", "fade 0.1", "fade 0.2", "slate sound 0.0"]
    assert tape.states() == ["live", "slate", "live"]
    assert tape.pacing.underruns == 0
    tape.check_rules()


def test_flush_shows_the_slate_in_the_next_slot() -> None:
    tape = Tape()
    tape.pacing.put(make_chunk(0))
    tape.pacing.put(make_chunk(1))
    tape.run_for(100_000_000)
    tape.pacing.show_slate(flush=True)
    tape.run_for(SLOT_NS)

    assert tape.pacing.state == "slate"
    assert tape.pacing.waiting == 0
    assert tape.names(tape.audio)[-1] == "slate sound 0.0"
    tape.check_rules()


def test_after_the_slate_a_layer_waits_for_its_keyframe_while_the_sound_plays() -> None:
    tape = Tape()
    tape.pacing.put(make_chunk(5, keyframe=False))
    tape.pacing.put(make_chunk(6, keyframe=True))
    tape.run_for(2 * CHUNK_NS)

    assert tape.names(tape.video)[0] == "picture 6.0"
    assert tape.pacing.gated_pictures == 4
    assert [record.chunk for record in tape.records()] == [5, 6]
    assert "sound 5.0" in tape.names(tape.audio)


def test_after_a_gap_of_the_same_generator_no_keyframe_is_needed() -> None:
    tape = Tape()
    tape.pacing.put(make_chunk(0))
    tape.run_for(2 * CHUNK_NS)
    tape.pacing.put(make_chunk(1))
    tape.run_for(CHUNK_NS)
    assert "picture 1.0" in tape.names(tape.video)
    assert tape.pacing.gated_pictures == 0


def test_each_layer_waits_for_a_keyframe_of_its_own() -> None:
    tape = Tape()
    chunk = make_chunk(0, layers=LAYERS, keyframe=False)
    keyframes = {SMALL: 1, H264: 2}  # the picture at which each gets one; the third gets none
    video = tuple(
        replace(packet, keyframe=keyframes.get(packet.layer) == packet.pts // PICTURE_TICKS) for packet in chunk.video
    )
    tape.pacing.put(replace(chunk, video=video))
    tape.run_for(CHUNK_NS)
    first = tape.records()[0].pts
    shown = [((packet.pts - first) // PICTURE_TICKS, packet.layer) for packet in tape.video() if packet.pts >= first]
    assert shown == [(1, SMALL), (2, SMALL), (2, H264), (3, SMALL), (3, H264)]


def covered() -> Tape:
    """A tape on which chunk 0 plays to its middle; three more wait."""
    tape = Tape()
    for index in range(4):
        tape.pacing.put(make_chunk(index, layers=LAYERS))
    tape.run_for(CHUNK_NS // 2)
    return tape


def test_hold_keeps_the_picture_and_fades_the_sound_within_one_slot() -> None:
    tape = covered()
    shown, heard = len(tape.video()), len(tape.audio())
    tape.pacing.hold()
    tape.run_for(2 * CHUNK_NS)
    assert tape.states() == ["live", "held"]
    assert len(tape.video()) == shown
    assert tape.names(tape.audio)[heard : heard + 4] == ["fade 0.0", "fade 0.1", "fade 0.2", "silence"]
    assert set(tape.names(tape.audio)[heard + 3 :]) == {"silence"}
    tape.check_rules()


def test_mute_fades_the_sound_within_one_slot_and_leaves_the_pictures() -> None:
    tape = covered()
    heard = len(tape.audio())
    tape.pacing.mute(on=True)
    tape.pacing.mute(on=True)
    assert tape.pacing.muted
    tape.run_for(2 * CHUNK_NS)
    assert tape.states() == ["live"], "what is shown is the programme"
    assert tape.names(tape.audio)[heard : heard + 4] == ["fade 0.0", "fade 0.1", "fade 0.2", "silence"]
    assert set(tape.names(tape.audio)[heard + 3 :]) == {"silence"}
    shown = [packet.pts for packet in tape.video() if packet.layer == LAYERS[0]]
    assert {later - earlier for earlier, later in pairwise(shown)} == {PICTURE_TICKS}
    tape.pacing.mute(on=False)
    muted = len(tape.audio())
    tape.run_for(CHUNK_NS // 2)
    assert all(name.startswith("sound 2.") for name in tape.names(tape.audio)[muted:]), (
        "the present, not what was muted"
    )
    tape.check_rules()


def test_a_muted_cover_is_silent_too() -> None:
    tape = covered()
    tape.pacing.show_standby(make_slate(1, name="black"))
    tape.pacing.mute(on=True)
    heard = len(tape.audio())
    tape.run_for(CHUNK_NS)
    assert set(tape.names(tape.audio)[heard:]) == {"silence"}
    assert tape.names(tape.video)[-1].startswith("black")
    tape.check_rules()


def test_the_programme_is_consumed_while_it_is_covered() -> None:
    tape = covered()
    tape.pacing.hold()
    tape.run_for(4 * CHUNK_NS)
    assert [record.chunk for record in tape.records()] == [0, 1, 2, 3]
    pts = [record.pts for record in tape.records()]
    assert {later - earlier for earlier, later in pairwise(pts)} == {4 * PICTURE_TICKS}
    assert tape.pacing.waiting == 0
    assert tape.pacing.covered_pictures == 4 * 4 * len(LAYERS) - len(tape.video())


def test_resume_goes_on_in_the_present_with_a_keyframe_per_layer() -> None:
    tape = covered()
    tape.pacing.hold()
    tape.run_for(CHUNK_NS)
    shown, heard = len(tape.video()), len(tape.audio())
    tape.pacing.resume()
    tape.run_for(CHUNK_NS)
    assert tape.states() == ["live", "held", "live"]
    assert tape.names(tape.audio)[heard].startswith("sound 1.")
    assert tape.video()[shown:] == [], "no keyframe has come yet"
    tape.pacing.put(make_chunk(4, layers=(VP8, H264), keyframe=True))
    tape.pacing.put(make_chunk(5, layers=LAYERS, keyframe=False))
    tape.run_for(3 * CHUNK_NS)
    again = tape.video()[shown:]
    assert {packet.layer for packet in again} == {VP8, H264}
    assert [packet.keyframe for packet in again if packet.layer == VP8] == [True] + [False] * 5
    tape.check_rules()


def test_standby_takes_over_in_the_next_slot_and_loops() -> None:
    tape = covered()
    shown, heard = len(tape.video()), len(tape.audio())
    tape.pacing.show_standby(make_slate(1, name="black"))
    tape.run_for(2 * CHUNK_NS + CHUNK_NS // 2)
    sounds = [f"black sound 0.{n}" for n in range(16)]
    assert tape.names(tape.audio)[heard : heard + 34] == sounds + sounds + sounds[:2]
    pictures = tape.video()[shown:]
    assert {packet.data.decode().split()[0] for packet in pictures} == {"black"}
    assert all(packet.keyframe for packet in pictures[: len(LAYERS)])
    assert tape.states() == ["live", "standby"]
    assert tape.pacing.clock.video_due_ns(pictures[0].pts) - EPOCH < CHUNK_NS // 2 + 2 * SLOT_NS
    tape.check_rules()


def test_one_cover_follows_another_and_the_programme_returns() -> None:
    tape = covered()
    tape.pacing.show_standby(make_slate(1, name="black"))
    tape.run_for(100_000_000)
    tape.pacing.hold()
    shown, heard = len(tape.video()), len(tape.audio())
    tape.run_for(100_000_000)
    assert len(tape.video()) == shown
    assert set(tape.names(tape.audio)[heard:]) == {"silence"}, "the programme's fade does not belong to black"
    tape.pacing.show_standby(make_slate(2, name="other"))
    tape.run_for(100_000_000)
    assert tape.names(tape.video)[shown] == "other 0.0"
    tape.pacing.resume()
    tape.pacing.resume()
    tape.run_for(100_000_000)
    assert tape.states() == ["live", "standby", "held", "standby", "live"]
    tape.check_rules()


def test_holding_twice_does_not_fade_twice() -> None:
    tape = covered()
    tape.pacing.hold()
    tape.run_for(5 * SLOT_NS)
    tape.pacing.hold()
    tape.run_for(5 * SLOT_NS)
    assert tape.names(tape.audio)[-5:] == ["silence"] * 5


def test_a_gap_and_a_dead_generator_are_handled_beneath_the_cover() -> None:
    tape = Tape()
    tape.pacing.put(make_chunk(0))
    tape.run_for(SLOT_NS)
    tape.pacing.show_standby(make_slate(1, name="black"))
    tape.run_for(2 * CHUNK_NS)
    assert tape.pacing.underruns == 1
    tape.pacing.put(make_chunk(1))
    tape.run_for(CHUNK_NS // 2)
    assert len(tape.shifts()) == 2, "the generator learns where its programme lies now"
    tape.pacing.show_slate()
    tape.run_for(2 * CHUNK_NS)
    assert tape.states() == ["live", "standby"]
    tape.pacing.resume()
    tape.run_for(2 * CHUNK_NS)
    assert tape.states() == ["live", "standby", "slate"]
    assert tape.names(tape.video)[-1].startswith("slate")
    tape.check_rules()


def test_segments_that_do_not_fit_the_channel_are_refused() -> None:
    pacing = make_pacing()
    with pytest.raises(ValueError, match="at least one segment"):
        pacing.show_standby(())
    (black,) = make_slate(1)
    late = replace(black, audio=tuple(replace(packet, pts=packet.pts + 1) for packet in black.audio))
    with pytest.raises(ValueError, match="another channel"):
        pacing.show_standby((late,))
    assert pacing.state == "slate"


def test_queue_is_bounded() -> None:
    pacing = make_pacing()
    for index in range(MAX_WAITING_CHUNKS):
        assert not pacing.full
        pacing.put(make_chunk(index))
    assert pacing.full
    with pytest.raises(ValueError, match="full"):
        pacing.put(make_chunk(9))


def test_chunk_whose_sound_is_too_short_is_refused() -> None:
    chunk = make_chunk(0)
    with pytest.raises(ValueError, match="15 packets"):
        make_pacing().put(replace(chunk, audio=chunk.audio[:-1]))


def test_nothing_leaves_early() -> None:
    pacing = make_pacing()
    assert pacing.release(pacing.next_due_ns() - 1) == []
    assert pacing.release(pacing.next_due_ns()) != []


@given(st.lists(st.tuples(st.sampled_from(EVENTS), st.integers(0, 700)), max_size=30))
def test_rules_hold_in_any_order_of_events(events: list[tuple[str, int]]) -> None:
    tape = Tape()
    index = 0
    for event, pause_ms in events:
        if event == "put" and not tape.pacing.full:
            tape.pacing.put(make_chunk(index, layers=LAYERS, stills=(VP8, H264)))
            index += 1
        elif event == "slate":
            tape.pacing.show_slate()
        elif event == "flush":
            tape.pacing.show_slate(flush=True)
        elif event == "restart":
            tape.pacing.show_slate()
            index = 0
        elif event == "hold":
            tape.pacing.hold()
        elif event == "standby":
            tape.pacing.show_standby(make_slate(1, name="black"))
        elif event == "resume":
            tape.pacing.resume()
        elif event in ("mute", "unmute"):
            tape.pacing.mute(on=event == "mute")
        tape.run_for(pause_ms * 1_000_000)
    tape.check_rules()
    assert tape.pacing.next_due_ns() > tape.now
