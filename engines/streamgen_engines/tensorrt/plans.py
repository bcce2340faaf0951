"""Plans on disk, found again by everything that they depend on. What is foreign, cut short or damaged is not a plan.

A plan is one file, `NAME.plan`: a line of JSON, which says what it was built from and for and what the hash of the rest
is, and then the plan itself. It appears whole or not at all, so whoever else writes it at the same time leaves one of
the two; one that does not match its first line is removed and built again. `NAME.kernels` is what TensorRT-RTX compiled
when it loaded the plan, so that a later process need not.
"""

import contextlib
import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final

from streamgen_engines.errors import EngineError

VERSION: Final = 2
"""Of the record; others count as missing."""


class PlanCacheError(EngineError):
    """Plans cannot be kept in the folder."""


@dataclass(frozen=True, slots=True)
class PlanKey:
    """Everything that a plan depends on.

    Attributes:
        graph: SHA-256 of the prepared graph, which holds the precision too.
        runtime: tensorrt or tensorrt-rtx.
        version: of TensorRT.
        gpu: the GPU's name; "any" for a plan that was built without one.
        capability: its compute capability, such as 9.0; "any" likewise.
    """

    graph: str
    runtime: str
    version: str
    gpu: str
    capability: str

    @property
    def name(self) -> str:
        """File name without ending."""
        text = "\0".join((str(VERSION), self.graph, self.runtime, self.version, self.gpu, self.capability))
        return hashlib.sha256(text.encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan as it was found.

    Attributes:
        key: what it is for.
        data: the serialised engine.
        errors: of each output against ONNX Runtime, None when nobody has compared.
    """

    key: PlanKey
    data: bytes
    errors: Mapping[str, float] | None = None


def user_folder() -> Path:
    """Where plans are kept unless somebody says otherwise: the user's folder for caches."""
    if sys.platform == "win32":
        root = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        root = Path.home() / "Library" / "Caches"
    else:
        root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return root / "streamgen" / "plans"


class PlanCache:
    """Plans in one folder. Several processes may use it at once: the last one to finish a plan wins, whole."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def folder(self) -> Path:
        """Where they lie."""
        return self._folder

    def find(self, key: PlanKey) -> Plan | None:
        """The plan of this key; None when there is none that is whole and meant for it, and what was not is removed."""
        try:
            line, _, data = self._path(key).read_bytes().partition(b"\n")
        except OSError:  # there is none, or it cannot be read now
            return None
        try:
            found = json.loads(line)
        except ValueError:
            found = None
        if not _matches(found, key) or found.get("sha256") != hashlib.sha256(data).hexdigest():
            with contextlib.suppress(PlanCacheError):  # what cannot be removed is not taken either
                self.discard(key)
            return None
        return Plan(key, data, _errors(found))

    def install(self, plan: Plan) -> None:
        """Keep a plan, in the place of one that is there.

        Raises:
            PlanCacheError: the folder cannot be written.
        """
        document: dict[str, Any] = {
            **asdict(plan.key),
            "tensorrt": plan.key.version,
            "version": VERSION,
            "sha256": hashlib.sha256(plan.data).hexdigest(),
            "errors": None if plan.errors is None else dict(plan.errors),
        }
        self._keep(self._path(plan.key), json.dumps(document).encode() + b"\n" + plan.data)

    def discard(self, key: PlanKey) -> None:
        """Remove a plan, if it is there.

        Raises:
            PlanCacheError: it is there and cannot be removed.
        """
        for path in (self._path(key), self._kernels(key)):
            try:
                path.unlink(missing_ok=True)
            except NotADirectoryError:  # nor is there a plan
                continue
            except OSError as error:
                raise PlanCacheError(
                    f"{path}: a plan that is of no use cannot be removed ({error.strerror}); remove it by hand"
                ) from error

    def kernels(self, key: PlanKey) -> bytes:
        """What TensorRT-RTX compiled for a plan in an earlier process; empty when there is nothing.

        It is TensorRT's own format with its own checks: what does not fit is compiled anew.
        """
        try:
            return self._kernels(key).read_bytes()
        except OSError:
            return b""

    def keep_kernels(self, key: PlanKey, kernels: bytes) -> None:
        """Keep them beside their plan; nothing is kept of nothing.

        Raises:
            PlanCacheError: the folder cannot be written.
        """
        if kernels:
            self._keep(self._kernels(key), kernels)

    def timing(self, key: PlanKey) -> bytes:
        """Measured kernels for builds with this TensorRT on this GPU; empty when there are none."""
        try:
            return self._timing(key).read_bytes()
        except OSError:
            return b""

    def keep_timing(self, key: PlanKey, timing: bytes) -> None:
        """Keep them; nothing is kept of nothing.

        Raises:
            PlanCacheError: the folder cannot be written.
        """
        if timing:
            self._keep(self._timing(key), timing)

    def _keep(self, path: Path, data: bytes) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            _write(path, data)
        except OSError as error:
            raise PlanCacheError(
                f"{self._folder}: plans cannot be kept there ({error.strerror}); make room, or choose another folder "
                f"with --cache"
            ) from error

    def _path(self, key: PlanKey) -> Path:
        return self._folder / f"{key.name}.plan"

    def _kernels(self, key: PlanKey) -> Path:
        return self._folder / f"{key.name}.kernels"

    def _timing(self, key: PlanKey) -> Path:
        kind = PlanKey("timing", key.runtime, key.version, key.gpu, key.capability)
        return self._folder / f"{kind.name}.timing"


def _matches(found: Any, key: PlanKey) -> bool:
    if not isinstance(found, dict) or found.get("version") != VERSION:
        return False
    wanted = {field.name: getattr(key, field.name) for field in fields(key) if field.name != "version"}
    return found.get("tensorrt") == key.version and all(found.get(name) == value for name, value in wanted.items())


def _errors(found: Mapping[str, Any]) -> dict[str, float] | None:
    errors = found.get("errors")
    return {str(name): float(value) for name, value in errors.items()} if isinstance(errors, dict) else None


def _write(path: Path, data: bytes) -> None:
    """Write a file that is there whole or not at all, even when the power goes."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
