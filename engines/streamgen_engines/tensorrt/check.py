"""Whether a plan computes what ONNX Runtime computes, on the same inputs, states carried along on both sides."""

import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from streamgen_engines.errors import EngineError
from streamgen_engines.manifest import State
from streamgen_engines.planes.request import PlaneRequest
from streamgen_engines.runtimes.interface import Array, Engine, Runtime
from streamgen_engines.tensorrt.prepare import Precision, prepare

ALLOWED: Final[Mapping[Precision, float]] = {"fp32": 5e-3, "fp16": 3e-2, "bf16": 1e-1, "int8": 1e-1, "fp8": 1e-1}
"""Largest error of an output, as the norm of the difference over that of what is right. Noise that is carried through
states grows, so these are well above one run's rounding and well below what a wrong operator makes."""


class PlanMismatchError(EngineError):
    """A plan computes something else than the graph that it was built from. It must not be installed."""


def reference_engine(
    source: bytes,
    states: Sequence[State],
    runtime: Runtime,
    *,
    name: str,
    planes: PlaneRequest | None = None,
    weights: Path | None = None,
) -> Engine:
    """The graph as ONNX Runtime computes it in float32: what a plan should do.

    It is the prepared graph, not the bundled one, whose activations are rounded to int8 for the sake of CPUs.

    Args:
        source: the bundle's ONNX file.
        states: its carried states.
        runtime: ONNX Runtime on the CPU.
        name: how error messages name it.
        planes: what the plan has in place of RGB.
        weights: the file beside the graph that has its weights; None where there is none.
    """
    prepared = prepare(source, "fp32", name=name, planes=planes)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"{name}.onnx"
        file.write_bytes(prepared.model)
        if weights is not None:
            _lay_beside(weights, Path(folder))
        return runtime.load(file, states)


def _lay_beside(weights: Path, folder: Path) -> None:
    """Without copying gigabytes where the file system can do without."""
    try:
        os.link(weights, folder / weights.name)
    except OSError:
        shutil.copyfile(weights, folder / weights.name)


def compare(engine: Engine, reference: Engine, calls: Sequence[Mapping[str, Array]]) -> dict[str, float]:
    """Error of each output over all calls: norm of the difference over the norm of the reference.

    A value that is not a number counts as infinitely wrong.

    Args:
        engine: what is checked, its states at zero.
        reference: what is right, its states at zero.
        calls: inputs without states, in order.
    """
    names = list(reference.signature.outputs)
    off, norm = dict.fromkeys(names, 0.0), dict.fromkeys(names, 0.0)
    for call in calls:
        found, right = engine.run(call), reference.run(call)
        for name in names:
            exact = np.asarray(right[name], np.float64)
            gap = np.asarray(found[name], np.float64) - exact
            off[name] += float(np.sum(gap**2)) if np.isfinite(gap).all() else float("inf")
            norm[name] += float(np.sum(exact**2))
    return {name: float(np.sqrt(off[name] / max(norm[name], 1e-30))) for name in names}


def require_close(errors: Mapping[str, float], precision: Precision, *, name: str) -> None:
    """Refuse a plan that is off.

    Raises:
        PlanMismatchError: an output is further off than this precision explains; every such output is named.
    """
    worst = {output: error for output, error in errors.items() if not error <= ALLOWED[precision]}
    if worst:
        told = ", ".join(f"{output} by {error:.3g}" for output, error in sorted(worst.items()))
        raise PlanMismatchError(
            f"{name}: the plan is off against ONNX Runtime: {told} (allowed {ALLOWED[precision]:g} in {precision}); "
            f"it is not installed. Try --precision fp32 for this graph, or another version of TensorRT"
        )
