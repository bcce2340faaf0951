"""`streamgen export upscaler`: a bundle gets the graph, and what is rendered with it has larger pictures."""

import json
from pathlib import Path

import av
import numpy as np
import pytest

from streamgen.render import render
from streamgen_engines.bundle import Bundle, bundled
from streamgen_engines.families import Condition, load
from streamgen_export.upscaler.export import export, main
from streamgen_export.upscaler.install import LICENCE_FILE
from tests.export.upscaler.compact import random_net, save
from tests.tiny_bundle import write_tiny_bundle
from tests.tiny_wan_bundle import write_tiny_wan_bundle


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return save(random_net(8, 2, 2), tmp_path / "net.pth")


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    return write_tiny_bundle(tmp_path / "tiny", smaller="tinier")


def test_the_way_from_weights_to_a_file_with_larger_pictures(tmp_path: Path, checkpoint: Path, tiny: Path) -> None:
    assert main(["--checkpoint", str(checkpoint), "--bundle", str(tiny), "--precision", "fp32"]) == 0
    render(tiny, ["a red sun"], 0.6, tmp_path / "out.mp4", scale=1, upscale=True)
    with av.open(str(tmp_path / "out.mp4")) as container:
        shapes = {frame.to_ndarray(format="rgb24").shape for frame in container.decode(video=0)}
    assert shapes == {(192, 320, 3)}


@pytest.mark.parametrize("family", ["pocket", "wan"])
def test_a_bundle_shows_what_the_network_makes_of_its_pictures(
    tmp_path: Path, checkpoint: Path, tiny: Path, family: str
) -> None:
    bundle = Bundle.open(tiny if family == "pocket" else write_tiny_wan_bundle(tmp_path / "wan"))
    made, _ = export(checkpoint, bundle, tmp_path / "larger", "fp32")
    plain, larger = load(bundle), load(made, upscale=True)
    for _ in range(2):
        latents = plain.generator.step(Condition(plain.text.encode("snow")))
        shown, right = larger.decoder.decode(latents).video, random_net(8, 2, 2)
        wanted = right.bytes_of(plain.decoder.decode(latents).video)
        assert np.abs(shown.astype(int) - wanted).max() <= 1


def test_a_new_bundle_has_everything_and_the_old_one_stays_as_it_is(
    tmp_path: Path, checkpoint: Path, tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {file.name: file.read_bytes() for file in tiny.iterdir()}
    out = tmp_path / "elsewhere" / "larger"
    assert main(["--checkpoint", str(checkpoint), "--bundle", str(tiny), "--out", str(out)]) == 0
    assert "160x96 to 320x192, 0.00 M parameters" in capsys.readouterr().out
    assert {file.name: file.read_bytes() for file in tiny.iterdir()} == before
    made = Bundle.open(out)
    graph = made.manifest.graphs["upscale"]
    assert (graph.factor, graph.precision, graph.file) == (2, "fp16", "upscale.onnx")
    assert made.manifest.shown_size(upscale=True) == (320, 192)
    assert {file.name for file in out.iterdir()} == {*before, "upscale.onnx", LICENCE_FILE}
    assert made.manifest.smaller is None, "it would be looked for beside the new folder"
    assert [each.name for each in out.parent.iterdir()] == ["larger"]


def test_the_licence_of_the_weights_lies_beside_the_graph(tmp_path: Path, checkpoint: Path, tiny: Path) -> None:
    export(checkpoint, Bundle.open(tiny), None)
    export(checkpoint, Bundle.open(tiny), None)
    assert Bundle.open(tiny).manifest.licence == "Apache-2.0 AND BSD-3-Clause"
    text = (tiny / LICENCE_FILE).read_text()
    assert "Copyright (c) 2021, Xintao Wang" in text
    assert "in fp16" in text
    (tmp_path / "mine.txt").write_text("do as you like")
    options = ["--checkpoint", str(checkpoint), "--bundle", str(tiny), "--out", str(tmp_path / "b")]
    assert main([*options, "--licence", "CC0-1.0", "--licence-file", str(tmp_path / "mine.txt")]) == 0
    assert (tmp_path / "b" / LICENCE_FILE).read_text() == "do as you like"
    assert main([*options, "--licence", "CC0-1.0"]) == 1


def test_another_factor_takes_the_place_of_the_first(tmp_path: Path, checkpoint: Path, tiny: Path) -> None:
    export(checkpoint, Bundle.open(tiny), None)
    four = save(random_net(4, 1, 4), tmp_path / "four.pth")
    made, told = export(four, Bundle.open(tiny), None)
    assert made.manifest.upscale_factor == 4
    assert told.startswith("160x96 to 640x384")
    assert made.manifest.smaller == "tinier"


def test_int8_is_measured_on_the_bundles_own_pictures(tmp_path: Path, checkpoint: Path, tiny: Path) -> None:
    bundle = Bundle.open(tiny)
    made, told = export(checkpoint, bundle, tmp_path / "eight", "int8")
    assert made.manifest.graphs["upscale"].precision == "int8"
    assert "off by 0.0" in told
    plain, larger = load(bundle), load(made, upscale=True)
    latents = plain.generator.step(Condition(plain.text.encode("snow")))
    wanted = random_net(8, 2, 2).bytes_of(plain.decoder.decode(latents).video)
    gap = np.abs(larger.decoder.decode(latents).video.astype(int) - wanted)
    assert 0 < gap.max() < 40
    assert gap.mean() < 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--bundle", "testcard"], "a bundled model is not changed: name a new one with --out"),
        (["--bundle", "testcard", "--out", "."], "exists; choose another folder"),
        (["--bundle", "nobody", "--out", "new"], "no bundle named 'nobody'"),
    ],
)
def test_what_cannot_be_done_is_told(
    tmp_path: Path,
    checkpoint: Path,
    options: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["--checkpoint", str(checkpoint), *options]) == 1
    assert message in capsys.readouterr().err
    assert [file.name for file in tmp_path.iterdir()] == ["net.pth"]


def test_weights_that_are_none_leave_nothing_behind(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "net.pth").write_bytes(b"<html>")
    assert main(["--checkpoint", str(tmp_path / "net.pth"), "--bundle", "testcard", "--out", str(tmp_path / "b")]) == 1
    assert "this is a web page" in capsys.readouterr().err
    assert not (tmp_path / "b").exists()


def test_a_bundled_model_is_taken_by_its_name(tmp_path: Path, checkpoint: Path) -> None:
    made, _ = export(checkpoint, bundled("testcard"), tmp_path / "card")
    document = json.loads((tmp_path / "card" / "manifest.json").read_text())
    assert document["graphs"]["upscale"]["factor"] == 2
    assert made.manifest.shown_size(upscale=True) == (1280, 720)
