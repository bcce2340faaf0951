"""What plays, as far as steering knows: the prompt of the picture, that of the sound, and the words for them.

A new generator knows nothing. `whole` makes any prompt one that tells it everything, so that a restart forgets neither
side. Free of I/O.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from streamgen.packets import ChunkRecord, SetPrompt

START_ID: Final = "start"
"""The id of the prompt that the channel starts with; no request can have it."""


class Programme:
    """The prompts in force.

    Attributes:
        text: what the picture was told, to be read.
        prompt_id: of that prompt; None while it is the one that the channel started with.
        knobs: of that prompt.
    """

    def __init__(self, text: str) -> None:
        """`text` is what plays until somebody steers."""
        self.text = text
        self.prompt_id: str | None = None
        self.knobs: dict[str, str] = {}
        self._told_id = START_ID  # of the newest prompt that a chunk was made with
        self._picture = SetPrompt(id=START_ID, text=text)
        self._sound: SetPrompt | None = None  # where it is another than the picture's

    @property
    def sound(self) -> str | None:
        """What the sound was told where that is something else."""
        return None if self._sound is None else self._sound.text

    @property
    def ids(self) -> frozenset[str]:
        """Of the prompts that play: no other request may get one of them."""
        sound = () if self._sound is None else (self._sound.id,)
        return frozenset((self._told_id, self._picture.id, *sound))

    def follow(self, record: ChunkRecord, asked: SetPrompt | None) -> bool:
        """A chunk starts; returns whether what plays has changed with it.

        Args:
            record: of the chunk. One without a prompt plays something of its own, and changes nothing here.
            asked: the request of its prompt; None: the one that the channel started with, or a forgotten one.
        """
        if record.prompt_id is None or record.prompt_id == self._told_id:
            return False
        self._told_id = record.prompt_id
        if asked is None:
            asked = SetPrompt(id=record.prompt_id, text=record.prompt, knobs=record.knobs)
        # What was asked for once, with its first chunk, is not asked for again.
        asked = replace(asked, cut=False, keep=None, recache=None, transition_ms=0.0)
        before = (self.prompt_id, self.text, self._sound)
        if asked.target == "audio":
            self._sound = asked
        else:
            if asked.target == "av":
                self._sound = None
            elif self._sound is None:
                self._sound = self._picture
            self._picture = replace(asked, target="av")
            self.prompt_id = None if record.prompt_id == START_ID else record.prompt_id
            self.text, self.knobs = record.prompt, dict(record.knobs)
        return (self.prompt_id, self.text, self._sound) != before

    def follow_all(self, record: ChunkRecord, prompt_of: Callable[[str], SetPrompt | None]) -> bool:
        """The same for every prompt that is new in a chunk: one of the picture and one of the sound may be.

        `prompt_of` gives the prompt that goes by an id on the channel, None for one that it does not know.
        """
        changed = False
        for id in dict.fromkeys((*record.applied, record.prompt_id)):
            told = None if id is None else prompt_of(id)
            if id == record.prompt_id:
                changed |= self.follow(record, told)
            elif told is not None:
                changed |= self.follow(replace(record, prompt_id=id, prompt=told.text, knobs=told.knobs), told)
        return changed

    def whole(self, asked: SetPrompt | None) -> SetPrompt | None:
        """What a generator that knows nothing is told: the prompt that waits for it, else what plays; None: nothing.

        What plays is told under the picture's id, also where the newest prompt was one for the sound.
        """
        if asked is None:
            if not self.text:
                return None
            self._told_id = self._picture.id
            return _with_sound(self._picture, self._sound)
        if asked.target == "audio":
            return _with_sound(replace(self._picture, id=asked.id, blend=_parts(self._picture)), asked)
        if asked.target == "av":
            return asked
        return _with_sound(replace(asked, target="av"), self._sound or self._picture)


def _with_sound(command: SetPrompt, sound: SetPrompt | None) -> SetPrompt:
    return command if sound is None else replace(command, sound=_parts(sound), sound_knobs=sound.knobs)


def _parts(command: SetPrompt) -> tuple[tuple[str, float], ...]:
    return command.blend or ((command.text, 1.0),)
