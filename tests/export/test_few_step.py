"""The few-step stage: where the guided teacher comes in its own steps, and that the student is pulled there."""

import pytest
import torch

from streamgen_engines.chunk import Latents
from streamgen_engines.sampler import guided, sample
from streamgen_export.pocket.config import SMOKE
from streamgen_export.pocket.few_step import Pair, few_step_losses, walked
from streamgen_export.pocket.flow import noised
from streamgen_export.pocket.latents import Batch
from streamgen_export.pocket.sampling import FEW_STEPS, GUIDED
from streamgen_export.pocket.transformer import JointTransformer, Text

CLIPS, CHUNKS = 2, 3


def _pair(seed: int) -> Pair:
    torch.manual_seed(seed)
    video = torch.randn(CLIPS, CHUNKS, SMOKE.video_channels, SMOKE.rows, SMOKE.columns)
    return video, torch.randn(CLIPS, CHUNKS, SMOKE.audio_channels, SMOKE.audio_latents)


def _text() -> Text:
    torch.manual_seed(9)
    texts, tokens, width = 4, SMOKE.text_tokens, SMOKE.text_width
    index = torch.tensor([1, 2, 3, 0, 1, 2])
    return Text(torch.randn(texts, tokens, width), torch.zeros(texts, tokens), torch.randn(texts, width), index)


def _teacher(x: Pair, sigma: torch.Tensor, text: Text) -> Pair:
    """Some field that depends on everything it is given."""
    assert text.index is not None
    told = 1.0 + text.index.view(CLIPS, CHUNKS).float()
    s = sigma * told
    return torch.sin(x[0] + s[..., None, None, None]), torch.cos(x[1] * s[..., None, None])


def test_the_student_steps_are_the_ends_of_pairs_of_the_teachers() -> None:
    assert FEW_STEPS.sigmas == GUIDED.sigmas[::2]
    assert FEW_STEPS.sigmas[0] == 1.0
    assert FEW_STEPS.sigmas[-1] == 0.0
    assert FEW_STEPS.guidance == 1.0


@pytest.mark.parametrize("step", [0, 1])
def test_one_student_step_ends_where_the_sampler_of_the_engines_ends_in_two(step: int) -> None:
    noisy, text = _pair(1), _text()
    steps = torch.full((CLIPS, CHUNKS), step)
    velocity = walked(_teacher, noisy, steps, text)
    begin, end = FEW_STEPS.sigmas[step : step + 2]
    arrived = [x + (end - begin) * v for x, v in zip(noisy, velocity, strict=True)]

    assert text.index is not None
    null = Text(text.context, text.bias, text.pooled, torch.zeros_like(text.index))

    def engine(x: Latents, sigma: float) -> Latents:
        levels = torch.full((CLIPS, CHUNKS), sigma)
        both = [_teacher((torch.from_numpy(x.video), torch.from_numpy(x.audio)), levels, t) for t in (null, text)]
        plain, told = (Latents(video.numpy(), audio.numpy()) for video, audio in both)
        return guided(plain, told, GUIDED.guidance)

    own = GUIDED.sigmas[2 * step : 2 * step + 3]
    expected = sample(Latents(noisy[0].numpy(), noisy[1].numpy()), own, engine)
    torch.testing.assert_close(arrived[0], torch.from_numpy(expected.video), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(arrived[1], torch.from_numpy(expected.audio), atol=1e-4, rtol=1e-4)


def test_each_chunk_takes_its_own_step() -> None:
    noisy, text = _pair(2), _text()
    steps = torch.tensor([[0, 1, 0], [1, 0, 1]])
    mixed = walked(_teacher, noisy, steps, text)
    for step in (0, 1):
        alone = walked(_teacher, noisy, torch.full_like(steps, step), text)
        here = steps == step
        torch.testing.assert_close(mixed[0][here], alone[0][here])
        torch.testing.assert_close(mixed[1][here], alone[1][here])


def test_a_student_is_pulled_to_its_teacher() -> None:
    torch.manual_seed(3)
    teacher, student = JointTransformer(SMOKE), JointTransformer(SMOKE)
    with torch.no_grad():
        for parameter in teacher.parameters():
            if not parameter.any():
                parameter.normal_(0, 0.05)
    student.load_state_dict(teacher.state_dict())
    video, audio = _pair(4)
    cells, impacts = torch.zeros(CLIPS, CHUNKS, SMOKE.rows, SMOKE.columns), torch.zeros(CLIPS, CHUNKS, audio.shape[-1])
    batch = Batch(video, audio, cells, impacts, video[:, 0], _text())
    start = torch.zeros(CLIPS, CHUNKS, dtype=torch.int64)
    weight = torch.ones(SMOKE.video_channels)
    optimiser = torch.optim.Adam(student.parameters(), lr=2e-3)
    found = []
    for _ in range(12):
        torch.manual_seed(5)
        loss = few_step_losses(student, teacher, batch, weight, start)
        optimiser.zero_grad()
        loss.total.backward()
        optimiser.step()
        found.append(loss.total.item())
    assert found[0] > 1e-3, "guidance and two steps make a difference"
    assert found[-1] < 0.7 * found[0]
    assert not any(parameter.grad is not None for parameter in teacher.parameters())
    assert noised(video, video, torch.zeros(CLIPS, CHUNKS)).equal(video)
