"""Sound for the pictures of models that make none: what it costs, whether it follows them, and 20 s to listen to.

    python -m bench.picture_sound                      # milliseconds per chunk of 12 pictures of 832x480
    python -m bench.picture_sound --driven 14          # agreement with the sound of so many rendered scenes
    python -m bench.picture_sound --listen /tmp/sound  # sound.wav and sound.png, and how well chunks join

`--driven` renders scenes of the bundled model's world, each of which has a sound of its own, shows the pictures alone
and compares the loudness that is made with that of the scene: per chunk of 0.24 s, in dB, as a correlation over the
scene. Scenes whose loudness hardly changes are left out. Three controls: the same pictures in a shuffled order, the
loudness without the rule that follows motion, and what is true compared with itself at another time.
"""

import argparse
import itertools
import sys
import time
import wave
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image

from streamgen_engines.bundle import Bundle, bundled
from streamgen_engines.chunk import Float32Array, UInt8Array
from streamgen_engines.families import Condition, load
from streamgen_engines.families.pocket_sound import PocketSound
from streamgen_engines.manifest import AudioPart, Manifest, VideoPart
from streamgen_engines.motion_loudness import MotionLoudness
from streamgen_engines.runtimes import OnnxRuntimeCpu

CHUNKS: Final = 16
WARM_UP: Final = 2
SCENE_CHUNKS: Final = 28
"""Of 0.24 s, of each rendered scene; the first four are not compared, because sound has to begin."""
BEGUN: Final = 4
LEAST_CHANGE_DB: Final = 2.0
"""Standard deviation of a scene's loudness below which there is nothing to follow."""
FIRST_SCENE: Final = 9_000
LISTEN_S: Final = 20
PROMPT: Final = "heavy rain and lightning over a forest"


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """A rendered scene.

    Attributes:
        pictures: uint8 `[4 * SCENE_CHUNKS, H, W, 3]`.
        loudness: dB, one for each chunk.
        captions: one for each chunk.
    """

    pictures: UInt8Array
    loudness: Float32Array
    captions: tuple[str, ...]


def format_of(source: Bundle, *, width: int, height: int, fps: tuple[int, int], pictures: int) -> Manifest:
    """A manifest that asks for the sound of such pictures, at 48 kHz stereo."""
    duration = Fraction(pictures * fps[1], fps[0])
    video = VideoPart(width=width, height=height, fps=fps, frames_per_chunk=pictures, latent=(1,))
    audio = AudioPart(sample_rate=48_000, channels=2, samples_per_chunk=int(duration * 48_000))
    return source.manifest.model_copy(update={"name": "measured", "video": video, "audio": audio})


def chunk_of(sound: PocketSound, pictures: UInt8Array, text: str, seed: int) -> Float32Array:
    """The sound of a whole chunk under one text."""
    sound.begin(((text, 1.0),), seed)
    sound.see(pictures)
    return sound.finish()


def cost(source: Bundle, *, chunks: int, threads: int) -> str:
    """Time per chunk of 12 pictures of 832x480 at 16 a second."""
    sound = PocketSound(
        source, format_of(source, width=832, height=480, fps=(16, 1), pictures=12), OnnxRuntimeCpu, threads=threads
    )
    random = np.random.default_rng(0)
    walls, busy = [], []
    for index in range(WARM_UP + chunks):
        pictures = random.integers(0, 256, (12, 480, 832, 3), dtype=np.uint8)
        wall, cpu = time.perf_counter(), time.process_time()
        chunk_of(sound, pictures, PROMPT, 1)
        if index >= WARM_UP:
            walls.append(time.perf_counter() - wall)
            busy.append(time.process_time() - cpu)
    mean, cpu = float(np.mean(walls)), float(np.mean(busy))
    return (
        f"sound of 0.75 s with {threads} thread(s): {1e3 * mean:.0f} ms on average ({1e3 * min(walls):.0f} to "
        f"{1e3 * max(walls):.0f}), "
        f"{0.75 / mean:.2f} times real time; {1e3 * cpu:.0f} ms of processor time, {0.75 / cpu:.2f} times real time"
    )


