"""Sound beside the decoding of pictures: order, waiting, errors and beginning anew."""

import threading

import numpy as np
import pytest

from streamgen_engines.chunk import Float32Array, Shares, UInt8Array
from streamgen_engines.errors import NonFiniteError
from streamgen_engines.sound_thread import SoundThread

PICTURES = np.zeros((4, 2, 2, 3), np.uint8)
TOLD: Shares = (("rain", 1.0),)


class Slow:
    """Notes what it is asked and by whom; it sees only when it may, and fails when told to."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.threads: set[str] = set()
        self.may_see = threading.Event()
        self.may_see.set()
        self.failure: Exception | None = None

    def _note(self, call: str) -> None:
        self.calls.append(call)
        self.threads.add(threading.current_thread().name)

    def begin(self, heard: Shares, seed: int, *, cut: bool = False) -> None:
        self._note(f"begin {heard[0][0]} {seed} {cut}")

    def see(self, pictures: UInt8Array) -> None:
        assert self.may_see.wait(10)
        self._note(f"see {len(pictures)}")
        if self.failure is not None:
            raise self.failure

    def finish(self) -> Float32Array:
        self._note("finish")
        return np.full((2, 3), len(self.calls), np.float32)

    def reset(self) -> None:
        self._note("reset")


def test_calls_keep_their_order_on_one_other_thread() -> None:
    inner = Slow()
    tested = SoundThread(inner)
    tested.begin(TOLD, 7, cut=True)
    tested.see(PICTURES)
    tested.see(PICTURES[:2])
    assert (tested.finish() == 4).all()
    assert inner.calls == ["begin rain 7 True", "see 4", "see 2", "finish"]
    assert len(inner.threads) == 1
    assert inner.threads != {threading.current_thread().name}


def test_pictures_go_on_while_sound_is_made() -> None:
    inner = Slow()
    inner.may_see.clear()
    tested = SoundThread(inner)
    tested.begin(TOLD, 7)
    for _ in range(3):
        tested.see(PICTURES)  # returns, although none of them can be seen yet
    assert "see 4" not in inner.calls
    inner.may_see.set()
    tested.finish()
    assert inner.calls.count("see 4") == 3


def test_an_error_on_the_way_comes_out_at_the_end() -> None:
    inner = Slow()
    inner.failure = NonFiniteError("no numbers")
    tested = SoundThread(inner)
    tested.begin(TOLD, 7)
    tested.see(PICTURES)
    with pytest.raises(NonFiniteError, match="no numbers"):
        tested.finish()
    inner.failure = None
    tested.reset()
    tested.begin(TOLD, 7)
    tested.see(PICTURES)
    tested.finish()


def test_a_chunk_that_was_given_up_is_forgotten_with_its_error() -> None:
    inner = Slow()
    inner.failure = NonFiniteError("no numbers")
    tested = SoundThread(inner)
    tested.begin(TOLD, 7)
    tested.see(PICTURES)
    tested.reset()
    assert inner.calls[-1] == "reset"
    inner.failure = None
    tested.begin(TOLD, 7)
    tested.finish()
