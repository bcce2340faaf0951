"""What the chunk loop on a GPU costs in Python: `python -m bench.loop_overhead`. Needs no GPU, and measures none.

The device and its plans are empty: every call returns at once and computes nothing. What is left is the time in which
a GPU would wait for Python between two chunks: decisions, random numbers, filling the block, and the calls themselves
up to where CUDA would begin. A call of CUDA adds some microseconds of its own; how many calls there are is printed.
With ONNX Runtime a plan is a session, called through `BoundSession`; what ONNX Runtime adds to a run by itself is not
in these figures either.
"""

import argparse
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import onnx

from bench import record
from bench.figures import Summary
from streamgen_engines.bundle import Bundle
from streamgen_engines.chunk import UInt8Array
from streamgen_engines.device.allocations import aligned
from streamgen_engines.device.device_sampler import DeviceSampler, SamplerPlans
from streamgen_engines.device.executable import Executable
from streamgen_engines.device.interface import Gpu
from streamgen_engines.device.sampler_graphs import sampler_graphs
from streamgen_engines.errors import EngineError
from streamgen_engines.families import Condition, PocketGenerator
from streamgen_engines.manifest import pocket_manifest
from streamgen_engines.prompt import Prompt, null_prompt, transition
from streamgen_engines.recipe import ChunkSampler
from streamgen_engines.runtimes import Engine
from streamgen_engines.runtimes.bound_session import BoundSession
from streamgen_engines.runtimes.interface import TensorSpec

CHUNKS: Final = 2000
WARM_UP: Final = 10  # past recording
_MS_PER_S: Final = 1000
Way = Literal["played", "step by step", "sessions"]
"""How a chunk is enqueued: as two records, plan by plan, or session by session, each with a record of its own."""


class EmptyDevice:
    """`Device` on which everything is done at once and nothing is. It counts what it is asked to enqueue."""

    def __init__(self) -> None:
        self.gpu = Gpu("none", "0.0", 0)
        self.index = 0
        self.stream = 1
        self.calls = 0
        self._next = 4096

    def use(self) -> None:
        """Nothing is to be chosen."""

    def allocate(self, size: int) -> int:
        """An address that nothing lies behind."""
        address, self._next = self._next, self._next + aligned(size)
        return address

    def free(self, address: int) -> None:
        """Nothing is given back."""

    def staging(self, size: int) -> UInt8Array:
        """Memory of the host."""
        return np.zeros(size, np.uint8)

    def free_staging(self, memory: UInt8Array) -> None:
        """Python frees it."""

    def upload(self, address: int, memory: UInt8Array) -> None:
        """Count."""
        self.calls += 1

    def download(self, memory: UInt8Array, address: int) -> None:
        """Count."""
        self.calls += 1

    def copy(self, target: int, source: int, size: int) -> None:
        """Count."""
        self.calls += 1

    def copy_rows(self, target: int, source: int, *, width: int, pitch: int, count: int) -> None:
        """Count."""
        self.calls += 1

    def zero(self, address: int, size: int) -> None:
        """Count."""
        self.calls += 1

    def synchronise(self) -> None:
        """Nothing is under way."""

    def event(self) -> int:
        """The one event."""
        return 1

    def record_event(self, event: int) -> None:
        """Count."""
        self.calls += 1

    def wait_event(self, event: int) -> None:
        """Count."""
        self.calls += 1

    def synchronise_event(self, event: int) -> None:
        """Count: it is a call, though nothing is under way."""
        self.calls += 1

    def free_event(self, event: int) -> None:
        """Nothing is given back."""

    def begin_capture(self) -> None:
        """Nothing is kept."""

    def end_capture(self) -> int:
        """The one record."""
        return 1

    def abort_capture(self) -> None:
        """Nothing was kept."""

    def play(self, record: int) -> None:
        """Count."""
        self.calls += 1

    def forget(self, record: int) -> None:
        """Nothing is given back."""

    def close(self) -> None:
        """Nothing is given back."""


class EmptyPlan:
    """`Executable` that computes nothing."""

    def __init__(
        self, device: EmptyDevice, inputs: Mapping[str, TensorSpec], outputs: Mapping[str, TensorSpec]
    ) -> None:
        self.inputs, self.outputs = dict(inputs), dict(outputs)
        self._device = device

    def aliased(self, output: str) -> str | None:
        """A cache is written in place, as with TensorRT."""
        source = output.removesuffix("_out")
        return source if source != output and source in self.inputs else None

    def bind(self, name: str, address: int) -> None:
        """Nothing is kept."""

    def enqueue(self, stream: int) -> None:
        """Count."""
        self._device.calls += 1

    def capturable(self, stream: int) -> bool:
        """Always."""
        return True

    def close(self) -> None:
        """Nothing to give back."""


@dataclass(frozen=True, slots=True)
class EmptyArgument:
    """What a session tells of an input or output."""

    name: str
    shape: tuple[int, ...]
    type: str


class EmptyBinding:
    """An `IOBinding` that keeps nothing."""

    def bind_input(self, *_: object) -> None:
        """Nothing is kept."""

    def bind_output(self, *_: object) -> None:
        """Nothing is kept."""


