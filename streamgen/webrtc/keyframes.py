"""When to ask an encoder for a keyframe: many viewers ask, the encoder is asked seldom. Free of I/O and clocks."""

from typing import Final

KEYFRAME_FLOOR_NS: Final = 500_000_000  # least time between two requests that reach the encoder
KEYFRAME_PATIENCE_NS: Final = 2_000_000_000  # an unanswered request was lost (a restarted generator): ask again


class KeyframeCoalescer:
    """Merges the keyframe requests of all viewers of one codec.

    A keyframe costs many times a normal picture, and a viewer that cannot decode asks some 25 times a second.
    While a request is on its way to the encoder further ones are absorbed, since the keyframe that is coming
    serves them too. Afterwards at least `floor_ns` pass between two requests; one that comes earlier is kept and
    becomes due later. Every method takes the time (monotonic, ns); the two that return bool say "ask now".
    """

    def __init__(self, floor_ns: int = KEYFRAME_FLOOR_NS, patience_ns: int = KEYFRAME_PATIENCE_NS) -> None:
        self._floor_ns = floor_ns
        self._patience_ns = patience_ns
        self._wanted = False  # a viewer asked and no keyframe has passed since
        self._outstanding = False  # the encoder was asked and has not delivered yet
        self._asked_ns: int | None = None  # when the encoder was last asked
        self.requests = 0  # all that viewers asked for
        self.forwarded = 0  # those that reached the encoder

    def request(self, now_ns: int) -> bool:
        """A viewer needs a keyframe."""
        self.requests += 1
        self._wanted = True
        return self.due(now_ns)

    def due(self, now_ns: int) -> bool:
        """To be called with each picture: is there a kept or unanswered request whose time has come?"""
        if not self._wanted:
            return False
        if self._asked_ns is not None:
            pause_ns = self._patience_ns if self._outstanding else self._floor_ns
            if now_ns - self._asked_ns < pause_ns:
                return False
        self._asked_ns = now_ns
        self._outstanding = True
        self.forwarded += 1
        return True

    def keyframe(self) -> None:
        """A keyframe has gone out to everybody: all that was asked for so far is served."""
        self.reset()

    def reset(self) -> None:
        """Nobody is waiting any more, because a keyframe came or the last viewer left."""
        self._wanted = False
        self._outstanding = False
