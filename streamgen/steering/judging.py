"""Requests whose texts are looked at: by moderation first, and then perhaps by an operator. Free of I/O.

Documents, which have many texts, wait in a line of their own, so that prompts do not wait for them.

Full-policy: at most `MAX_JUDGED` prompts and `MAX_DOCUMENTS` documents wait for a verdict, and `MAX_HELD` requests for
an operator; one more is rejected.
"""

from collections.abc import Iterator
from typing import Final

from streamgen.moderation.verdict import Verdict
from streamgen.protocol import Held, HeldPrompt, TimelineLoad
from streamgen.steering.effects import Delivery, Screening
from streamgen.steering.ledger import Ledger
from streamgen.steering.open_request import OpenRequest, Worded, set_prompt
from streamgen.steering.registry import answer

MAX_JUDGED: Final = 32  # prompts whose verdict has not come; one more is rejected
MAX_DOCUMENTS: Final = 4  # documents whose verdict has not come; one more is rejected
MAX_HELD: Final = 64  # requests that wait for an operator; one more is rejected


class Judging:
    """What waits to be allowed or turned away."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._judged: dict[str, OpenRequest] = {}  # whose verdict has not come, oldest first
        self._held: dict[str, OpenRequest] = {}  # that wait for an operator, oldest first

    def __iter__(self) -> Iterator[OpenRequest]:
        return iter([*self._judged.values(), *self._held.values()])

    @property
    def unseen(self) -> int:
        """How many wait for a verdict."""
        return len(self._judged)

    def full(self, message: Worded) -> bool:
        """Whether no more of its kind can be looked at."""
        document = isinstance(message, TimelineLoad)
        waiting = sum(isinstance(each.message, TimelineLoad) == document for each in self._judged.values())
        return waiting >= (MAX_DOCUMENTS if document else MAX_JUDGED)

    @property
    def held(self) -> tuple[HeldPrompt, ...]:
        """What waits for an operator."""
        return tuple(
            HeldPrompt(id=each.channel_id, text=set_prompt(each).text, category=each.category)
            for each in self._held.values()
        )

    def screen(self, request: OpenRequest, texts: tuple[str, ...]) -> Screening:
        """Have it judged; not while it is `full`."""
        self._judged[request.channel_id] = request
        return Screening(request.channel_id, texts, document=isinstance(request.message, TimelineLoad))

    def judged(self, channel_id: str, verdict: Verdict) -> tuple[OpenRequest | None, tuple[Delivery, ...]]:
        """The verdict came: the request that is allowed by it, or what is told of one that is not."""
        request = self._judged.pop(channel_id, None)
        if request is None:
            return None, ()
        if verdict.decision == "allow":
            return request, ()
        if verdict.decision == "refuse":
            return None, (self._ledger.reject(request, "moderation", "text", verdict.told),)
        if isinstance(request.message, TimelineLoad):
            told = f"an operator has to see one of its texts, so schedule them one by one: {verdict.told}"
            return None, (self._ledger.reject(request, "moderation", "document", told),)
        if sum(each.client != request.client for each in self._held.values()) >= MAX_HELD:
            told = "too many prompts wait for an operator; try again later"
            return None, (self._ledger.reject(request, "unavailable", "text", told),)
        request.stage, request.category = "held", verdict.category
        # One for each client, its latest: nobody fills the operator's list alone.
        older = [each for each in self._held.values() if each.client == request.client]
        deliveries = []
        for each in older:
            del self._held[each.channel_id]
            deliveries.append(self._ledger.supersede(each, channel_id))
        self._held[channel_id] = request
        return None, (*deliveries, answer(request, Held(id=request.message.id, message=verdict.told)))

    def decide(self, channel_id: str) -> OpenRequest | None:
        """An operator speaks about one that is held: it waits no more. None: it is not held."""
        return self._held.pop(channel_id, None)

    def drop(self, request: OpenRequest) -> None:
        """It waits no more."""
        self._judged.pop(request.channel_id, None)
        self._held.pop(request.channel_id, None)
