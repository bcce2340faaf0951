from collections.abc import Iterable

import pytest

from streamgen.packets import AudioPacket, Layer
from streamgen.rtp.adaptation import Choice
from streamgen.rtp.outgoing import Picture
from streamgen.webrtc.subscription import Subscription

PICTURE = 5400
TOP, MIDDLE, LOW = (Layer("vp8", rung) for rung in range(3))


class Board:
    """A fan-out that notes what it is asked."""

    def __init__(self) -> None:
        self.bitrates: tuple[int, ...] = (900_000, 600_000, 400_000)
        self.watchers: dict[Layer, int] = {}
        self.keyframes: list[Layer] = []
        self.left: list[Subscription] = []
        self.stills: dict[Layer, Picture] = {}

    def watch(self, layer: Layer, change: int) -> None:
        self.watchers[layer] = self.watchers.get(layer, 0) + change

    def request_keyframe(self, layer: Layer) -> None:
        self.keyframes.append(layer)

    def still_of(self, layer: Layer) -> Picture | None:
        return self.stills.get(layer)

    def leave(self, subscription: Subscription) -> None:
        self.left.append(subscription)

    @property
    def watched(self) -> set[Layer]:
        return {layer for layer, count in self.watchers.items() if count}


class Tape:
    """An outlet that notes what it sends."""

    def __init__(self) -> None:
        self.pictures: list[Picture] = []
        self.stills: list[Picture] = []
        self.sound: list[int] = []
        self.probes: list[int] = []
        self.ticks: list[float] = []

    def video(self, picture: Picture) -> None:
        self.pictures.append(picture)

    def still(self, picture: Picture) -> None:
        self.stills.append(picture)

    def audio(self, packet: AudioPacket) -> None:
        self.sound.append(packet.pts)

    def probe(self, bitrate: int) -> None:
        self.probes.append(bitrate)

    def tick(self, now_s: float) -> None:
        self.ticks.append(now_s)

    @property
    def shown(self) -> list[tuple[int, int]]:
        """Number and rung of each picture."""
        return [(picture.pts // PICTURE, picture.layer.rung) for picture in self.pictures]


class Whim:
    """A chooser that wants what the test wants."""

    def __init__(self, rung: int) -> None:
        self.choice = Choice(rung, 0)

    def choose(self, now_s: float) -> Choice:
        return self.choice

    def sent(self, size_bytes: int, now_s: float, *, padding: bool = False) -> None:
        """What leaves does not change its mind."""

    def report(self, fraction_lost: float, rtt_s: float | None, now_s: float) -> None:
        """Nor does what comes back."""

    def nacked(self, packets: int, now_s: float) -> None:
        """Nor what is lost."""

    def remb(self, bitrate: float, now_s: float) -> None:
        """Nor what the viewer thinks of the network."""


def instant(
    number: int, *, keyframes: Iterable[Layer] = (), layers: Iterable[Layer] = (TOP, MIDDLE, LOW)
) -> dict[Layer, Picture]:
    wanted = set(keyframes)
    return {layer: Picture(layer, number * PICTURE, layer in wanted, (b"body",)) for layer in layers}


def subscribed(board: Board, rung: int = 1) -> Subscription:
    subscription = Subscription("vp8", board, lambda: 0.0)
    # The rung to begin with is the chooser's affair; here it is the test's.
    board.watch(subscription.layer, -1)
    subscription.layer = Layer("vp8", rung)
    board.watch(subscription.layer, 1)
    subscription.chooser = Whim(rung)  # type: ignore[assignment]
    return subscription


def sound(number: int) -> AudioPacket:
    return AudioPacket(number * 960, b"sound")


def test_nothing_is_sent_before_the_connection_can_carry_it() -> None:
    board = Board()
    subscription = subscribed(board)
    subscription.pictures(instant(0, keyframes=[MIDDLE]))
    subscription.audio(sound(0))
    subscription.tick(1.0)
    assert not subscription.flowing
    assert subscription.first_pts is None


def test_a_viewer_starts_both_tracks_with_a_keyframe_of_its_layer() -> None:
    board, tape = Board(), Tape()
    subscription = subscribed(board)
    subscription.start(tape)
    assert board.keyframes == [MIDDLE]
    subscription.pictures(instant(3, keyframes=[TOP]))
    for number in range(9, 13):  # 180 to 240 ms
        subscription.audio(sound(number))
    subscription.pictures(instant(4, keyframes=[MIDDLE]))  # 240 ms
    subscription.audio(sound(13))
    subscription.pictures(instant(5))
    assert tape.shown == [(4, 1), (5, 1)]
    assert tape.sound == [12 * 960, 13 * 960]
    assert subscription.first_pts == 4 * PICTURE


def test_a_joiner_sees_a_still_at_once_and_the_stream_from_its_keyframe_on() -> None:
    board, tape = Board(), Tape()
    still = Picture(MIDDLE, 4 * PICTURE, True, (b"still",))
    board.stills = {MIDDLE: still, TOP: Picture(TOP, 4 * PICTURE, True, (b"other",))}
    subscription = subscribed(board)
    subscription.start(tape)
    assert tape.stills == [still]
    assert subscription.first_pts == 4 * PICTURE
    assert board.keyframes == [MIDDLE]
    assert not subscription.flowing
    subscription.pictures(instant(5))  # refers to pictures that it has not got
    subscription.audio(sound(20))
    assert not tape.pictures
    subscription.pictures(instant(6, keyframes=[MIDDLE]))
    assert tape.shown == [(6, 1)]
    assert tape.sound == [20 * 960]


def test_starting_again_changes_nothing() -> None:
    board, tape = Board(), Tape()
    subscription = subscribed(board)
    subscription.start(tape)
    subscription.start(Tape())
    subscription.pictures(instant(0, keyframes=[MIDDLE]))
    assert tape.shown == [(0, 1)]
    assert board.keyframes == [MIDDLE]


def flowing(board: Board, tape: Tape, rung: int = 1) -> tuple[Subscription, Whim]:
    subscription = subscribed(board, rung)
    subscription.start(tape)
    subscription.pictures(instant(0, keyframes=[Layer("vp8", rung)]))
    board.keyframes.clear()
    whim = subscription.chooser
    assert isinstance(whim, Whim)
    return subscription, whim


def test_a_change_of_layer_waits_for_its_keyframe_and_leaves_no_gap() -> None:
    board, tape = Board(), Tape()
    subscription, whim = flowing(board, tape)
    whim.choice = Choice(2, 0)
    subscription.tick(1.0)
    assert board.keyframes == [LOW]
    assert board.watched == {MIDDLE, LOW}
    subscription.pictures(instant(1))
    subscription.pictures(instant(2, keyframes=[LOW]))
    subscription.pictures(instant(3))
    assert tape.shown == [(0, 1), (1, 1), (2, 2), (3, 2)]
    assert board.watched == {LOW}
    assert (subscription.layer, subscription.switches) == (LOW, 1)


def test_a_change_that_is_not_wanted_any_more_is_given_up() -> None:
    board, tape = Board(), Tape()
    subscription, whim = flowing(board, tape)
    whim.choice = Choice(2, 0)
    subscription.tick(1.0)
    whim.choice = Choice(1, 0)
    subscription.tick(1.1)
    subscription.pictures(instant(1, keyframes=[LOW]))
    assert tape.shown == [(0, 1), (1, 1)]
    assert board.watched == {MIDDLE}
    assert subscription.switches == 0


def test_a_wish_that_stays_is_asked_for_once() -> None:
    board, tape = Board(), Tape()
    subscription, whim = flowing(board, tape)
    whim.choice = Choice(0, 0)
    for tick in range(10):
        subscription.tick(tick / 10)
    assert board.keyframes == [TOP]
    assert board.watchers[TOP] == 1


def test_a_picture_that_its_layer_lacks_is_not_replaced() -> None:
    board, tape = Board(), Tape()
    subscription, _ = flowing(board, tape)
    subscription.pictures(instant(1, layers=[TOP]))
    assert tape.shown == [(0, 1)]


def test_a_lost_picture_asks_for_a_keyframe_of_the_layer_that_is_watched() -> None:
    board, tape = Board(), Tape()
    subscription, _ = flowing(board, tape, rung=0)
    subscription.request_keyframe()
    assert board.keyframes == [TOP]


def test_probing_and_reports_follow_the_clock() -> None:
    board, tape = Board(), Tape()
    subscription, whim = flowing(board, tape)
    whim.choice = Choice(1, 200_000)
    subscription.tick(0.5)
    assert (tape.probes, tape.ticks) == ([200_000], [0.5])


def test_after_its_end_a_viewer_gets_and_watches_nothing() -> None:
    board, tape = Board(), Tape()
    subscription, whim = flowing(board, tape)
    whim.choice = Choice(0, 0)
    subscription.tick(1.0)
    subscription.close()
    subscription.close()
    subscription.pictures(instant(1, keyframes=[TOP]))
    subscription.audio(sound(1))
    subscription.tick(2.0)
    subscription.request_keyframe()
    assert tape.shown == [(0, 1)]
    assert board.watched == set()
    assert board.left == [subscription]


@pytest.mark.parametrize(("bitrates", "rung"), [((900_000,), 0), ((900_000, 600_000), 1)])
def test_when_the_ladder_changes_viewers_move_to_what_there_is(bitrates: tuple[int, ...], rung: int) -> None:
    board, tape = Board(), Tape()
    subscription, _ = flowing(board, tape, rung=2)
    board.bitrates = bitrates
    subscription.ladder_changed()
    subscription.pictures(instant(1, keyframes=[Layer("vp8", rung)]))
    assert tape.shown == [(0, 2), (1, rung)]
