import asyncio

import pytest

from streamgen.packets import AudioPacket, VideoPacket
from streamgen.webrtc.subscription import HELD_AUDIO_PACKETS, Subscription, SubscriptionClosedError

PICTURE = 7200  # 90 kHz ticks
BACKLOG = 4


def picture(number: int, *, keyframe: bool = False) -> VideoPacket:
    return VideoPacket("vp8", number * PICTURE, keyframe, b"picture")


def sound(number: int, offset: int = 0) -> AudioPacket:
    return AudioPacket(number * 960 + offset, b"sound")


class Asked:
    """Counts the subscription's calls to its owner."""

    def __init__(self, *, video_backlog: int = BACKLOG, audio_backlog: int = 16) -> None:
        self.keyframes = 0
        self.closed: list[Subscription] = []
        self.subscription = Subscription(
            "vp8",
            need_keyframe=self._keyframe,
            on_close=self.closed.append,
            video_backlog=video_backlog,
            audio_backlog=audio_backlog,
        )

    def _keyframe(self) -> None:
        self.keyframes += 1


async def pictures(subscription: Subscription, count: int) -> list[int]:
    async with asyncio.timeout(5):
        return [(await subscription.next_video()).pts // PICTURE for _ in range(count)]


async def sounds(subscription: Subscription, count: int) -> list[int]:
    async with asyncio.timeout(5):
        return [(await subscription.next_audio()).pts for _ in range(count)]


async def is_empty(subscription: Subscription) -> bool:
    """Whether a reader of either queue has to wait. Only for the end of a test: the readers are given up."""
    readers = [asyncio.create_task(subscription.next_video()), asyncio.create_task(subscription.next_audio())]
    for _ in range(3):
        await asyncio.sleep(0)
    waiting = not any(reader.done() for reader in readers)
    for reader in readers:
        reader.cancel()
    await asyncio.gather(*readers, return_exceptions=True)
    return waiting


async def test_packets_pass_by_before_the_start() -> None:
    asked = Asked()
    asked.subscription.offer_video(picture(0, keyframe=True))
    asked.subscription.offer_audio(sound(0))
    assert asked.keyframes == 0
    assert await is_empty(asked.subscription)


async def test_start_asks_for_a_keyframe_once() -> None:
    asked = Asked()
    asked.subscription.start()
    asked.subscription.start()
    assert asked.keyframes == 1


async def test_both_tracks_start_at_the_keyframe() -> None:
    subscription = Asked().subscription
    subscription.start()
    subscription.offer_video(picture(0))
    subscription.offer_audio(sound(0))
    subscription.offer_audio(sound(3))
    subscription.offer_audio(sound(4))  # of the keyframe's moment, released just before it
    subscription.offer_video(picture(1, keyframe=True))
    subscription.offer_audio(sound(5))
    subscription.offer_video(picture(2))
    assert await pictures(subscription, 2) == [1, 2]
    assert await sounds(subscription, 2) == [4 * 960, 5 * 960]
    assert subscription.first_pts == PICTURE
    assert (subscription.video_dropped, subscription.audio_dropped) == (0, 0)


async def test_sound_that_is_not_a_multiple_of_a_packet_starts_after_the_keyframe() -> None:
    subscription = Asked().subscription
    subscription.start()
    subscription.offer_audio(sound(4, -1))
    subscription.offer_audio(sound(5, -1))
    subscription.offer_video(picture(1, keyframe=True))
    assert await sounds(subscription, 1) == [5 * 960 - 1]


async def test_sound_held_for_the_start_is_bounded() -> None:
    subscription = Asked().subscription
    subscription.start()
    for number in range(1000):
        subscription.offer_audio(sound(number))
    subscription.offer_video(picture(0, keyframe=True))
    assert await sounds(subscription, HELD_AUDIO_PACKETS) == [960 * each for each in range(995, 1000)]
    await pictures(subscription, 1)
    assert await is_empty(subscription)


async def test_overflow_drops_to_the_next_keyframe() -> None:
    asked = Asked()
    subscription = asked.subscription
    subscription.start()
    subscription.offer_video(picture(0, keyframe=True))
    dropped = [subscription.offer_video(picture(number)) for number in range(1, 7)]
    # The fifth picture does not fit: it and the four that wait cannot be shown without a gap.
    assert dropped == [0, 0, 0, 5, 1, 1]
    assert asked.keyframes == 2
    subscription.offer_video(picture(7, keyframe=True))
    subscription.offer_video(picture(8))
    assert await pictures(subscription, 2) == [7, 8]
    assert subscription.video_dropped == 7


async def test_overflow_keeps_a_keyframe_that_waits() -> None:
    asked = Asked()
    subscription = asked.subscription
    subscription.start()
    subscription.offer_video(picture(0, keyframe=True))
    subscription.offer_video(picture(1))
    subscription.offer_video(picture(2, keyframe=True))
    subscription.offer_video(picture(3))
    assert subscription.offer_video(picture(4)) == 2
    assert await pictures(subscription, 3) == [2, 3, 4]
    assert asked.keyframes == 1


async def test_keyframe_that_does_not_fit_replaces_what_waits() -> None:
    subscription = Asked().subscription
    subscription.start()
    subscription.offer_video(picture(0, keyframe=True))
    for number in range(1, 4):
        subscription.offer_video(picture(number))
    assert subscription.offer_video(picture(4, keyframe=True)) == 4
    assert await pictures(subscription, 1) == [4]


async def test_sound_goes_on_while_video_resyncs() -> None:
    subscription = Asked(video_backlog=1).subscription
    subscription.start()
    subscription.offer_video(picture(0, keyframe=True))
    subscription.offer_video(picture(1))
    assert subscription.offer_audio(sound(4)) == 0
    assert await sounds(subscription, 1) == [4 * 960]


async def test_full_sound_queue_drops_the_oldest() -> None:
    subscription = Asked(audio_backlog=2).subscription
    subscription.start()
    subscription.offer_video(picture(0, keyframe=True))
    assert [subscription.offer_audio(sound(number)) for number in range(4)] == [0, 0, 1, 1]
    assert await sounds(subscription, 2) == [2 * 960, 3 * 960]
    assert subscription.audio_dropped == 2


@pytest.mark.parametrize(("started", "asks"), [(False, 0), (True, 2)])
async def test_lost_picture_asks_for_a_keyframe_only_while_media_flows(*, started: bool, asks: int) -> None:
    asked = Asked()
    if started:
        asked.subscription.start()
    asked.subscription.request_keyframe()
    assert asked.keyframes == asks


async def test_close_wakes_the_readers_and_is_idempotent() -> None:
    asked = Asked()
    subscription = asked.subscription
    subscription.start()
    readers = [asyncio.create_task(subscription.next_video()), asyncio.create_task(subscription.next_audio())]
    await asyncio.sleep(0)
    subscription.close()
    subscription.close()
    async with asyncio.timeout(5):
        results = await asyncio.gather(*readers, return_exceptions=True)
    assert all(isinstance(result, SubscriptionClosedError) for result in results)
    assert asked.closed == [subscription]


async def test_closed_subscription_takes_nothing() -> None:
    asked = Asked()
    subscription = asked.subscription
    subscription.start()
    subscription.offer_video(picture(0, keyframe=True))
    subscription.close()
    assert subscription.offer_video(picture(1)) == 0
    subscription.request_keyframe()
    assert asked.keyframes == 1
    with pytest.raises(SubscriptionClosedError):
        await subscription.next_video()
