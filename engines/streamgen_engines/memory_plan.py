"""What a bundle needs of a GPU, known before anything is loaded there: parts, sums, room, and a refusal. No I/O.

Weights, carried states and buffers of inputs and outputs follow from the graphs. What TensorRT needs for activations
is known once it has loaded a plan (`device_memory_size_v2`); until then `activation_peak` estimates it. The estimate is
mostly too high, because TensorRT fuses operators and never stores what passes between them, so an estimate alone never
refuses a bundle: it warns.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from streamgen_engines.errors import OutOfMemoryError

MIB: Final = 2**20
CONTEXT_BYTES: Final = 512 * MIB
"""Assumed for what the driver takes of a GPU for each process that uses it: CUDA's context and loaded kernels."""
CARDS_GIB: Final = (8, 12, 16, 24, 32, 48, 80)
"""Sizes of memory with which GPUs are sold, for those who choose one."""
LARGEST_PARTS: Final = 3
"""Parts that a refusal names."""


@dataclass(frozen=True, slots=True)
class GraphMemory:
    """What one graph takes. Everything in bytes.

    Attributes:
        graph: its name in the manifest.
        precision: what its heavy operators compute in.
        weights: constants, also those in a file beside the graph.
        states: buffers of what it carries: a ring that is written in place has one, any other state two.
        tensors: buffers of the other inputs and outputs, held ones such as keys and values of a prompt among them.
        activations: what lives inside one run, and workspace.
        host: page-locked memory of the host, through which inputs and outputs are copied.
        estimated: whether weights and activations are read from the graph, and not told by TensorRT.
    """

    graph: str
    precision: str
    weights: int
    states: int
    tensors: int
    activations: int
    host: int
    estimated: bool

    @property
    def device(self) -> int:
        """All that lies on the GPU."""
        return self.weights + self.states + self.tensors + self.activations

    def parts(self) -> Iterator[tuple[int, str]]:
        """Each part with its name."""
        for kind in ("weights", "states", "tensors", "activations"):
            yield getattr(self, kind), f"{self.graph} {kind}"


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """What one channel of a bundle takes. Each channel is a process of its own, with all of it.

    Attributes:
        bundle: its name.
        graphs: those that are loaded onto the GPU.
        context: what the driver takes for the process.
        apart: graphs of the bundle that run elsewhere and take nothing here, and where, in words.
    """

    bundle: str
    graphs: tuple[GraphMemory, ...]
    context: int = CONTEXT_BYTES
    apart: tuple[tuple[str, str], ...] = ()

    @property
    def loaded(self) -> int:
        """Bytes that loading takes in a process that uses the GPU already."""
        return sum(graph.device for graph in self.graphs)

    @property
    def needed(self) -> int:
        """Bytes of the GPU in all."""
        return self.context + self.loaded

    @property
    def certain(self) -> int:
        """Of `loaded`, what is no estimate of activations."""
        return sum(graph.device - (graph.activations if graph.estimated else 0) for graph in self.graphs)

    @property
    def host(self) -> int:
        """Page-locked bytes of the host."""
        return sum(graph.host for graph in self.graphs)

    @property
    def estimated(self) -> bool:
        """Whether some graph has no plan yet that was loaded once."""
        return any(graph.estimated for graph in self.graphs)

    def channels(self, free: int) -> int:
        """How many channels have room in `free` bytes that nobody uses. Whether the GPU is fast enough is not asked."""
        return max(free, 0) // self.needed

    def require(self, free: int, *, device: int) -> None:
        """Refuse a bundle that does not fit.

        Args:
            free: bytes that nobody uses, with this process's context in place.
            device: number of the GPU.

        Raises:
            OutOfMemoryError: it cannot fit, however good the estimate of activations is.
        """
        if self.certain <= free:
            return
        parts = sorted((part for graph in self.graphs for part in graph.parts()), reverse=True)[:LARGEST_PARTS]
        told = ", ".join(f"{name} {mebibytes(size)}" for size, name in parts)
        about = "about " if self.estimated else ""
        raise OutOfMemoryError(
            f"{self.bundle} needs {about}{mebibytes(self.loaded)} of GPU {device}, where {mebibytes(free)} are free; "
            f"the largest parts are {told}. End other programs on this GPU, choose another one with --device, a bundle "
            f"with weights in fp16, int8 or fp8, or a smaller bundle"
        )

    def doubt(self, free: int) -> str | None:
        """A warning where only estimated activations do not fit; None where all is well. Arguments as of `require`."""
        if self.loaded <= free:
            return None
        return (
            f"{self.bundle} may not fit: about {mebibytes(self.loaded)} with estimated activations, and "
            f"{mebibytes(free)} are free; loading it will tell"
        )

    def left_out(self) -> Iterator[str]:
        """A line for each graph that runs elsewhere."""
        for graph, where in self.apart:
            yield f"without {graph}, which runs {where}"

    def summary(self) -> Iterator[str]:
        """A few lines for a log."""
        about = "about " if self.estimated else ""
        yield (
            f"{self.bundle} takes {about}{mebibytes(self.loaded)} of the GPU and {mebibytes(self.host)} of the host "
            f"(page-locked), beside {mebibytes(self.context)} assumed for CUDA"
        )
        for graph in self.graphs:
            told = ", ".join(
                f"{name.removeprefix(graph.graph).strip()} {mebibytes(size)}" for size, name in graph.parts()
            )
            yield f"  {graph.graph} ({graph.precision}): {told}{' (estimated)' if graph.estimated else ''}"
        for line in self.left_out():
            yield f"  {line}"

    def table(self) -> Iterator[str]:
        """All of it for people, in MiB, one row per graph; what is estimated has a tilde."""
        width = max((len(graph.graph) for graph in self.graphs), default=0)
        width = max(width, len("CUDA context"))
        heads = ("weights", "states", "tensors", "activations", "sum", "page-locked")
        yield f"{'MiB':<{width}}  {'':<5}" + "".join(f"  {head:>11}" for head in heads)
        for graph in self.graphs:
            mark = "~" if graph.estimated else ""
            cells = (
                f"{mark}{_figure(graph.weights)}",
                _figure(graph.states),
                _figure(graph.tensors),
                f"{mark}{_figure(graph.activations)}",
                f"{mark}{_figure(graph.device)}",
                _figure(graph.host),
            )
            yield f"{graph.graph:<{width}}  {graph.precision:<5}" + "".join(f"  {cell:>11}" for cell in cells)
        mark = "~" if self.estimated else ""
        blank = f"  {'':>11}" * 4
        yield f"{'CUDA context':<{width}}  {'':<5}{blank}  {'~' + _figure(self.context):>11}"
        yield f"{'one channel':<{width}}  {'':<5}{blank}  {mark + _figure(self.needed):>11}  {_figure(self.host):>11}"
        yield from self.left_out()

    def cards(self) -> str:
        """How many channels have room in the memory of GPUs as they are sold."""
        fits = [(size, self.channels(size * 1024 * MIB)) for size in CARDS_GIB]
        told = ", ".join(f"{size} GiB {count or 'none'}" for size, count in fits)
        return f"channels that have room (memory alone, not speed): {told}"


