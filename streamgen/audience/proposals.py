"""The queue of proposals: from a text that was judged to one that can be voted on.

    held -> open | rejected        held: the operator decides
    open -> chosen | rejected | expired | withdrawn

What holds:

- a proposal reaches exactly one final status, and everybody who made it is told;
- the same text (whatever its case and spaces) proposed for the same stage is one proposal with several supporters;
- an id belongs to the voter that chose it: sent again with the same content it gets the same answer and acts once,
  sent with another content it is refused (`id_reused`);
- memory is bounded: `max_proposals` held and open ones, `MAX_FINISHED` final ones, `max_requests` proposers of them
  all. Full-policy: the final one that ended first is forgotten; when there is none, the newest is refused (`full`).
"""

import math
import re
from collections import Counter
from collections.abc import Iterable
from typing import Final, Self

from streamgen.audience.effects import Answer, AudienceStateError, ProposalStatus, RefusedError
from streamgen.audience.proposal import Entry, Proposal, ProposalsState, ProposalState, Request
from streamgen.audience.settings import AudienceSettings
from streamgen.audience.texts import fold, proposal_text

MAX_FINISHED: Final = 512  # final ones that are remembered, so that a request sent again gets the same answer
MAX_NAMES: Final = 3  # that a proposal credits, the first ones
MAX_NAME_CHARS: Final = 40
MAX_REASON_CHARS: Final = 200
PROPOSAL_ID: Final = re.compile(r"p\d+")  # what ids of proposals look like, and nothing else may beside them
NOT_ALLOWED: Final = "this text is not allowed here; propose another one"


