"""Held inputs, as every runtime that is here promises them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from streamgen_engines.errors import GraphMismatchError
from streamgen_engines.runtimes import Engine, Runtime, Signature, TensorSpec
from tests.engines.graphs import LAST, held_graph
from tests.engines.test_runtime_contract import RUNTIMES

VECTOR = TensorSpec((1, 4), "float32")
HELD = ("large", "other")


def row(value: float) -> NDArray[np.float32]:
    return np.full((1, 4), value, np.float32)


@pytest.fixture(params=RUNTIMES)
def runtime(request: pytest.FixtureRequest) -> Runtime:
    return RUNTIMES[request.param]()


@pytest.fixture
def engine(runtime: Runtime, tmp_path: Path) -> Engine:
    return runtime.load(held_graph(tmp_path), [LAST], held=HELD)


def y(engine: Engine, value: float) -> list[float]:
    found: list[float] = engine.run({"x": row(value)})["y"][0].tolist()
    return found


def test_they_stay_until_others_take_their_place(engine: Engine) -> None:
    engine.hold({"large": row(10), "other": row(100)})
    assert [y(engine, value)[0] for value in (1, 2)] == [111, 112]
    engine.hold({"large": row(20)})
    assert [y(engine, value)[0] for value in (1, 2, 3)] == [121, 122, 123]
    engine.hold({"other": row(0), "large": row(0)})
    assert y(engine, 1)[0] == 1


def test_a_reset_leaves_them(engine: Engine) -> None:
    engine.hold({"large": row(10), "other": row(100)})
    y(engine, 1)
    engine.reset()
    assert y(engine, 1)[0] == 111
    assert engine.state("last")[0, 0] == 1


def test_the_signature_names_them_apart(engine: Engine) -> None:
    assert engine.signature == Signature({"x": VECTOR}, {"y": VECTOR}, {"large": VECTOR, "other": VECTOR})


def test_before_the_first_one_a_run_is_an_error_that_names_them(engine: Engine) -> None:
    with pytest.raises(GraphMismatchError, match=r"held\.onnx needs the held input large, other; give it with `hold`"):
        y(engine, 1)
    engine.hold({"large": row(10)})
    with pytest.raises(GraphMismatchError, match="needs the held input other;"):
        y(engine, 1)
    engine.hold({"other": row(100)})
    assert y(engine, 1)[0] == 111


@pytest.mark.parametrize(
    ("arrays", "told"),
    [
        ({"large": np.zeros((1, 5), np.float32)}, r"input large is float32\[1, 5\], should be float32\[1, 4\]"),
        ({"large": np.zeros((1, 4))}, "input large is float64"),
        ({"x": row(1)}, "has no held input x"),
        ({"nothing": row(1)}, "has no held input nothing"),
    ],
)
def test_a_wrong_one_is_named_and_nothing_changes(engine: Engine, arrays: dict[str, Any], told: str) -> None:
    engine.hold({"large": row(10), "other": row(100)})
    with pytest.raises(GraphMismatchError, match=told):
        engine.hold({"other": row(7), **arrays})
    assert y(engine, 1)[0] == 111


def test_a_run_takes_none_of_them(engine: Engine) -> None:
    engine.hold({"large": row(10), "other": row(100)})
    with pytest.raises(GraphMismatchError, match="input large is held; give it with `hold`"):
        engine.run({"x": row(1), "large": row(1)})
    assert y(engine, 1)[0] == 111


def test_they_may_be_read_only_or_strided(engine: Engine) -> None:
    wide = np.arange(8, dtype=np.float32)[None]
    fixed = row(100)
    fixed.setflags(write=False)
    engine.hold({"large": wide[:, ::2], "other": fixed})
    del wide, fixed
    for _ in range(2):
        assert y(engine, 1) == [101, 103, 105, 107]


def test_what_the_graph_has_not_cannot_be_held(runtime: Runtime, tmp_path: Path) -> None:
    with pytest.raises(GraphMismatchError, match=r"there is no input more, last to hold; export the bundle again"):
        runtime.load(held_graph(tmp_path), [LAST], held=("large", "more", "last"))


def test_two_engines_hold_apart(runtime: Runtime, tmp_path: Path) -> None:
    one, two = (runtime.load(held_graph(tmp_path), [LAST], held=HELD) for _ in range(2))
    one.hold({"large": row(10), "other": row(100)})
    two.hold({"large": row(20), "other": row(200)})
    assert (y(one, 1)[0], y(two, 1)[0]) == (111, 221)
