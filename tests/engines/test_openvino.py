"""OpenVINO: what it is taught, what it refuses, and its numbers beside ONNX Runtime's on the bundled model."""

import logging
import os
import signal
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper

from bench.dequantised import dequantised
from streamgen_engines.bundle import Bundle, bundled
from streamgen_engines.errors import GraphLoadError, RuntimeUnavailableError
from streamgen_engines.families import Condition, load
from streamgen_engines.manifest import State
from streamgen_engines.runtimes import Array, Engine, OnnxRuntimeCpu, Signature, runtime_named
from streamgen_engines.runtimes.onnxruntime_cpu import OnnxRuntimeEngine
from streamgen_engines.runtimes.openvino import OpenVino, OpenVinoEngine
from streamgen_engines.runtimes.signal_stack import signal_stack
from tests.engines.graphs import REAL, RING, feed, ring_graph, save

CHUNKS = 20
PROMPTS = ("waves on a calm sea", "fireworks over a city at night")
JITTER = 1e-6
"""Relative change of the latents that shows how far rounding to int8 carries a difference of the last bits."""


def unknown_graph(folder: Path) -> Path:
    node = helper.make_node("Det", ["x"], ["y"])
    return save(folder / "det.onnx", [node], {"x": (REAL, (3, 3))}, {"y": (REAL, ())})


def two_rings(folder: Path) -> Path:
    return save(
        folder / "rings.onnx",
        [helper.make_node("TensorScatter", ["ring", "new", "index"], ["ring_out"], axis=2)],
        {"new": (REAL, (2, 1, 2, 2)), "index": (TensorProto.INT64, (2,)), "ring": (REAL, (2, 1, 6, 2))},
        {"ring_out": (REAL, (2, 1, 6, 2))},
    )


def test_an_operator_that_it_lacks_is_named(tmp_path: Path) -> None:
    with pytest.raises(GraphLoadError, match=r"det\.onnx: OpenVINO \S+ knows no Det.*runtime onnxruntime-cpu"):
        OpenVino(fall_back=False).load(unknown_graph(tmp_path))


def test_a_graph_that_it_refuses_runs_on_onnx_runtime_and_the_log_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    runtime = OpenVino()
    with caplog.at_level(logging.WARNING):
        engine = runtime.load(unknown_graph(tmp_path))
        assert isinstance(runtime.load(ring_graph(tmp_path), [RING]), OpenVinoEngine)
    assert isinstance(engine, OnnxRuntimeEngine)
    assert engine.run({"x": 2 * np.eye(3, dtype=np.float32)})["y"] == 8
    assert list(runtime.refused) == ["det.onnx"]
    assert [record.getMessage() for record in caplog.records] == [
        f"det.onnx runs on ONNX Runtime instead: {runtime.refused['det.onnx']}"
    ]


def test_what_no_runtime_can_load_is_an_error_in_spite_of_falling_back(tmp_path: Path) -> None:
    (tmp_path / "bad.onnx").write_bytes(b"this is not ONNX")
    runtime = OpenVino()
    with pytest.raises(GraphLoadError, match=r"bad\.onnx: ONNX Runtime"):
        runtime.load(tmp_path / "bad.onnx")
    assert not runtime.refused


def test_a_ring_of_several_sequences_is_not_converted_wrongly(tmp_path: Path) -> None:
    with pytest.raises(GraphLoadError, match="2 sequences at once; only one can be converted"):
        OpenVino(fall_back=False).load(two_rings(tmp_path))


@pytest.mark.parametrize("index", [0, 3, 5])
def test_a_circular_ring_goes_on_at_its_beginning(tmp_path: Path, index: int) -> None:
    graph = ring_graph(tmp_path, mode="circular")
    states = []
    for runtime in (OnnxRuntimeCpu(), OpenVino(fall_back=False)):
        engine = runtime.load(graph, [RING], in_place=True)
        engine.run(feed(1, index))
        states.append(engine.state("ring")[0, 0, :, 0].tolist())
    assert states[0] == states[1]
    assert sum(states[1]) == 2


@pytest.mark.skipif(sys.platform != "linux", reason="of Linux alone")
def test_a_signal_after_a_graph_is_gone_is_handled(tmp_path: Path) -> None:
    before = signal_stack()
    heard: list[int] = []
    earlier = signal.signal(signal.SIGUSR1, lambda number, frame: heard.append(number))
    try:
        for in_place in (True, False):
            engine = OpenVino().load(ring_graph(tmp_path), [RING], in_place=in_place)
            engine.run(feed(1, 2))
            assert signal_stack() == before
        del engine
        os.kill(os.getpid(), signal.SIGUSR1)
    finally:
        signal.signal(signal.SIGUSR1, earlier)
    assert heard == [signal.SIGUSR1]


def test_in_place_means_one_tensor_and_otherwise_there_are_two(tmp_path: Path) -> None:
    for in_place in (True, False):
        engine = OpenVino().load(ring_graph(tmp_path), [RING], in_place=in_place)
        views = []
        for run in range(4):
            views.append(engine.state("ring"))
            engine.run(feed(run + 1, 2))
        assert np.shares_memory(views[0], views[1]) == in_place
        assert np.shares_memory(views[0], views[2])  # none is ever allocated again
        if in_place:
            assert views[0][0, 0, :, 1].tolist() == [0, 0, 4, 4, 0, 0]


