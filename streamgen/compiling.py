"""What `streamgen compile` does: a model's graphs to TensorRT plans, with a progress bar and a line for each graph."""

import importlib.util
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from streamgen.errors import StreamgenError
from streamgen_engines.bundle import Bundle, bundle_at
from streamgen_engines.gpu_options import GpuOptions
from streamgen_engines.memory_plan import MemoryPlan, mebibytes
from streamgen_engines.tensorrt.flavour import FLAVOURS, FlavourName, load_flavour
from streamgen_engines.text_placement import IN_PLACE, TextPlacement

if TYPE_CHECKING:
    from streamgen_engines.tensorrt.compile import Compiler, Outcome
    from streamgen_engines.tensorrt.plans import PlanCache

NEEDED: Final = "onnx"
"""Reads and rewrites graphs; comes with the extras, and not with streamgen itself."""


class CompileError(StreamgenError):
    """Nothing can be compiled as asked."""


def compile_bundle(
    bundle: Path | None,
    *,
    runtime: str,
    gpu: GpuOptions,
    texts: TextPlacement = IN_PLACE,
    dry_run: bool,
    check: bool,
    upscale: bool | None = None,
    prune: bool = False,
    say: Callable[[str], None],
    console: Console,
) -> int:
    """Compile every graph of a bundle, and say what became of each and what memory they take.

    Args:
        bundle: folder or name; None is the usual one.
        runtime: tensorrt or tensorrt-rtx.
        gpu: which one, in what precision, and where plans are kept.
        texts: where texts are encoded; elsewhere than on the GPU, their graph is left out.
        dry_run: keep nothing, and do without a GPU where there is none.
        check: compare every plan with ONNX Runtime.
        upscale: whether a server enlarges pictures by the graph `upscale`; None is where there is one.
        prune: first remove plans that nothing here can use; in a dry run only tell.
        say: takes each line of the report.
        console: where the progress bar is drawn.

    Returns:
        how many graphs failed.

    Raises:
        CompileError: there is no such runtime, or `onnx` is not installed.
        EngineError: no such bundle, no TensorRT, or no GPU; or texts of the model cannot be encoded there.
    """
    require_onnx()
    name = flavour_named(runtime)
    opened = bundle_at(bundle, texts.absent)
    apart = texts.apart(opened.manifest)
    flavour = load_flavour(name)

    from streamgen.generation.encode_stage import wanted_planes
    from streamgen.media.video_encoder import usual_scale
    from streamgen.upscaling import upscales
    from streamgen_engines.runtimes import OnnxRuntimeCpu
    from streamgen_engines.tensorrt.compile import Compiler, gpu_here
    from streamgen_engines.tensorrt.plans import PlanCache, user_folder
    from streamgen_engines.tensorrt.runtime import TensorRt

    enlarged = upscales(opened.manifest, name, upscale)
    scale = usual_scale(opened.manifest.shown_size(upscale=enlarged)[1])
    plans = PlanCache(gpu.plan_cache or user_folder())
    if prune:
        say(_pruned(plans, dry_run=dry_run))
    with ExitStack() as stack:
        here = None
        if gpu_here():
            here = TensorRt(name, device=gpu.device, plans=plans, precision=gpu.precision)
            stack.callback(here.close)
        bar = _bar(console)
        task = bar.add_task("", total=1.0)

        def told(graph: str, phase: str, share: float) -> None:
            bar.update(task, description=f"{graph}: {phase}", completed=share)

        compiler = Compiler(
            opened,
            flavour,
            gpu=here.gpu.gpu if here is not None else None,
            plans=None if dry_run else plans,
            precision=gpu.precision,
            load=here.load_plan if here is not None else None,
            reference=OnnxRuntimeCpu() if check else None,
            planes=wanted_planes(opened.manifest, scale, upscale=enlarged),
            upscale=enlarged,
            texts=texts,
            progress=told,
        )
        with bar:
            outcomes = list(compiler.run())
        free = here.gpu.free_bytes() if here is not None else None
    failed = sum(outcome.failure is not None for outcome in outcomes)
    target = here.gpu.gpu.name if here is not None else "no GPU: nothing has been run"
    say(f"{opened.manifest.name} with {flavour.name} {flavour.version} ({target})")
    for outcome in outcomes:
        say(f"  {_line(outcome, compiler)}")
    for line in _memory(opened, outcomes, free, apart, upscale=enlarged):
        say(line)
    if not dry_run and failed < len(outcomes):
        say(f"plans are in {plans.folder}")
    return failed


