"""Planes as part of the graph that decodes: a colour matrix and, for each size, two products with filters.

Resampling is a product with a matrix from the left and one from the right (`resampling`). ONNX has `Resize`, but no
Lanczos in it, and TensorRT has less of `Resize` than ONNX; products are exact, every runtime has them, and GPUs are
made for them. The matrices are mostly zeros, so they compute more than would be necessary: see docs/tensorrt.md.

Colours come first, since both are linear and chroma then gets along with a quarter of the pixels; sums are rounded to
whole numbers once, at the end. Until then luma, like chroma, is around zero, which halves the error of float16.

Source of the colours: ITU-R BT.601-7, 2.5.1 and 2.5.3, in 8 bits with limited range.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper

from streamgen_engines.chunk import Size
from streamgen_engines.errors import GraphLoadError
from streamgen_engines.planes.request import RGB_OUTPUT, PlaneOrder, PlaneRequest, planes_shape
from streamgen_engines.planes.resampling import Matrix, plane_filters
from streamgen_engines.tensorrt.graph import Rewriting, cast

RED, BLUE = 0.299, 0.114
"""Shares of red and blue in luma."""
LUMA_BLACK: Final = 16.0
LUMA_RANGE: Final = 219.0
CHROMA_ZERO: Final = 128.0
CHROMA_RANGE: Final = 224.0


def colour_matrix() -> Matrix:
    """RGB from 0 to 255 to luma from 0 to 219 and both chromas from -112 to 112; `[3, 3]`."""
    luma = np.array([RED, 1 - RED - BLUE, BLUE])
    u = (np.array([0.0, 0.0, 1.0]) - luma) / (2 * (1 - BLUE))
    v = (np.array([1.0, 0.0, 0.0]) - luma) / (2 * (1 - RED))
    return np.stack([LUMA_RANGE * luma, CHROMA_RANGE * u, CHROMA_RANGE * v]) / 255.0


def append_planes(graph: Rewriting, request: PlaneRequest, *, half: bool = True) -> None:
    """Add the outputs of a request to a graph that makes RGB, and take RGB away where nobody wants it.

    Args:
        graph: has an output `frames`, uint8 `[T, H, W, 3]`; changed in place.
        request: what is wanted; each size becomes an output uint8 `[T, 3/2 h, w]`.
        half: compute products in float16: planes are then off by one here and there. Otherwise in float32.

    Raises:
        GraphLoadError: the graph has no such output.
    """
    pictures, height, width = _take_rgb(graph)
    nodes = graph.nodes
    inside = graph.fresh("rgb")
    for node in nodes:
        for names in (node.input, node.output):
            for place, name in enumerate(names):
                if name == RGB_OUTPUT:
                    names[place] = inside
    if request.rgb:
        nodes.append(helper.make_node("Identity", [inside], [RGB_OUTPUT], name="streamgen_rgb"))
        _add_output(graph, RGB_OUTPUT, (pictures, height, width, 3))
    maker = _Planes(graph, TensorProto.FLOAT16 if half else TensorProto.FLOAT)
    maker.colours(inside)
    for size, name in request.outputs().items():
        maker.size((pictures, height, width), size, request.order, name)
        _add_output(graph, name, planes_shape(pictures, size))
    graph.set_nodes([*nodes, *maker.nodes])


def products(source: Size, target: Size) -> int:
    """Multiplications and additions that the planes of one picture take, each counted as one."""
    filters = plane_filters(source, target)
    luma = _cost(filters.luma_rows, filters.luma_columns)
    return 2 * (min(luma) + 2 * min(_cost(filters.chroma_rows, filters.chroma_columns)))


class _Planes:
    """Nodes that are being added, and the values that all sizes share."""

    def __init__(self, graph: Rewriting, kind: int) -> None:
        self._graph, self._kind = graph, kind
        self._exact = kind == TensorProto.FLOAT
        self.nodes: list[Any] = []
        self._luma = self._chroma = ""

    def colours(self, rgb: str) -> None:
        """uint8 `[T, H, W, 3]` to luma `[T, 1, H, W]` and chroma `[T, 2, H, W]`, all around zero."""
        # In float32, like the bytes and the sums: it is the filters that float16 makes fast.
        wide = self._cast(rgb, TensorProto.FLOAT)
        upright = self._node("Transpose", [wide], "channels", perm=[0, 3, 1, 2])
        matrix = self._graph.add_constant(colour_matrix().astype(np.float32)[:, :, None, None])
        middle = self._graph.add_constant(np.array([-LUMA_RANGE / 2, 0.0, 0.0], np.float32))
        yuv = self._narrow(self._node("Conv", [upright, matrix, middle], "yuv"))
        self._luma, self._chroma = self._graph.fresh("luma"), self._graph.fresh("chroma")
        parts = self._graph.add_constant(np.array([1, 2], np.int64))
        split = helper.make_node("Split", [yuv, parts], [self._luma, self._chroma], name=f"{self._luma}/split", axis=1)
        self.nodes.append(split)

    def size(self, source: tuple[int, int, int], target: Size, order: PlaneOrder, name: str) -> None:
        """One set of planes, as the output of that name."""
        pictures, height, width = source
        wide, high = target
        filters = plane_filters((width, height), target)
        luma = self._resampled(self._luma, filters.luma_rows, filters.luma_columns)
        chroma = self._resampled(self._chroma, filters.chroma_rows, filters.chroma_columns)
        # With the half that makes cutting off rounding.
        luma = self._node("Add", [luma, self._number(LUMA_BLACK + LUMA_RANGE / 2 + 0.5)], "lifted")
        chroma = self._node("Add", [chroma, self._number(CHROMA_ZERO + 0.5)], "lifted")
        if order == "nv12":
            chroma = self._node("Transpose", [chroma], "pairs", perm=[0, 2, 3, 1])
        flat = [self._reshaped(luma, (pictures, wide * high)), self._reshaped(chroma, (pictures, wide * high // 2))]
        whole = self._node("Floor", [self._node("Concat", flat, "planes", axis=1)], "whole")
        within = self._node("Clip", [whole, self._number(0.0), self._number(255.0)], "within")
        # Bytes are made last: TensorRT has them as outputs and nowhere else.
        self.nodes.append(cast(self._reshaped(within, planes_shape(pictures, target)), TensorProto.UINT8, name))

    def _resampled(self, plane: str, rows: Matrix, columns: Matrix) -> str:
        """`rows @ plane @ columns.T`, beginning with what makes the fewer products; float32."""
        first, second = _cost(rows, columns)
        steps = (("rows", rows), ("columns", columns))
        for kind, matrix in steps if first <= second else reversed(steps):
            if _changes_nothing(matrix):
                continue
            if kind == "rows":
                plane = self._node("MatMul", [self._matrix(matrix), plane], kind)
            else:
                plane = self._node("MatMul", [plane, self._matrix(matrix.T)], kind)
        return plane if self._exact else self._cast(plane, TensorProto.FLOAT)

    def _matrix(self, value: NDArray[np.float64]) -> str:
        return self._graph.add_constant(value.astype(np.float32 if self._exact else np.float16))

    def _number(self, value: float) -> str:
        return self._graph.add_constant(np.array(value, np.float32))

    def _reshaped(self, value: str, shape: tuple[int, ...]) -> str:
        return self._node("Reshape", [value, self._graph.add_constant(np.array(shape, np.int64))], "shaped")

    def _narrow(self, value: str) -> str:
        return value if self._exact else self._cast(value, self._kind)

    def _cast(self, value: str, to: int) -> str:
        out = self._graph.fresh("cast")
        self.nodes.append(cast(value, to, out))
        return out

    def _node(self, operator: str, inputs: list[str], kind: str, **attributes: Any) -> str:
        out = self._graph.fresh(kind)
        self.nodes.append(helper.make_node(operator, inputs, [out], name=f"{out}/{operator.lower()}", **attributes))
        return out


def _take_rgb(graph: Rewriting) -> tuple[int, int, int]:
    """Take the output with RGB out of a graph's outputs; how many pictures of which height and width it has."""
    outputs = graph.model.graph.output
    for place, value in enumerate(outputs):
        if value.name != RGB_OUTPUT:
            continue
        kind = value.type.tensor_type
        shape = tuple(int(size.dim_value) for size in kind.shape.dim)
        if kind.elem_type != TensorProto.UINT8 or len(shape) != 4 or shape[3] != 3 or 0 in shape:
            raise GraphLoadError(
                f"{RGB_OUTPUT} is {TensorProto.DataType.Name(kind.elem_type)} {list(shape)}, planes are made of uint8 "
                f"[T, H, W, 3]; export the bundle again"
            )
        del outputs[place]
        return shape[0], shape[1], shape[2]
    raise GraphLoadError(f"the graph has no output {RGB_OUTPUT} that planes could be made of; export the bundle again")


def _add_output(graph: Rewriting, name: str, shape: tuple[int, ...]) -> None:
    graph.model.graph.output.append(helper.make_tensor_value_info(name, TensorProto.UINT8, shape))


def _cost(rows: Matrix, columns: Matrix) -> tuple[int, int]:
    """Products for one plane, rows first and columns first; a filter that changes nothing is none."""
    (high, height), (wide, width) = rows.shape, columns.shape
    row, column = (0 if _changes_nothing(each) else 1 for each in (rows, columns))
    return row * high * height * width + column * high * width * wide, (
        column * height * width * wide + row * high * height * wide
    )


def _changes_nothing(matrix: Matrix) -> bool:
    return matrix.shape[0] == matrix.shape[1] and bool(np.allclose(matrix, np.eye(len(matrix))))
