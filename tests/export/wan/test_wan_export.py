"""`streamgen export wan` as a command: what is refused and when, what is kept, and what a bundle says."""

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from filelock import FileLock

from streamgen_engines.bundle import Bundle
from streamgen_engines.chunk import UInt8Array
from streamgen_engines.condition import Condition
from streamgen_engines.errors import HashMismatchError
from streamgen_engines.families import load
from streamgen_engines.manifest import WanManifest, Weights
from streamgen_engines.verified import VerifiedFiles
from streamgen_export import onnx_export
from streamgen_export.wan import journal as journals
from streamgen_export.wan import sources
from streamgen_export.wan.assembly import export
from streamgen_export.wan.errors import CheckpointError, NoRoomError
from streamgen_export.wan.export import main, parser, read_request
from streamgen_export.wan.journal import JOURNAL, LOCK, TargetError, file_sha256
from streamgen_export.wan.places import MissingFileError
from streamgen_export.wan.request import Request, read_size
from streamgen_export.wan.tokenizer import TokenizerError
from streamgen_export.wan.vae_graphs import write_decoder
from tests.export.wan.tiny_files import write_files
from tests.export.wan.tiny_vae import tiny_taehv


class StoppedError(Exception):
    """What ends an export in a test."""


def request(files: Path, out: Path, *more: str) -> Request:
    command = ["--checkpoint", str(files / "self_forcing_dmd.pt"), "--variant", "self-forcing", "--out", str(out)]
    command += ["--dimensions", "tiny", "--size", "64x48", "--precision", "fp32", "--window", "3"]
    return read_request(parser().parse_args([*command, *more]))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_files(tmp_path_factory.mktemp("wan") / "files").parent


@dataclass(frozen=True)
class Exported:
    bundle: Bundle
    first: list[str]  # lines of the run that was interrupted
    left: Path  # a copy of the folder that it left
    second: list[str]  # lines of the run that went on


