"""Proposals that won, until the prompt that was made of them plays. Free of I/O.

In a cascade a proposal wins its stage before there is a prompt: it waits here until the round comes to one. Memory is
bounded by `MAX_PROMPTS`; full-policy: the oldest prompt is forgotten, and whoever asks again for one of its proposals
hears that it was accepted.
"""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final, TypeAlias

from streamgen.protocol import Applied, Held, Queued, Rejected, ServerMessage, Superseded

MAX_PROMPTS: Final = 16

Asked: TypeAlias = tuple[str, str]  # voter, and the id that the voter gave the proposal


class Winners:
    """Who is told what becomes of a prompt that the audience chose."""

    def __init__(self) -> None:
        self._waiting: dict[Asked, str] = {}  # won; and the round in which it did
        self._prompts: OrderedDict[str, tuple[Asked, ...]] = OrderedDict()
        self._latest: dict[str, ServerMessage] = {}  # prompt -> what was said of it last

    @property
    def waiting(self) -> tuple[tuple[str, str, str], ...]:
        """Voter, id and round of those whose prompt is not made yet, to be stored."""
        return tuple((voter, id, round) for (voter, id), round in self._waiting.items())

    def won(self, voter: str, id: str, round: str) -> None:
        """This proposal has won a vote of this round."""
        self._waiting[voter, id] = round

    def play(self, prompt: str) -> None:
        """The round has come to this prompt; everything that waited is in it."""
        self._prompts[prompt] = tuple(self._waiting)
        self._waiting.clear()
        if len(self._prompts) > MAX_PROMPTS:
            forgotten, _ = self._prompts.popitem(last=False)
            self._latest.pop(forgotten, None)

    def broken_off(self, round: str | None) -> tuple[Asked, ...]:
        """Those of any other round than this one, the one that runs: no prompt will be made of them."""
        lost = tuple(asked for asked, of in self._waiting.items() if of != round)
        for asked in lost:
            del self._waiting[asked]
        return lost

    def said(self, message: ServerMessage) -> Sequence[tuple[str, ServerMessage]]:
        """The channel says something of a prompt: who is told, and in words about their own proposal."""
        if not isinstance(message, Held | Queued | Applied | Superseded | Rejected):
            return ()
        if message.id is None or message.id not in self._prompts:
            return ()
        self._latest[message.id] = message
        return [(voter, message.model_copy(update={"id": id})) for voter, id in self._prompts[message.id]]

    def again(self, voter: str, id: str) -> ServerMessage | None:
        """What was said last about a proposal that won; None for nothing yet, or no longer known."""
        for prompt, asked in self._prompts.items():
            if (voter, id) in asked:
                latest = self._latest.get(prompt)
                return None if latest is None else latest.model_copy(update={"id": id})
        return None
