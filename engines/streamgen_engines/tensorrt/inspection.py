"""What a plan is made of: of the network it comes from, and of the engine where a GPU has loaded it."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class NetworkReport:
    """A network and its plan, without a GPU.

    Attributes:
        layers: of the network, before TensorRT fuses them, by kind.
        types: how many layers make each element type.
        fused_attentions: attentions that are one kernel each.
        decomposed_attentions: attentions that had no kernel of their own, and may be several.
        caches: states that are written in place.
        plan_bytes: size of the plan.
    """

    layers: Mapping[str, int]
    types: Mapping[str, int]
    fused_attentions: int
    decomposed_attentions: int
    caches: int
    plan_bytes: int

    def __str__(self) -> str:
        attention = f"{self.fused_attentions} attentions fused"
        if self.decomposed_attentions:
            attention += f", {self.decomposed_attentions} without a kernel of their own"
        megabytes = self.plan_bytes / 1e6
        layers = f"{sum(self.layers.values())} layers ({_counted(self.types)})"
        return f"{layers}, {attention}, {self.caches} caches, {megabytes:.1f} MB"


@dataclass(frozen=True, slots=True)
class EngineReport:
    """An engine on a GPU.

    Attributes:
        layers: what is left after fusing.
        types: how many of them make each element type, as the inspector names it.
        attentions: layers that are fused attention.
        device_bytes: memory for activations.
        weight_bytes: memory for weights; 0 where nobody has asked.
    """

    layers: int
    types: Mapping[str, int]
    attentions: int
    device_bytes: int
    weight_bytes: int = 0

    def __str__(self) -> str:
        return (
            f"{self.layers} layers ({_counted(self.types)}), {self.attentions} of them fused attention, "
            f"{self.weight_bytes / 1e6:.1f} MB of weights, {self.device_bytes / 1e6:.1f} MB for activations"
        )


def network_report(network: Any, api: Any, *, plan_bytes: int, decomposed: int) -> NetworkReport:
    """Count a parsed network. `decomposed` is how many attentions were allowed to be taken apart."""
    layers: Counter[str] = Counter()
    types: Counter[str] = Counter()
    for place in range(network.num_layers):
        layer = network.get_layer(place)
        layers[_plain(layer.type)] += 1
        if layer.num_outputs and layer.get_output(0) is not None:
            types[_plain(layer.get_output(0).dtype)] += 1
    attentions = layers["attention_input"]
    return NetworkReport(
        dict(layers), dict(types), attentions - decomposed, decomposed, layers["kv_cache_update"], plan_bytes
    )


def engine_report(document: str, device_bytes: int, weight_bytes: int) -> EngineReport:
    """Read the JSON of TensorRT's `EngineInspector`.

    Args:
        document: what `get_engine_information(LayerInformationFormat.JSON)` returned.
        device_bytes: `device_memory_size_v2`.
        weight_bytes: the statistic `TOTAL_WEIGHTS_SIZE`, or the size of the plan.

    Raises:
        ValueError: it is not such a document.
    """
    try:
        found = json.loads(document)
    except json.JSONDecodeError as error:
        raise ValueError(f"the engine's description is not JSON ({error})") from error
    if not isinstance(found, dict) or not isinstance(found.get("Layers"), list):
        raise ValueError("the engine's description has no list of layers")
    types: Counter[str] = Counter()
    attentions = 0
    for layer in found["Layers"]:
        if not isinstance(layer, dict):  # without detailed profiling there are only names
            attentions += _is_attention(str(layer))
            continue
        attentions += any(_is_attention(str(layer.get(key, ""))) for key in ("Name", "LayerType", "TacticName"))
        for output in layer.get("Outputs", [])[:1]:
            types[str(output.get("Format/Datatype", "unknown"))] += 1
    return EngineReport(len(found["Layers"]), dict(types), attentions, device_bytes, weight_bytes)


def _counted(kinds: Mapping[str, int]) -> str:
    """Element types, the most frequent first."""
    return (
        ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items(), key=lambda item: -item[1]))
        or "no types told"
    )


def _is_attention(text: str) -> bool:
    return any(word in text.lower() for word in ("mha", "attention", "fmha"))


def _plain(value: Any) -> str:
    """`LayerType.CAST` -> `cast`."""
    return str(value).rsplit(".", 1)[-1].lower()
