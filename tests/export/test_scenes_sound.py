"""The sound of the training world: in step with the picture, in range, and a pure function of the world."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from streamgen_export.pocket.scenes.ambience import WAVE_PERIOD_S, pattern, slow_noise
from streamgen_export.pocket.scenes.attributes import COLOURS, LIGHTS, MOODS, MOTIONS, Attributes
from streamgen_export.pocket.scenes.canvas import Moment
from streamgen_export.pocket.scenes.impacts import FRAMES_PER_PICTURE, STRIKES, impacts
from streamgen_export.pocket.scenes.loops import BAR, BEAT, EIGHTH, FRAMES_PER_CHUNK, LOOP
from streamgen_export.pocket.scenes.motion import HEIGHT, WIDTH, bars, beats, contacts
from streamgen_export.pocket.scenes.movement import movement
from streamgen_export.pocket.scenes.music import CHORDS, colour_bell, music
from streamgen_export.pocket.scenes.sound import Controls, sound_controls
from streamgen_export.pocket.scenes.synth import BANDS, FIRST_NOTE, HOP, NOTES, Synth
from streamgen_export.pocket.scenes.water import Breakers
from streamgen_export.pocket.scenes.world import SAMPLES_PER_PICTURE, World, sample_world

BALL = Attributes("meadow", "clear", "ball", "red", "bounces", "calm")


def world_of(*attributes: Attributes) -> World:
    """A world with these attributes, one per chunk, and fixed timing."""
    return World(
        seed=0,
        attributes=attributes,
        offset_s=3.0,
        radius=17.0,
        bounce_period=20,
        bounce_phase=7,
        cycle=0.3,
        beat_phase=1,
    )


def heard(controls: Controls, seed: int = 0) -> NDArray[np.float32]:
    noise = np.random.default_rng(seed).standard_normal((2, len(controls.tones) * HOP)).astype(np.float32)
    return Synth().render(controls.tones, controls.noise, noise)


def level_db(sound: NDArray[np.float32]) -> float:
    return float(10 * np.log10((sound**2).mean()))


@pytest.mark.parametrize("seed", range(100))
def test_controls_are_in_range(seed: int) -> None:
    world = sample_world(seed, heldout=seed % 2 == 1)
    controls = sound_controls(world)
    assert controls.tones.shape == (world.chunks * 32, NOTES)
    assert controls.noise.shape == (world.chunks * 32, BANDS)
    assert controls.tones.dtype == controls.noise.dtype == np.float32
    for values in (controls.tones, controls.noise):
        assert np.isfinite(values).all()
        assert values.min() >= 0
        assert values.max() < 0.45


@pytest.mark.parametrize("seed", range(0, 100, 4))
def test_all_worlds_are_about_equally_loud(seed: int) -> None:
    sound = heard(sound_controls(sample_world(seed)), seed)
    assert -24 < level_db(sound) < -16
    assert np.abs(np.arctanh(sound)).max() < 1.25


def test_the_same_world_sounds_the_same() -> None:
    first, second = sound_controls(sample_world(11)), sound_controls(sample_world(11))
    np.testing.assert_array_equal(first.tones, second.tones)
    np.testing.assert_array_equal(first.noise, second.noise)


def test_what_comes_later_changes_nothing_before() -> None:
    short = world_of(*[BALL] * 6)
    other = Attributes("sea", "stormy", "fish", "blue", "bounces", "tense")
    changed = world_of(*[BALL] * 6, *[other] * 4)
    for got, whole in zip(_arrays(changed), _arrays(short), strict=True):
        np.testing.assert_allclose(got[: 6 * FRAMES_PER_CHUNK], whole, atol=1e-6)


def _arrays(world: World) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    controls = sound_controls(world)
    return controls.tones, controls.noise


@pytest.mark.parametrize("subject", STRIKES)
def test_impacts_start_in_the_frame_of_the_contact(subject: str) -> None:
    world = world_of(*[replace(BALL, scene="sea", subject=subject)] * 10)
    _, noise = impacts(world, 320)
    level = noise.sum(axis=1)
    starts = tuple(int(frame) for frame in np.flatnonzero(np.diff(level, prepend=np.float32(0)) > 0.05))
    assert contacts(world) == (7, 27)
    assert starts == (7 * 8, 27 * 8)


def onset_strength(sound: NDArray[np.float32]) -> NDArray[np.float64]:
    """How much louder each half-octave becomes at each 5 ms of mono sound: spectral flux, float64 [S / 120]."""
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(sound, (0, 256)), 256)[: len(sound) : 120]
    power = np.abs(np.fft.rfft(windows * np.hanning(256), axis=1)) ** 2
    edges = np.unique(np.round(2 ** np.arange(0, 6.5, 0.5)).astype(int))  # bins of 94 Hz
    energy = np.log(np.add.reduceat(power, edges[:-1], axis=1) + 0.1)
    rise = np.zeros(len(energy))
    rise[2:-2] = np.maximum(energy[4:] - energy[:-4], 0).sum(axis=1)
    return rise


@pytest.mark.parametrize("seed", range(60))
def test_impacts_are_heard_when_the_picture_touches_the_ground(seed: int) -> None:
    world = sample_world(seed)
    rise = onset_strength(heard(sound_controls(world), seed).mean(axis=0))
    usual = float(np.percentile(rise, 90))
    for picture in contacts(world):
        frame = picture * SAMPLES_PER_PICTURE // 120
        if frame >= 8:
            assert rise[frame - 4 : frame + 4].max() > 1.5 * usual


@pytest.mark.parametrize("scene", ["meadow", "city", "sea", "rain", "snow"])
@pytest.mark.parametrize("subject", ["ball", "cube", "star", "triangle", "heart", "ring"])
def test_the_strongest_onsets_are_the_impacts(scene: str, subject: str) -> None:
    attributes = Attributes(scene, LIGHTS[scene][0], subject, "blue", "bounces", "dreamy")
    world = world_of(*[attributes] * 10)
    rise = onset_strength(heard(sound_controls(world)).mean(axis=0))
    rise[:40] = 0  # the start of the take
    peaks = []
    for _ in contacts(world):
        peak = int(rise.argmax())
        peaks.append(peak * 5.0)
        rise[max(0, peak - 20) : peak + 20] = 0
    np.testing.assert_allclose(sorted(peaks), [picture * 80.0 for picture in contacts(world)], atol=10.0)


def test_two_subjects_are_not_twice_as_loud() -> None:
    both = world_of(*[replace(BALL, second="cube", second_colour="blue")] * 4)
    one = world_of(*[BALL] * 4)
    loud, single = impacts(both, 128), impacts(one, 128)
    assert (loud[1] ** 2).sum() < 1.5 * (single[1] ** 2).sum()
    assert (loud[0] ** 2).sum() < 1.5 * (single[0] ** 2).sum()


def test_an_impact_rings_on_after_the_bouncing_has_stopped() -> None:
    still = replace(BALL, motion="floats")
    world = world_of(*[BALL] * 2, *[still] * 4)
    tones, _ = impacts(world, 6 * 32)
    assert contacts(world) == (7,)
    assert tones[64:70].max() > 0.01
    assert tones[180:].max() == 0


def test_nothing_strikes_without_bouncing() -> None:
    tones, noise = impacts(world_of(*[replace(BALL, motion="rolls")] * 10), 320)
    assert not tones.any()
    assert not noise.any()


def test_the_loop_is_the_clock_of_the_picture() -> None:
    assert (EIGHTH, BEAT, BAR, LOOP) == (32, 64, 192, 384)
    world = world_of(*[Attributes("pulses", "dim", colour="blue", mood="dreamy")] * 18)
    kick = sound_controls(world).tones[:, 36 - FIRST_NOTE]
    onsets = tuple(int(frame) for frame in np.flatnonzero(np.diff(kick) > 0.05) + 1)
    assert onsets == tuple(picture * FRAMES_PER_PICTURE for picture in beats(world))


@pytest.mark.parametrize("mood", MOODS)
def test_a_mood_alternates_two_chords_one_a_bar(mood: str) -> None:
    world = world_of(*[Attributes("snow", "night", mood=mood)] * 24)
    tones = sound_controls(world).tones
    starts = [picture * FRAMES_PER_PICTURE for picture in bars(world)]
    for index, start in enumerate(starts[:3]):
        now, other = (set(CHORDS[mood][(index + turn) % 2]) for turn in (0, 1))
        middle = tones[start + 90 : start + BAR - 30].mean(axis=0)
        for note in now:
            assert middle[note - FIRST_NOTE] > 0.02
        for note in other - now:
            own = min(middle[mine - FIRST_NOTE] for mine in now)
            assert middle[note - FIRST_NOTE] < max(own, 0.02)


def test_every_mood_and_colour_sounds_different() -> None:
    loops = [music(mood).tones for mood in MOODS] + [colour_bell(colour).tones for colour in COLOURS]
    for index, loop in enumerate(loops):
        for other in loops[:index]:
            assert np.abs(loop - other).max() > 0.02


@pytest.mark.parametrize("scene", LIGHTS)
def test_every_light_sounds_different(scene: str) -> None:
    time_s = np.arange(600) / 100
    sounds = [
        np.concatenate([slow_noise(scene, light, time_s).mean(axis=0), pattern(scene, light).tones.mean(axis=0)])
        for light in LIGHTS[scene]
    ]
    for index, sound in enumerate(sounds):
        for other in sounds[:index]:
            assert np.abs(sound - other).max() > 2e-4


def test_the_calm_sea_swells_with_the_slowest_wave() -> None:
    time_s = np.arange(0, 40, 0.01)
    peaks = time_s[_tops(slow_noise("sea", "clear", time_s).sum(axis=1))]
    np.testing.assert_allclose(peaks, WAVE_PERIOD_S * np.arange(1, 7), atol=0.02)


def test_the_storm_swells_when_the_nearest_breaker_is_in_the_middle() -> None:
    water = Breakers(50, far="#000000", near="#000000", foam="#ffffff", through="#000000")
    time_s = np.arange(0, 24, 0.08)
    foam = []
    for second in time_s:
        canvas = np.zeros((HEIGHT, WIDTH, 3), np.float32)
        water.draw(canvas, Moment(time_s=float(second), picture=0, beat=0.0))
        foam.append(canvas[79:85, 78:83].mean())
    swell = slow_noise("sea", "stormy", time_s).sum(axis=1)
    smooth = np.convolve(foam, np.ones(9) / 9, "same")
    aligned = np.corrcoef(smooth, swell)[0, 1]
    shifted = np.corrcoef(smooth, np.roll(swell, 25))[0, 1]  # two seconds: half a wave
    assert aligned > 0.5
    assert aligned > shifted + 0.5


def _tops(values: NDArray[np.floating]) -> NDArray[np.intp]:
    """Where a curve has a local maximum."""
    inner = values[1:-1]
    return np.flatnonzero((inner > values[:-2]) & (inner >= values[2:])) + 1


def test_a_pulsing_subject_swells_on_the_beat() -> None:
    world = world_of(*[replace(BALL, motion="pulses")] * 10)
    tones, _ = movement(world, world.attributes[0], np.arange(320))
    level = tones.sum(axis=1)
    for picture in beats(world)[1:]:
        frame = picture * FRAMES_PER_PICTURE
        assert abs(int(level[frame - 20 : frame + 20].argmax()) - 20) <= 1


def test_every_motion_but_bouncing_has_a_sound_of_its_own() -> None:
    for subject, motions in MOTIONS.items():
        for motion in motions:
            world = world_of(*[Attributes("sea", "clear", subject, "red", motion)] * 15)
            tones, noise = movement(world, world.attributes[0], np.arange(480))
            assert bool(tones.any() or noise.any()) == (motion != "bounces"), (subject, motion)


def test_a_change_cross_fades_over_one_chunk() -> None:
    before, after = Attributes("rain", "stormy", mood="calm"), Attributes("snow", "night", mood="tense")
    mixed = sound_controls(world_of(*[before] * 4, *[after] * 4))
    old, new = sound_controls(world_of(*[before] * 8)), sound_controls(world_of(*[after] * 8))
    change = 4 * FRAMES_PER_CHUNK
    np.testing.assert_array_equal(mixed.noise[:change], old.noise[:change])
    np.testing.assert_allclose(mixed.noise[change + 31 :], new.noise[change + 31 :], atol=1e-6)
    np.testing.assert_allclose(mixed.tones[change + 31 :], new.tones[change + 31 :], atol=1e-6)
    half = change + 15
    np.testing.assert_allclose(mixed.tones[half], (old.tones[half] + new.tones[half]) / 2, atol=1e-6)


def test_a_short_segment_fades_in_and_out() -> None:
    plain = Attributes("snow", "night")
    world = world_of(*[plain] * 3, replace(plain, mood="tense"), *[plain] * 3)
    tones = sound_controls(world).tones
    assert np.isfinite(tones).all()
    np.testing.assert_allclose(tones[:96], sound_controls(world_of(*[plain] * 7)).tones[:96], atol=1e-6)
