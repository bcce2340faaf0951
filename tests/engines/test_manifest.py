"""A manifest is read, written and refused with the field's name and what to do."""

import json
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from streamgen_engines.bundle import Bundle
from streamgen_engines.errors import BundleError, ManifestError, MissingGraphError, UnsupportedVersionError
from streamgen_engines.manifest import VERSION, ChannelRanges, Graph, Guard, PocketManifest, Sampler, parse_manifest


@pytest.fixture
def raw(tiny: Bundle) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(tiny.manifest.model_dump_json())
    return document


def read(raw: object) -> PocketManifest:
    manifest = parse_manifest(json.dumps(raw), source="some/manifest.json")
    assert isinstance(manifest, PocketManifest)
    return manifest


def test_what_is_written_is_read_again(tiny: Bundle) -> None:
    assert parse_manifest(tiny.manifest.model_dump_json()) == tiny.manifest


def test_the_document_of_the_architecture_page_is_valid(raw: dict[str, Any]) -> None:
    for state in raw["graphs"]["denoise"]["states"]:
        state["shape"] = [1, 6, 8 * 34, 32]
    raw["graphs"]["denoise"]["states"] = [
        {"name": f"{kind}_{layer}", "shape": [1, 6, 8 * 34, 32], "dtype": "float32"}
        for layer in range(6)
        for kind in "kv"
    ]
    raw["attention"] = {"layers": 6, "heads": 6, "head_dim": 32, "tokens": 34, "window": 6, "sink": 1}
    raw["sampler"] = {"sigmas": [1.0, 0.9, 0.7, 0.4, 0.0], "guidance": 1.5, "context_noise": 0.05}
    raw["training"] = {"seed": 1, "steps": 10_000, "hours": 1.5, "commit": "abc"}
    manifest = read(raw)
    assert manifest.attention.slots == 8
    assert manifest.sampler.steps == 4
    assert manifest.chunk_duration == Fraction(32, 100)
    assert manifest.training["steps"] == 10_000


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        (("video", "width"), 0, "video.width"),
        (("video", "width"), "160", "video.width"),
        (("video", "fps"), [25, 0], "video.fps.1"),
        (("audio", "channels"), 3, "audio.channels"),
        (("attention", "sink"), 2, "attention.sink"),
        (("sampler", "guidance"), -1, "sampler.guidance"),
        (("sampler", "sigmas"), [1.0, 0.5, 0.5, 0.0], "sampler"),
        (("sampler", "sigmas"), [0.9, 0.5, 0.0], "sampler"),
        (("sampler", "least_steps"), 5, "sampler"),
        (("sampler", "least_steps"), 0, "sampler.least_steps"),
        (("sampler", "context_noise"), 1.0, "sampler.context_noise"),
        (("text", "tokenizer", "sha256"), "ABC", "text.tokenizer.sha256"),
        (("graphs", "text", "file"), "../text.onnx", "graphs.text.file"),
        (("graphs", "text", "file"), "/etc/passwd", "graphs.text.file"),
        (("graphs", "text", "precision"), "int7", "graphs.text.precision"),
        (("licence",), "", "licence"),
        (("name",), "Not A Name", "name"),
    ],
)
def test_a_wrong_field_is_named(raw: dict[str, Any], path: tuple[str, ...], value: object, field: str) -> None:
    part = raw
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = value
    with pytest.raises(ManifestError, match=rf"^some/manifest\.json: field {field}: .*export the bundle again"):
        read(raw)


UPSCALE: dict[str, object] = {"file": "upscale.onnx", "sha256": "0" * 64, "precision": "fp16", "factor": 4}


def test_a_graph_that_enlarges_pictures_says_how_much(raw: dict[str, Any], tiny: Bundle) -> None:
    raw["graphs"]["upscale"] = UPSCALE
    manifest = read(raw)
    width, height = tiny.manifest.video.width, tiny.manifest.video.height
    assert (manifest.video.width, manifest.video.height) == (width, height)
    assert manifest.shown_size(upscale=True) == (4 * width, 4 * height)
    assert manifest.shown_size(upscale=False) == (width, height)
    assert parse_manifest(manifest.model_dump_json()) == manifest
    assert tiny.manifest.shown_size(upscale=True) == (width, height)


@pytest.mark.parametrize(
    ("graph", "factor", "message"),
    [
        ("upscale", 1, r"field graphs\.upscale\.factor: "),
        ("upscale", 2.5, r"field graphs\.upscale\.factor: "),
        ("upscale", None, r"graphs\.upscale\.factor is missing: .*2 to 4"),
        ("denoise", 2, r"graphs\.denoise\.factor is 2, but only graphs\.upscale has one"),
    ],
)
def test_a_wrong_factor_is_named(raw: dict[str, Any], graph: str, factor: object, message: str) -> None:
    raw["graphs"].setdefault(graph, UPSCALE | {})
    raw["graphs"][graph] |= {"factor": factor}
    with pytest.raises(ManifestError, match=message):
        read(raw)


def test_other_graphs_are_written_as_they_always_were(tiny: Bundle) -> None:
    assert "factor" not in tiny.manifest.model_dump_json()


def test_a_missing_field_is_named(raw: dict[str, Any]) -> None:
    del raw["sampler"]
    with pytest.raises(ManifestError, match="field sampler: missing"):
        read(raw)


