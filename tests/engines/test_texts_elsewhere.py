"""Models whose texts are encoded elsewhere: what is loaded, opened, counted and compiled, and what is not."""

import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streamgen_engines.bundle import Bundle, bundled
from streamgen_engines.embedding_cache import EmbeddingCache
from streamgen_engines.errors import (
    GraphLoadError,
    HashMismatchError,
    MissingGraphError,
    TextPlacementError,
    TextServiceError,
    TextServiceUnavailableError,
)
from streamgen_engines.families import Condition, Model, load
from streamgen_engines.families.wan_text import WanTextEncoder
from streamgen_engines.families.wan_text_remote import RemoteTextEncoder
from streamgen_engines.gpu_options import GpuOptions
from streamgen_engines.manifest import MANIFEST_FILE, State
from streamgen_engines.memory_plan import MemoryPlan
from streamgen_engines.runtimes import Engine, OnnxRuntimeCpu, OpenRuntimes
from streamgen_engines.tensorrt import runtime as module
from streamgen_engines.tensorrt.compile import Compiler
from streamgen_engines.tensorrt.footprint import survey
from streamgen_engines.tensorrt.recording import record_calls
from streamgen_engines.text_placement import CPU, IN_PLACE, TextPlacement
from tests.tensorrt.rtx import needs_rtx, rtx
from tests.tensorrt.stand_in import install, words
from tests.text_serving import TOKEN, nobody, serving
from tests.tiny_bundle import sha256
from tests.tiny_wan_bundle import TEXT_TOKENS, TEXT_WIDTH, write_tiny_wan_bundle

ON_CPU = TextPlacement(CPU)


@pytest.fixture(autouse=True)
def no_known_texts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Its text graph has a file of weights beside it, as that of UMT5 has."""
    folder = write_tiny_wan_bundle(tmp_path_factory.mktemp("wan") / "tiny")
    (folder / "text.onnx.weights").write_bytes(b"numbers")
    document = json.loads((folder / MANIFEST_FILE).read_text())
    document["graphs"]["text"]["weights"] = {
        "file": "text.onnx.weights",
        "size_bytes": 7,
        "sha256": sha256(folder / "text.onnx.weights"),
    }
    (folder / MANIFEST_FILE).write_text(json.dumps(document))
    return Bundle.open(folder)


@pytest.fixture(scope="module")
def service(bundle: Bundle) -> Iterator[TextPlacement]:
    with serving(WanTextEncoder(bundle, OnnxRuntimeCpu())) as url:
        yield TextPlacement(url, TOKEN)


@pytest.fixture
def beheaded(bundle: Bundle, tmp_path: Path) -> Path:
    """The same without its text graph and the weights of it."""
    folder = tmp_path / "beheaded"
    shutil.copytree(bundle.root, folder)
    (folder / "text.onnx").unlink()
    (folder / "text.onnx.weights").unlink()
    return folder


class NotingRuntime:
    """The CPU runtime, which notes what it loads."""

    def __init__(self, loaded: list[str]) -> None:
        self.loaded = loaded
        self.name = "noting"

    def load(
        self,
        path: Path,
        states: Sequence[State] = (),
        *,
        threads: int = 1,
        in_place: bool = False,
        held: Sequence[str] = (),
    ) -> Engine:
        self.loaded.append(path.stem)
        return OnnxRuntimeCpu().load(path, states, threads=threads, in_place=in_place, held=held)


def noted(bundle: Bundle, texts: TextPlacement) -> tuple[list[str], Model]:
    """The graphs that the model's runtime loads, and the model."""
    loaded: list[str] = []
    return loaded, load(bundle, runtime=lambda: NotingRuntime(loaded), texts=texts)


def chunk(model: Model) -> Any:
    return model.generator.step(Condition(model.text.encode("a calm sea"))).video


def test_every_place_gives_the_same_chunk_and_only_in_place_the_models_runtime_has_the_graph(
    bundle: Bundle, service: TextPlacement, beheaded: Path
) -> None:
    loaded, model = noted(bundle, IN_PLACE)
    true = chunk(model)
    assert "text" in loaded
    rest = [name for name in loaded if name != "text"]
    for opened, texts in ((bundle, ON_CPU), (Bundle.open(beheaded, service.absent), service)):
        loaded, model = noted(opened, texts)
        np.testing.assert_array_equal(chunk(model), true)
        assert loaded == rest
        model.close()
        model.close()


def test_a_small_text_graph_is_never_elsewhere(service: TextPlacement) -> None:
    loaded, _ = noted(bundled("testcard"), ON_CPU)
    assert "text" in loaded
    with pytest.raises(TextPlacementError, match="testcard is of the family pocket"):
        noted(bundled("testcard"), service)


def test_a_bundle_may_lack_the_graph_that_another_machine_runs_and_no_other(beheaded: Path) -> None:
    with pytest.raises(MissingGraphError, match=r"text\.onnx is missing"):
        Bundle.open(beheaded)
    opened = Bundle.open(beheaded, {"text"})
    opened.check_weights()
    assert opened.absent == {"text"}
    (beheaded / "denoise.onnx").write_bytes(b"damaged")
    with pytest.raises(HashMismatchError, match=r"denoise\.onnx"):
        Bundle.open(beheaded, {"text"})


