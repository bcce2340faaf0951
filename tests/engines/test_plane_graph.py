"""Planes as outputs of a graph, run by ONNX Runtime: names, order, colours, sizes; what swscale makes is elsewhere."""

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from streamgen_engines.errors import GraphLoadError
from streamgen_engines.planes.graph import append_planes, colour_matrix, products
from streamgen_engines.planes.request import PlaneRequest
from streamgen_engines.tensorrt.graph import Rewriting

Pictures = NDArray[np.uint8]


def passing(pictures: Pictures, *, kind: int = TensorProto.UINT8, name: str = "frames") -> Any:
    """A graph that gives the pictures that it gets, and something else that it makes of them."""
    shape = pictures.shape
    nodes = [
        helper.make_node("Identity", ["given"], [name]),
        helper.make_node("Cast", [name], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMax", ["floats"], ["brightest"], keepdims=0),
    ]
    graph = helper.make_graph(
        nodes,
        "passing",
        [helper.make_tensor_value_info("given", kind, shape)],
        [
            helper.make_tensor_value_info(name, kind, shape),
            helper.make_tensor_value_info("brightest", TensorProto.FLOAT, ()),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 24)], ir_version=11)


def run(pictures: Pictures, request: PlaneRequest, *, half: bool = False) -> dict[str, NDArray[Any]]:
    graph = Rewriting(passing(pictures))
    append_planes(graph, request, half=half)
    model = graph.finish()
    onnx.checker.check_model(model, full_check=True)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_outputs()]
    return dict(zip(names, session.run(names, {"given": pictures}), strict=True))


def flat(colour: tuple[int, int, int], pictures: int = 2) -> Pictures:
    return np.full((pictures, 16, 24, 3), colour, np.uint8)


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize(
    ("colour", "yuv"),
    [
        # The colour bars of ITU-R BT.471 at full level, in 8 bits with limited range: the usual table.
        ((255, 255, 255), (235, 128, 128)),
        ((255, 255, 0), (210, 16, 146)),
        ((0, 255, 255), (170, 166, 16)),
        ((0, 255, 0), (145, 54, 34)),
        ((255, 0, 255), (106, 202, 222)),
        ((255, 0, 0), (81, 90, 240)),
        ((0, 0, 255), (41, 240, 110)),
        ((0, 0, 0), (16, 128, 128)),
    ],
)
def test_colours_are_those_of_bt_601(colour: tuple[int, int, int], yuv: tuple[int, int, int], half: bool) -> None:
    made = run(flat(colour), PlaneRequest(((48, 32),)), half=half)["planes_48x32"]
    assert made.shape == (2, 48, 48)
    assert made.dtype == np.uint8
    planes = made.reshape(2, -1)
    luma, u, v = planes[:, :1536], planes[:, 1536:1920], planes[:, 1920:]
    for plane, value in zip((luma, u, v), yuv, strict=True):
        assert np.unique(plane).tolist() == [value]


def test_grey_has_no_colour_whatever_its_brightness() -> None:
    matrix = colour_matrix()
    np.testing.assert_allclose(matrix.sum(axis=1), [219 / 255, 0, 0], atol=1e-12)


def noise(pictures: int = 2) -> Pictures:
    return np.random.default_rng(1).integers(0, 256, (pictures, 16, 24, 3), dtype=np.uint8)


def test_hardware_encoders_get_the_same_numbers_in_their_order() -> None:
    size = (36, 22)  # rows of a plane that do not fill whole rows of the whole
    i420 = run(noise(), PlaneRequest((size,)))["planes_36x22"].reshape(2, -1)
    nv12 = run(noise(), PlaneRequest((size,), order="nv12"))["planes_36x22"].reshape(2, -1)
    luma, quarter = 36 * 22, 18 * 11
    np.testing.assert_array_equal(nv12[:, :luma], i420[:, :luma])
    pairs = nv12[:, luma:].reshape(2, quarter, 2)
    np.testing.assert_array_equal(pairs[..., 0], i420[:, luma : luma + quarter])
    np.testing.assert_array_equal(pairs[..., 1], i420[:, luma + quarter :])


def test_several_sizes_are_each_what_they_are_alone() -> None:
    sizes = ((48, 32), (24, 16), (18, 12))
    together = run(noise(), PlaneRequest(sizes))
    assert together.keys() == {"planes_48x32", "planes_24x16", "planes_18x12", "brightest"}
    for width, height in sizes:
        alone = run(noise(), PlaneRequest(((width, height),)))
        name = f"planes_{width}x{height}"
        np.testing.assert_array_equal(together[name], alone[name])


def test_rgb_stays_when_it_is_asked_for_and_other_outputs_always() -> None:
    pictures = noise()
    kept = run(pictures, PlaneRequest(((24, 16),), rgb=True))
    np.testing.assert_array_equal(kept["frames"], pictures)
    gone = run(pictures, PlaneRequest(((24, 16),)))
    assert "frames" not in gone
    assert kept["brightest"] == gone["brightest"] == pictures.max()


def test_half_precision_is_off_by_one_at_most() -> None:
    request = PlaneRequest(((96, 64), (40, 26), (24, 16), (16, 10)))
    exact, half = run(noise(), request), run(noise(), request, half=True)
    for name in request.outputs().values():
        off = np.abs(exact[name].astype(int) - half[name])
        assert off.max() <= 1
        assert off.mean() < 0.12


def test_what_overshoots_is_held_at_the_ends_of_a_byte() -> None:
    stripes = np.zeros((1, 16, 24, 3), np.uint8)
    stripes[:, :, 12:] = (0, 0, 255)
    u = run(stripes, PlaneRequest(((96, 64),)))["planes_96x64"].reshape(-1)[96 * 64 :][: 48 * 32].reshape(32, 48)
    assert u[16, -1] == 240
    assert 245 < u.max() <= 255  # and not around to 0
    assert u[16, 26:].min() > 200


def test_products_are_counted() -> None:
    # One size up: rows or columns first, whichever is less, for luma and both chromas.
    luma = min(32 * 16 * 24 + 32 * 24 * 48, 16 * 24 * 48 + 32 * 16 * 48)
    chroma = min(16 * 16 * 24 + 16 * 24 * 24, 16 * 24 * 24 + 16 * 16 * 24)
    assert products((24, 16), (48, 32)) >= 2 * luma
    assert products((24, 16), (48, 32)) <= 2 * (luma + 2 * chroma)
    assert products((24, 16), (24, 16)) == 2 * 2 * min(8 * 16 * 24 + 8 * 24 * 12, 16 * 24 * 12 + 8 * 16 * 12)


@pytest.mark.parametrize(
    ("pictures", "options", "said"),
    [
        (noise(), {"name": "images"}, "no output frames"),
        (noise().astype(np.float32), {"kind": TensorProto.FLOAT}, r"frames is FLOAT \[2, 16, 24, 3\]"),
        (noise()[..., :1], {}, r"frames is UINT8 \[2, 16, 24, 1\]"),
        (noise()[0], {}, r"frames is UINT8 \[16, 24, 3\]"),
    ],
)
def test_what_makes_no_pictures_is_refused(pictures: Any, options: dict[str, Any], said: str) -> None:
    with pytest.raises(GraphLoadError, match=said):
        append_planes(Rewriting(passing(pictures, **options)), PlaneRequest(((24, 16),)))
