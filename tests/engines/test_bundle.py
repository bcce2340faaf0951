"""A bundle opens when every file is there with its hash; else the message names the field and what to do."""

import json
from pathlib import Path

import pytest

from streamgen_engines.bundle import MAX_MANIFEST_BYTES, Bundle, bundle_at, bundled
from streamgen_engines.errors import BundleError, HashMismatchError, ManifestError, MissingGraphError


def test_a_whole_bundle_opens(folder: Path) -> None:
    bundle = Bundle.open(folder)
    assert bundle.path("denoise") == folder / "denoise.onnx"
    assert bundle.tokenizer_path == folder / "tokenizer.json"


def test_a_changed_graph_is_refused(folder: Path) -> None:
    graph = folder / "denoise.onnx"
    graph.write_bytes(graph.read_bytes() + b"\0")
    with pytest.raises(HashMismatchError, match=r"graphs\.denoise\.sha256 says .*export the bundle again"):
        Bundle.open(folder)


def test_a_changed_tokenizer_is_refused(folder: Path) -> None:
    tokenizer = folder / "tokenizer.json"
    text = tokenizer.read_text(encoding="utf-8")
    tokenizer.unlink()  # it is a link to the bundled one
    tokenizer.write_text(text + " ", encoding="utf-8")
    with pytest.raises(HashMismatchError, match=r"text\.tokenizer\.sha256"):
        Bundle.open(folder)


def test_a_graph_that_is_not_there_is_named(folder: Path) -> None:
    (folder / "decode_video.onnx").unlink()
    with pytest.raises(MissingGraphError, match=r"decode_video\.onnx is missing \(field graphs\.decode_video\.file\)"):
        Bundle.open(folder)


def test_a_file_that_cannot_be_read_is_named(folder: Path) -> None:
    (folder / "decode_audio.onnx").unlink()
    (folder / "decode_audio.onnx").mkdir()
    with pytest.raises(BundleError, match=r"graphs\.decode_audio\.file\) cannot be read .* permissions"):
        Bundle.open(folder)


def test_a_folder_without_a_manifest_is_no_bundle(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(BundleError, match=r"no manifest\.json in it.*give the folder"):
            Bundle.open(path)


def test_a_file_is_no_bundle(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").touch()
    with pytest.raises(BundleError, match="is not a bundle"):
        Bundle.open(tmp_path / "model.onnx")


def test_a_huge_manifest_is_refused_unread(folder: Path) -> None:
    with (folder / "manifest.json").open("ab") as stream:
        stream.truncate(MAX_MANIFEST_BYTES + 1)
    with pytest.raises(ManifestError, match="too large for a manifest"):
        Bundle.open(folder)


def test_the_message_of_a_wrong_field_names_the_file(folder: Path) -> None:
    file = folder / "manifest.json"
    raw = json.loads(file.read_text())
    raw["video"]["width"] = -1
    file.write_text(json.dumps(raw))
    with pytest.raises(ManifestError, match=r"manifest\.json: field video\.width"):
        Bundle.open(folder)


def test_asking_for_a_graph_that_it_has_not_lists_those_that_it_has(tiny: Bundle) -> None:
    with pytest.raises(MissingGraphError, match="no graph 'upscale', only decode_audio, decode_video, denoise, text"):
        tiny.path("upscale")


@pytest.mark.parametrize("name", ["nowhere", "../tiny", "", "a/b"])
def test_only_bundles_that_ship_are_bundled(name: str) -> None:
    with pytest.raises(BundleError, match="no bundle named"):
        bundled(name)


def test_a_model_is_named_or_lies_in_a_folder(tiny: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = bundled()
    assert bundle_at(None) == bundle_at(Path(usual.manifest.name)) == usual
    assert bundle_at(tiny.root) == tiny
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BundleError, match="no bundle named"):
        bundle_at(Path("nowhere"))
    with pytest.raises(BundleError, match="is not a bundle"):
        bundle_at(Path("no/where"))
    # A folder comes before a name.
    Path(usual.manifest.name).symlink_to(tiny.root)
    assert bundle_at(Path(usual.manifest.name)).manifest == tiny.manifest