def test_an_unknown_field_is_named(raw: dict[str, Any]) -> None:
    raw["video"]["heigth"] = 96
    with pytest.raises(ManifestError, match=r"field video\.heigth: unknown field"):
        read(raw)


def test_many_wrong_fields_are_counted_not_listed(raw: dict[str, Any]) -> None:
    raw["video"] = {f"field_{i}": 1 for i in range(50)}
    with pytest.raises(ManifestError, match=r"and \d+ more"):
        read(raw)


def test_a_newer_version_says_to_upgrade(raw: dict[str, Any]) -> None:
    raw["version"] = VERSION + 1
    raw["field_of_the_future"] = 1
    with pytest.raises(UnsupportedVersionError, match=r"field version is 2.*pip install --upgrade streamgen"):
        read(raw)


@pytest.mark.parametrize("graph", PocketManifest.required_graphs)
def test_a_graph_that_every_model_needs_must_be_listed(raw: dict[str, Any], graph: str) -> None:
    del raw["graphs"][graph]
    with pytest.raises(MissingGraphError, match=rf"graphs\.{graph} is missing; export the bundle again"):
        read(raw)


def test_sound_and_picture_of_a_chunk_must_last_equally_long(raw: dict[str, Any]) -> None:
    raw["audio"]["samples_per_chunk"] = 7_681
    with pytest.raises(ManifestError, match=r"audio\.samples_per_chunk is 7681.*exactly 7680"):
        read(raw)


def test_ring_states_must_fit_the_attention(raw: dict[str, Any]) -> None:
    raw["attention"]["window"] = 5
    with pytest.raises(ManifestError, match=r"graphs\.denoise\.states does not fit attention: k_0, k_1, v_0, v_1"):
        read(raw)


@given(st.one_of(st.text(), st.binary()))
def test_anything_else_is_refused_with_an_error_of_ours(document: str | bytes) -> None:
    with pytest.raises(BundleError):
        parse_manifest(document)


def test_deep_json_is_refused() -> None:
    with pytest.raises(ManifestError, match="not readable as JSON"):
        parse_manifest("[" * 100_000)


def test_a_guard_has_one_range_per_channel(raw: dict[str, Any]) -> None:
    channels = raw["audio"]["latent"][0]
    ranges = {"mean": [[-1.0, 1.0]] * channels, "deviation": [[0.2, 2.0]] * channels}
    raw["sampler"]["guard"] = {"limit": 6.0, "pull": 0.25, "audio": ranges}
    guard = read(raw).sampler.guard
    assert guard is not None
    assert guard.audio is not None
    assert guard.audio.mean[0] == (-1.0, 1.0)
    raw["sampler"]["guard"]["audio"] = {"mean": [[-1.0, 1.0]], "deviation": [[0.2, 2.0]]}
    with pytest.raises(ManifestError, match=r"sampler\.guard\.audio has ranges for 1 channels, audio\.latent has 16"):
        read(raw)


@pytest.mark.parametrize(
    ("mean", "deviation", "message"),
    [
        (((1.0, -1.0),), ((0.1, 1.0),), "low <= high"),
        (((-1.0, 1.0),), ((-0.1, 1.0),), "never negative"),
        (((-1.0, 1.0),) * 2, ((0.1, 1.0),), "mean has 2 channels, deviation has 1"),
    ],
)
def test_ranges_that_are_none_are_refused(
    mean: tuple[tuple[float, float], ...], deviation: tuple[tuple[float, float], ...], message: str
) -> None:
    with pytest.raises(ValidationError, match=message):
        ChannelRanges(mean=mean, deviation=deviation)


def test_parts_cannot_be_changed(tiny: Bundle) -> None:
    with pytest.raises(ValidationError, match="frozen"):
        tiny.manifest.video.width = 1


def test_the_defaults_are_no_states_and_no_guard() -> None:
    assert Graph(file="a.onnx", sha256="0" * 64, precision="int8").states == ()
    assert Guard().limit is None


def test_a_guided_step_costs_two_passes_and_remembering_one() -> None:
    plain = Sampler(sigmas=(1.0, 0.7, 0.3, 0.0), guidance=1.0, context_noise=0.0)
    assert plain.passes == 4
    assert plain.model_copy(update={"guidance": 2.5}).passes == 7


def test_knobs_are_told_in_the_words_of_the_model(raw: dict[str, Any]) -> None:
    raw["knobs"] = {
        "camera": {"still": "still camera", "left": "the camera pans left"},
        "mood": {"calm": "calm music"},
    }
    manifest = read(raw)
    assert manifest.told("a sea", {}) == "a sea"
    assert manifest.told("a sea", {"mood": "calm", "camera": "left"}) == "a sea, the camera pans left, calm music"
    assert manifest.told("", {"mood": "calm"}) == "calm music"
    # A smaller sibling may lack what was asked of the larger model.
    assert manifest.told("a sea", {"mood": "tense", "pace": "slow", "camera": "still"}) == "a sea, still camera"


@pytest.mark.parametrize("words", ["", " padded ", "x" * 101])
def test_knobs_say_something(raw: dict[str, Any], words: str) -> None:
    raw["knobs"] = {"camera": {"left": words}}
    with pytest.raises(ManifestError, match=r"knobs\.camera\.left"):
        read(raw)
