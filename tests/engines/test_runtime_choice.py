import sys
from typing import get_args

import pytest

from streamgen_engines.bundle import Bundle
from streamgen_engines.errors import RuntimeUnavailableError
from streamgen_engines.families import PocketDecoder, PocketGenerator, load
from streamgen_engines.runtime_name import DEFAULT_RUNTIME, RUNTIME_NAMES, RuntimeName, read_runtime
from streamgen_engines.runtimes import RuntimeReport, available, choice, require, runtime_named
from streamgen_engines.runtimes.openvino import OpenVino, OpenVinoEngine
from streamgen_engines.runtimes.report import openvino_report
from streamgen_engines.text import TextEncoder


def test_every_name_has_a_runtime_and_a_report() -> None:
    assert set(choice._MAKERS) == set(RUNTIME_NAMES) == set(get_args(RuntimeName))
    assert set(RUNTIME_NAMES) <= {each.name for each in available()}
    assert RUNTIME_NAMES[0] == DEFAULT_RUNTIME


def test_a_runtime_has_the_name_by_which_it_was_asked_for() -> None:
    assert runtime_named().name == "onnxruntime-cpu"
    assert runtime_named("openvino").name == "openvino"


def test_an_unknown_name_lists_those_there_are() -> None:
    for call in (read_runtime, runtime_named, require):
        with pytest.raises(RuntimeUnavailableError, match="no runtime 'abacus'; choose one of onnxruntime-cpu, "):
            call("abacus")


def test_what_is_here_can_be_required() -> None:
    assert require("onnxruntime-cpu") == "onnxruntime-cpu"
    assert require("openvino") == "openvino"


def test_a_missing_package_is_named_with_its_command() -> None:
    missing = openvino_report(lambda package: None)
    with pytest.raises(RuntimeUnavailableError, match=r'openvino cannot be used here: .*pip install "streamgen\[openv'):
        require("openvino", [missing])


def test_what_no_package_can_add_is_named_all_the_same() -> None:
    no_driver = RuntimeReport("onnxruntime-cuda", False, "the provider is there, and no NVIDIA driver", "")
    with pytest.raises(RuntimeUnavailableError, match=r"onnxruntime-cuda cannot be used here: .*no NVIDIA driver$"):
        require("onnxruntime-cuda", [no_driver])


def test_nothing_is_loaded_to_look_for_a_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)  # importing it would fail
    assert require("openvino") == "openvino"


def test_a_family_runs_on_the_runtime_that_it_is_given(tiny: Bundle) -> None:
    made: list[OpenVino] = []

    def runtime() -> OpenVino:
        made.append(OpenVino(fall_back=False))
        return made[-1]

    model = load(tiny, runtime=runtime)
    assert isinstance(model.generator, PocketGenerator)
    assert isinstance(model.decoder, PocketDecoder)
    assert isinstance(model.generator._engine, OpenVinoEngine)
    assert isinstance(model.decoder._video, OpenVinoEngine)
    assert isinstance(model.text, TextEncoder)
    assert isinstance(model.text._engine, OpenVinoEngine)
    assert len(made) == 3  # each part may live on a thread of its own
