import json
from typing import Any

import pytest

from bench.figures import Asked, Hold, Shown
from bench.observed import Observed, reception_between

OFFSET = 2**32 - 9000  # wraps after 0.1 s of media time


def log(**lists: Any) -> dict[str, Any]:
    names = ("clicks", "enters", "sessions", "pictures", "sent", "messages", "playout")
    empty: dict[str, Any] = {name: [] for name in names} | {"lost": 0}
    return empty | lists


def picture(pts: int, at_ms: float) -> list[float]:
    return [(OFFSET + pts) % 2**32, at_ms]


def frame(at_ms: float, **message: Any) -> list[Any]:
    return [at_ms, json.dumps(message)]


def test_pictures_get_their_media_time_over_the_wrap_and_over_two_fetches() -> None:
    observed = Observed()
    observed.take(log(sessions=[[50.0, OFFSET, 0.0]], pictures=[picture(0, 60.0), picture(7200, 140.0)]))
    observed.take(log(pictures=[picture(14_400, 220.0), [None, 300.0]]))
    assert observed.shown == [Shown(0, 60.0), Shown(7200, 140.0), Shown(14_400, 220.0)]
    assert observed.shown_ms == [60.0, 140.0, 220.0, 300.0]


def test_a_second_session_has_an_offset_of_its_own() -> None:
    observed = Observed()
    observed.take(
        log(
            sessions=[[50.0, 1000, 10.0], [500.0, 77, 20.0]],
            pictures=[[1000 + 900_000, 60.0], [77 + 1_800_000, 600.0]],
        )
    )
    assert observed.shown == [Shown(900_000, 60.0), Shown(1_800_000, 600.0)]


def test_pictures_without_a_known_offset_are_counted_only() -> None:
    observed = Observed()
    observed.take(log(sessions=[[50.0, None, None]], pictures=[[5, 60.0]]))
    assert observed.shown == []
    assert observed.shown_ms == [60.0]


def test_first_picture_counts_from_the_click() -> None:
    observed = Observed()
    assert observed.first_picture_ms is None
    observed.take(log(clicks=[1000.0]))
    assert observed.first_picture_ms is None
    observed.take(log(pictures=[[1, 1400.0], [2, 1480.0]]))
    assert observed.first_picture_ms == 400.0


def test_a_prompt_is_followed_from_enter_to_applied() -> None:
    observed = Observed()
    observed.take(
        log(
            enters=[100.0, 200.0, 900.0],
            sent=[
                frame(203.0, type="ping", id="p"),
                frame(204.0, type="prompt.set", id="a", text="sea"),
                frame(905.0, type="prompt.set", id="b", text="fire"),
            ],
            messages=[
                frame(230.0, type="queued", id="a", eta_ms=400),
                frame(240.0, type="queued", id="of somebody else", eta_ms=400),
                frame(600.0, type="applied", id="a", chunk=3, media_time=1.28, rtp_video=115_200),
                frame(950.0, type="rejected", id="b", reason="empty"),
            ],
        )
    )
    assert observed.asked() == [
        Asked("a", 200.0, 230.0, 600.0, 115_200),
        Asked("b", 900.0, None, None, None),
    ]
    assert observed.outcomes() == {"applied": 1, "superseded": 0, "rejected": 1}


def test_an_older_server_tells_media_time_in_seconds_only() -> None:
    observed = Observed()
    observed.take(
        log(
            enters=[1.0],
            sent=[frame(2.0, type="prompt.set", id="a", text="sea")],
            messages=[frame(3.0, type="applied", id="a", chunk=3, media_time=1.28)],
        )
    )
    assert observed.asked()[0].pts == 115_200


def test_skew_is_picture_minus_sound() -> None:
    observed = Observed()
    observed.take(log(playout=[[10.0, 3_900_000_040.0, 3_900_000_000.0], [510.0, 3_900_000_500.0, 3_900_000_520.0]]))
    assert observed.skew_ms == [40.0, -20.0]


def test_standstills_are_read_from_the_messages() -> None:
    observed = Observed()
    observed.take(
        log(
            messages=[
                frame(10.0, type="buffering", active=True, reason="underrun", media_time=1.0),
                frame(90.0, type="buffering", active=False, reason=None, media_time=1.0),
            ]
        )
    )
    assert observed.holds() == [Hold("underrun", 10.0, 80.0)]


def test_after_forgetting_the_session_is_still_known() -> None:
    observed = Observed()
    observed.take(log(sessions=[[50.0, OFFSET, 0.0]], pictures=[picture(0, 60.0)], playout=[[1.0, 2.0, 3.0]]))
    observed.forget()
    assert (observed.shown, observed.shown_ms, observed.skew_ms) == ([], [], [])
    observed.take(log(pictures=[picture(7200, 140.0)]))
    assert observed.shown == [Shown(7200, 140.0)]


def test_reception_is_what_grew_between_two_reports() -> None:
    before = {
        "video": {"framesDecoded": 10, "jitterBufferDelay": 1.0, "jitterBufferEmittedCount": 10, "frameWidth": 640},
        "audio": {"packetsLost": 1},
    }
    after = {
        "video": {
            "framesDecoded": 35, "freezeCount": 2, "jitterBufferDelay": 3.5, "jitterBufferEmittedCount": 35,
            "frameWidth": 640,
        },
        "audio": {"packetsLost": 1},
    }  # fmt: skip
    found = reception_between(before, after)
    assert found["video"] == {"framesDecoded": 25, "freezeCount": 2, "jitter_buffer_ms": pytest.approx(100.0)}
    assert found["audio"] == {"packetsLost": 0}


def test_a_track_that_never_came_has_no_figures() -> None:
    assert reception_between({}, {}) == {"video": {}, "audio": {}}
