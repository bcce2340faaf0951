"""The file of weights beside a graph, written tensor by tensor: no more than one is ever in memory.

    with WeightFile(path) as weights:
        initializer = weights.add("query", TensorProto.INT8, (4, 4), [codes])
        digest = weights.finish()

The file appears under its name when it is whole. What was begun and not finished is removed, and a file that a killed
export left is overwritten by the next one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from streamgen_export.onnx_export import WEIGHTS_SUFFIX

ALIGNMENT: Final = 4096
"""Bytes: each tensor begins on a page, so that a runtime can map it."""


class WeightFile:
    """Weights of one graph, in the order in which they are added."""

    def __init__(self, graph: Path) -> None:
        """`graph` is the ONNX file beside which it lies; its folder is there."""
        self.path = graph.with_name(graph.name + WEIGHTS_SUFFIX)
        self._part = self.path.with_name(f".{self.path.name}.part")
        self._stream = self._part.open("wb")
        self._digest = hashlib.sha256()
        self._at = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.close()
        self._part.unlink(missing_ok=True)

    def add(
        self, name: str, onnx_type: int, shape: Sequence[int], blocks: Iterable[NDArray[np.generic]]
    ) -> onnx.TensorProto:
        """Write one tensor.

        Args:
            name: of the initializer.
            onnx_type: ONNX's number for the element type.
            shape: of the whole tensor.
            blocks: its bytes in order, as arrays of any type; each may be gone when the next one is made.

        Returns:
            the initializer, which says where in the file its bytes are.

        Raises:
            ValueError: the blocks are not as many bytes as the shape says.
        """
        self._write(b"\0" * (-self._at % ALIGNMENT))
        begin = self._at
        for block in blocks:
            self._write(np.ascontiguousarray(block).tobytes())
        wanted = int(np.prod(shape, dtype=np.int64)) * helper.tensor_dtype_to_np_dtype(onnx_type).itemsize
        if self._at - begin != wanted:
            raise ValueError(f"{name} has {self._at - begin} bytes, its shape {list(shape)} has {wanted}")
        tensor = TensorProto(name=name, data_type=onnx_type, dims=shape, data_location=TensorProto.EXTERNAL)
        for key, value in (("location", self.path.name), ("offset", begin), ("length", wanted)):
            tensor.external_data.add(key=key, value=str(value))
        return tensor

    def finish(self) -> str:
        """Put the file under its name; the SHA-256 of it."""
        self._stream.close()
        self._part.replace(self.path)
        return self._digest.hexdigest()

    def _write(self, raw: bytes) -> None:
        self._stream.write(raw)
        self._digest.update(raw)
        self._at += len(raw)
