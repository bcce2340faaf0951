"""Plans on disk, found again by everything that they depend on. What is foreign, cut short or damaged is not a plan.

A plan is one file, `NAME.plan`: a line of JSON, which says what it was built from and for and what the hash of the rest
is, and then the plan itself. It appears whole or not at all, so whoever else writes it at the same time leaves one of
the two; one that does not match its first line is removed and built again. `NAME.kernels` is what TensorRT-RTX compiled
when it loaded the plan, so that a later process need not, and `NAME.memory` what memory it then asked for.
"""

import contextlib
import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final

from streamgen_engines.errors import EngineError

VERSION: Final = 2
"""Of the record; others count as missing."""
MOST_KERNELS_BYTES: Final = 256 * 2**20
"""Compiled kernels of a plan that are kept; what is larger is compiled again at each start."""
MOST_RECORD_BYTES: Final = 2**20
"""Of a plan's first line: what is longer is no record."""
ABANDONED_S: Final = 3600.0
"""A file that was begun this long ago belongs to nobody who still writes."""


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


@dataclass(frozen=True, slots=True)
class PlanMemory:
    """What TensorRT said of a plan when it had loaded it, in bytes.

    Attributes:
        weights: that lie on the GPU.
        activations: of one run, workspace included.
    """

    weights: int
    activations: int


@dataclass(frozen=True, slots=True)
class Pruned:
    """What was removed, or would be: how many plans, and bytes in all."""

    plans: int
    size: int


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
        for path in (self._path(key), self._kernels(key), self._memory(key)):
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

    def keep_kernels(self, key: PlanKey, kernels: bytes) -> bool:
        """Keep them beside their plan: nothing of nothing, nothing of a plan that is not there, and no more than fits.

        Returns:
            whether they are kept now.

        Raises:
            PlanCacheError: the folder cannot be written.
        """
        if not kernels or len(kernels) > MOST_KERNELS_BYTES or not self._path(key).exists():
            return False
        self._keep(self._kernels(key), kernels)
        return True

    def memory(self, key: PlanKey) -> PlanMemory | None:
        """What a plan that is here took when it was loaded; None when nobody knows."""
        try:
            found = json.loads(self._memory(key).read_bytes()) if self._path(key).exists() else None
        except (OSError, ValueError):
            return None
        sizes = [found.get(field.name) for field in fields(PlanMemory)] if isinstance(found, dict) else [None]
        if not all(isinstance(size, int) and size >= 0 for size in sizes):
            return None
        return PlanMemory(*sizes)

    def keep_memory(self, key: PlanKey, memory: PlanMemory) -> None:
        """Keep that beside a plan that is here, unless it is kept already.

        Raises:
            PlanCacheError: the folder cannot be written.
        """
        if self._path(key).exists() and self.memory(key) != memory:
            self._keep(self._memory(key), json.dumps(asdict(memory)).encode())

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

    def prune(
        self, versions: Mapping[str, str], gpus: Collection[tuple[str, str]], *, now_s: float, dry_run: bool = False
    ) -> Pruned:
        """Remove plans that nothing here can use, what lies beside them, and what somebody has begun and left.

        Args:
            versions: of each TensorRT that is installed, by its name; plans of others go.
            gpus: name and compute capability of those that are here; plans for others go. Empty keeps those of all: a
                driver that does not answer is no reason to build everything again.
            now_s: time of the files' clock.
            dry_run: remove nothing, only tell.

        Raises:
            PlanCacheError: a file cannot be removed.
        """
        plans = size = 0
        timings = {
            self._timing(PlanKey("", runtime, version, *gpu)).name
            for runtime, version in versions.items()
            for gpu in gpus
        }
        for path in sorted(self._folder.glob("*.plan")):
            if not _usable(path, versions, gpus):
                plans += 1
                size += sum(self._removed(each, dry_run) for each in sorted(self._folder.glob(f"{path.stem}.*")))
        for path in sorted([*self._folder.glob("*.kernels"), *self._folder.glob("*.memory")]):
            if not path.with_suffix(".plan").exists():
                size += self._removed(path, dry_run)
        for path in sorted(self._folder.glob("*.timing")):
            if gpus and path.name not in timings:
                size += self._removed(path, dry_run)
        for path in sorted(self._folder.glob(".*.*.*")):
            if _age_s(path, now_s) > ABANDONED_S:
                size += self._removed(path, dry_run)
        return Pruned(plans, size)

    def _removed(self, path: Path, dry_run: bool) -> int:
        """Remove a file; how many bytes it had."""
        try:
            size = path.stat().st_size
            if not dry_run:
                path.unlink()
        except FileNotFoundError:  # somebody else was faster
            return 0
        except OSError as error:
            raise PlanCacheError(f"{path} cannot be removed ({error.strerror}); remove it by hand") from error
        return size

    def _keep(self, path: Path, data: bytes) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            _write(path, data)
        except OSError as error:
            raise PlanCacheError(
                f"{self._folder}: plans cannot be kept there ({error.strerror}); make room, or choose another folder "
                f"with --plan-cache"
            ) from error

    def _path(self, key: PlanKey) -> Path:
        return self._folder / f"{key.name}.plan"

    def _kernels(self, key: PlanKey) -> Path:
        return self._folder / f"{key.name}.kernels"

    def _memory(self, key: PlanKey) -> Path:
        return self._folder / f"{key.name}.memory"

    def _timing(self, key: PlanKey) -> Path:
        kind = PlanKey("timing", key.runtime, key.version, key.gpu, key.capability)
        return self._folder / f"{kind.name}.timing"


def _usable(path: Path, versions: Mapping[str, str], gpus: Collection[tuple[str, str]]) -> bool:
    """Whether the first line of a plan says that it is for something that is here."""
    try:
        with path.open("rb") as stream:
            found = json.loads(stream.readline(MOST_RECORD_BYTES))
    except OSError:  # it may be good, and cannot be read now
        return True
    except ValueError:
        return False
    if not isinstance(found, dict) or found.get("version") != VERSION:
        return False
    runtime = str(found.get("runtime"))
    if runtime not in versions or found.get("tensorrt") != versions[runtime]:
        return False
    return not gpus or (found.get("gpu"), found.get("capability")) in gpus


def _age_s(path: Path, now_s: float) -> float:
    try:
        return now_s - path.stat().st_mtime
    except OSError:
        return 0.0


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
