"""What `streamgen memory` does: what a channel of a model takes of a GPU, with or without one."""

import contextlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from streamgen.compiling import flavour_named, memory_report, require_onnx
from streamgen_engines.bundle import bundle_at
from streamgen_engines.errors import RuntimeUnavailableError
from streamgen_engines.gpu_options import GpuOptions
from streamgen_engines.text_placement import IN_PLACE, TextPlacement


def bundle_memory(
    bundle: Path | None,
    *,
    runtime: str,
    gpu: GpuOptions,
    texts: TextPlacement = IN_PLACE,
    upscale: bool | None = None,
) -> Iterator[str]:
    """The report, line by line. Where a GPU has run the model's plans once, it tells what they took; else estimates.

    Args:
        bundle: folder or name; None is the usual one.
        runtime: tensorrt or tensorrt-rtx.
        gpu: which one, in what precision, and where plans are kept.
        texts: where texts are encoded; elsewhere than on the GPU, their graph takes nothing of it.
        upscale: whether a server enlarges pictures by the graph `upscale`; None is where there is one.

    Raises:
        CompileError: there is no such runtime, or `onnx` is not installed.
        EngineError: no such bundle, a graph of it cannot be read or prepared, or its texts not be encoded there.
    """
    require_onnx()
    name = flavour_named(runtime)
    opened = bundle_at(bundle, texts.absent)
    apart = texts.apart(opened.manifest)

    from streamgen.generation.encode_stage import wanted_planes
    from streamgen.media.video_encoder import usual_scale
    from streamgen.upscaling import upscales
    from streamgen_engines.device.cuda import CudaDevice, gpu_count
    from streamgen_engines.tensorrt.flavour import Flavour, load_flavour
    from streamgen_engines.tensorrt.footprint import survey
    from streamgen_engines.tensorrt.plans import PlanCache, user_folder

    enlarged = upscales(opened.manifest, name, upscale)
    scale = usual_scale(opened.manifest.shown_size(upscale=enlarged)[1])
    planes = wanted_planes(opened.manifest, scale, upscale=enlarged)
    wanted = partial(survey, opened, gpu.precision, planes=planes, apart=apart, upscale=enlarged)
    flavour: Flavour | None = None
    with contextlib.suppress(RuntimeUnavailableError):  # an estimate needs none
        flavour = load_flavour(name)
    if flavour is None or not gpu_count():
        yield f"{opened.manifest.name} with {name}, estimated from its graphs (no GPU has been asked)"
        yield from memory_report(wanted().plan, None)
        return
    device = CudaDevice(gpu.device)
    try:
        plans = PlanCache(gpu.plan_cache or user_folder())
        found = wanted(flavour=flavour, gpu=device.gpu, plans=plans)
        yield f"{opened.manifest.name} with {name} {flavour.version} on {device.gpu.name}"
        yield from memory_report(found.plan, device.free_bytes())
    finally:
        device.close()