def rendered(seed: int) -> Scene:
    """A scene of the bundled model's world."""
    from streamgen_export.pocket.world.clip import render_clip
    from streamgen_export.pocket.world.formats import Format

    clip = render_clip(seed, Format(224, 128, Fraction(50, 3), 24_000), chunks=SCENE_CHUNKS)
    power = (np.concatenate((clip.controls.tones, clip.controls.noise), axis=1) ** 2).sum(axis=1)
    return Scene(clip.pictures.rgb, _decibels(power.reshape(SCENE_CHUNKS, -1).mean(axis=1)), clip.captions)


def scenes(count: int) -> Iterator[Scene]:
    """Rendered scenes whose loudness changes."""
    changing = (scene for scene in map(rendered, itertools.count(FIRST_SCENE)) if _changes(scene))
    return itertools.islice(changing, count)


def _changes(scene: Scene) -> bool:
    return float(scene.loudness[BEGUN:].std()) >= LEAST_CHANGE_DB


def shuffled(pictures: UInt8Array, seed: int) -> UInt8Array:
    """The pictures of a scene, with those of each chunk elsewhere in time."""
    order = np.random.default_rng(seed).permutation(SCENE_CHUNKS)
    return pictures.reshape(SCENE_CHUNKS, 4, *pictures.shape[1:])[order].reshape(pictures.shape)


def agreement(made: Float32Array, scene: Scene) -> tuple[float, float]:
    """Correlation with the scene's loudness, and the mean of those with it at another time.

    Args:
        made: `[channels, samples]`.
        scene: what was to be followed.
    """
    found = _decibels((made.mean(axis=0).reshape(SCENE_CHUNKS, -1) ** 2).mean(axis=1))[BEGUN:]
    right = scene.loudness[BEGUN:]
    rolled = [np.corrcoef(found, np.roll(right, shift))[0, 1] for shift in range(3, len(right) - 2)]
    return float(np.corrcoef(found, right)[0, 1]), float(np.mean(rolled))


def sound_of(sound: PocketSound, pictures: UInt8Array, captions: tuple[str, ...], seed: int) -> Float32Array:
    """Sound of a scene, chunk by chunk of four pictures, `[channels, samples]`."""
    sound.reset()
    chunks = pictures.reshape(-1, 4, *pictures.shape[1:])
    made = [chunk_of(sound, chunk, text, seed) for chunk, text in zip(chunks, captions, strict=True)]
    return np.concatenate(made, axis=1)


class _Even:
    """In the place of `MotionLoudness`: as loud as the model says."""

    def gains(self, pictures: UInt8Array, samples: int, *, cut: bool = False) -> Float32Array:
        return np.ones(samples, np.float32)

    def reset(self) -> None:
        """It carries nothing."""