@pytest.fixture(scope="module")
def exported(files: Path, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """A bundle whose export was interrupted before its largest graph."""
    out = tmp_path_factory.mktemp("out") / "bundle"
    wanted = request(files, out, "--decoder", "taehv")
    first: list[str] = []
    second: list[str] = []

    def interrupt(line: str) -> None:
        first.append(line)
        if line.startswith("denoise: writing"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export(wanted, interrupt)
    assert not out.exists()
    growing = out.with_name("bundle.partial")
    (growing / "denoise.onnx").write_bytes(b"half a graph")
    left = shutil.copytree(growing, tmp_path_factory.mktemp("left") / "bundle.partial")
    bundle = export(wanted, second.append)
    assert not growing.exists()
    return Exported(bundle, first, left, second)


def test_an_interrupted_export_goes_on_where_it_was(exported: Exported) -> None:
    left = {path.name for path in exported.left.iterdir()}
    assert {"decode_video.onnx", "prompt_kv.onnx", JOURNAL, LOCK} <= left
    assert "decoder: kept from the export that was interrupted" in exported.second
    assert "prompt_kv: kept from the export that was interrupted" in exported.second
    assert not any(line.startswith(("decoder: writing", "prompt_kv: writing")) for line in exported.second)
    assert any(line.startswith("denoise: done") for line in exported.second)


def test_the_bundle_has_its_graphs_and_nothing_else(exported: Exported) -> None:
    graphs = {"text", "prompt_kv", "denoise", "decode_video"}
    assert set(exported.bundle.manifest.graphs) == graphs
    wanted = {"manifest.json", "tokenizer.json", *(f"{name}.onnx" for name in graphs)}
    assert {path.name for path in exported.bundle.root.iterdir()} == wanted


def test_the_manifest_is_that_of_the_variant_and_what_was_asked_for(exported: Exported) -> None:
    manifest = exported.bundle.manifest
    assert isinstance(manifest, WanManifest)
    assert manifest.name == "wan-self-forcing-64x48"
    assert (manifest.video.width, manifest.video.height, manifest.video.fps) == (64, 48, (16, 1))
    assert manifest.video.latent == (16, 3, 6, 8)
    assert (manifest.attention.window, manifest.attention.sink, manifest.attention.dtype) == (3, 0, "float32")
    assert np.round(manifest.sampler.levels, 4).tolist() == [1.0, 0.9375, 0.8333, 0.625, 0.0]
    assert manifest.decoding.lead == 3
    assert manifest.graphs["text"].precision == "int8"
    assert manifest.licence == "Apache-2.0"


def test_it_makes_pictures_that_its_prompt_and_seed_decide(exported: Exported) -> None:
    def chunk(prompt: str, seed: int) -> UInt8Array:
        model = load(exported.bundle, seed=seed)
        return model.decoder.decode(model.generator.step(Condition(model.text.encode(prompt)))).video

    made = chunk("blue", 1)
    np.testing.assert_array_equal(made, chunk("blue", 1))
    assert not np.array_equal(made, chunk("a red ball", 1))
    assert not np.array_equal(made, chunk("blue", 2))


@dataclass(frozen=True)
class InEight:
    bundle: Bundle
    said: list[str]


@pytest.fixture(scope="module")
def fp8(files: Path, tmp_path_factory: pytest.TempPathFactory) -> InEight:
    """A bundle in fp8 whose export was interrupted after its activations were measured."""
    out = tmp_path_factory.mktemp("fp8") / "bundle"
    wanted = request(files, out, "--decoder", "taehv", "--precision", "fp8")
    said: list[str] = []

    def interrupt(line: str) -> None:
        said.append(line)
        if line.startswith("prompt_kv: done"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export(wanted, interrupt)
    assert any(line.startswith("ranges of activations: 2 texts, 3 chunks each, latents of 8x6") for line in said)
    again: list[str] = []
    return InEight(export(wanted, again.append), again)


def test_activations_are_measured_once(fp8: InEight) -> None:
    assert "ranges of activations: kept from the export that was interrupted" in fp8.said
    assert not any("texts" in line for line in fp8.said)


def test_parts_of_a_bundle_in_fp8(fp8: InEight) -> None:
    manifest = fp8.bundle.manifest
    assert isinstance(manifest, WanManifest)
    precisions = {name: graph.precision for name, graph in manifest.graphs.items()}
    assert precisions == {"text": "bf16", "prompt_kv": "fp16", "denoise": "fp8", "decode_video": "fp16"}
    assert manifest.attention.dtype == "float16"
    assert manifest.training["precision"] == "fp8"


def test_a_bundle_in_int8_makes_the_pictures_of_one_in_float32(files: Path, exported: Exported, tmp_path: Path) -> None:
    wanted = request(files, tmp_path / "b", "--decoder", "taehv", "--precision", "int8")
    made = export(wanted, lambda line: None)
    precisions = {name: graph.precision for name, graph in made.manifest.graphs.items()}
    assert precisions == {"text": "int8", "prompt_kv": "int8", "denoise": "int8", "decode_video": "fp32"}
    latents = []
    for bundle in (made, exported.bundle):
        model = load(bundle, seed=1)
        latents.append(model.generator.step(Condition(model.text.encode("a red ball"))).video)
    off = np.linalg.norm(latents[0] - latents[1]) / np.linalg.norm(latents[1])
    assert 0 < off < 0.2


def test_what_another_request_left_is_not_taken(exported: Exported, tmp_path: Path) -> None:
    shutil.copytree(exported.left, tmp_path / "bundle.partial")
    with journals.journal(tmp_path / "bundle", "another") as growing:
        assert growing.resume() == ()
        assert {path.name for path in growing.folder.iterdir()} == {JOURNAL, LOCK}
        (growing.folder / "manifest.json").touch()


def test_a_damaged_graph_is_written_again(tmp_path: Path, exported: Exported) -> None:
    graph = exported.bundle.manifest.graphs["denoise"]
    out = tmp_path / "bundle"

    def begin(damage: bool) -> None:
        with journals.journal(out, "same") as growing:
            growing.resume()
            shutil.copy(exported.bundle.path("denoise"), growing.folder)
            growing.finish("denoise", {"denoise": graph})
            if damage:
                with (growing.folder / graph.file).open("r+b") as stream:
                    stream.seek(1000)
                    stream.write(b"\0\1\2\3")
            raise StoppedError

    for damage, kept in ((False, ("denoise",)), (True, ())):
        with pytest.raises(StoppedError):
            begin(damage)
        with pytest.raises(StoppedError), journals.journal(out, "same") as growing:  # noqa: PT012
            assert growing.resume() == kept
            assert (growing.folder / graph.file).exists() == bool(kept)
            raise StoppedError


def test_one_export_at_a_time_writes_a_bundle(tmp_path: Path) -> None:
    (tmp_path / "bundle.partial").mkdir()
    lock = FileLock(tmp_path / "bundle.partial" / LOCK)
    with lock, pytest.raises(TargetError, match="another export writes"), journals.journal(tmp_path / "bundle", ""):
        pass


def test_what_is_there_is_never_overwritten(files: Path, tmp_path: Path) -> None:
    (tmp_path / "bundle").mkdir()
    with pytest.raises(TargetError, match="exists; remove it"):
        export(request(files, tmp_path / "bundle"), print)
    (tmp_path / "other.partial").mkdir()
    (tmp_path / "other.partial" / "diary.txt").write_text("mine")
    with pytest.raises(TargetError, match="no export made it"):
        export(request(files, tmp_path / "other"), print)
    assert (tmp_path / "other.partial" / "diary.txt").read_text() == "mine"


def refused(files: Path, wanted: Request, kind: type[Exception], match: str) -> None:
    """It ends before anything is written, and with this message."""
    said: list[str] = []
    with pytest.raises(kind, match=match):
        export(wanted, said.append)
    assert not any("writing" in line for line in said)
    assert not wanted.out.exists()
    assert not wanted.out.with_name("b.partial").exists()


def test_another_models_checkpoint(files: Path, tmp_path: Path) -> None:
    wanted = replace(request(files, tmp_path / "b"), checkpoint=files / "Wan2.1_VAE.pth")
    refused(files, wanted, CheckpointError, "It is Wan's VAE")


def test_a_variant_of_another_size(files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def told(variant: str) -> str:
        checkpoint = str(files / "self_forcing_dmd.pt")
        assert main(["--checkpoint", checkpoint, "--variant", variant, "--out", str(tmp_path / "b")]) == 1
        return capsys.readouterr().err

    assert "It has 2 blocks of width 96, and 1.3B has 30 of width 1536" in told("self-forcing")
    assert "is it of another variant?" in told("krea")


def test_a_checkpoint_that_is_cut_short(files: Path, tmp_path: Path) -> None:
    whole = (files / "self_forcing_dmd.pt").read_bytes()
    (tmp_path / "cut.pt").write_bytes(whole[: len(whole) // 2])
    refused(
        files,
        replace(request(files, tmp_path / "b"), checkpoint=tmp_path / "cut.pt"),
        CheckpointError,
        "cut short|damaged",
    )


def test_a_pickle_that_would_run_code(files: Path, tmp_path: Path) -> None:
    torch.save({"generator_ema": {"x": print}}, tmp_path / "bad.pt")
    refused(
        files, replace(request(files, tmp_path / "b"), checkpoint=tmp_path / "bad.pt"), CheckpointError, "more than"
    )


def test_another_text_encoder(files: Path, tmp_path: Path) -> None:
    wanted = request(files, tmp_path / "b")
    wanted = replace(wanted, dimensions=replace(wanted.dimensions, transformer=replace(wanted.config, text_width=32)))
    with pytest.raises(CheckpointError, match=r"text_embedding\.0\.weight"):
        sources.check(wanted)


def test_a_tokenizer_of_another_model(files: Path, tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text(json.dumps({"model": {}}))
    wanted = replace(request(files, tmp_path / "b"), tokenizer=tmp_path / "tokenizer.json")
    refused(files, wanted, TokenizerError, "is not a tokenizer")


@pytest.mark.parametrize(
    ("gone", "match"),
    [
        ("Wan2.1_VAE.pth", "give it with --vae, it is published at huggingface"),
        ("models_t5_umt5-xxl-enc-bf16.pth", "give it with --text"),
        ("google", "the tokenizer is missing.*--tokenizer"),
    ],
)
def test_a_file_that_is_not_there_is_named_with_its_option(files: Path, tmp_path: Path, gone: str, match: str) -> None:
    copied = tmp_path / "files"
    shutil.copytree(files, copied)
    shutil.rmtree(copied / gone) if (copied / gone).is_dir() else (copied / gone).unlink()
    with pytest.raises(MissingFileError, match=match):
        request(copied, tmp_path / "b")


def test_two_decoders_and_no_choice(files: Path, tmp_path: Path) -> None:
    both = ("--vae", str(files / "Wan2.1_VAE.pth"), "--taehv", str(files / "taew2_1.pth"))
    with pytest.raises(MissingFileError, match="say which one"):
        request(files, tmp_path / "b", *both)
    assert request(files, tmp_path / "b", *both, "--decoder", "taehv").decoder == "taehv"


def test_too_little_memory(files: Path, tmp_path: Path) -> None:
    half = replace(request(files, tmp_path / "b"), precision="fp16")
    with pytest.raises(CheckpointError, match="GB of memory"):
        sources.check(half, available_bytes=0)


def test_too_little_disk(tmp_path: Path) -> None:
    with pytest.raises(NoRoomError, match="make room, or write it to another disk"):
        sources.require_room(tmp_path / "not" / "there", 10**18)


def test_a_window_that_is_no_whole_number_of_chunks(files: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="whole chunks of 3"):
        request(files, tmp_path / "b", "--window", "4")


@pytest.mark.parametrize("size", ["832", "832x", "0x480", "832x484", "-16x16", "axb"])
def test_a_size_that_is_none(size: str) -> None:
    with pytest.raises(ValueError, match="size is"):
        read_size(size)


def test_damage_after_the_export_is_found(exported: Exported, tmp_path: Path) -> None:
    shutil.copytree(exported.bundle.root, tmp_path / "b")
    with (tmp_path / "b" / "denoise.onnx").open("r+b") as stream:
        stream.seek(500)
        stream.write(b"\0\1\2\3")
    with pytest.raises(HashMismatchError):
        Bundle.open(tmp_path / "b")


def test_weights_beside_a_graph_are_hashed_once_and_after_every_change(
    exported: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_export, "LARGEST_FILE", 0)
    graphs = write_decoder(tmp_path / "b", tiny_taehv(), 64, 48)
    graph = exported.bundle.manifest.graphs["decode_video"]
    beside = graphs["decode_video"].path.with_name("decode_video.onnx.weights")
    weights = Weights(file=beside.name, size_bytes=beside.stat().st_size, sha256=file_sha256(beside))
    entry = graph.model_copy(update={"sha256": file_sha256(graphs["decode_video"].path), "weights": weights})
    shutil.copytree(
        exported.bundle.root, tmp_path / "b", dirs_exist_ok=True, ignore=shutil.ignore_patterns("decode_video.onnx")
    )
    manifest = exported.bundle.manifest
    manifest = manifest.model_copy(update={"graphs": {**manifest.graphs, "decode_video": entry}})
    (tmp_path / "b" / "manifest.json").write_text(manifest.model_dump_json())
    bundle, files = Bundle.open(tmp_path / "b"), VerifiedFiles(tmp_path / "records")
    bundle.check_weights(files)
    assert len(list((tmp_path / "records").iterdir())) == 1
    bundle.check_weights(files)
    with beside.open("r+b") as stream:
        stream.seek(100)
        stream.write(b"\0\1\2\3")
    Bundle.open(tmp_path / "b")  # its size is right
    with pytest.raises(HashMismatchError, match="weights"):
        bundle.check_weights(files)
