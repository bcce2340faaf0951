"""A bundle: a folder with `manifest.json` and the files that it names, checked when it is opened."""

import hashlib
import re
from collections.abc import Collection
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Final, Self

from streamgen_engines.errors import BundleError, HashMismatchError, ManifestError, MissingGraphError
from streamgen_engines.manifest import MANIFEST_FILE, Graph, Manifest, Weights, parse_manifest
from streamgen_engines.verified import VerifiedFiles

DEFAULT_BUNDLE: Final = "pocket"
MAX_MANIFEST_BYTES: Final = 4 * 2**20  # a file larger than this is not a manifest


@dataclass(frozen=True, slots=True)
class Bundle:
    """An opened bundle. Immutable; may be shared by all threads.

    Attributes:
        root: the folder.
        manifest: its checked manifest.
        absent: graphs that another machine runs, of which no file is looked at.
    """

    root: Path
    manifest: Manifest
    absent: frozenset[str] = frozenset()

    @classmethod
    def open(cls, path: Path, absent: Collection[str] = ()) -> Self:
        """Open a folder: read the manifest, and check that every file is there and has its hash.

        Of weights that lie in a file of their own only the size is checked: hashing gigabytes takes seconds, and a
        bundle is opened more often than loaded. `check_weights` does the rest.

        Args:
            path: the folder.
            absent: graphs that another machine runs: their files may be missing here.

        Raises:
            BundleError: not a bundle; the subclass says why.
        """
        file = path / MANIFEST_FILE
        try:
            size = file.stat().st_size
            if size > MAX_MANIFEST_BYTES:
                raise ManifestError(f"{file}: {size} bytes is too large for a manifest; export the bundle again")
            text = file.read_bytes()
        except (FileNotFoundError, NotADirectoryError) as error:
            raise BundleError(
                f"{path} is not a bundle (no {MANIFEST_FILE} in it); give the folder that the exporter wrote"
            ) from error
        except OSError as error:
            raise BundleError(
                f"{file} cannot be read ({error.strerror}); check the path and its permissions"
            ) from error
        bundle = cls(path, parse_manifest(text, source=str(file)), frozenset(absent))
        bundle._check_files()
        return bundle

    def path(self, graph: str) -> Path:
        """The ONNX file of a graph.

        Raises:
            MissingGraphError: the bundle has no such graph.
        """
        try:
            return self.root / self.manifest.graphs[graph].file
        except KeyError:
            known = ", ".join(sorted(self.manifest.graphs))
            raise MissingGraphError(f"bundle {self.manifest.name} has no graph {graph!r}, only {known}") from None

    @property
    def tokenizer_path(self) -> Path:
        """The tokenizer's file."""
        return self.root / self.manifest.text.tokenizer.file

    def check_weights(self, files: VerifiedFiles | None = None) -> None:
        """Check the hashes of weights that lie in files of their own.

        Each is read in full once, and again when something has touched it (`verified`).

        Args:
            files: remembers those that were right; None is the user's.

        Raises:
            HashMismatchError: a file is not the one that the manifest describes.
        """
        for name, graph in self._here():
            if graph.weights is not None:
                weights = graph.weights
                _check_file(self.root, weights.file, weights.sha256, f"graphs.{name}.weights", files or VerifiedFiles())

    def _here(self) -> list[tuple[str, Graph]]:
        return [(name, graph) for name, graph in self.manifest.graphs.items() if name not in self.absent]

    def _check_files(self) -> None:
        tokenizer = self.manifest.text.tokenizer
        _check_file(self.root, tokenizer.file, tokenizer.sha256, "text.tokenizer")
        for name, graph in self._here():
            _check_file(self.root, graph.file, graph.sha256, f"graphs.{name}")
            if graph.weights is not None:
                _check_size(self.root, graph.weights, f"graphs.{name}.weights")


def _check_size(root: Path, weights: Weights, field: str) -> None:
    file = root / weights.file
    try:
        size = file.stat().st_size
    except FileNotFoundError as error:
        raise MissingGraphError(
            f"{file} is missing (field {field}.file); copy the whole bundle or export it again"
        ) from error
    except OSError as error:
        raise BundleError(
            f"{file} (field {field}.file) cannot be read ({error.strerror}); check its permissions"
        ) from error
    if size != weights.size_bytes:
        raise HashMismatchError(
            f"{file} has {size} bytes, but field {field}.size_bytes says {weights.size_bytes}; "
            f"the file is damaged or was replaced: download or export the bundle again"
        )


def bundled(name: str = DEFAULT_BUNDLE) -> Bundle:
    """Open a bundle that ships inside this package.

    Raises:
        BundleError: there is none of that name, or it is damaged.
    """
    root = Path(str(resources.files("streamgen_engines"))) / "bundles"
    if re.fullmatch(r"[a-z0-9][a-z0-9._-]*", name) is None or not (root / name / MANIFEST_FILE).is_file():
        known = ", ".join(sorted(p.parent.name for p in root.glob(f"*/{MANIFEST_FILE}"))) or "none"
        raise BundleError(f"no bundle named {name!r} ships with this installation; there are: {known}")
    return Bundle.open(root / name)


def bundle_at(place: Path | None, absent: Collection[str] = ()) -> Bundle:
    """The bundle in a folder, or the bundled one of that name, or without either the usual one.

    A single word is a name unless there is such a folder.
    `absent` are graphs that another machine runs; see `Bundle.open`.

    Raises:
        BundleError: there is none, or it is damaged.
    """
    if place is None:
        return bundled()
    if len(place.parts) == 1 and not place.is_absolute() and not place.exists():
        return bundled(str(place))
    return Bundle.open(place, absent)


def _check_file(root: Path, file: str, sha256: str, field: str, files: VerifiedFiles | None = None) -> None:
    try:
        if files is not None:
            found = files.sha256(root / file, sha256)
        else:
            with (root / file).open("rb") as stream:
                found = hashlib.file_digest(stream, "sha256").hexdigest()
    except FileNotFoundError as error:
        kind = MissingGraphError if field.startswith("graphs.") else BundleError
        raise kind(
            f"{root / file} is missing (field {field}.file); copy the whole bundle or export it again"
        ) from error
    except OSError as error:
        raise BundleError(
            f"{root / file} (field {field}.file) cannot be read ({error.strerror}); check its permissions"
        ) from error
    if found != sha256:
        raise HashMismatchError(
            f"{root / file}: SHA-256 is {found}, but field {field}.sha256 says {sha256}; "
            f"the file is damaged or was replaced: download or export the bundle again"
        )
