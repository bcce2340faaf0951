import dataclasses
import json

from streamgen.audience.overlay import (
    MAX_OPTIONS,
    MAX_OVERLAY_BYTES,
    MAX_SHOWN_CHARS,
    Overlay,
    OverlayPace,
    shown,
    shown_option,
)


def test_a_text_is_cut_to_what_a_screen_shows() -> None:
    assert shown("a" * MAX_SHOWN_CHARS) == "a" * MAX_SHOWN_CHARS
    assert shown("a" * (MAX_SHOWN_CHARS + 1)) == "a" * (MAX_SHOWN_CHARS - 1) + "…"


def test_the_largest_snapshot_is_within_its_bound() -> None:
    option = shown_option("p" + "9" * 15, "😀" * 500, 10**5, 1 / 3, ("😀" * 100,) * 9, 1 / 3)
    assert option.share == 0.333
    assert len(option.names) == 3
    overlay = Overlay(
        mode="continuous",
        phase="result",
        round_id="9" * 15,
        ballot="9" * 15 + "." + "s" * 32,
        stage="s" * 32,
        stages=("s" * 32,) * 8,
        options=(option,) * MAX_OPTIONS,
        voters=10**5,
        proposals=1000,
        seconds_left=86400 / 7,
        winners=(option.id,) * 8,
        decided_by="next_proposal",
        revision=10**12,
    )
    assert len(json.dumps(dataclasses.asdict(overlay), ensure_ascii=False).encode()) < MAX_OVERLAY_BYTES


def test_the_first_change_is_published_at_once_and_the_next_ones_together() -> None:
    pace = OverlayPace(4.0)
    assert pace.due_s is None
    assert not pace.take(10.0)
    pace.touch()
    assert pace.take(10.0)
    pace.touch()
    pace.touch()
    assert not pace.take(10.2)
    assert pace.due_s == 10.25
    pace.touch()
    assert pace.take(10.25)
    assert pace.coalesced == 2
    assert pace.due_s is None
    assert not pace.take(20.0)


def test_never_more_than_the_rate_and_the_last_change_is_never_lost() -> None:
    pace = OverlayPace(4.0)
    published = []
    for step in range(1000):
        pace.touch()
        if pace.take(step / 64):
            published.append(step / 64)
    assert published == [n / 4 for n in range(63)]
    assert pace.due_s is not None
    assert pace.take(pace.due_s)
