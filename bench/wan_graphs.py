"""The graphs of Wan with random weights, exported once and run by a runtime: each call with its copies from and to the
host, as the `wan` family makes them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from bench.channels import make_runtime
from bench.figures import Summary
from bench.roofline import Work, roofline_of
from bench.wan_pictures import DecoderName
from bench.wan_pictures import build as build_decoder
from bench.wan_torch import SIGMAS, timed
from streamgen_engines.manifest import State
from streamgen_engines.planes.interface import PlanesRuntime
from streamgen_engines.planes.request import PlaneRequest
from streamgen_engines.runtimes import Runtime
from streamgen_export.onnx_export import Array
from streamgen_export.wan.config import RingShape, WanConfig
from streamgen_export.wan.feeds import pass_inputs, random_context
from streamgen_export.wan.graphs import write_denoise, write_prompt_kv
from streamgen_export.wan.precision import PARTS, Precision, shaped
from streamgen_export.wan.streaming import Denoise, PromptKv
from streamgen_export.wan.transformer import CausalWan
from streamgen_export.wan.vae_graphs import graphs_of, write_decoder
from streamgen_export.wan.vae_streaming import STEADY

HOST: Final = torch.device("cpu")


@dataclass(frozen=True, slots=True)
class GraphTimes:
    """One graph on one runtime.

    Attributes:
        name: of the graph, and what it was run with.
        ms: per call.
        work: for its floor; None for what is only a copy.
    """

    name: str
    ms: Summary | None
    work: Work | None


def try_runtime(name: str) -> None:
    """Open a runtime and close it again.

    Raises:
        RuntimeUnavailableError: it is not here, or finds no GPU.
    """
    _close(make_runtime(name, 0))


def export_transformer(folder: Path, config: WanConfig, shape: RingShape, precision: Precision) -> None:
    """Write `prompt_kv` and `denoise` for this ring, unless the folder has them.

    In fp8 the scales of activations are those of nothing: random weights give no pictures, and take the same time.
    """
    prompt, denoise = folder / "prompt_kv.onnx", _denoise_file(folder, shape)
    if prompt.exists() and denoise.exists():
        return
    torch.manual_seed(0)
    model = shaped(CausalWan(config).eval().requires_grad_(False), precision)
    if not prompt.exists():
        write_prompt_kv(prompt, model)
    if not denoise.exists():
        write_denoise(denoise, model, shape)


def export_decoder(folder: Path, name: DecoderName, shape: RingShape, *, half: bool, tiny: bool) -> None:
    """Write the graphs of a decoder, unless the folder has them."""
    if not (folder / name / f"{STEADY}.onnx").exists():
        decoder = build_decoder(name, "fp16" if half else "fp32", HOST, tiny=tiny)
        write_decoder(folder / name, decoder, 8 * shape.width, 8 * shape.height)


def measure_denoise(
    folder: Path,
    config: WanConfig,
    shape: RingShape,
    runtime_name: str,
    *,
    precision: Precision,
    runs: int,
    tell: Callable[[GraphTimes], None],
) -> None:
    """Passes over a full ring, and a change of the text.

    Raises:
        EngineError: the runtime is not here, or refuses a graph.
    """
    runtime = make_runtime(runtime_name, 0)
    try:
        with torch.device("meta"):
            module = Denoise(CausalWan(config), shape)
            held = list(PromptKv(module.model).outputs())
        told = runtime.load(folder / "prompt_kv.onnx")
        context = {"context": random_context(config)}
        kept: dict[str, Array] = {}

        def text() -> None:
            kept.update(told.run(context))

        tell(_timed("prompt_kv", text, runs, roofline_of(folder / "prompt_kv.onnx")))
        states = [
            State(name=name, shape=size, dtype=_kind(half=PARTS[precision].half))
            for name, size in module.states().items()
        ]
        path = _denoise_file(folder, shape)
        engine = runtime.load(path, states, in_place=True, held=held)
        tell(_timed("hold another text", lambda: engine.hold(kept), runs, None))
        latent = np.random.default_rng(0).standard_normal(
            (1, config.channels, shape.chunk, shape.height, shape.width), np.float32
        )
        feed = pass_inputs(config, shape, shape.frames // shape.chunk, latent, SIGMAS[0])
        tell(_timed(f"denoise, ring {shape.frames}", lambda: engine.run(feed), runs, roofline_of(path)))
    finally:
        _close(runtime)


def measure_decoder(
    folder: Path,
    name: DecoderName,
    shape: RingShape,
    runtime_name: str,
    sizes: tuple[tuple[int, int], ...],
    *,
    half: bool,
    tiny: bool,
    runs: int,
    tell: Callable[[GraphTimes], None],
) -> None:
    """A latent to RGB, and to planes in its place where the runtime makes them.

    Raises:
        EngineError: the runtime is not here, or refuses the graph.
    """
    runtime = make_runtime(runtime_name, 0)
    try:
        module = graphs_of(build_decoder(name, "fp16" if half else "fp32", HOST, tiny=tiny))[STEADY]
        states = module.manifest_states(shape.height, shape.width)
        path = folder / name / f"{STEADY}.onnx"
        feed = {
            "latent": np.random.default_rng(0).standard_normal(
                (1, module.channels, 1, shape.height, shape.width), np.float32
            )
        }
        work = roofline_of(path)
        engine = runtime.load(path, states)
        tell(_timed(f"{name}: a latent to RGB", lambda: engine.run(feed), runs, work))
        if isinstance(runtime, PlanesRuntime) and sizes:
            planes = runtime.load_planes(path, states, PlaneRequest(sizes))
            tell(_timed(f"{name}: a latent to planes", lambda: planes.run(feed), runs, work))
    finally:
        _close(runtime)


def _timed(name: str, call: Callable[[], object], runs: int, work: Work | None) -> GraphTimes:
    # A call ends with its results in the host's memory, so there is nothing to wait for.
    return GraphTimes(name, Summary.of(timed(call, HOST, runs)), work)


def _denoise_file(folder: Path, shape: RingShape) -> Path:
    return folder / f"denoise-{shape.frames}.onnx"


def _kind(*, half: bool) -> Any:
    return "float16" if half else "float32"


def _close(runtime: Runtime) -> None:
    close = getattr(runtime, "close", None)  # of those that own memory of a GPU
    if close is not None:
        close()
