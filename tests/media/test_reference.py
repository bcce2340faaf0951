"""Reference pictures: any file, any shape, to the model's size; what cannot be read is said."""

from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from streamgen.errors import PictureError
from streamgen.media.reference import read_picture


def write(file: Path, picture: NDArray[np.uint8], codec: str) -> Path:
    with av.open(str(file), "w", format="image2") as container:
        stream = container.add_stream(codec, rate=1)
        assert isinstance(stream, av.VideoStream)
        stream.height, stream.width = picture.shape[:2]
        stream.pix_fmt = "rgb24" if codec == "png" else "yuvj444p"
        for packet in stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")):
            container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return file


@pytest.mark.parametrize(("codec", "suffix"), [("png", "png"), ("mjpeg", "jpg")])
@pytest.mark.parametrize("size", [(60, 100), (100, 60), (300, 40)])
def test_the_middle_is_kept_and_scaled(tmp_path: Path, codec: str, suffix: str, size: tuple[int, int]) -> None:
    height, width = size
    picture = np.zeros((height, width, 3), np.uint8)
    picture[height // 2 - 6 : height // 2 + 6, width // 2 - 6 : width // 2 + 6] = (255, 0, 0)
    read = read_picture(write(tmp_path / f"a.{suffix}", picture, codec), 80, 48)
    assert read.shape == (48, 80, 3)
    assert read.dtype == np.uint8
    red, green, blue = read[24, 40].astype(int)
    assert red > 200
    assert max(green, blue) < 60
    rows, columns = np.nonzero(read[..., 0] > 128)
    assert abs(rows.mean() - 23.5) < 1
    assert abs(columns.mean() - 39.5) < 1
    # Scaled alike in both directions: a square stays one.
    assert abs(np.ptp(rows) - np.ptp(columns)) <= 2


def test_a_picture_of_the_right_size_is_what_it_was(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (48, 80, 3)).astype(np.uint8)
    read = read_picture(write(tmp_path / "a.png", picture, "png"), 80, 48)
    assert np.array_equal(read, picture)


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match=r"missing\.png"):
        read_picture(tmp_path / "missing.png", 80, 48)
    words = tmp_path / "words.png"
    words.write_text("not a picture")
    with pytest.raises(PictureError, match=r"words\.png cannot be read"):
        read_picture(words, 80, 48)
    with pytest.raises(PictureError):
        read_picture(tmp_path, 80, 48)