def motion_gains(pictures: UInt8Array, samples: int) -> Float32Array:
    """What the rule for motion makes of the pictures of a scene, `[samples]`."""
    rule = MotionLoudness(50 / 3)
    chunks = pictures.reshape(-1, 4, *pictures.shape[1:])
    return np.concatenate([rule.gains(chunk, samples // len(chunks)) for chunk in chunks])


def driven(source: Bundle, *, count: int, threads: int, progress: Callable[[str], None]) -> str:
    """Agreement of loudness over the scenes, with the controls."""
    wanted = format_of(source, width=224, height=128, fps=(50, 3), pictures=4)
    rows: dict[str, list[tuple[float, float]]] = {}
    for number, scene in enumerate(scenes(count)):
        mixed = shuffled(scene.pictures, number)
        for name, pictures in (("as shown", scene.pictures), ("shuffled", mixed)):
            sound: Any = PocketSound(source, wanted, OnnxRuntimeCpu, threads=threads)
            sound._motion = _Even()
            plain = sound_of(sound, pictures, scene.captions, 50 + number)
            rows.setdefault(f"{name}, without the rule for motion", []).append(agreement(plain, scene))
            rows.setdefault(name, []).append(agreement(plain * motion_gains(pictures, plain.shape[1]), scene))
        progress(f"scene {number + 1}: " + ", ".join(f"{name} {found[-1][0]:.2f}" for name, found in rows.items()))
    lines = [f"correlation of loudness per 0.24 s with that of {count} rendered scenes:"]
    for name, found in rows.items():
        mean, rolled = np.mean(found, axis=0)
        error = np.std([one for one, _ in found], ddof=1) / np.sqrt(len(found)) if len(found) > 1 else np.nan
        lines.append(f"  {name}: {mean:.2f} (standard error {error:.2f}); at another time {rolled:.2f}")
    return "\n".join(lines)


def listen(source: Bundle, out: Path, *, threads: int) -> str:
    """Sound for 20 s of the bundled model's own pictures, as a file, a spectrogram, and a figure for its joints."""
    model = load(source, threads, seed=4)
    prompt = model.text.encode(PROMPT)
    wanted = format_of(source, width=source.manifest.video.width, height=256, fps=(16, 1), pictures=12)
    sound = PocketSound(source, wanted, OnnxRuntimeCpu, threads=threads)
    made = []
    for _ in range(-(-LISTEN_S * 16 // 12)):
        pictures = [model.decoder.decode(model.generator.step(Condition(prompt))).video for _ in range(3)]
        made.append(chunk_of(sound, np.concatenate(pictures), PROMPT, 9))
    heard = np.concatenate(made, axis=1)
    with wave.open(str(out.with_suffix(".wav")), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(48_000)
        file.writeframes((heard.T * 32_767).astype("<i2").tobytes())
    Image.fromarray(spectrogram(heard.mean(axis=0))).save(out.with_suffix(".png"))
    clipped = float((np.abs(heard) >= 1).mean())
    joints = {"of the pictures' chunks": wanted.audio.samples_per_chunk, "of the model's chunks": 11_520}
    told_ = [f"{name} {joint_ratio(heard, every):.2f}" for name, every in joints.items()]
    return (
        f"{out.with_suffix('.wav')}, {out.with_suffix('.png')}: {heard.shape[1] / 48_000:.2f} s; change from sample to "
        f"sample at joints over that elsewhere: {', '.join(told_)}; {100 * clipped:.3f} % of samples at full scale"
    )


def joint_ratio(heard: Float32Array, every: int) -> float:
    """Second differences within half a millisecond of joints over those elsewhere (rms); a click is far above 1.

    Args:
        heard: `[channels, samples]` at 48 kHz.
        every: samples between joints.
    """
    bend = np.diff(heard, n=2, axis=1) ** 2
    places = np.arange(bend.shape[1]) % every
    near = (places < 24) | (places >= every - 24)
    near[:every] = False
    return float(np.sqrt(bend[:, near].mean() / bend[:, ~near].mean()))


def spectrogram(mono: Float32Array) -> UInt8Array:
    """Levels of 20 ms windows, low tones at the bottom, 90 dB from black to white; uint8 `[512, windows]`."""
    size, step = 1_024, 480
    windows = np.lib.stride_tricks.sliding_window_view(mono, size)[::step]
    power = np.abs(np.fft.rfft(windows * np.hanning(size), axis=1)[:, :512]) ** 2
    level = _decibels(power)
    shown: UInt8Array = (np.clip((level - level.max() + 90) / 90, 0, 1) * 255).astype(np.uint8).T[::-1]
    return np.ascontiguousarray(shown)


def _decibels(power: Any) -> Float32Array:
    level: Float32Array = (10 * np.log10(power + 1e-7)).astype(np.float32)
    return level


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m bench.picture_sound", description="Sound for given pictures.")
    parser.add_argument("--chunks", type=int, default=CHUNKS, help=f"measured for the cost [{CHUNKS}]")
    parser.add_argument("--threads", type=int, default=1, help="compute threads [1]")
    parser.add_argument("--driven", type=int, metavar="SCENES", help="compare with so many rendered scenes")
    parser.add_argument("--listen", type=Path, metavar="FILE", help="write FILE.wav and FILE.png")
    given = parser.parse_args()
    source = bundled()

    def progress(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    if given.driven:
        print(driven(source, count=given.driven, threads=given.threads, progress=progress))
    elif given.listen:
        print(listen(source, given.listen, threads=given.threads))
    else:
        print(cost(source, chunks=given.chunks, threads=given.threads))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
