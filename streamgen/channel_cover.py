"""What covers a channel's programme: the last picture, black or the slate, in silence, and a sound that is muted.

It acts within a slot of 20 ms and asks nothing of the generator. All methods belong to the event loop's thread.
"""

from collections.abc import Callable

from streamgen.media.pacer import Pacer
from streamgen.media.standby import Segments
from streamgen.protocol import PanicAction


class ChannelCover:
    """Covers the programme that a pacer releases, and takes the cover away.

    Attributes:
        slate, black: what is shown.
    """

    def __init__(self, pacer: Pacer, *, slate: Segments, black: Segments, ask_keyframes: Callable[[], None]) -> None:
        """`ask_keyframes` asks the generator for one in each watched layer: with it the programme comes back."""
        self._pacer = pacer
        self.slate = slate
        self.black = black
        self._ask_keyframes = ask_keyframes

    def panic(self, action: PanicAction) -> None:
        """Cover the programme or mute it until that is taken back, which `off` does with both."""
        match action:
            case "hold":
                self._pacer.hold()
            case "slate":
                self._pacer.show_standby(self.slate)
            case "black":
                self._pacer.show_standby(self.black)
            case "mute":
                self._pacer.mute(on=True)
            case "off":
                self._pacer.mute(on=False)
                self._uncover()

    def _uncover(self) -> None:
        if self._pacer.state in ("held", "standby"):
            self._pacer.resume()
            self._ask_keyframes()
