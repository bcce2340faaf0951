"""A runtime on the fake GPU whose plans compute the real graphs, for tests of a whole stream."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from streamgen_engines.bundle import Bundle
from streamgen_engines.device.device_sampler import DeviceSampler, SamplerPlans
from streamgen_engines.device.engine import DeviceEngine
from streamgen_engines.device.sampler_graphs import sampler_graphs
from streamgen_engines.manifest import State, pocket_manifest
from tests.device.computing import executable
from tests.device.fakes import FakeDevice, FakeExecutable, FakeGpu


class FakeRuntime:
    """A stream for the sampler, and one for each other graph.

    Args:
        gpu: where; None is one of its own.
        record: False does everything step by step.
        captures: False is a GPU that refuses to record.
        options: of the denoise plan.
    """

    name = "fake"

    def __init__(
        self, gpu: FakeGpu | None = None, *, record: bool = True, captures: bool = True, **options: Any
    ) -> None:
        self.gpu = gpu or FakeGpu()
        self.record, self.captures, self.options = record, captures, options
        self.device: FakeDevice
        self.denoise: FakeExecutable
        self.sampler: DeviceSampler

    def load(
        self,
        path: Path,
        states: Sequence[State] = (),
        *,
        threads: int = 1,
        in_place: bool = False,
        held: Sequence[str] = (),
    ) -> DeviceEngine:
        device, record = FakeDevice(gpu=self.gpu), self.record
        loaded = executable(device, path.read_bytes())
        return DeviceEngine(loaded, device, states, name=path.name, record=record, held=held)

    def chunk_sampler(self, bundle: Bundle) -> DeviceSampler:
        self.device = FakeDevice(gpu=self.gpu, captures=self.captures)
        graphs = sampler_graphs(pocket_manifest(bundle.manifest))
        step, weigh, finish = (executable(self.device, each) for each in (graphs.step, graphs.weigh, graphs.finish))
        self.denoise = executable(self.device, bundle.path("denoise").read_bytes(), **self.options)
        plans = SamplerPlans(self.denoise, step, weigh, finish)
        self.sampler = DeviceSampler(plans, self.device, pocket_manifest(bundle.manifest), record=self.record)
        return self.sampler
