"""A channel's log as a file again: what `streamgen replay` does."""

from __future__ import annotations

from pathlib import Path

from streamgen.errors import RenderError
from streamgen.generation.start_picture import start_picture
from streamgen.log.contents import GeneratorStarted
from streamgen.log.reader import LogReader
from streamgen.media.mp4 import FileWriter, check_output
from streamgen.media.video_encoder import encoded_size, usual_scale
from streamgen.replay import replay
from streamgen.upscaling import upscales
from streamgen_engines.bundle import Bundle
from streamgen_engines.gpu_options import GpuOptions
from streamgen_engines.runtime_name import DEFAULT_RUNTIME, RuntimeName, read_runtime
from streamgen_engines.text_placement import TextPlacement


def replay_to_file(
    folder: Path,
    channel: str,
    bundle: Path,
    out: Path,
    *,
    life: int | None = None,
    picture: Path | None = None,
    scale: int | None = 1,
    threads: int | None = None,
    gpu: GpuOptions | None = None,
    texts: TextPlacement | None = None,
    upscale: bool | None = None,
) -> tuple[int, float]:
    """Make what a channel has shown again, and write it.

    Args:
        folder: of the log.
        channel: its name.
        bundle: folder of the model that the channel ran.
        out: `.mp4` or `.webm`; replaced if it exists, and left alone when this fails.
        life: of this generator alone; None = of all, one after the other.
        picture: file of the picture that the channel was started with.
        scale: whole factor by which pictures are enlarged; None = until they have 360 rows.
        threads: compute threads; None = as many as the generator had.
        gpu: where a runtime on a GPU finds it and its plans; the precision is that of the generator.
        texts: where texts are encoded; None = where each generator had them encoded, if that was no service.
        upscale: whether the bundle's graph `upscale` enlarges pictures first; None = where it has one and a GPU ran the
            first generator that is replayed.

    Returns:
        How many chunks, and how long they last (s).

    Raises:
        LogError: there is no such log, or it cannot be replayed.
        RenderError: the file cannot be written.
        PictureError: the picture cannot be read.
        EngineError: the bundle is unusable.
    """
    check_output(out)
    opened = Bundle.open(bundle, () if texts is None else texts.absent)
    start = start_picture(opened, picture)
    reader = LogReader(folder, channel)
    enlarged = upscales(opened.manifest, _runtime(reader, life), upscale)
    width, height = opened.manifest.shown_size(upscale=enlarged)
    scale = usual_scale(height) if scale is None else scale
    try:
        encoded_size(width, height, scale)
    except ValueError as error:
        raise RenderError(f"scale: {error}") from None
    video, audio = opened.manifest.video, opened.manifest.audio
    chunks = 0
    with FileWriter(
        out,
        width=width,
        height=height,
        fps=video.fps,
        sample_rate=audio.sample_rate,
        channels=audio.channels,
        scale=scale,
    ) as writer:
        pictures = () if start is None else (start,)
        contents = (each.content for each in reader)
        whole = replay(
            contents, opened, life=life, pictures=pictures, threads=threads, gpu=gpu, texts=texts, upscale=enlarged
        )
        for latents, decoder in whole:
            chunk = decoder.decode(latents)
            writer.write(chunk.video, chunk.audio)
            chunks += 1
    return chunks, float(chunks * opened.manifest.chunk_duration)


def _runtime(reader: LogReader, life: int | None) -> RuntimeName:
    """What the first generator that is replayed ran on."""
    for each in reader:
        if isinstance(each.content, GeneratorStarted) and life in (None, each.content.life):
            return read_runtime(each.content.runtime)
    return DEFAULT_RUNTIME
