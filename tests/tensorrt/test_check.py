"""A plan that is off is refused, in the output and by how much; the stand-in for a plan is ONNX Runtime itself."""

from collections.abc import Mapping

import numpy as np
import pytest

from streamgen_engines.bundle import Bundle, bundled
from streamgen_engines.runtimes import OnnxRuntimeCpu
from streamgen_engines.runtimes.interface import Array, Engine, Signature
from streamgen_engines.tensorrt.check import ALLOWED, PlanMismatchError, compare, reference_engine, require_close
from streamgen_engines.tensorrt.recording import record_calls


class Off:
    """An engine whose results are changed on their way."""

    def __init__(self, inner: Engine, factor: float) -> None:
        self.inner, self.factor = inner, factor

    @property
    def signature(self) -> Signature:
        return self.inner.signature

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        return {name: array * np.float32(self.factor) for name, array in self.inner.run(inputs).items()}

    def hold(self, arrays: Mapping[str, Array]) -> None:
        self.inner.hold(arrays)

    def take_states(self, other: Engine) -> None:
        self.inner.take_states(other)

    def state(self, name: str) -> Array:
        return self.inner.state(name)

    def reset(self) -> None:
        self.inner.reset()


@pytest.fixture(scope="module")
def card() -> Bundle:
    return bundled("testcard")


def sound(card: Bundle) -> Engine:
    states = card.manifest.graphs["decode_audio"].states
    return reference_engine(card.path("decode_audio").read_bytes(), states, OnnxRuntimeCpu(), name="decode_audio")


@pytest.mark.parametrize(("factor", "error"), [(1.0, 0.0), (1.25, 0.25), (0.0, 1.0), (-1.0, 2.0)])
def test_an_error_is_the_share_of_what_is_right(card: Bundle, factor: float, error: float) -> None:
    calls = record_calls(card, OnnxRuntimeCpu())["decode_audio"]
    assert compare(Off(sound(card), factor), sound(card), calls)["samples"] == pytest.approx(error, abs=1e-6)


def test_no_number_is_infinitely_wrong(card: Bundle) -> None:
    calls = record_calls(card, OnnxRuntimeCpu())["decode_audio"]
    errors = compare(Off(sound(card), float("nan")), sound(card), calls)
    assert errors == {"samples": float("inf")}
    with pytest.raises(PlanMismatchError):
        require_close(errors, "fp8", name="sound")


def test_states_are_carried_on_both_sides(card: Bundle) -> None:
    """The card's picture has a counter: an engine that is one chunk behind shows other pictures."""
    states = card.manifest.graphs["decode_video"].states
    source = card.path("decode_video").read_bytes()
    behind, right = (reference_engine(source, states, OnnxRuntimeCpu(), name="decode_video") for _ in range(2))
    calls = record_calls(card, OnnxRuntimeCpu())["decode_video"]
    right.run(calls[0])
    assert compare(behind, right, calls)["frames"] > 0.01


def test_what_precision_explains_passes_and_what_it_does_not_is_named() -> None:
    require_close({"video": ALLOWED["fp16"], "audio": 0.0}, "fp16", name="pocket/denoise")
    with pytest.raises(PlanMismatchError, match=r"pocket/denoise: .*: video by 0.2 \(allowed 0.03 in fp16\)"):
        require_close({"video": 0.2, "audio": 0.01}, "fp16", name="pocket/denoise")
    with pytest.raises(PlanMismatchError, match="nan"):
        require_close({"video": float("nan")}, "bf16", name="pocket/denoise")


def test_every_graph_is_recorded_with_what_it_needs() -> None:
    opened = bundled("pocket-small")
    recorded = record_calls(opened, OnnxRuntimeCpu(), chunks=2)
    assert recorded.keys() == opened.manifest.graphs.keys()
    assert [len(recorded[graph]) for graph in ("decode_video", "decode_audio", "encode_picture")] == [2, 2, 1]
    assert len({call["write_index"].item() for call in recorded["denoise"]}) == 2
    assert {call["sigma"].item() for call in recorded["denoise"]} >= {1.0}
