"""Render to a file: the same stages as the live stream, one chunk after the other, as fast as the machine can.

Prompts are given with their times, in the form of the command line: "a calm sea" plays from the start,
"@5 it starts to rain" from 5 seconds on, "@1:30 night falls" from 90. A prompt acts from the first chunk that starts
at its time or later, as live.
"""

import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from streamgen.errors import PromptTimelineError, RenderError
from streamgen.generation.decode_stage import Decoded
from streamgen.generation.pipeline import Pipeline
from streamgen.generation.start_picture import start_picture
from streamgen.media.mp4 import FileWriter, check_output
from streamgen.media.video_encoder import DEFAULT_SCALE
from streamgen.packets import ChunkRecord, SetPrompt
from streamgen.protocol import MAX_TEXT_CHARS, normalise_text
from streamgen.upscaling import upscales
from streamgen_engines.bundle import Bundle
from streamgen_engines.families import load
from streamgen_engines.gpu_options import GpuOptions
from streamgen_engines.runtime_name import DEFAULT_RUNTIME, RuntimeName
from streamgen_engines.runtimes import OpenRuntimes
from streamgen_engines.text_placement import IN_PLACE, TextPlacement

MAX_SECONDS: Final = 24 * 3600.0
_TIMED: Final = re.compile(
    r"@(?:(?P<minutes>\d{1,4}):(?=\d\d(?!\d)))?(?P<seconds>\d{1,5}(?:\.\d+)?)s?\s+(?P<text>.*)", re.S
)


@dataclass(frozen=True, slots=True)
class TimedPrompt:
    """A prompt and the time (s) from which it plays."""

    at_s: Fraction
    text: str


@dataclass(frozen=True, slots=True)
class RenderReport:
    """What was rendered."""

    out: Path
    pictures: int
    seconds: float  # of media
    elapsed_s: float
    records: tuple[ChunkRecord, ...]  # one per chunk: what made it

    @property
    def realtime_ratio(self) -> float:
        """Media time made per time spent."""
        return self.seconds / self.elapsed_s


def parse_prompts(prompts: Sequence[str]) -> tuple[TimedPrompt, ...]:
    """Read prompts such as "a calm sea" and "@5 it starts to rain"; sorted by time.

    Raises:
        PromptTimelineError: one is empty, too long, has no readable time, or two play at the same time.
    """
    timed: dict[Fraction, str] = {}
    for prompt in prompts:
        at_s, text = _split_time(prompt.strip())
        text = normalise_text(text)
        if not text:
            raise PromptTimelineError(f"the prompt {prompt!r} has no text; describe what should be seen and heard")
        if len(text) > MAX_TEXT_CHARS:
            raise PromptTimelineError(f"a prompt has {len(text)} characters, at most {MAX_TEXT_CHARS} are allowed")
        if at_s in timed:
            raise PromptTimelineError(
                f"{timed[at_s]!r} and {text!r} both play from {float(at_s):g} s on; "
                f'give the later one its time, as in "@5 {text}"'
            )
        timed[at_s] = text
    return tuple(TimedPrompt(at_s, timed[at_s]) for at_s in sorted(timed))


