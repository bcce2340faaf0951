"""A channel's log as a file again: what `streamgen replay` does."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from streamgen.generation.pipeline import start_picture
from streamgen.log.contents import Content, GeneratorStarted
from streamgen.log.reader import LogReader
from streamgen.media.mp4 import FileWriter, check_output
from streamgen.replay import replay
from streamgen_engines.bundle import Bundle
from streamgen_engines.families import Decoder, load
from streamgen_engines.gpu_options import GpuOptions, Precision
from streamgen_engines.runtimes import runtime_named


def replay_to_file(
    folder: Path,
    channel: str,
    bundle: Path,
    out: Path,
    *,
    life: int | None = None,
    picture: Path | None = None,
    scale: int = 1,
    threads: int | None = None,
    gpu: GpuOptions | None = None,
) -> tuple[int, float]:
    """Make what a channel has shown again, and write it.

    Args:
        folder: of the log.
        channel: its name.
        bundle: folder of the model that the channel ran.
        out: `.mp4` or `.webm`; replaced if it exists, and left alone when this fails.
        life: of this generator alone; None = of all, one after the other.
        picture: file of the picture that the channel was started with.
        scale: whole factor by which pictures are enlarged.
        threads: compute threads of denoising; None = as many as the generator had.
        gpu: where a runtime on a GPU finds it and its plans; the precision is that of the generator.

    Returns:
        How many chunks, and how long they last (s).

    Raises:
        LogError: there is no such log, or it cannot be replayed.
        RenderError: the file cannot be written.
        PictureError: the picture cannot be read.
        EngineError: the bundle is unusable.
    """
    check_output(out)
    opened = Bundle.open(bundle)
    start = start_picture(opened, picture)
    reader = LogReader(folder, channel)
    video, audio = opened.manifest.video, opened.manifest.audio
    chunks = 0
    with FileWriter(
        out,
        width=video.width,
        height=video.height,
        fps=video.fps,
        sample_rate=audio.sample_rate,
        channels=audio.channels,
        scale=scale,
    ) as writer:
        decoding = _Decoding(opened, threads, gpu or GpuOptions())
        pictures = () if start is None else (start,)
        contents = decoding.following(each.content for each in reader)
        for latents in replay(contents, opened, life=life, pictures=pictures, threads=threads, gpu=gpu):
            if latents.index == 0:  # another generator began with a decoder of its own
                decoder = decoding.begin(latents.seed)
            chunk = decoder.decode(latents)
            writer.write(chunk.video, chunk.audio)
            chunks += 1
    return chunks, float(chunks * opened.manifest.chunk_duration)


class _Decoding:
    """The decoder of the generator that is made again: on its runtime, with as many threads."""

    def __init__(self, bundle: Bundle, threads: int | None, gpu: GpuOptions) -> None:
        self._bundle, self._threads, self._gpu = bundle, threads, gpu
        self._started: GeneratorStarted | None = None
        self._made: tuple[tuple[str, int, Precision | None], Decoder] | None = None

    def following(self, contents: Iterable[Content]) -> Iterator[Content]:
        """The same contents; which generator is under way is noted."""
        for content in contents:
            if isinstance(content, GeneratorStarted):
                self._started = content
            yield content

    def begin(self, seed: int) -> Decoder:
        """The decoder of the generator that has just begun."""
        assert self._started is not None, "a chunk follows the beginning of its generator"
        started = self._started
        wanted = (started.runtime, self._threads or started.threads, started.precision)
        if self._made is None or self._made[0] != wanted:
            runtime = partial(runtime_named, started.runtime, replace(self._gpu, precision=started.precision))
            self._made = (wanted, load(self._bundle, threads=wanted[1], runtime=runtime).decoder)
        decoder = self._made[1]
        decoder.reset(seed)
        return decoder