@dataclass(frozen=True, slots=True)
class Step:
    """One operator of a graph.

    Attributes:
        reads: names of values.
        makes: names of values.
        view: whether it makes another view of what it reads first, and no bytes.
    """

    reads: tuple[str, ...]
    makes: tuple[str, ...]
    view: bool = False


def activation_peak(steps: Sequence[Step], sizes: Mapping[str, int], elsewhere: Collection[str]) -> int:
    """Estimate activations: the most bytes that live between operators at once, run in the order of the graph.

    Args:
        steps: the graph's operators, in order.
        sizes: bytes of each value; one that is missing counts nothing.
        elsewhere: values with memory of their own: inputs, outputs, weights.
    """
    outside = frozenset(elsewhere)
    roots: dict[str, str] = {}  # of a view: the value whose bytes it shows
    last: dict[str, int] = {}
    for place, step in enumerate(steps):
        if step.view and step.reads:
            shown = roots.get(step.reads[0], step.reads[0])
            roots.update((name, shown) for name in step.makes)
        for name in (*step.reads, *step.makes):
            last[roots.get(name, name)] = place
    live = peak = 0
    dying: dict[int, int] = {}  # place of the last use -> bytes that are free behind it
    for place, step in enumerate(steps):
        for name in step.makes:
            if name not in roots and name not in outside:
                size = sizes.get(name, 0)
                live += size
                dying[last[name]] = dying.get(last[name], 0) + size
        peak = max(peak, live)
        live -= dying.pop(place, 0)
    return peak


def mebibytes(size: int) -> str:
    """Bytes for people."""
    return f"{_figure(size)} MiB"


def _figure(size: int) -> str:
    return f"{size / MIB:,.0f}" if size >= 100 * MIB else f"{size / MIB:,.1f}"
