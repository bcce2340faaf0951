"""The steps of a stage: a resumed run draws and counts what an unbroken one does."""

import json
from pathlib import Path

import torch
from torch import nn

from streamgen_export.pocket import checkpoint
from streamgen_export.pocket.budget import Budget
from streamgen_export.pocket.training_steps import LOG_EVERY, resume, steps


class Small:
    """One number in training; it notes what each of its steps draws."""

    def __init__(self, folder: Path, seed: int = 3) -> None:
        self.folder, self.seed, self.step = folder, seed, 0
        self.number = nn.Parameter(torch.ones(()))
        self.drawn: list[tuple[int, float, float]] = []

    @property
    def path(self) -> Path:
        return self.folder / "small.pt"

    def state(self) -> dict[str, object]:
        return {"number": self.number.detach().clone(), "step": self.step}

    def restore(self, state: dict[str, object]) -> None:
        found = state["number"]
        assert isinstance(found, torch.Tensor)
        with torch.no_grad():
            self.number.copy_(found)
        assert isinstance(state["step"], int)
        self.step = state["step"]

    def run(self, budget: Budget, *, save_every: int = 100) -> bool:
        optimiser = torch.optim.SGD([self.number], lr=0.1, momentum=0.5)
        resumed = resume(self, optimiser, budget)
        for step in steps(self, optimiser, budget, name="small", draws=7, save_every=save_every):
            self.drawn.append((step.number, step.rng.random(), torch.rand(()).item()))
            loss = (self.number * torch.rand(())).square()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            step.loss = loss.detach()
        return resumed


def test_a_resumed_run_is_the_unbroken_run(tmp_path: Path) -> None:
    whole, begun, resumed = (Small(tmp_path / name) for name in ("whole", "broken", "broken"))
    assert not whole.run(Budget(6))
    assert not begun.run(Budget(4))
    assert resumed.run(Budget(6))
    assert [number for number, _, _ in resumed.drawn] == [4, 5]
    assert begun.drawn + resumed.drawn == whole.drawn
    assert torch.equal(resumed.number, whole.number)
    other = Small(tmp_path / "other", seed=4)
    other.run(Budget(1))
    assert other.drawn[0] != whole.drawn[0]


def test_a_checkpoint_is_written_every_so_many_steps_and_at_the_end(tmp_path: Path) -> None:
    training = Small(tmp_path)
    optimiser = torch.optim.SGD([training.number], lr=0.1)
    saved: list[object] = []
    for step in steps(training, optimiser, Budget(5), name="small", draws=0, save_every=2):
        found = checkpoint.load(training.path)
        saved.append(None if found is None else found["step"])
        step.loss = torch.zeros(())
    last = checkpoint.load(training.path)
    assert last is not None
    assert (saved, last["step"], training.step) == ([None, None, 2, 2, 4], 5, 5)


def test_what_was_spent_before_counts(tmp_path: Path) -> None:
    Small(tmp_path).run(Budget(2, clock=iter(range(100)).__next__))
    budget = Budget(2)
    assert Small(tmp_path).run(budget)
    assert budget.spent_s > 0


def test_losses_are_logged_under_the_name_of_the_stage(tmp_path: Path) -> None:
    Small(tmp_path).run(Budget(LOG_EVERY + 1))
    lines = [json.loads(line) for line in (tmp_path / "small.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [0, LOG_EVERY]
    assert all(line.keys() == {"step", "small"} for line in lines)
    assert (tmp_path / "small.png").stat().st_size > 0
