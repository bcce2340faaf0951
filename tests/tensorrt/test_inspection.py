import json

import pytest

from streamgen_engines.tensorrt.inspection import EngineReport, NetworkReport, engine_report

DOCUMENT = {
    "Layers": [
        {"Name": "__mye1", "LayerType": "kgen", "Outputs": [{"Name": "a", "Format/Datatype": "Half"}]},
        {"Name": "__mye2", "LayerType": "fmha_v2", "Outputs": [{"Name": "b", "Format/Datatype": "Half"}]},
        {"Name": "node_attention", "LayerType": "Myelin", "Outputs": [{"Name": "c", "Format/Datatype": "Float"}]},
        "a name alone",
    ],
    "Bindings": ["x", "y"],
}


def test_an_engine_is_counted() -> None:
    assert engine_report(json.dumps(DOCUMENT), 4096, 7) == EngineReport(4, {"Half": 2, "Float": 1}, 2, 4096, 7)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"Layers": 3}'])
def test_what_is_no_description_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"no list of layers|is not JSON"):
        engine_report(text, 0, 0)


def test_a_network_is_told_in_one_line() -> None:
    report = NetworkReport({"cast": 2, "attention_input": 1}, {"float": 1, "half": 2}, 1, 0, 4, 1_500_000)
    assert str(report) == "3 layers (2 half, 1 float), 1 attentions fused, 4 caches, 1.5 MB"
    apart = NetworkReport({"attention_input": 2}, {"float": 2}, 0, 2, 0, 0)
    assert str(apart) == "2 layers (2 float), 0 attentions fused, 2 without a kernel of their own, 0 caches, 0.0 MB"


def test_an_engine_is_told_with_layers_types_attention_and_memory() -> None:
    report = EngineReport(4, {"Float": 1, "Half": 3}, 2, 4_000_000, 7_500_000)
    assert str(report) == (
        "4 layers (3 Half, 1 Float), 2 of them fused attention, 7.5 MB of weights, 4.0 MB for activations"
    )
    assert str(EngineReport(1, {}, 0, 0)).startswith("1 layers (no types told), 0 of them fused attention")
