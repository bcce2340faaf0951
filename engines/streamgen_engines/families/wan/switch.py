"""What a new prompt does to the past: what the request asks for, or else what the bundle does when a prompt changes
suddenly. Free of I/O and arrays.

- **keep**: the ring stays as it is, and the past goes on as it was told then;
- **blend**: the prompt moves there in even steps (`prompt.transition`), each a mix of both texts;
- **recache**: what is visible of the past is read again under the new prompt;
- **cut**: nothing of the past is seen.

A request can ask for each of them: a transition is a blend, and `keep`, `recache` and `cut` are fields of `Condition`.
"""

from dataclasses import dataclass

from streamgen_engines.condition import SUDDEN, Condition
from streamgen_engines.manifest.wan import Switch
from streamgen_engines.prompt import Prompt, moved, same, transition


@dataclass(frozen=True, slots=True, eq=False)
class Switched:
    """What the next chunk is told, and what becomes of the past before."""

    prompt: Prompt
    cut: bool
    recache: bool


class PromptSwitch:
    """Follows the prompts of a stream.

    Args:
        mode: what a sudden change does where the request says nothing about the past.
        chunks: how many chunks a blend takes.
    """

    def __init__(self, mode: Switch, chunks: int) -> None:
        self._mode = mode
        self._chunks = chunks
        self._asked: Prompt | None = None  # of the last chunk
        self._told: Prompt | None = None  # what it was told, on the way of a blend
        self._before: Prompt | None = None  # from where a blend comes
        self._left = 0  # chunks that it has before it

    def follow(self, condition: Condition) -> Switched:
        """The next chunk's condition."""
        mode = self._of(condition)
        prompt = condition.prompt
        if mode == "blend":
            self._before, self._left = self._told, self._chunks
        elif condition.cut or self._asked is None or not same(self._asked, prompt):
            self._left = 0  # another way took over, or there is nothing to come from
        if self._left and self._before is not None:
            self._left -= 1
            prompt = transition(self._before, prompt, 1 - self._left / self._chunks)
        self._asked, self._told = condition.prompt, prompt
        return Switched(prompt, condition.cut or mode == "cut", bool(condition.recache) or mode == "recache")

    def reset(self) -> None:
        """Begin anew: the next prompt follows nothing."""
        self._asked = self._told = self._before = None
        self._left = 0

    def _of(self, condition: Condition) -> Switch:
        """What the bundle has to do by itself."""
        said = condition.cut or condition.keep is not None or condition.recache is not None
        if said or self._asked is None or moved(self._asked, condition.prompt) <= SUDDEN:
            return "keep"
        return self._mode