def test_without_the_package_the_command_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(RuntimeUnavailableError, match=r'pip install "streamgen\[openvino\]"'):
        runtime_named("openvino")


class Beside:
    """Runs a graph on the reference, and from the same state on another engine; keeps how far they are apart.

    Left alone, two int8 graphs drift: where the last bits of an activation differ, one of them may round it to another
    integer, and layer after layer, step after step it goes on from there. Therefore each run starts from the
    reference's state, and ONNX Runtime with inputs changed in the last bits shows how far that alone carries.
    """

    def __init__(self, reference: Engine, other: Engine, states: Sequence[str], jitter: Engine) -> None:
        self._reference, self._other, self._jitter, self._states = reference, other, jitter, states
        self._random = np.random.default_rng(0)
        self.apart: defaultdict[str, list[float]] = defaultdict(list)
        self.own: defaultdict[str, list[float]] = defaultdict(list)

    @property
    def signature(self) -> Signature:
        return self._reference.signature

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        for name in self._states:
            for engine in (self._other, self._jitter):
                engine.state(name)[...] = self._reference.state(name)
        shaken = {
            name: (array * (1 + JITTER * self._random.standard_normal(array.shape))).astype(array.dtype)
            if name in ("video", "audio", "latent")
            else array
            for name, array in inputs.items()
        }
        expected = self._reference.run(inputs)
        for found, kept in ((self._other.run(inputs), self.apart), (self._jitter.run(shaken), self.own)):
            for name, array in expected.items():
                kept[name].append(distance(found[name], array))
        for name in self._states:
            self.apart["states"].append(distance(self._other.state(name), self._reference.state(name)))
            self.own["states"].append(distance(self._jitter.state(name), self._reference.state(name)))
        return expected

    def hold(self, arrays: Mapping[str, Array]) -> None:
        for engine in (self._reference, self._other, self._jitter):
            engine.hold(arrays)

    def take_states(self, other: Engine) -> None:
        for engine in (self._reference, self._other, self._jitter):
            engine.take_states(other)

    def state(self, name: str) -> Array:
        return self._reference.state(name)

    def reset(self) -> None:
        for engine in (self._reference, self._other, self._jitter):
            engine.reset()


class SideBySide:
    name = "side by side"

    def __init__(self) -> None:
        self.engines: dict[str, Beside] = {}

    def load(
        self,
        path: Path,
        states: Sequence[State] = (),
        *,
        threads: int = 1,
        in_place: bool = False,
        held: Sequence[str] = (),
    ) -> Engine:
        reference, other, jitter = (
            runtime.load(path, states, threads=threads, in_place=in_place, held=held)
            for runtime in (OnnxRuntimeCpu(), OpenVino(fall_back=False), OnnxRuntimeCpu())
        )
        engine = Beside(reference, other, [state.name for state in states], jitter)
        self.engines[path.stem] = engine
        return engine


def distance(found: Array, expected: Array) -> float:
    """Root mean square of the difference as a part of that of what is expected."""
    size = float(np.sqrt((expected.astype(np.float64) ** 2).mean()))
    return float(np.sqrt(((found.astype(np.float64) - expected) ** 2).mean())) / max(size, 1e-12)


def test_every_graph_of_the_bundled_model_gives_the_numbers_of_onnx_runtime() -> None:
    runtime = SideBySide()
    model = load(bundled(), runtime=lambda: runtime)
    prompts = [model.text.encode(text) for text in PROMPTS]
    for chunk in range(CHUNKS):
        condition = Condition(prompts[chunk >= CHUNKS // 2], guidance=1, steps=1)
        model.decoder.decode(model.generator.step(condition))
    engines = runtime.engines
    assert set(engines) == {"text", "denoise", "decode_video", "decode_audio"}
    assert max(engines["text"].apart["pooled"]) < 1e-5
    assert max(engines["decode_video"].apart["states"]) < 1e-5
    assert max(engines["decode_video"].apart["frames"]) < 1e-3  # one level up or down where it lies between two
    assert max(engines["decode_audio"].apart["samples"]) < 1e-4
    denoise = engines["denoise"]
    assert len(denoise.apart["video_velocity"]) >= 2 * CHUNKS
    for name in ("video_velocity", "audio_velocity", "states"):
        # As far apart as ONNX Runtime is from itself when its inputs change by a millionth, and no further.
        assert np.mean(denoise.apart[name]) < 1.5 * np.mean(denoise.own[name]), name
        assert np.mean(denoise.apart[name]) < 0.08, name


def test_without_rounding_to_int8_twenty_chunks_in_a_row_are_the_same(tmp_path: Path) -> None:
    """The bundled model in float32, each runtime going on from its own chunks."""
    plain: Bundle = dequantised(bundled(), tmp_path / "pocket")
    models = [load(plain), load(plain, runtime=lambda: OpenVino(fall_back=False))]
    for chunk in range(CHUNKS):
        made = []
        for model in models:
            prompt = model.text.encode(PROMPTS[chunk >= CHUNKS // 2])
            made.append(model.generator.step(Condition(prompt, guidance=1, steps=2)))
        assert distance(made[1].video, made[0].video) < 1e-3
        assert distance(made[1].audio, made[0].audio) < 1e-3
