"""The arithmetic between the passes as graphs, against the same in numpy; and TensorRT for RTX builds them."""

from dataclasses import asdict
from typing import Any

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

from streamgen_engines.bundle import bundled
from streamgen_engines.chunk import Latents
from streamgen_engines.device.sampler_graphs import SamplerGraphs, sampler_graphs
from streamgen_engines.guard import StatisticsGuard
from streamgen_engines.manifest import ChannelRanges, Guard, PocketManifest, pocket_manifest
from streamgen_engines.sampler import guided, noised, sample, weighted
from streamgen_engines.tensorrt.builder import build
from streamgen_engines.tensorrt.lint import lint
from streamgen_engines.tensorrt.prepare import prepare
from tests.tensorrt.rtx import needs_rtx, rtx

Arrays = dict[str, NDArray[np.float32]]
ATOL = 2e-6


def manifest(*, limit: float | None = None, ranged: bool = False) -> PocketManifest:
    """That of the bundled small model, with another guard."""
    found = pocket_manifest(bundled("pocket-small").manifest)
    sides: dict[str, Any] = {}
    if ranged:
        for side, channels in (("video", found.video.latent[0]), ("audio", found.audio.latent[0])):
            sides[side] = ChannelRanges(mean=((-0.1, 0.05),) * channels, deviation=((0.3, 0.6),) * channels)
    guard = Guard(limit=limit, pull=0.5, **sides) if limit is not None or ranged else None
    return found.model_copy(update={"sampler": found.sampler.model_copy(update={"guard": guard})})


def run(model: bytes, inputs: Arrays) -> Arrays:
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, inputs), strict=True))


class Draw:
    """Random latents of a manifest's shapes."""

    def __init__(self, of: PocketManifest) -> None:
        self._shapes = ((1, *of.video.latent), (1, *of.audio.latent))
        self._random = np.random.default_rng(3)

    def __call__(self) -> Latents:
        video, audio = (self._random.standard_normal(shape, np.float32) for shape in self._shapes)
        return Latents(video, audio)


def named(prefix: str, latents: Latents) -> Arrays:
    return {f"{prefix}video": latents.video, f"{prefix}audio": latents.audio}


def require(found: Arrays, prefix: str, right: Latents) -> None:
    for side, array in named("", right).items():
        np.testing.assert_allclose(found[f"{prefix}{side}"], array, atol=ATOL, rtol=ATOL)


def scalar(*values: float) -> NDArray[np.float32]:
    return np.array(values, np.float32)


@pytest.mark.parametrize("limit", [None, 0.8])
@pytest.mark.parametrize("guidance", [1.5, 4.0])
@pytest.mark.parametrize(("sigma", "lower"), [(1.0, 0.7), (0.4, 0.0)])
def test_a_step_is_one_of_the_sampler(limit: float | None, guidance: float, sigma: float, lower: float) -> None:
    of = manifest(limit=limit)
    draw = Draw(of)
    x, null, told = draw(), draw(), draw()
    right = sample(x, (sigma, lower), lambda x, sigma: guided(null, told, guidance), limit=limit)
    given = {**named("", x), **named("null_", null), **named("told_", told)}
    coefficients = scalar(guidance, sigma, lower / sigma)
    found = run(sampler_graphs(of).step, {**given, "coefficients": coefficients, "energy": scalar(2.0)})
    require(found, "next_", right)
    clean = sample(x, (sigma, 0.0), lambda x, sigma: guided(null, told, guidance))  # before the clamp
    energy = 2.0 + np.mean(clean.video**2) + np.mean(clean.audio**2)
    np.testing.assert_allclose(found["next_energy"], [energy], rtol=1e-5)


def test_the_velocity_with_text_in_both_places_is_no_guidance() -> None:
    of = manifest()
    draw = Draw(of)
    x, told = draw(), draw()
    given = {**named("", x), **named("null_", told), **named("told_", told), "energy": scalar(0.0)}
    found = run(sampler_graphs(of).step, {**given, "coefficients": scalar(1.0, 0.9, 0.5)})
    require(found, "next_", sample(x, (0.9, 0.45), lambda x, sigma: told))


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
@pytest.mark.parametrize("side", ["video", "audio"])
def test_what_is_not_finite_stays_in_the_energy(wrong: float, side: str) -> None:
    of = manifest(limit=1.0)
    draw = Draw(of)
    given = {**named("", draw()), **named("null_", draw()), **named("told_", draw())}
    given[f"told_{side}"].flat[5] = wrong
    found = run(sampler_graphs(of).step, {**given, "coefficients": scalar(2, 1, 0.5), "energy": scalar(0.0)})
    assert not np.isfinite(found["next_energy"][0])
    later = {**named("", draw()), **named("echo_", draw()), "energy": found["next_energy"]}
    assert not np.isfinite(run(sampler_graphs(of).finish, later)["total_energy"][0])


def test_weighing_adds_up_to_the_weighted_sum() -> None:
    of = manifest()
    draw = Draw(of)
    parts = [(draw(), 0.2), (draw(), 0.5), (draw(), 0.3)]
    graph = sampler_graphs(of).weigh
    total = named("sum_", Latents(np.zeros_like(parts[0][0].video), np.zeros_like(parts[0][0].audio)))
    for part, share in parts:
        made = run(graph, {**total, **named("part_", part), "share": scalar(share)})
        total = {name.replace("next", "sum"): value for name, value in made.items()}
    require(total, "sum_", weighted(parts))


@pytest.mark.parametrize("ranged", [False, True])
def test_the_end_is_the_guard_and_the_noised_context(ranged: bool) -> None:
    of = manifest(ranged=ranged)
    draw = Draw(of)
    x, echo = draw(), draw()
    x.video[0, 0] = 0.4  # a flat channel is moved and not stretched
    x.video[0, 1] *= 3
    x.audio[0, 1] += 2
    x.audio[0, 2] *= 0.01
    guard = of.sampler.guard
    clean = StatisticsGuard(guard)(x) if guard is not None else x
    found = run(sampler_graphs(of).finish, {**named("", x), **named("echo_", echo), "energy": scalar(1.0)})
    require(found, "clean_", clean)
    require(found, "context_", noised(clean, echo, of.sampler.context_noise))
    energy = 1.0 + np.mean(clean.video**2) + np.mean(clean.audio**2)
    np.testing.assert_allclose(found["total_energy"], [energy], rtol=1e-5)
    assert bool(np.abs(clean.video - x.video).max() > 0.1) is ranged


@pytest.mark.parametrize("bundle", ["testcard", "pocket-small", "pocket"])
def test_the_lint_finds_nothing(bundle: str) -> None:
    for name, graph in asdict(sampler_graphs(pocket_manifest(bundled(bundle).manifest))).items():
        assert lint(prepare(graph, "fp32", name=name).model, "tensorrt-rtx", ()) == [], name


@needs_rtx
@pytest.mark.parametrize(
    "of", [pocket_manifest(bundled("pocket").manifest), manifest(limit=2.0, ranged=True)], ids=["pocket", "guarded"]
)
@pytest.mark.parametrize("name", SamplerGraphs.__slots__)
def test_tensorrt_for_rtx_builds_them(of: PocketManifest, name: str) -> None:
    prepared = prepare(getattr(sampler_graphs(of), name), "fp32", name=name)
    assert build(rtx(), prepared.model, name=name).plan
