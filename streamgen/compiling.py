"""What `streamgen compile` does: a model's graphs to TensorRT plans, with a progress bar and a line for each graph."""

import importlib.util
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final, get_args

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from streamgen.errors import StreamgenError
from streamgen_engines.bundle import bundle_at

if TYPE_CHECKING:
    from streamgen_engines.tensorrt.compile import Compiler, Outcome

PRECISIONS: Final = ("fp32", "fp16", "bf16", "int8", "fp8")
NEEDED: Final = "onnx"
"""Reads and rewrites graphs; comes with the extras, and not with streamgen itself."""


class CompileError(StreamgenError):
    """Nothing can be compiled as asked."""


def compile_bundle(
    bundle: Path | None,
    *,
    runtime: str,
    precision: str | None,
    device: int,
    dry_run: bool,
    check: bool,
    cache: Path | None,
    say: Callable[[str], None],
    console: Console,
) -> int:
    """Compile every graph of a bundle, and say what became of each.

    Args:
        bundle: folder or name; None is the usual one.
        runtime: tensorrt or tensorrt-rtx.
        precision: of every graph; None leaves it to each.
        device: number of the GPU.
        dry_run: keep nothing, and do without a GPU where there is none.
        check: compare every plan with ONNX Runtime.
        cache: folder of the plans; None is the user's.
        say: takes each line of the report.
        console: where the progress bar is drawn.

    Returns:
        how many graphs failed.

    Raises:
        CompileError: an option has no such value, or `onnx` is not installed.
        EngineError: no such bundle, no TensorRT, or no GPU.
    """
    if importlib.util.find_spec(NEEDED) is None:
        raise CompileError(f"{NEEDED} is not installed; add it with: pip install 'streamgen[tensorrt-rtx]'")
    from streamgen_engines.tensorrt.flavour import FLAVOURS, load_flavour
    from streamgen_engines.tensorrt.prepare import Precision

    assert get_args(Precision) == PRECISIONS
    name = next((each for each in FLAVOURS if each == runtime), None)
    if name is None:
        raise CompileError(f"runtime is {runtime!r}; TensorRT is one of {', '.join(FLAVOURS)}")
    chosen: Precision | None = next((each for each in get_args(Precision) if each == precision), None)
    if precision is not None and chosen is None:
        raise CompileError(f"precision is {precision!r}, and not one of {', '.join(PRECISIONS)}")
    opened = bundle_at(bundle)
    flavour = load_flavour(name)

    from streamgen.generation.pipeline import wanted_planes
    from streamgen.media.video_encoder import usual_scale
    from streamgen_engines.runtimes import OnnxRuntimeCpu
    from streamgen_engines.tensorrt.compile import Compiler, gpu_here
    from streamgen_engines.tensorrt.plans import PlanCache, user_folder
    from streamgen_engines.tensorrt.runtime import TensorRt

    plans = PlanCache(cache or user_folder())
    with ExitStack() as stack:
        gpu = None
        if gpu_here():
            gpu = TensorRt(name, device=device, plans=plans, precision=chosen)
            stack.callback(gpu.close)
        bar = _bar(console)
        task = bar.add_task("", total=1.0)

        def told(graph: str, phase: str, share: float) -> None:
            bar.update(task, description=f"{graph}: {phase}", completed=share)

        compiler = Compiler(
            opened,
            flavour,
            gpu=gpu.gpu.gpu if gpu is not None else None,
            plans=None if dry_run else plans,
            precision=chosen,
            load=gpu.load_plan if gpu is not None else None,
            reference=OnnxRuntimeCpu() if check else None,
            planes=wanted_planes(opened.manifest, usual_scale(opened.manifest.video.height)),
            progress=told,
        )
        with bar:
            outcomes = list(compiler.run())
    failed = sum(outcome.failure is not None for outcome in outcomes)
    target = gpu.gpu.gpu.name if gpu is not None else "no GPU: nothing has been run"
    say(f"{opened.manifest.name} with {flavour.name} {flavour.version} ({target})")
    for outcome in outcomes:
        say(f"  {_line(outcome, compiler)}")
    if not dry_run and failed < len(outcomes):
        say(f"plans are in {plans.folder}")
    return failed


def _line(outcome: "Outcome", compiler: "Compiler") -> str:
    """One graph in one line."""
    if outcome.failure is not None:
        return f"{outcome.graph}: FAILED: {outcome.failure}"
    parts: list[str] = [outcome.prepared.precision if outcome.prepared is not None else "as it is"]
    if outcome.cached:
        parts.append("was there already")
    elif outcome.built is not None:
        parts.append(f"built: {outcome.built}")
    elif not compiler.builds:
        parts.append("nothing known against it; not built, for that needs a GPU")
    if outcome.engine is not None:
        engine = outcome.engine
        parts.append(
            f"on the GPU {engine.layers} layers, {engine.attentions} of them attention, "
            f"{engine.device_bytes / 1e6:.1f} MB for activations"
        )
    if outcome.errors is not None:
        worst = max(outcome.errors.values(), default=0.0)
        parts.append(f"off by {worst:.2g} against ONNX Runtime")
    return f"{outcome.graph}: {'; '.join(parts)}"


def _bar(console: Console) -> Progress:
    return Progress(TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), console=console, transient=True)
