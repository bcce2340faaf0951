"""The chunk loop's graphs as TensorRT takes them, and the random inputs that they are tried with."""

from pathlib import Path

import numpy as np
import onnxruntime

from streamgen_engines.bundle import Bundle, bundled
from streamgen_engines.tensorrt.sampler_plans import prepared_sampler, random_calls, sampler_entry
from tests.tiny_wan_bundle import write_tiny_wan_bundle


def test_there_are_three_in_the_order_in_which_a_sampler_takes_them() -> None:
    prepared = prepared_sampler(bundled("pocket").manifest)
    assert list(prepared) == ["sampler step", "sampler weigh", "sampler finish"]
    assert {each.precision for each in prepared.values()} == {"fp32"}
    assert {each.halved for each in prepared.values()} == {0}


def test_a_family_whose_loop_stays_on_the_host_has_none(tmp_path: Path) -> None:
    assert prepared_sampler(Bundle.open(write_tiny_wan_bundle(tmp_path / "wan")).manifest) == {}


def test_the_same_manifest_makes_the_same_graphs_and_another_one_others() -> None:
    """Plans are kept under their hash."""
    hashes = [
        [each.sha256 for each in prepared_sampler(bundled(name).manifest).values()]
        for name in ("pocket", "pocket", "testcard")
    ]
    assert hashes[0] == hashes[1]
    assert all(one != other for one, other in zip(hashes[0], hashes[2], strict=True))


def test_random_inputs_are_those_that_the_graph_declares_and_the_same_each_time() -> None:
    for name, prepared in prepared_sampler(bundled("pocket-small").manifest).items():
        calls, again = random_calls(prepared), random_calls(prepared)
        session = onnxruntime.InferenceSession(prepared.model, providers=["CPUExecutionProvider"])
        assert len(calls) > 1
        first, second = (np.concatenate([array.ravel() for array in call.values()]) for call in calls[:2])
        assert not np.array_equal(first, second)
        for call, same in zip(calls, again, strict=True):
            assert call.keys() == {each.name for each in session.get_inputs()}
            assert all(np.array_equal(call[each], same[each]) for each in call)
            assert all(np.isfinite(made).all() for made in session.run(None, call))
        assert sampler_entry(name, prepared).sha256 == prepared.sha256
        assert sampler_entry(name, prepared).states == ()