def require_onnx() -> None:
    """Check that graphs can be read and rewritten here.

    Raises:
        CompileError: the package is not installed; the message has the command.
    """
    if importlib.util.find_spec(NEEDED) is None:
        raise CompileError(f"{NEEDED} is not installed; add it with: pip install 'streamgen[tensorrt-rtx]'")


def flavour_named(runtime: str) -> FlavourName:
    """Which TensorRT.

    Raises:
        CompileError: there is none of that name.
    """
    name = next((each for each in FLAVOURS if each == runtime), None)
    if name is None:
        raise CompileError(f"runtime is {runtime!r}; TensorRT is one of {', '.join(FLAVOURS)}")
    return name


def _pruned(plans: "PlanCache", *, dry_run: bool) -> str:
    """Remove what nothing here can use; what it was, in a line."""
    from streamgen_engines.device.cuda import gpus
    from streamgen_engines.errors import RuntimeUnavailableError

    versions: dict[str, str] = {}
    for name in FLAVOURS:
        try:
            versions[name] = load_flavour(name).version
        except RuntimeUnavailableError:
            continue
    here = {(each.name, each.capability) for each in gpus()}
    found = plans.prune(versions, here, now_s=time.time(), dry_run=dry_run)
    what = "of other versions and GPUs" if here else "of other versions (no GPU answers, so those for GPUs stay)"
    return f"{'would remove' if dry_run else 'removed'} {found.plans} plans {what}, {found.size / 1e6:.1f} MB"


def _memory(
    bundle: Bundle, outcomes: Sequence["Outcome"], free: int | None, apart: Mapping[str, str], *, upscale: bool
) -> Iterator[str]:
    """The table of what one channel takes of the GPU, as far as its graphs could be prepared."""
    from streamgen_engines.device.double_buffered import TURNS
    from streamgen_engines.tensorrt.footprint import ON_THE_HOST, graph_memory, results_stay, with_chunk_loop

    # Where planes are added a server loads that form alone, and the name of the other is followed by nothing.
    every = {outcome.graph.partition(",")[0]: outcome for outcome in outcomes}
    forms = {name: outcome for name, outcome in every.items() if name in bundle.manifest.graphs}
    loop = {name: outcome.memory for name, outcome in every.items() if name not in forms}
    graphs = tuple(
        graph_memory(
            name,
            bundle.manifest.graphs[name],
            outcome.prepared.model,
            outcome.prepared.precision,
            outcome.memory,
            turns=TURNS if outcome.graph != name else 0,
            fetched=not results_stay(bundle.manifest, name, upscale=upscale),
        )
        for name, outcome in forms.items()
        if outcome.prepared is not None and name not in ON_THE_HOST
    )
    if graphs:
        counted = with_chunk_loop(bundle.manifest, graphs, loop)
        plan = MemoryPlan(bundle.manifest.name, counted, apart=tuple(apart.items()))
        yield from memory_report(plan, free)
    failed = [name for name, outcome in forms.items() if outcome.prepared is None and name not in ON_THE_HOST]
    if graphs and failed:
        yield f"  that is without {', '.join(failed)}, which failed"


def memory_report(plan: MemoryPlan, free: int | None) -> Iterator[str]:
    """What one channel takes, for people. `free` is what this process finds free on the GPU; None is no GPU."""
    yield "memory of one channel on the GPU" + (" (~ is estimated)" if plan.estimated else "")
    for line in plan.table():
        yield f"  {line}"
    if free is None:
        yield f"  {plan.cards()}"
    else:
        yield f"  {mebibytes(free)} are free here: room for {plan.channels(free + plan.context)} channels"


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
        parts.append(f"on the GPU {outcome.engine}")
    if outcome.errors is not None:
        worst = max(outcome.errors.values(), default=0.0)
        parts.append(f"off by {worst:.2g} against ONNX Runtime")
    return f"{outcome.graph}: {'; '.join(parts)}"


def _bar(console: Console) -> Progress:
    return Progress(TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), console=console, transient=True)
