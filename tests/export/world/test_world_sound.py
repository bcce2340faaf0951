"""The sound of the world: in step with the picture, in range, from the right side, and a pure function."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from streamgen_export.pocket.world.attributes import (
    ABSTRACT,
    MOODS,
    NONE,
    PLACES,
    SUBJECTS,
    TEMPOS,
    TIMES,
    Attributes,
    motions_of,
    possible,
    subjects_of,
    times_of,
    weathers_of,
)
from streamgen_export.pocket.world.formats import POCKET
from streamgen_export.pocket.world.motion import contacts, poses
from streamgen_export.pocket.world.screen import HEIGHT
from streamgen_export.pocket.world.sound import Controls, sound_controls
from streamgen_export.pocket.world.sound.ambience import SURF_PERIOD_S, WAVE_LAG_S, WAVE_PERIOD_S, slow_noise
from streamgen_export.pocket.world.sound.controls import NOISE, TONES, Mix
from streamgen_export.pocket.world.sound.impacts import add_impacts
from streamgen_export.pocket.world.sound.loops import LOOP_BEATS, Loop
from streamgen_export.pocket.world.sound.movement import add_movement
from streamgen_export.pocket.world.sound.music import CHORDS, music
from streamgen_export.pocket.world.sound.patterns import patterns_of
from streamgen_export.pocket.world.sound.sky import add_sky
from streamgen_export.pocket.world.sound.stereo import StereoSynth, stereo
from streamgen_export.pocket.world.sound.synth import BANDS, HOP, NOTES, Synth
from streamgen_export.pocket.world.timeline import BEAT_CHUNKS, beat_position, sky_events
from streamgen_export.pocket.world.world import World, sample_world

CHUNK = POCKET.frames_per_chunk
MEADOW = Attributes("meadow", "day", "clear")
BALL = replace(MEADOW, subject="ball", colour="red", motion="bounces")


def world_of(*attributes: Attributes) -> World:
    """A world with these attributes, one per chunk, and fixed timing."""
    for shown in attributes:
        assert possible(shown), shown
    return World(
        seed=0,
        format=POCKET,
        attributes=attributes,
        variant=0,
        offset_s=3.0,
        size=1.0,
        cycle=0.3,
        contact_phase=7,
        beat_phase=1,
    )


def loudness(controls: Controls | Mix) -> NDArray[np.float64]:
    """RMS of each control frame, float64 [F]."""
    power = (controls.tones.astype(np.float64) ** 2).sum(axis=1) / 4 + (controls.noise**2).sum(axis=1)
    level: NDArray[np.float64] = np.sqrt(power)
    return level


def level_db(sound: NDArray[np.float32]) -> float:
    return float(10 * np.log10((sound**2).mean()))


@pytest.mark.parametrize("seed", range(24))
def test_controls_are_in_range_and_do_not_clip(seed: int) -> None:
    world = sample_world(seed, POCKET, heldout=seed % 2 == 1)
    controls = sound_controls(world)
    frames = world.chunks * CHUNK
    arrays = (controls.tones, controls.noise, controls.balance)
    assert [array.shape for array in arrays] == [(frames, NOTES), (frames, BANDS), (frames, 2)]
    assert all(array.dtype == np.float32 and np.isfinite(array).all() for array in arrays)
    assert controls.tones.min() >= 0
    assert controls.noise.min() >= 0
    assert np.abs(controls.balance).max() <= 1
    sound = stereo(controls, seed)
    assert np.abs(sound).max() < 0.9
    assert -34 < level_db(sound) < -12


def test_the_same_world_sounds_the_same() -> None:
    for got, again in zip(_arrays(sample_world(11, POCKET)), _arrays(sample_world(11, POCKET)), strict=True):
        np.testing.assert_array_equal(got, again)


def _arrays(world: World) -> tuple[NDArray[np.float32], ...]:
    controls = sound_controls(world)
    return controls.tones, controls.noise, controls.balance


def test_what_comes_later_changes_nothing_before() -> None:
    other = Attributes("sea", "night", "storm", subject="fish", colour="blue", motion="leaps", mood="tense")
    longer, short = world_of(*[BALL] * 6, *[other] * 4), world_of(*[BALL] * 6)
    for got, whole in zip(_arrays(longer), _arrays(short), strict=True):
        np.testing.assert_allclose(got[: 6 * CHUNK], whole, atol=1e-6)


def test_a_change_cross_fades_over_one_chunk() -> None:
    before, after = replace(MEADOW, weather="rain"), Attributes("city", "night", "snow", mood="tense")
    mixed = _arrays(world_of(*[before] * 4, *[after] * 4))
    old, new = _arrays(world_of(*[before] * 8)), _arrays(world_of(*[after] * 8))
    change = 4 * CHUNK
    for kind in (TONES, NOISE):
        np.testing.assert_allclose(mixed[kind][:change], old[kind][:change], atol=1e-6)
        np.testing.assert_allclose(mixed[kind][change + CHUNK :], new[kind][change + CHUNK :], atol=1e-6)
        middle = change + CHUNK // 2 - 1
        np.testing.assert_allclose(mixed[kind][middle], (old[kind][middle] + new[kind][middle]) / 2, atol=1e-6)


@pytest.mark.parametrize("subject", ["ball", "cube", "star", "heart", "ring", "pyramid", "robot", "creature"])
def test_an_impact_starts_in_the_frame_of_the_contact(subject: str) -> None:
    world = world_of(*[replace(BALL, subject=subject)] * 14)
    mix = Mix(14 * CHUNK)
    add_impacts(mix, world)
    onsets = np.flatnonzero(np.diff(loudness(mix), prepend=0.0) > 0.05)
    assert onsets.tolist() == [event.picture * POCKET.frames_per_picture for event in contacts(world)]
    assert len(onsets) >= 2


@pytest.mark.parametrize("subject", ["fish", "whale"])
def test_a_splash_starts_in_the_frame_in_which_the_water_is_touched(subject: str) -> None:
    world = world_of(*[Attributes("sea", "day", "clear", subject=subject, colour="blue", motion="leaps")] * 20)
    mix = Mix(20 * CHUNK)
    add_impacts(mix, world)
    onsets = np.flatnonzero(np.diff(loudness(mix), prepend=0.0) > 0.04)
    assert onsets.tolist() == [event.picture * POCKET.frames_per_picture for event in contacts(world)]


@pytest.mark.parametrize(
    "shown",
    [
        replace(MEADOW, time="night", happening="fireworks"),
        replace(MEADOW, time="night", weather="storm"),
        Attributes("space", happening="shooting_stars"),
    ],
)
def test_what_happens_in_the_sky_is_heard_from_its_own_frame_on_and_from_its_side(shown: Attributes) -> None:
    world = world_of(*[shown] * 24)
    mix = Mix(24 * CHUNK)
    add_sky(mix, world)
    heard, balance = loudness(mix), mix.controls().balance
    events = sky_events(world)
    assert len(events) >= 2
    for event in events:
        frame = event.picture * POCKET.frames_per_picture
        assert heard[frame] > 1.3 * heard[frame - 1] + 0.01
        assert np.sign(balance[frame + 3, NOISE]) == np.sign(event.x - 0.5)


@pytest.mark.parametrize("shown", [BALL, replace(BALL, mood="joyful", tempo="fast"), replace(BALL, mood="tense")])
def test_impacts_stand_out_of_music_and_place(shown: Attributes) -> None:
    world = world_of(*[shown] * 24)
    heard = loudness(sound_controls(world))
    for event in contacts(world):
        frame = event.picture * POCKET.frames_per_picture
        assert heard[frame] > 1.5 * heard[frame - 1]


def test_two_subjects_that_land_together_are_not_twice_as_loud() -> None:
    both = replace(BALL, side="left", second="cube", second_colour="blue")
    mixes = []
    for shown in (BALL, both):
        mix = Mix(12 * CHUNK)
        add_impacts(mix, world_of(*[shown] * 12))
        mixes.append((loudness(mix) ** 2).sum())
    assert mixes[1] < 1.5 * mixes[0]


@pytest.mark.parametrize("tempo", TEMPOS)
@pytest.mark.parametrize("place", ABSTRACT)
def test_the_drum_of_an_abstract_place_is_on_the_beat(place: str, tempo: str) -> None:
    world = world_of(*[Attributes(place, colour="blue", mood="dreamy", tempo=tempo)] * 20)
    drum = sound_controls(world).tones[:, 0]
    onsets = np.flatnonzero(np.diff(drum) > 0.05) + 1
    beats = [p for p in range(1, world.pictures) if beat_position(world, tempo, p).is_integer()]
    assert onsets.tolist() == [picture * POCKET.frames_per_picture for picture in beats]


@pytest.mark.parametrize("tempo", TEMPOS)
@pytest.mark.parametrize("mood", MOODS[1:])
def test_music_plays_its_chords_and_repeats_every_two_bars(mood: str, tempo: str) -> None:
    beat = BEAT_CHUNKS[tempo] * CHUNK
    loop = music(mood, tempo, beat)
    assert len(loop.tones) == LOOP_BEATS * beat
    for index, (bass, upper) in enumerate(CHORDS[mood]):
        middle = loop.tones[(2 * index + 1) * beat : (2 * index + 2) * beat].mean(axis=0)
        for note in (bass, *upper):
            assert middle[note - 36] > 0.01, (index, note)
    assert -21 < 20 * np.log10(np.sqrt((loudness(Controls(loop.tones, loop.noise, loop.aside)) ** 2).mean())) < -19


def test_moods_and_tempos_differ() -> None:
    short = 2 * CHUNK * LOOP_BEATS
    loops = [music(mood, tempo, BEAT_CHUNKS[tempo] * CHUNK).tones[:short] for mood in MOODS[1:] for tempo in TEMPOS]
    for index, loop in enumerate(loops):
        for other in loops[:index]:
            assert np.abs(loop - other).max() > 0.02


def test_every_place_sounds_different_without_music() -> None:
    spectra = {}
    for place in PLACES:
        colour = "red" if place in ABSTRACT else NONE
        shown = Attributes(place, times_of(place)[0], weathers_of(place)[0], colour=colour, mood=NONE)
        controls = sound_controls(world_of(*[shown] * 36))
        assert loudness(controls).max() > 0.01, place
        spectra[place] = np.concatenate([controls.tones.mean(axis=0), controls.noise.mean(axis=0)])
    for place, spectrum in spectra.items():
        for other, its in spectra.items():
            assert place == other or np.abs(spectrum - its).max() > 5e-4, (place, other)


def test_weather_is_heard_and_snow_is_hushed() -> None:
    levels = {
        weather: loudness(sound_controls(world_of(*[replace(MEADOW, weather=weather, mood=NONE)] * 36))).mean()
        for weather in weathers_of("meadow")
    }
    assert levels["snow"] < levels["clear"] < levels["cloudy"] < levels["rain"] < levels["storm"]


def test_animals_keep_to_their_time_and_weather() -> None:
    forest = {time: patterns_of(Attributes("forest", time, "clear")) for time in TIMES}
    assert "dawn_chorus" in forest["dawn"]
    assert "crickets" in forest["night"]
    assert "crickets" not in forest["dawn"]
    assert "dawn_chorus" not in patterns_of(Attributes("forest", "dawn", "rain"))


def test_every_motion_but_bounces_and_leaps_is_heard() -> None:
    for subject in SUBJECTS:
        for place in PLACES:
            if subject not in subjects_of(place):
                continue
            for motion in motions_of(place, subject):
                world = world_of(
                    *[
                        Attributes(
                            place,
                            times_of(place)[0],
                            weathers_of(place)[0],
                            subject=subject,
                            colour="red",
                            motion=motion,
                        )
                    ]
                    * 34
                )
                mix = Mix(34 * CHUNK)
                add_movement(mix, world, world.attributes[0], np.arange(34 * CHUNK))
                add_impacts(mix, world)
                assert loudness(mix).max() > 0.01, (subject, place, motion)


def test_a_train_is_heard_where_it_is_seen() -> None:
    world = world_of(*[replace(MEADOW, subject="train", colour="red", motion="drifts", mood=NONE)] * 48)
    sound = stereo(sound_controls(world), 0).reshape(2, world.chunks, CHUNK * HOP)
    power = (sound**2).mean(axis=2)
    tilt = 10 * np.log10(power[1] / power[0])  # dB to the right, per chunk
    middle = HEIGHT * POCKET.width / POCKET.height / 2
    found = []
    for chunk in range(world.chunks):
        ((_, _, pose),) = poses(world, world.attributes[0], 4 * chunk + 2)
        away = (pose.x - middle) / middle
        if 0.35 < abs(away) < 0.9:
            assert tilt[chunk] * np.sign(away) > 1.5, (chunk, away)
            found.append(np.sign(away))
    assert {-1.0, 1.0} <= set(found)


def test_a_pulsing_subject_swells_on_the_beat() -> None:
    world = world_of(*[replace(MEADOW, subject="heart", colour="red", motion="pulses")] * 12)
    mix = Mix(12 * CHUNK)
    add_movement(mix, world, world.attributes[0], np.arange(12 * CHUNK))
    level = loudness(mix)
    for beat in (1, 4, 7):
        frame = beat * CHUNK
        assert abs(int(level[frame - 20 : frame + 20].argmax()) - 20) <= 1


def test_the_balance_pans_with_equal_power_and_without_a_click() -> None:
    frames = 100
    tones = np.zeros((frames, NOTES), np.float32)
    tones[:, 12] = 0.3  # a note that the synthesiser has in the middle
    sides = []
    for place in (-1.0, 0.0, 0.5, 1.0):
        balance = np.full((frames, 2), place, np.float32)
        sound = stereo(Controls(tones, np.zeros((frames, BANDS), np.float32), balance), 0)[:, 10 * HOP :]
        sides.append((np.arctanh(sound) ** 2).mean(axis=1))
    powers = np.array(sides)
    np.testing.assert_allclose(powers.sum(axis=1), powers[1].sum(), rtol=1e-3)
    assert powers[0][1] < 1e-9
    assert powers[3][0] < 1e-9
    assert powers[2][1] > 2 * powers[2][0]
    jump = np.zeros((frames, 2), np.float32)
    jump[50:] = 1.0
    moved = stereo(Controls(tones, np.zeros((frames, BANDS), np.float32), jump), 0)
    still = stereo(Controls(tones, np.zeros((frames, BANDS), np.float32), np.zeros_like(jump)), 0)
    assert np.abs(np.diff(moved, axis=1)).max() < 1.5 * np.abs(np.diff(still, axis=1)).max()


def test_without_a_balance_it_is_the_synthesiser_and_chunks_join() -> None:
    controls = sound_controls(sample_world(3, POCKET))
    noise = np.random.default_rng(0).standard_normal((2, len(controls.tones) * HOP)).astype(np.float32)
    whole = StereoSynth().play(controls, noise)
    parts, synth = [], StereoSynth()
    for start in range(0, len(controls.tones), CHUNK):
        here = slice(start, start + CHUNK)
        part = Controls(controls.tones[here], controls.noise[here], controls.balance[here])
        parts.append(synth.play(part, noise[:, start * HOP : (start + CHUNK) * HOP]))
    np.testing.assert_allclose(np.concatenate(parts, axis=1), whole, atol=1e-4)
    centred = Controls(controls.tones, controls.noise, np.zeros_like(controls.balance))
    np.testing.assert_allclose(
        StereoSynth().play(centred, noise), Synth().render(controls.tones, controls.noise, noise), atol=1e-5
    )


def test_a_bird_that_sings_alone_is_heard_from_its_place() -> None:
    loop = Loop(72)
    loop.chirp(1.0, (91, 93, 91, 89), 0.03, balance=-0.5)
    loop.chirp(1.0, (79, 81, 79, 77), 0.01, balance=-0.5)
    mix = Mix(len(loop.tones))
    mix.add_loop(loop.sealed(), np.arange(len(loop.tones)))
    assert -0.5 <= mix.controls().balance[75:90, TONES].min() < -0.4


def test_surf_swells_when_the_spray_rises_and_a_stormy_sea_with_its_breakers() -> None:
    time_s = np.arange(0, 30, 0.01)
    for place, period_s, first_s in (("coast", SURF_PERIOD_S, 0.0), ("sea", WAVE_PERIOD_S, WAVE_LAG_S % WAVE_PERIOD_S)):
        mix = Mix(len(time_s))
        slow_noise(mix, Attributes(place, "day", "clear"), time_s)
        level = mix.noise[:, 8]
        tops = time_s[1:-1][(level[1:-1] > level[:-2]) & (level[1:-1] >= level[2:])]
        wanted = np.arange(first_s, 30, period_s)
        np.testing.assert_allclose(tops, wanted[wanted > 0], atol=0.05)
