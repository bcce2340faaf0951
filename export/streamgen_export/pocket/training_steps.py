"""The steps of a stage of training that survives a stop: seeded, counted, logged and saved."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from streamgen_export.pocket import checkpoint
from streamgen_export.pocket.budget import Budget

LOG_EVERY = 20


class Training(Protocol):
    """What is trained.

    Attributes:
        seed: of everything that is drawn.
        step: the next one.
    """

    seed: int
    step: int

    @property
    def path(self) -> Path:
        """Where the checkpoint lies; its log lies beside it."""
        ...

    def state(self) -> dict[str, object]:
        """Everything but the optimiser."""
        ...

    def restore(self, state: dict[str, object]) -> None:
        """Take back what `state` gave."""
        ...


class Optimiser(Protocol):
    """What remembers how it learns."""

    def state_dict(self) -> dict[str, Any]:
        """All that it remembers."""
        ...

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take back what `state_dict` gave."""
        ...


@dataclass(slots=True)
class Step:
    """One step; whoever takes it says what the loss was, a tensor without dimensions."""

    number: int
    rng: np.random.Generator
    loss: Tensor | None = None


def resume(training: Training, optimiser: Optimiser, budget: Budget) -> bool:
    """Go on from the checkpoint, with what was spent until then; False where there is none."""
    state = checkpoint.load(training.path)
    if state is None:
        return False
    training.restore(state)
    optimiser.load_state_dict(state["optimiser"])
    budget.spent_s += state.get("spent_s", 0.0)
    return True


def steps(
    training: Training, optimiser: Optimiser, budget: Budget, *, name: str, draws: int, save_every: int
) -> Iterator[Step]:
    """The steps from where the training stands until the budget is spent.

    Each is seeded by its number, so a resumed run draws what an unbroken one would have drawn.

    Args:
        training: whose step is counted, and which is saved.
        optimiser: saved with it.
        budget: steps or seconds.
        name: of the loss, in the log and on the bar.
        draws: tells what this stage draws from what others with the same seed draw.
        save_every: steps from checkpoint to checkpoint; the last one is saved in any case.
    """
    log = checkpoint.LossLog(training.path.with_suffix(".jsonl"))
    done = budget.over(training.step)
    bar = tqdm(itertools.count(training.step), initial=training.step, total=budget.steps, desc=name, unit="step")
    for number in bar:
        if done:
            break
        torch.manual_seed(training.seed * 1_000_003 + number)
        step = Step(number, np.random.default_rng([training.seed, draws, number]))
        yield step
        if number % LOG_EVERY == 0:
            assert step.loss is not None, "whoever takes a step says what the loss was"
            loss = step.loss.item()
            log.write(number, {name: loss})
            bar.set_postfix(loss=f"{loss:.4f}")
        training.step = number + 1
        done = budget.over(training.step)
        if training.step % save_every == 0 or done:
            state = {**training.state(), "optimiser": optimiser.state_dict(), "spent_s": budget.elapsed_s}
            checkpoint.save(training.path, state)
            log.draw()
