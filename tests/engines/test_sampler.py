"""The sampler against flows whose solution is known in closed form."""

from itertools import pairwise

import numpy as np
import pytest

from streamgen_engines.chunk import Float32Array, Latents
from streamgen_engines.errors import ConditionError
from streamgen_engines.sampler import guided, noised, sample, schedule, weighted

SIGMAS = (1.0, 0.9, 0.7, 0.4, 0.0)


def latents(seed: int) -> Latents:
    random = np.random.default_rng(seed)
    return Latents(random.standard_normal((1, 4, 3, 5), np.float32), random.standard_normal((1, 2, 8), np.float32))


def close(a: Latents, b: Latents, tolerance: float = 1e-5) -> None:
    np.testing.assert_allclose(a.video, b.video, atol=tolerance)
    np.testing.assert_allclose(a.audio, b.audio, atol=tolerance)


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 9])
def test_straight_lines_to_one_point_are_followed_exactly(steps: int) -> None:
    noise, target = latents(0), latents(1)

    def velocity(x: Latents, sigma: float) -> Latents:
        return Latents((x.video - target.video) / sigma, (x.audio - target.audio) / sigma)

    result = sample(noise, schedule(SIGMAS, steps), velocity)
    close(result, target)
    assert result.video.dtype == result.audio.dtype == np.float32


def test_each_step_is_an_euler_step() -> None:
    noise, constant = latents(0), latents(2)
    seen: list[tuple[Latents, float]] = []

    def velocity(x: Latents, sigma: float) -> Latents:
        seen.append((x, sigma))
        return constant

    result = sample(noise, SIGMAS, velocity)
    assert [sigma for _, sigma in seen] == list(SIGMAS[:-1])
    for x, sigma in [*seen, (result, 0.0)]:
        moved = sigma - 1
        close(x, Latents(noise.video + moved * constant.video, noise.audio + moved * constant.audio))


def gaussian_error(steps: int, deviation: float = 0.3) -> float:
    """Largest error when the data are Gaussian: the flow then scales noise by the standard deviation at sigma.

    Var(x) = (1 - s)^2 a^2 + s^2, and E[noise - clean | x] = x (s - (1 - s) a^2) / Var(x), so x(0) = a x(1).
    """
    noise, variance = latents(0), deviation**2

    def scale(x: Float32Array, sigma: float) -> Float32Array:
        scaled: Float32Array = x * ((sigma - (1 - sigma) * variance) / ((1 - sigma) ** 2 * variance + sigma**2))
        return scaled

    result = sample(
        noise,
        np.linspace(1, 0, steps + 1).tolist(),
        lambda x, sigma: Latents(scale(x.video, sigma), scale(x.audio, sigma)),
    )
    return float(np.abs(result.video - deviation * noise.video).max())


def test_a_curved_flow_converges_at_first_order() -> None:
    errors = [gaussian_error(steps) for steps in (50, 100, 200)]
    assert errors[-1] < 0.02
    for coarse, fine in pairwise(errors):
        assert coarse / fine == pytest.approx(2, rel=0.15)


def test_a_limit_holds_the_prediction() -> None:
    noise, target = latents(0), latents(1)

    def velocity(x: Latents, sigma: float) -> Latents:
        return Latents((x.video - 10 * target.video) / sigma, (x.audio - target.audio) / sigma)

    result = sample(noise, SIGMAS, velocity, limit=1.0)
    close(result, Latents(np.clip(10 * target.video, -1, 1), np.clip(target.audio, -1, 1)))


def test_the_noise_is_not_changed() -> None:
    noise, before = latents(0), latents(0)
    sample(noise, SIGMAS, lambda x, sigma: x, limit=0.5)
    close(noise, before, 0)


def test_fewer_steps_follow_the_same_curve() -> None:
    assert schedule(SIGMAS) == schedule(SIGMAS, 4) == SIGMAS
    assert schedule(SIGMAS, 2) == (1.0, 0.7, 0.0)
    assert schedule(SIGMAS, 1) == (1.0, 0.0)
    assert schedule(SIGMAS, 3) == pytest.approx((1.0, 0.9 - 0.2 / 3, 0.7 - 0.2, 0.0))
    assert schedule(SIGMAS, 8)[::2] == pytest.approx(SIGMAS)


def test_no_step_at_all_is_refused() -> None:
    with pytest.raises(ConditionError, match="steps is 0; give at least 1"):
        schedule(SIGMAS, 0)


def test_noise_is_mixed_in_by_level() -> None:
    clean, noise = latents(0), latents(1)
    close(noised(clean, noise, 0.0), clean, 0)
    close(noised(clean, noise, 1.0), noise, 0)
    quarter = noised(clean, noise, 0.25)
    close(quarter, Latents(0.75 * clean.video + 0.25 * noise.video, 0.75 * clean.audio + 0.25 * noise.audio))


def test_guidance_goes_from_null_through_told() -> None:
    null, told = latents(0), latents(1)
    close(guided(null, told, 0.0), null, 0)
    close(guided(null, told, 1.0), told)
    close(guided(null, told, 2.0), Latents(2 * told.video - null.video, 2 * told.audio - null.audio))


def test_velocities_are_added_by_share_and_one_alone_is_itself() -> None:
    one, two = (Latents(np.full((1, 2, 2, 2), v, np.float32), np.full((1, 2, 3), -v, np.float32)) for v in (1.0, 3.0))
    mixed = weighted([(one, 0.25), (two, 0.75)])
    assert (mixed.video == 2.5).all()
    assert (mixed.audio == -2.5).all()
    assert mixed.video.dtype == np.float32
    assert weighted([(one, 1.0)]) is one
