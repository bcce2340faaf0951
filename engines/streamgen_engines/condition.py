"""What one chunk is made from, besides the chunks before it."""

import math
from dataclasses import dataclass
from typing import Final

from streamgen_engines.chunk import Float32Array
from streamgen_engines.errors import ConditionError
from streamgen_engines.prompt import Prompt, blend, same

ALONE_IN_TRANSITION: Final = 0.6
"""What transitions are made with, besides `keep=0` for their last chunk.

A model that trusts its past more than its text does not follow a prompt that moves on evenly. On the bundled model,
where -1 is the old scene and 1 the new one, eight chunks of transition and twelve more reach -0.3 when all of the past
is seen, and about 0.7 when it is hidden in the steps above this level; hiding all of the past once, where the
transition ends, brings the rest. Hiding it altogether in every chunk arrives as well, but the pictures then jump from
chunk to chunk. `tests/engines/test_prompt.py` compares the first two.
"""

SUDDEN: Final = 0.5
"""A prompt that gives more than this share to other texts than the one before changes suddenly: it may hide the past
or let it be read again, and guidance is raised. Less is a step of a transition or a blend that is shifted, and flows
on."""


@dataclass(frozen=True, slots=True)
class Condition:
    """What one chunk is made from, besides the chunks before it.

    Attributes:
        prompt: the text, or a blend of several; of the picture only where `sound` has its own.
        guidance: how far past the velocity without text to go; None = the bundle's own, 1 = one pass per step.
        seed: new random numbers from here on when it differs from the seed in use; None keeps them going.
        steps: denoising steps; None = the bundle's own, fewer are faster and coarser.
        cut: drop the context: nothing of the chunks before is seen.
        picture: start from this picture: the context is dropped, and it takes the place of the chunk before.
            Latent of the picture as `PictureEncoder` makes it, float32 `[1, C, H/16, W/16]`.
        keep: of the chunks before, only so many stay visible from this one on; the window or more hides none. None
            leaves it to the bundle, which hides some when the prompt changes suddenly.
        alone_above: steps at noise levels above this see none of the chunks before: the large shapes follow the text,
            the rest joins on to what was shown. For the chunks of a transition; see `ALONE_IN_TRANSITION`.
        recache: read what is visible of the past again under this prompt, before the chunk is made; False leaves it as
            it was told then, and None leaves the choice to the bundle. Families that cannot (`Abilities.recaches`) go
            on as without it.
        sound: prompt of the sound where it is another than the picture's; None = the same. Picture and sound then
            come from two passes per step, and both hear each other.
        exact: follow the weighted velocities of a blend's texts, with a pass for each, instead of one pass with their
            blended embeddings.
    """

    prompt: Prompt
    guidance: float | None = None
    seed: int | None = None
    steps: int | None = None
    cut: bool = False
    picture: Float32Array | None = None
    keep: int | None = None
    alone_above: float | None = None
    sound: Prompt | None = None
    exact: bool = False
    recache: bool | None = None

    def __post_init__(self) -> None:
        if self.guidance is not None and not (math.isfinite(self.guidance) and self.guidance >= 0):
            raise ConditionError(f"guidance is {self.guidance}; give a finite number from 0 up, 1.5 is usual")
        if self.seed is not None:
            check_seed(self.seed)
        if self.steps is not None and self.steps < 1:
            raise ConditionError(f"steps is {self.steps}; give at least 1, or leave it out for the bundle's own")
        if self.alone_above is not None and not 0 <= self.alone_above <= 1:
            raise ConditionError(f"alone_above is {self.alone_above}; give a noise level from 0 to 1, 0.6 is usual")
        if self.keep is not None:
            if self.keep < 0:
                raise ConditionError(f"keep is {self.keep}; give how many chunks stay visible, from 0 up")
            if self.cut or self.picture is not None:
                cause = "cut" if self.cut else "picture"
                raise ConditionError(f"keep is {self.keep}, but {cause} drops the whole context; leave one of them out")
        if self.recache and self.cut:
            raise ConditionError("recache reads the past again, but cut drops it; leave one of them out")

    @property
    def heard(self) -> Prompt:
        """The prompt of the sound."""
        return self.prompt if self.sound is None else self.sound

    @property
    def split(self) -> bool:
        """Whether picture and sound follow different prompts."""
        return self.sound is not None and not same(self.prompt, self.sound)

    @property
    def remembered(self) -> Prompt:
        """What the finished chunk is said to show and sound like when it becomes the past of others.

        In training one caption describes both, so of two prompts this is their even blend.
        """
        return blend([(self.prompt, 0.5), (self.heard, 0.5)]) if self.split else self.prompt

    def passes_per_step(self, *, guided: bool, joint: bool = True) -> int:
        """Runs of the graph per denoising step: what a schedule has to reckon with.

        Args:
            guided: guidance is not 1.
            joint: picture and sound come from the same passes, as `Abilities` has it.
        """
        sides = (self.prompt, self.heard) if self.split and joint else (self.prompt,)
        return guided + sum(len(side.alone) if self.exact else 1 for side in sides)


def check_seed(seed: int) -> int:
    """The seed, when it is one.

    Raises:
        ConditionError: it is negative.
    """
    if seed < 0:
        raise ConditionError(f"seed is {seed}; give a whole number from 0 up")
    return seed
