"""A prepared graph to a plan: parsing with errors that name the node, profiles, timing cache, progress."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from streamgen_engines.errors import GraphLoadError
from streamgen_engines.manifest import State
from streamgen_engines.runtimes.failures import build_error
from streamgen_engines.tensorrt.flavour import Flavour
from streamgen_engines.tensorrt.inspection import NetworkReport, network_report

Progress = Callable[[str, float], None]
"""(phase, share that is done from 0 to 1)."""
REPORTED_ERRORS: Final = 3
GRAPH_FILE: Final = "graph.onnx"
_NO_FUSED_KERNEL: Final = "not supported by a dedicated kernel"


@dataclass(frozen=True, slots=True)
class SizeRange:
    """Sizes of an input that a plan takes, and those that it is tuned for."""

    least: tuple[int, ...]
    usual: tuple[int, ...]
    most: tuple[int, ...]

    def __post_init__(self) -> None:
        ordered = all(a <= b <= c for a, b, c in zip(self.least, self.usual, self.most, strict=True))
        if not ordered or min(self.least, default=1) < 1:
            raise ValueError(f"sizes must be positive and rise: {self.least}, {self.usual}, {self.most}")


@dataclass(frozen=True, slots=True)
class Built:
    """A plan that was built and has not run.

    Attributes:
        plan: the serialised engine.
        report: of the network that it was made from.
        timing: the timing cache to go on with, empty where there is none.
    """

    plan: bytes
    report: NetworkReport
    timing: bytes


def build(
    flavour: Flavour,
    model: bytes,
    *,
    name: str,
    states: Sequence[State] = (),
    sizes: Mapping[str, SizeRange] | None = None,
    timing: bytes = b"",
    progress: Progress = lambda phase, share: None,
    folder: Path | None = None,
) -> Built:
    """Build a plan.

    Attention is asked for as one fused kernel, and taken apart only where there is none for it, which is then said in
    the report: float32 has none.

    Args:
        flavour: which TensorRT.
        model: a graph that `prepare` made.
        name: how error messages name it.
        states: its carried states, which must come back where they went in.
        sizes: the range of each input without a static shape.
        timing: a timing cache of the same TensorRT and GPU; a foreign one is left alone.
        progress: told how far it is.
        folder: where the weights lie that are in a file beside the graph; None where there are none.

    Raises:
        GraphLoadError: TensorRT rejects the graph; the message names the nodes.
        OutOfMemoryError: the GPU on which it measures has no room.
    """
    try:
        return _build(flavour, model, name, states, sizes or {}, timing, progress, folder, apart=False)
    except _NoFusedKernelError:
        return _build(flavour, model, name, states, sizes or {}, timing, progress, folder, apart=True)


class _NoFusedKernelError(Exception):
    """Some attention of the graph has no kernel of its own."""


def _build(
    flavour: Flavour,
    model: bytes,
    name: str,
    states: Sequence[State],
    sizes: Mapping[str, SizeRange],
    timing: bytes,
    progress: Progress,
    folder: Path | None,
    *,
    apart: bool,
) -> Built:
    api = flavour.api
    flavour.logger.messages.clear()
    builder = api.Builder(flavour.logger)
    network = builder.create_network(_network_flags(api))
    parser = api.OnnxParser(network, flavour.logger)
    # Names of weight files are relative to the graph's own place; a graph of that name need not be there.
    parsed = parser.parse(model) if folder is None else parser.parse(model, str(folder / GRAPH_FILE))
    if not parsed or not network.num_outputs:
        raise GraphLoadError(f"{name}: {flavour.name} {flavour.version} rejects {_parse_errors(parser)}")
    _check_caches(network, api, states, name)
    attentions = _set_apart(network, api) if apart else 0
    config = builder.create_builder_config()
    config.profiling_verbosity = api.ProfilingVerbosity.DETAILED  # or the inspector has nothing to say of layers
    _add_profile(builder, network, config, sizes, name)
    cache = _timing_cache(flavour, config, timing)
    config.progress_monitor = _monitor(api, progress)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        reason = flavour.last_error()
        if _NO_FUSED_KERNEL in reason and not apart:
            raise _NoFusedKernelError
        raise build_error(name, f"{flavour.name} {flavour.version}", reason)
    report = network_report(network, api, plan_bytes=plan.nbytes, decomposed=attentions)
    return Built(bytes(memoryview(plan)), report, b"" if cache is None else bytes(memoryview(cache.serialize())))


def _network_flags(api: Any) -> int:
    """Strongly typed: the only kind from TensorRT 11 on."""
    return 1 << int(api.NetworkDefinitionCreationFlag.STRONGLY_TYPED)


def _parse_errors(parser: Any) -> str:
    """The first nodes that the parser rejects, and how many more there are."""
    faults = []
    for place in range(min(parser.num_errors, REPORTED_ERRORS)):
        error = parser.get_error(place)
        if error.node() < 0 and not error.node_name():  # not one of its nodes: the whole
            return f"the file ({' '.join(error.desc().split())}); download or export the bundle again"
        node = error.node_name() or f"number {error.node()}"
        faults.append(f"node {node} ({error.node_operator() or 'no operator'}): {' '.join(error.desc().split())}")
    if not faults:
        return "the file: it is not ONNX; download or export the bundle again"
    rest = parser.num_errors - len(faults)
    return "; ".join(faults) + (f" (and {rest} more)" if rest > 0 else "") + "; export the graph again without them"


def _check_caches(network: Any, api: Any, states: Sequence[State], name: str) -> None:
    """A cache that is written in place has to be the state of that name, or it would be copied or lost."""
    outputs = {state.output: state.name for state in states}
    for place in range(network.num_layers):
        layer = network.get_layer(place)
        if layer.type != api.LayerType.KV_CACHE_UPDATE:
            continue
        read, written = layer.get_input(0).name, layer.get_output(0).name
        if outputs.get(written) != read:
            raise GraphLoadError(
                f"{name}: the cache write {layer.name} reads {read} and makes {written}, which are not the two sides "
                f"of one state of the manifest; export the bundle again"
            )


def _set_apart(network: Any, api: Any) -> int:
    """Allow every attention to be computed by several kernels; how many there are."""
    found = 0
    for place in range(network.num_layers):
        layer = network.get_layer(place)
        if layer.type == api.LayerType.ATTENTION_INPUT:
            layer.__class__ = api.IAttentionInputLayer  # the binding hands out the base class
            layer.attention.decomposable = True
            found += 1
    return found


def _add_profile(builder: Any, network: Any, config: Any, sizes: Mapping[str, SizeRange], name: str) -> None:
    profile = None
    for place in range(network.num_inputs):
        tensor = network.get_input(place)
        if -1 not in tuple(tensor.shape):
            continue
        if tensor.name not in sizes:
            raise GraphLoadError(
                f"{name}: input {tensor.name} has no static shape, and no sizes are declared for it; "
                f"export the graph with static shapes"
            )
        profile = profile or builder.create_optimization_profile()
        each = sizes[tensor.name]
        profile.set_shape(tensor.name, each.least, each.usual, each.most)
    if profile is not None and config.add_optimization_profile(profile) < 0:
        raise GraphLoadError(f"{name}: the declared sizes do not fit the graph's inputs; export the bundle again")


def _timing_cache(flavour: Flavour, config: Any, timing: bytes) -> Any | None:
    """Measured kernels of earlier builds. TensorRT-RTX measures nothing: it compiles kernels when a plan is loaded."""
    if flavour.portable:
        return None
    cache = config.create_timing_cache(timing)
    if cache is None or not config.set_timing_cache(cache, False):  # of another version or GPU: begin anew
        cache = config.create_timing_cache(b"")
        config.set_timing_cache(cache, False)
    return cache


def _monitor(api: Any, progress: Progress) -> Any:
    class Monitor(api.IProgressMonitor):  # type: ignore[misc]
        """The innermost phase is named, the outermost one measures. TensorRT calls it from several threads."""

        def __init__(self) -> None:
            api.IProgressMonitor.__init__(self)
            self.outer = ""
            self.steps = 1
            self.done = 0

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            if not self.outer:
                self.outer, self.steps, self.done = phase_name, max(num_steps, 1), 0
            progress(phase_name, min(self.done / self.steps, 1.0))

        def step_complete(self, phase_name: str, step: int) -> bool:
            if phase_name == self.outer:
                self.done = step + 1
                progress(phase_name, min(self.done / self.steps, 1.0))
            return True

        def phase_finish(self, phase_name: str) -> None:
            if phase_name == self.outer:
                progress(phase_name, 1.0)
                self.outer = ""

    return Monitor()
