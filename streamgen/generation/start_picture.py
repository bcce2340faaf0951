"""The picture that a stream starts from, as the model takes it."""

from pathlib import Path

from streamgen.media.reference import read_picture
from streamgen_engines.bundle import Bundle
from streamgen_engines.chunk import Float32Array
from streamgen_engines.families import load_pictures


def start_picture(bundle: Bundle, file: Path | None) -> Float32Array | None:
    """The latent of a picture that a stream shall start from; None without one.

    Raises:
        MissingGraphError: the bundle cannot start from a picture.
        PictureError: the file cannot be read as one.
    """
    if file is None:
        return None
    video = bundle.manifest.video
    return load_pictures(bundle).encode(read_picture(file, video.width, video.height))