def test_what_was_not_looked_at_is_not_loaded(beheaded: Path) -> None:
    with pytest.raises(AssertionError, match="have not been looked at"):
        load(Bundle.open(beheaded, {"text"}), texts=ON_CPU)


def test_a_service_that_does_not_encode_is_told_before_anything_is_loaded(
    bundle: Bundle, service: TextPlacement
) -> None:
    loaded: list[str] = []
    wrong = TextPlacement(service.place, "another token than that")
    for texts, said in (
        (TextPlacement(nobody(), TOKEN), "is not reached"),
        (wrong, "refuses the token"),
    ):
        with pytest.raises(TextServiceUnavailableError, match=said) as caught:
            load(bundle, runtime=lambda: NotingRuntime(loaded), texts=texts)
        assert texts.token not in str(caught.value)
    assert loaded == []


def test_a_model_that_fails_to_load_closes_its_connections(
    bundle: Bundle, service: TextPlacement, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[RemoteTextEncoder] = []
    close = RemoteTextEncoder.close

    def noted_close(encoder: RemoteTextEncoder) -> None:
        closed.append(encoder)
        close(encoder)

    monkeypatch.setattr(RemoteTextEncoder, "close", noted_close)

    class Full(NotingRuntime):
        def load(self, path: Path, *arguments: Any, **more: Any) -> Engine:
            raise GraphLoadError("no")

    with pytest.raises(GraphLoadError):
        load(bundle, runtime=lambda: Full([]), texts=service)
    assert len(closed) == 1


def test_a_service_can_be_asked_who_it_is(service: TextPlacement) -> None:
    assert service.url is not None
    asking = RemoteTextEncoder(service.url, service.token, places=TEXT_TOKENS, width=TEXT_WIDTH)
    asking.reach()
    asking.close()
    other = RemoteTextEncoder(service.url, service.token, places=512, width=4096, cache=EmbeddingCache())
    with pytest.raises(TextServiceError, match="encodes 8 places of 6 numbers, this model reads 512 of 4096"):
        other.reach()
    other.close()


def test_the_memory_plan_leaves_it_out_and_says_so(beheaded: Path, bundle: Bundle, service: TextPlacement) -> None:
    whole = survey(bundle).plan
    assert "text" in [graph.graph for graph in whole.graphs]
    assert whole.apart == ()
    assert not any("without" in line for line in (*whole.table(), *whole.summary()))
    for opened, texts, where in (
        (bundle, ON_CPU, "on the CPU"),
        (Bundle.open(beheaded, service.absent), service, f"at {service.url}"),
    ):
        plan = survey(opened, apart=texts.apart(opened.manifest)).plan
        assert plan.graphs == tuple(graph for graph in whole.graphs if graph.graph != "text")
        assert list(plan.table())[-1] == f"without text, which runs {where}"
        assert list(plan.summary())[-1] == f"  without text, which runs {where}"
        assert plan.needed < whole.needed


def test_a_plan_without_anything_elsewhere_is_as_it_was() -> None:
    assert list(MemoryPlan("model", ()).left_out()) == []


@needs_rtx
def test_it_is_not_compiled(beheaded: Path, bundle: Bundle, service: TextPlacement) -> None:
    for opened, texts in ((bundle, ON_CPU), (Bundle.open(beheaded, service.absent), service)):
        compiler = Compiler(opened, rtx(), gpu=None, plans=None, texts=texts)
        outcomes = list(compiler.run())
        assert [outcome.graph for outcome in outcomes] == [name for name in opened.manifest.graphs if name != "text"]
        assert [outcome.failure for outcome in outcomes] == [None] * len(outcomes)


def test_inputs_of_the_other_graphs_are_recorded_without_it(
    beheaded: Path, bundle: Bundle, service: TextPlacement
) -> None:
    true = record_calls(bundle, OnnxRuntimeCpu())
    found = record_calls(Bundle.open(beheaded, service.absent), OnnxRuntimeCpu(), texts=service)
    assert len(true["text"]) > 0
    assert found["text"] == []
    assert {name: len(calls) for name, calls in found.items() if name != "text"} == {
        name: len(calls) for name, calls in true.items() if name != "text"
    }
    np.testing.assert_array_equal(found["prompt_kv"][0]["context"], true["prompt_kv"][0]["context"])


def test_on_a_gpu_it_has_no_plan(bundle: Bundle, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """TensorRT is a stand-in, which writes down what it builds."""
    for name in ("build", "CudaDevice", "TensorRtExecutable", "load_flavour"):
        monkeypatch.setattr(module, name, getattr(module, name))  # put back at the end
    work = tmp_path / "stand-in"
    work.mkdir()
    install(work)
    with OpenRuntimes("tensorrt-rtx", GpuOptions(plan_cache=work / "plans")) as runtimes:
        runtimes.admit(bundle, texts=ON_CPU)
        model = load(bundle, runtime=runtimes.make, texts=ON_CPU)
        np.testing.assert_allclose(chunk(model), chunk(load(bundle)), atol=0.05)
    built = words(work, "builds")
    assert "denoise.onnx" in built
    assert "text.onnx" not in built