def render(
    bundle: Path,
    prompts: Sequence[str],
    seconds: float,
    out: Path,
    *,
    seed: int = 0,
    picture: Path | None = None,
    guidance: float | None = None,
    steps: int | None = None,
    scale: int = DEFAULT_SCALE,
    threads: int = 1,
    runtime: RuntimeName = DEFAULT_RUNTIME,
    gpu: GpuOptions | None = None,
    texts: TextPlacement = IN_PLACE,
    upscale: bool | None = None,
    console: Console | None = None,
) -> RenderReport:
    """Render a programme to a file.

    Args:
        bundle: folder of the model.
        prompts: see `parse_prompts`.
        seconds: length; rounded to whole pictures.
        out: `.mp4` or `.webm`; replaced if it exists, and left alone when rendering fails.
        seed: the same seed, prompts and bundle give the same programme again.
        picture: file of a picture that the programme starts from.
        guidance, steps: None = the bundle's own.
        scale: whole factor by which pictures are enlarged.
        threads: compute threads of denoising, and as many of decoding.
        runtime: what the model's graphs run on.
        gpu: what it is told if it is one on a GPU.
        texts: where texts are encoded.
        upscale: whether the bundle's graph `upscale` enlarges pictures first; None = where there is one and a GPU.
        console: where a progress bar is shown; None shows none.

    Raises:
        RenderError: the output, the length or a prompt is unusable, or a prompt plays after the end.
        PictureError: the picture cannot be read.
        EngineError: the bundle or the runtime is unusable, or a setting is out of range.
    """
    timeline = parse_prompts(prompts)
    if not 0 < seconds <= MAX_SECONDS:
        raise RenderError(f"{seconds:g} seconds cannot be rendered; give a length above 0 and up to {MAX_SECONDS:g}")
    if timeline and timeline[-1].at_s >= seconds:
        late = timeline[-1]
        raise PromptTimelineError(
            f"{late.text!r} plays from {float(late.at_s):g} s on, after the end at {seconds:g} s; "
            f"render more seconds or move it"
        )
    check_output(out)
    opened = Bundle.open(bundle, texts.absent)
    start = start_picture(opened, picture)
    manifest = opened.manifest
    enlarged = upscales(manifest, runtime, upscale)
    width, height = manifest.shown_size(upscale=enlarged)
    video, audio = manifest.video, manifest.audio
    pictures = max(1, round(Fraction(seconds) * Fraction(*video.fps)))
    records: list[ChunkRecord] = []
    with ExitStack() as stack:
        runtimes = stack.enter_context(OpenRuntimes(runtime, gpu))
        runtimes.admit(opened, texts=texts, upscale=enlarged)
        model = load(opened, threads=threads, seed=seed, runtime=runtimes.make, texts=texts, upscale=enlarged)
        stack.callback(model.close)
        started_s = time.monotonic()
        pipeline = stack.enter_context(Pipeline(model, scale=scale, seed=seed, picture=start))
        writer = stack.enter_context(
            FileWriter(
                out,
                width=width,
                height=height,
                fps=video.fps,
                sample_rate=audio.sample_rate,
                channels=audio.channels,
                scale=scale,
            )
        )
        advance = stack.enter_context(_progress(console, float(pictures / Fraction(*video.fps))))
        for decoded, left in _programme(pipeline, timeline, pictures, guidance=guidance, steps=steps):
            # The last chunk may be longer than what is left of the programme.
            taken = min(left, video.frames_per_chunk)
            samples = audio.samples_per_chunk * taken // video.frames_per_chunk
            writer.write(decoded.chunk.video[:taken], decoded.chunk.audio[:, :samples])
            records.append(decoded.record)
            advance(decoded.record.prompt, float(taken / Fraction(*video.fps)))
    return RenderReport(
        out=out,
        pictures=pictures,
        seconds=float(pictures / Fraction(*video.fps)),
        elapsed_s=time.monotonic() - started_s,
        records=tuple(records),
    )


def _programme(
    pipeline: Pipeline,
    timeline: Sequence[TimedPrompt],
    pictures: int,
    *,
    guidance: float | None,
    steps: int | None,
) -> Iterator[tuple[Decoded, int]]:
    """Chunk after chunk, each with the number of pictures that are left of the programme when it starts."""
    waiting = list(timeline)
    per_chunk, fps = pipeline.timeline.pictures, Fraction(*pipeline.timeline.fps)
    for first in range(0, pictures, per_chunk):
        due = None
        while waiting and waiting[0].at_s <= first / fps:
            due = waiting.pop(0)
        if due is not None:
            pipeline.set_prompt(SetPrompt(id=f"@{float(due.at_s):g}", text=due.text))
        yield pipeline.next_decoded(guidance=guidance, steps=steps), pictures - first


@contextmanager
def _progress(console: Console | None, total_s: float) -> Iterator[Callable[[str, float], None]]:
    """A bar in seconds of media; yields what moves it on: (prompt that plays, seconds made)."""
    if console is None:
        yield lambda prompt, made_s: None
        return
    columns = (
        BarColumn(),
        TextColumn("{task.completed:.1f} of {task.total:.1f} s"),
        TextColumn("{task.fields[ratio]}"),
        TimeRemainingColumn(),
        TextColumn("[dim]{task.fields[prompt]}", markup=True),
    )
    started_s = time.monotonic()
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("render", total=total_s, ratio="", prompt="")

        def advance(prompt: str, made_s: float) -> None:
            bar.advance(task, made_s)
            ratio = bar.tasks[0].completed / max(time.monotonic() - started_s, 1e-6)
            bar.update(task, ratio=f"{ratio:.2f}x real time", prompt=prompt.replace("[", r"\["))

        yield advance


def _split_time(prompt: str) -> tuple[Fraction, str]:
    if not prompt.startswith("@"):
        return Fraction(0), prompt
    match = _TIMED.fullmatch(prompt)
    if match is None:
        raise PromptTimelineError(
            f'the time of {prompt!r} cannot be read; write "@5 it starts to rain", "@12.5 ..." or "@1:30 ..."'
        )
    return Fraction(match["seconds"]) + 60 * int(match["minutes"] or 0), match["text"]
