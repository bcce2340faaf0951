from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from streamgen.errors import OutputPathError
from streamgen.media.mp4 import KINDS, FileWriter, check_output

FPS = (25, 2)
RATE = 24_000


def open_writer(path: Path, *, channels: int = 2) -> FileWriter:
    return FileWriter(path, width=160, height=96, fps=FPS, sample_rate=RATE, channels=channels, scale=2)


def chunk(level: int = 20, *, channels: int = 2) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    return np.full((4, 96, 160, 3), level, np.uint8), np.zeros((channels, 7_680), np.float32)


def read(path: Path) -> tuple[list[tuple[float, NDArray[np.uint8]]], float, NDArray[np.float32]]:
    """Pictures with their times, the time of the first sound, and the sound at 48 kHz."""
    with av.open(str(path)) as container:
        pictures = [
            (frame.time, np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)) for frame in container.decode(video=0)
        ]
    with av.open(str(path)) as container:
        resampler = av.AudioResampler(format="fltp", layout="stereo", rate=48_000)
        frames = [out for frame in container.decode(audio=0) for out in resampler.resample(frame)]
    first = frames[0].time
    assert first is not None
    return pictures, first, np.concatenate([np.asarray(f.to_ndarray(), np.float32) for f in frames], axis=1)


@pytest.mark.parametrize("extension", sorted(KINDS))
def test_flash_and_click_are_at_the_same_moment(extension: str, tmp_path: Path) -> None:
    path = tmp_path / f"out{extension}"
    flash, click = chunk()
    flash[1] = 230
    click[:, 1_920:1_960] = 0.8 * np.hanning(40) * np.sin(np.arange(40) * 1.3)
    with open_writer(path) as writer:
        for part in (chunk(), chunk(), (flash, click), chunk()):
            writer.write(*part)

    pictures, first_s, heard = read(path)

    flash_s = max(pictures, key=lambda item: float(item[1].mean()))[0]
    click_s = first_s + (int(np.argmax(np.abs(heard[0]))) - 40) / 48_000
    assert flash_s == pytest.approx(0.72, abs=0.002)
    assert click_s == pytest.approx(0.72, abs=0.002)


@pytest.mark.parametrize("extension", sorted(KINDS))
def test_length_size_and_level_are_kept(extension: str, tmp_path: Path) -> None:
    path = tmp_path / f"out{extension}"
    time_s = np.arange(5 * 7_680) / RATE
    tone = (0.4 * np.sin(2 * np.pi * 500 * time_s)).astype(np.float32)
    with open_writer(path) as writer:
        for part in np.split(np.stack([tone, tone]), 5, axis=1):
            writer.write(chunk(90)[0], part)

    pictures, _, heard = read(path)

    assert [time for time, _ in pictures] == pytest.approx([n * 0.08 for n in range(20)], abs=0.002)
    assert pictures[3][1].shape == (192, 320, 3)
    assert abs(float(pictures[3][1].mean()) - 90) < 4
    assert heard.shape[1] == pytest.approx(1.6 * 48_000, abs=1_024)
    inner = heard[0, 4_800:67_200]
    assert np.sqrt(2 * np.mean(inner**2)) == pytest.approx(0.4, rel=0.03)
    spectrum = np.abs(np.fft.rfft(inner * np.hanning(len(inner))))
    assert np.argmax(spectrum) * 48_000 / len(inner) == pytest.approx(500, abs=1.5)


def test_mono_becomes_stereo(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    with open_writer(path, channels=1) as writer:
        pictures, _ = chunk()
        writer.write(pictures, np.full((1, 7_680), 0.1, np.float32))
    assert read(path)[2].shape[0] == 2


def test_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    path.write_bytes(b"what was there")
    writer = open_writer(path)
    writer.write(*chunk())
    with pytest.raises(ValueError, match="pictures of the wrong shape"), writer:
        raise ValueError("pictures of the wrong shape")
    assert path.read_bytes() == b"what was there"
    assert list(tmp_path.iterdir()) == [path]


def test_close_is_idempotent(tmp_path: Path) -> None:
    writer = open_writer(tmp_path / "out.mp4")
    writer.write(*chunk())
    writer.close()
    writer.close()
    writer.discard()
    assert [each.name for each in tmp_path.iterdir()] == ["out.mp4"]


def test_unknown_kinds_and_bad_places_are_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputPathError, match=r"\.mp4 or \.webm"):
        check_output(tmp_path / "out.avi")
    with pytest.raises(OutputPathError, match="choose a folder that can"):
        check_output(tmp_path / "missing" / "out.mp4")
    (tmp_path / "folder.mp4").mkdir()
    with pytest.raises(OutputPathError, match="is a folder"):
        check_output(tmp_path / "folder.mp4")
    check_output(tmp_path / "fine.WEBM")
    assert [each.name for each in tmp_path.iterdir()] == ["folder.mp4"]