class Proposals:
    """Takes proposals and keeps them until they are final, and some time after."""

    def __init__(self, settings: AudienceSettings) -> None:
        self.outcomes: Counter[ProposalStatus] = Counter()  # how many reached each final status
        self._settings = settings
        self._made = 0
        self._active: dict[str, Entry] = {}  # held and open ones, oldest first
        self._finished: dict[str, Entry] = {}  # the one that ended first comes first
        self._by_text: dict[tuple[str, str], Entry] = {}  # active ones
        self._barred: dict[tuple[str, str], Entry] = {}  # texts that the operator rejected, while remembered
        self._requests: dict[tuple[str, str], Request] = {}
        self._open_of: Counter[str] = Counter()  # active proposals per voter
        self._open_requests = 0  # the sum of them
        self._due_s = math.inf  # nothing expires before

    @property
    def due_s(self) -> float | None:
        """When `expire` has something to do at the earliest; None for never."""
        return None if math.isinf(self._due_s) else self._due_s

    @property
    def remembered(self) -> tuple[int, int]:
        """How many proposals and how many proposers' requests are in memory."""
        return len(self._active) + len(self._finished), len(self._requests)

    def queue(self) -> tuple[Proposal, ...]:
        """For the operator: those that are held, then those that are open, oldest first."""
        return tuple(each.view() for each in sorted(self._active.values(), key=lambda each: each.status == "open"))

    def find(self, id: str) -> Proposal | None:
        """A proposal that is remembered."""
        entry = self._active.get(id) or self._finished.get(id)
        return None if entry is None else entry.view()

    def waiting(self, stage: str) -> tuple[Proposal, ...]:
        """Those that could come on a ballot, in the order in which they would.

        The most supported come first, then the oldest. Each ballot that one has been on already makes its support
        count less (half, a third, ...), so that what lost makes room for what is new.
        """
        entries = [each for each in self._active.values() if each.waits and each.stage == stage]
        entries.sort(key=lambda each: -len(each.supporters) / (1 + each.ballots))
        return tuple(each.view() for each in entries)

    # From voters.

    def propose(
        self,
        voter: str,
        id: str,
        text: str,
        now_s: float,
        *,
        stage: str,
        allowed: bool | None,
        name: str = "",
        reason: str = "",
        category: str | None = None,
    ) -> Answer:
        """Take a proposal that was judged: `allowed` True opens it, None holds it, False rejects it (for `reason`).

        Raises `RefusedError`; nothing is remembered then.
        """
        again = self.again(voter, id, text, stage=stage, name=name)
        if again is not None:
            return again
        sent, name = self._normal(text, name)
        key = (stage, fold(sent))
        barred = self._barred.get(key)
        if allowed is False or barred is not None:
            self._make_room()
            entry = self._new(stage, sent, "rejected", now_s)
            entry.reason = barred.reason if barred is not None else reason[:MAX_REASON_CHARS] or NOT_ALLOWED
            self._support(entry, voter, id, sent, name)
            self._end(entry, "rejected")
            return self._answer(entry, voter, id)
        same = self._by_text.get(key)
        if same is not None and voter in same.supporters:
            raise RefusedError("duplicate", "you have proposed this already; wait for it, or propose something else")
        if self._open_of[voter] >= self._settings.proposals_per_voter:
            raise RefusedError(
                "limit", f"{self._open_of[voter]} proposals of yours are waiting; withdraw one, or wait until it ends"
            )
        if same is None and len(self._active) >= self._settings.max_proposals:
            raise RefusedError("full", "as many proposals are waiting as fit; try again after the next vote")
        self._make_room()
        entry = same if same is not None else self._new(stage, sent, "open" if allowed else "held", now_s)
        if same is None:
            if allowed is None:
                entry.reason, entry.category = reason[:MAX_REASON_CHARS], category
            self._active[entry.id] = entry
            self._by_text[key] = entry
            self._due_s = min(self._due_s, now_s + self._settings.expire_s)
        # A name that an operator has to see first is not shown beside a text that everybody sees already.
        self._support(entry, voter, id, sent, name, credited=bool(allowed) or entry.status == "held")
        self._open_of[voter] += 1
        self._open_requests += 1
        return self._answer(entry, voter, id)

    def again(self, voter: str, id: str, text: str, *, stage: str | None, name: str = "") -> Answer | None:
        """What is said to a request that was sent before; None for a new one.

        `stage` is None where the request named none: it was then for the one under way when it came first. Raises
        `RefusedError`.
        """
        sent, name = self._normal(text, name)
        known = self._requests.get((voter, id))
        if known is None:
            return None
        if (known.text, known.name) != (sent, name) or stage not in (None, known.stage):
            raise RefusedError("id_reused", "this id belongs to another proposal of yours; use an id of its own")
        return self._answer(self._active.get(known.proposal) or self._finished[known.proposal], voter, id)

    def withdraw(self, voter: str, id: str) -> Answer:
        """Take back what this voter proposed under `id`; others who proposed the same keep it. Idempotent."""
        request = self._requests.get((voter, id))
        if request is None:
            raise RefusedError("unknown_proposal", "there is no proposal of yours with this id")
        entry = self._active.get(request.proposal)
        if entry is None:
            ended = self._finished[request.proposal]
            if ended.status == "withdrawn":
                return self._answer(ended, voter, id)
            raise RefusedError("decided", f"this proposal is {ended.status} and cannot be withdrawn")
        if entry.listed:
            raise RefusedError("on_ballot", "this proposal is being voted on; wait for the result")
        if len(entry.supporters) > 1:
            # Leaving splits off a proposal that is final at once, so that this request too has exactly one end.
            del entry.supporters[voter]
            if request.name in entry.names:
                entry.names.remove(request.name)
            self._leave(voter)
            entry = self._new(entry.stage, entry.text, "withdrawn", entry.made_s)
            self._support(entry, voter, id, request.text, request.name)
        self._end(entry, "withdrawn")
        return self._answer(entry, voter, id)

    # From the operator.

    def approve(self, id: str) -> tuple[Answer, ...]:
        """Open a proposal that is held. Idempotent. Raises `RefusedError`."""
        entry = self._active_entry(id)
        if entry.status == "open":
            return ()
        entry.status = "open"
        entry.reason, entry.category = "", None
        return self._tell(entry)

    def reject(self, id: str, reason: str) -> tuple[Answer, ...]:
        """Reject a proposal, and its text as long as it is remembered. Idempotent. Raises `RefusedError`."""
        ended = self._finished.get(id)
        if ended is not None and ended.status == "rejected":
            return ()
        entry = self._active_entry(id)
        entry.reason = reason[:MAX_REASON_CHARS]
        entry.by_operator = True
        entry.category = None
        return self._end(entry, "rejected")

    def edit(self, id: str, text: str) -> tuple[Answer, ...]:
        """Put another text in the place of a proposal's own. Raises `RefusedError`."""
        entry = self._active_entry(id)
        if entry.listed:
            raise RefusedError("on_ballot", "this proposal is being voted on; reject it, or wait for the result")
        text = proposal_text(text, self._settings.max_text_chars)
        other = self._by_text.get((entry.stage, fold(text)))
        if other is not None and other is not entry:
            raise RefusedError("duplicate", f"proposal {other.id} has this text; reject one of the two")
        del self._by_text[entry.key]
        entry.text = text
        self._by_text[entry.key] = entry
        return self._tell(entry)

    # From the rounds.

    def take(self, stage: str, count: int) -> tuple[Proposal, ...]:
        """The next `count` of those that wait; they are on the ballot now."""
        taken = self.waiting(stage)[:count]
        for each in taken:
            entry = self._active[each.id]
            entry.listed = True
            entry.ballots += 1
        return taken

    def choose(self, id: str) -> tuple[Answer, ...]:
        """It has won. Without effect on one that is final."""
        return self._end(self._active[id], "chosen") if id in self._active else ()

    def release(self, id: str, *, returns: bool = True) -> tuple[Answer, ...]:
        """It is off the ballot: it waits again, or has expired. Without effect on one that is final."""
        entry = self._active.get(id)
        if entry is None:
            return ()
        entry.listed = False
        if not returns:
            return self._end(entry, "expired")
        self._due_s = min(self._due_s, entry.made_s + self._settings.expire_s)
        return ()

    def expire(self, now_s: float) -> tuple[Answer, ...]:
        """Give up those that have waited for `expire_s`. One on a ballot waits for the result."""
        if now_s < self._due_s:
            return ()
        answers: list[Answer] = []
        for entry in list(self._active.values()):
            if not entry.listed and now_s >= entry.made_s + self._settings.expire_s:
                answers += self._end(entry, "expired")
        rest = (each.made_s for each in self._active.values() if not each.listed)
        self._due_s = min(rest, default=math.inf) + self._settings.expire_s
        return tuple(answers)

    # One entry.

    def _normal(self, text: str, name: str) -> tuple[str, str]:
        """Text and name in the form in which they are kept. Raises `RefusedError`."""
        return (
            proposal_text(text, self._settings.max_text_chars),
            proposal_text(name, MAX_NAME_CHARS, "name") if name else "",
        )

    def _new(self, stage: str, text: str, status: ProposalStatus, made_s: float) -> Entry:
        self._made += 1
        return Entry(f"p{self._made}", stage, text, status, made_s)

    def _support(self, entry: Entry, voter: str, id: str, text: str, name: str, *, credited: bool = True) -> None:
        entry.supporters[voter] = id
        self._requests[voter, id] = Request(text, name, entry.stage, entry.id)
        if credited and name and name not in entry.names and len(entry.names) < MAX_NAMES:
            entry.names.append(name)

    def _end(self, entry: Entry, status: ProposalStatus) -> tuple[Answer, ...]:
        if self._active.pop(entry.id, None) is not None:
            del self._by_text[entry.key]
            for voter in entry.supporters:
                self._leave(voter)
        entry.status = status
        entry.listed = False
        self.outcomes[status] += 1
        if entry.by_operator:
            self._barred[entry.key] = entry
        self._finished[entry.id] = entry
        if len(self._finished) > MAX_FINISHED:
            self._forget()
        return self._tell(entry)

    def _leave(self, voter: str) -> None:
        self._open_requests -= 1
        self._open_of[voter] -= 1
        if not self._open_of[voter]:
            del self._open_of[voter]

    def _make_room(self) -> None:
        if self._open_requests >= self._settings.max_requests:
            raise RefusedError("full", "as many proposals are waiting as fit; try again after the next vote")
        while len(self._requests) >= self._settings.max_requests:
            self._forget()

    def _forget(self) -> None:
        entry = self._finished.pop(next(iter(self._finished)))
        for voter, id in entry.supporters.items():
            del self._requests[voter, id]
        if self._barred.get(entry.key) is entry:
            del self._barred[entry.key]

    def _active_entry(self, id: str) -> Entry:
        entry = self._active.get(id)
        if entry is not None:
            return entry
        ended = self._finished.get(id)
        if ended is None:
            raise RefusedError("unknown_proposal", f"there is no proposal {id}; take one from the list")
        raise RefusedError("decided", f"proposal {id} is {ended.status} already")

    def _tell(self, entry: Entry) -> tuple[Answer, ...]:
        return tuple(self._answer(entry, voter, id) for voter, id in entry.supporters.items())

    def _answer(self, entry: Entry, voter: str, id: str) -> Answer:
        return Answer(voter, id, entry.status, message=entry.reason, proposal=entry.id)

    # Stored.

    def dump(self, now_s: float) -> ProposalsState:
        """The state to be stored."""
        return ProposalsState(
            made=self._made,
            active=tuple(each.stored(self._requests, now_s) for each in self._active.values()),
            finished=tuple(each.stored(self._requests, now_s) for each in self._finished.values()),
        )

    @classmethod
    def load(cls, settings: AudienceSettings, state: ProposalsState, now_s: float) -> Self:
        """The queue of a stored state. Raises `AudienceStateError`."""
        proposals = cls(settings)
        proposals._made = state.made
        for entry in proposals._restored(state.active, now_s):
            proposals._active[entry.id] = entry
            proposals._by_text[entry.key] = entry
            proposals._open_of.update(entry.supporters.keys())
            proposals._open_requests += len(entry.supporters)
        for entry in proposals._restored(state.finished, now_s):
            proposals._finished[entry.id] = entry
            if entry.by_operator:
                proposals._barred[entry.key] = entry
        waiting = (each.made_s for each in proposals._active.values() if not each.listed)
        proposals._due_s = min(waiting, default=math.inf) + settings.expire_s
        count = len(state.active) + len(state.finished)
        if len(proposals._active) != len(proposals._by_text) or proposals.remembered[0] != count:
            raise AudienceStateError("the stored proposals hold one twice; start without them")
        return proposals

    def _restored(self, states: Iterable[ProposalState], now_s: float) -> Iterable[Entry]:
        for state in states:
            entry = Entry.restored(state, now_s)
            for who in state.supporters:
                entry.supporters[who.voter] = who.id
                self._requests[who.voter, who.id] = Request(who.text, who.name, entry.stage, entry.id)
            yield entry