class EmptySession:
    """A session of ONNX Runtime that computes nothing."""

    def __init__(
        self, device: EmptyDevice, inputs: Mapping[str, TensorSpec], outputs: Mapping[str, TensorSpec]
    ) -> None:
        self._device = device
        self._inputs, self._outputs = (
            [EmptyArgument(name, spec.shape, _ORT_NAMES[spec.dtype]) for name, spec in specs.items()]
            for specs in (inputs, outputs)
        )

    def get_inputs(self) -> list[EmptyArgument]:
        """Those of the graph."""
        return self._inputs

    def get_outputs(self) -> list[EmptyArgument]:
        """Those of the graph."""
        return self._outputs

    def io_binding(self) -> EmptyBinding:
        """A new one."""
        return EmptyBinding()

    def run_with_iobinding(self, binding: EmptyBinding, options: int) -> None:
        """Count."""
        self._device.calls += 1


class EmptyRuntime:
    """A runtime that makes whole chunks of nothing, in one of the ways."""

    name = "empty"

    def __init__(self, way: Way) -> None:
        self.device = EmptyDevice()
        self._way = way

    def load(self, *_: Any, **__: Any) -> Engine:
        """Only samplers are made here."""
        raise NotImplementedError("the loop on a GPU has no engine for single passes")

    def chunk_sampler(self, bundle: Bundle) -> ChunkSampler:
        """The real sampler on the empty device."""
        graphs = sampler_graphs(pocket_manifest(bundle.manifest))
        sources = (bundle.path("denoise").read_bytes(), graphs.step, graphs.weigh, graphs.finish)
        plans = SamplerPlans(*(self._plan(source) for source in sources))
        record = self._way == "played"
        return DeviceSampler(plans, self.device, pocket_manifest(bundle.manifest), record=record)

    def _plan(self, source: bytes) -> Executable:
        graph = onnx.load_from_string(source).graph
        inputs, outputs = _specs(graph.input), _specs(graph.output)
        plan = EmptyPlan(self.device, inputs, outputs)
        if self._way != "sessions":
            return plan
        shared = {name: found for name in outputs if (found := plan.aliased(name)) is not None}
        session = EmptySession(self.device, inputs, outputs)
        path = Path(graph.name)
        return BoundSession(
            session, self.device, path, memory="cuda", options=lambda graph: graph, shared=shared, records=True
        )


_ORT_NAMES: Final = {"float32": "tensor(float)", "float16": "tensor(float16)", "int64": "tensor(int64)"}


def _specs(values: Any) -> dict[str, TensorSpec]:
    found = {}
    for value in values:
        tensor = value.type.tensor_type
        kind = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type))
        found[value.name] = TensorSpec(tuple(int(size.dim_value) for size in tensor.shape.dim), kind.name)
    return found


def prompts(bundle: Bundle) -> tuple[Prompt, Prompt]:
    """Two texts of the right shape; nobody reads them."""
    text = bundle.manifest.text
    random = np.random.default_rng(0)
    null = null_prompt(text)
    one, other = (
        Prompt(
            name,
            random.standard_normal(null.context.shape, np.float32),
            np.zeros_like(null.context_bias),
            random.standard_normal(null.pooled.shape, np.float32),
        )
        for name in ("one", "other")
    )
    return one, other


def measure(bundle: Bundle, *, chunks: int, now: Callable[[], float] = time.perf_counter) -> dict[str, Any]:
    """Milliseconds of Python per chunk, and calls of the device.

    `played`: the same text all along. `moving`: a transition, whose blended text is another for every chunk; blending
    is not measured, because the text thread does it. `step_by_step`: as the first chunk of every shape is made.
    `sessions`: with ONNX Runtime, where every session plays a record of its own.
    """
    one, other = prompts(bundle)
    moving = [Condition(transition(one, other, (index + 1) / (chunks + 1))) for index in range(chunks)]
    figures: dict[str, Any] = {}
    ways: tuple[tuple[str, bool, Way], ...] = (
        ("played", True, "played"),
        ("moving", False, "played"),
        ("step_by_step", True, "step by step"),
        ("sessions", True, "sessions"),
    )
    for name, still, way in ways:
        runtime = EmptyRuntime(way)
        generator = PocketGenerator(bundle, runtime)
        for _ in range(WARM_UP):
            generator.step(Condition(one))
        before = runtime.device.calls
        times = []
        for condition in [Condition(one)] * chunks if still else moving:
            started = now()
            generator.step(condition)
            times.append(_MS_PER_S * (now() - started))
        figures[name] = {"ms": Summary.of(times), "device_calls": (runtime.device.calls - before) / chunks}
    return figures


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m bench.loop_overhead", description="Python per chunk on a GPU.")
    parser.add_argument("--bundle", type=Path, help="folder of the model or name of a bundled one [pocket]")
    parser.add_argument("--chunks", type=int, default=CHUNKS, help=f"of each kind [{CHUNKS}]")
    parser.add_argument("--results", type=Path, default=record.RESULTS, help="where the record goes")
    parser.add_argument("--no-record", action="store_true", help="only print")
    given = parser.parse_args()
    try:
        bundle = record.open_bundle(given.bundle)
        run = record.begin("loop_overhead", bundle, {"chunks": given.chunks})
        figures = measure(bundle, chunks=given.chunks)
    except EngineError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    run = record.finish(run, figures, [])
    if not given.no_record:
        record.append(run, given.results)
    for name, found in run["figures"].items():
        ms = found["ms"]
        print(f"{name}: p50 {ms['p50']} ms, p95 {ms['p95']} ms per chunk, {found['device_calls']} calls of the device")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
