"""What a page wrote down (`observe.js`), and what follows from it. Free of I/O."""

import json
from dataclasses import dataclass, field
from typing import Any, Final

from bench.figures import Asked, Hold, Shown, holds
from streamgen_client.rtp import VIDEO_CLOCK_HZ, RtpTimeline

RECEPTION_COUNTS: Final = (
    "framesReceived",
    "framesDecoded",
    "framesDropped",
    "freezeCount",
    "totalFreezesDuration",
    "packetsReceived",
    "packetsLost",
    "nackCount",
    "pliCount",
    "concealedSamples",
    "concealmentEvents",
    "silentConcealedSamples",
    "insertedSamplesForDeceleration",
    "removedSamplesForAcceleration",
    "totalSamplesReceived",
    "jitterBufferDelay",
    "jitterBufferEmittedCount",
)
"""Of `inbound-rtp` (W3C WebRTC statistics): everything that only grows."""


@dataclass
class Observed:
    """One page's life so far. Times are ms of its own clock."""

    clicks_ms: list[float] = field(default_factory=list)
    enters_ms: list[float] = field(default_factory=list)
    shown_ms: list[float] = field(default_factory=list)  # every presented picture
    shown: list[Shown] = field(default_factory=list)  # those whose media time is known
    skew_ms: list[float] = field(default_factory=list)  # played picture minus played sound, by capture time
    skew_at_ms: list[float] = field(default_factory=list)  # when that was
    sent: list[tuple[float, dict[str, Any]]] = field(default_factory=list)
    messages: list[tuple[float, dict[str, Any]]] = field(default_factory=list)
    lost: int = 0  # entries that did not fit into the page's lists
    session: tuple[int, float] | None = None  # RTP offset of the newest, and the media time (s) at which it began
    _sessions: list[tuple[float, RtpTimeline]] = field(default_factory=list)

    def take(self, log: dict[str, Any]) -> None:
        """Add what `takeObserved()` returned."""
        self.clicks_ms += log["clicks"]
        self.enters_ms += log["enters"]
        self.sent += [(at_ms, json.loads(frame)) for at_ms, frame in log["sent"]]
        self.messages += [(at_ms, json.loads(frame)) for at_ms, frame in log["messages"]]
        self.skew_ms += [picture - sound for _, picture, sound in log["playout"]]
        self.skew_at_ms += [at_ms for at_ms, _, _ in log["playout"]]
        self.lost = log["lost"]
        for at_ms, offset, media_time_s in log["sessions"]:
            if offset is not None:
                self.session = (int(offset), media_time_s or 0.0)
                self._sessions.append((at_ms, RtpTimeline(int(offset), VIDEO_CLOCK_HZ, media_time_s or 0.0)))
        for timestamp, at_ms in log["pictures"]:
            self.shown_ms.append(at_ms)
            timeline = next((each for since, each in reversed(self._sessions) if since <= at_ms), None)
            if timestamp is not None and timeline is not None:
                self.shown.append(Shown(timeline.pts(timestamp), at_ms))

    def forget(self) -> None:
        """Begin anew; the sessions stay, because the pictures to come belong to them."""
        everything: tuple[list[Any], ...] = (
            self.clicks_ms,
            self.enters_ms,
            self.shown_ms,
            self.shown,
            self.skew_ms,
            self.skew_at_ms,
            self.sent,
            self.messages,
        )
        for entries in everything:
            entries.clear()

    @property
    def first_picture_ms(self) -> float | None:
        """From the first click to the first picture presented after it; None before both."""
        if not self.clicks_ms:
            return None
        click_ms = self.clicks_ms[0]
        return next((at_ms - click_ms for at_ms in self.shown_ms if at_ms >= click_ms), None)

    def asked(self) -> list[Asked]:
        """Every prompt that left this page, with the Enter that sent it."""
        found = []
        for sent_ms, message in self.sent:
            if message.get("type") != "prompt.set":
                continue
            id = message["id"]
            entered_ms = next((at_ms for at_ms in reversed(self.enters_ms) if at_ms <= sent_ms), sent_ms)
            queued = self._answer("queued", id)
            applied = self._answer("applied", id)
            pts = None
            if applied is not None:
                rtp_video = applied[1].get("rtp_video")
                pts = round(applied[1]["media_time"] * VIDEO_CLOCK_HZ) if rtp_video is None else int(rtp_video)
            found.append(
                Asked(
                    id,
                    entered_ms,
                    None if queued is None else queued[0],
                    None if applied is None else applied[0],
                    pts,
                )
            )
        return found

    def outcomes(self) -> dict[str, int]:
        """How many of this page's prompts got each final answer."""
        own = {message["id"] for _, message in self.sent if message.get("type") == "prompt.set"}
        counts = {"applied": 0, "superseded": 0, "rejected": 0}
        for _, message in self.messages:
            if message.get("id") in own and message["type"] in counts:
                counts[message["type"]] += 1
        return counts

    def holds(self) -> list[Hold]:
        """When the server said that the media stood still."""
        return holds(
            (at_ms, message["active"], message.get("reason"))
            for at_ms, message in self.messages
            if message["type"] == "buffering"
        )

    def _answer(self, kind: str, id: str) -> tuple[float, dict[str, Any]] | None:
        return next(((at, each) for at, each in self.messages if each["type"] == kind and each.get("id") == id), None)


def reception_between(before: dict[str, Any], after: dict[str, Any]) -> dict[str, dict[str, float]]:
    """What was received between two reports of the same session, by kind of track.

    `jitter_buffer_ms` is the mean stay in the jitter buffer during that time: of a picture, or of a sample of sound.
    """
    found: dict[str, dict[str, float]] = {}
    for kind in ("video", "audio"):
        early, late = before.get(kind, {}), after.get(kind, {})
        counts = {name: late[name] - early.get(name, 0) for name in RECEPTION_COUNTS if name in late}
        delay_s, emitted = counts.pop("jitterBufferDelay", 0), counts.pop("jitterBufferEmittedCount", 0)
        if emitted > 0:
            counts["jitter_buffer_ms"] = 1000 * delay_s / emitted
        found[kind] = counts
    return found
