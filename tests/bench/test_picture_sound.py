"""The measure of sound for given pictures, and that with the bundled model the sound is driven by them."""

import numpy as np

from bench import picture_sound
from bench.picture_sound import SCENE_CHUNKS, Scene
from streamgen_engines.bundle import bundled
from streamgen_engines.chunk import Float32Array
from streamgen_engines.families.pocket_sound import PocketSound
from streamgen_engines.runtimes import OnnxRuntimeCpu

SAMPLES = 11_520  # of a chunk


def noise(levels_db: Float32Array) -> Float32Array:
    white = np.random.default_rng(1).standard_normal((2, len(levels_db), SAMPLES))
    return (white * 10 ** (levels_db / 20)[:, None]).reshape(2, -1).astype(np.float32)


def test_agreement_is_one_for_the_scenes_own_loudness_and_none_for_another() -> None:
    random = np.random.default_rng(2)
    right, wrong = (random.normal(-30, 5, SCENE_CHUNKS).astype(np.float32) for _ in range(2))
    scene = Scene(np.zeros((4 * SCENE_CHUNKS, 1, 1, 3), np.uint8), right, ("",) * SCENE_CHUNKS)
    now, then = picture_sound.agreement(noise(right), scene)
    assert now > 0.99
    assert abs(then) < 0.3
    assert abs(picture_sound.agreement(noise(wrong), scene)[0]) < 0.5


def test_a_click_at_a_joint_shows() -> None:
    even = np.sin(np.arange(48_000) / 30).astype(np.float32)[None]
    assert 0.9 < picture_sound.joint_ratio(even, 6_000) < 1.1
    clicks = even.copy()
    clicks[:, 6_000::6_000] += 0.2
    assert picture_sound.joint_ratio(clicks, 6_000) > 5


def test_a_tone_is_a_line() -> None:
    shown = picture_sound.spectrogram(np.sin(2 * np.pi * 6_000 * np.arange(48_000) / 48_000).astype(np.float32))
    assert shown.shape[0] == 512
    assert set(shown.argmax(axis=0).tolist()) <= {511 - 128, 511 - 127, 511 - 129}  # 46.9 Hz a row, low at the bottom


def test_the_bundled_models_sound_follows_the_pictures() -> None:
    """A storm over the sea, where it does so clearly; `--driven` has the mean over many scenes."""
    scene = picture_sound.rendered(9_001)
    wanted = picture_sound.format_of(bundled(), width=224, height=128, fps=(50, 3), pictures=4)
    sound = PocketSound(bundled(), wanted, OnnxRuntimeCpu)
    as_shown, shuffled = (
        picture_sound.agreement(picture_sound.sound_of(sound, pictures, scene.captions, 1), scene)[0]
        for pictures in (scene.pictures, picture_sound.shuffled(scene.pictures, 1))
    )
    assert as_shown > 0.4
    assert as_shown > shuffled + 0.3
