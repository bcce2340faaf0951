"""A manifest of the `wan` family is read, and refused with the field's name."""

import json
from pathlib import Path
from typing import Any

import pytest

from streamgen_engines.bundle import Bundle
from streamgen_engines.errors import HashMismatchError, ManifestError, MissingGraphError
from streamgen_engines.families import load
from streamgen_engines.manifest import MANIFEST_FILE, WanManifest, WanSampler, parse_manifest
from tests.tiny_bundle import sha256
from tests.tiny_wan_bundle import FRAME_TOKENS, LEVELS, write_tiny_wan_bundle


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_tiny_wan_bundle(tmp_path / "tiny")


@pytest.fixture
def raw(folder: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((folder / MANIFEST_FILE).read_text())
    return document


def read(raw: object) -> WanManifest:
    manifest = parse_manifest(json.dumps(raw), source="some/manifest.json")
    assert isinstance(manifest, WanManifest)
    return manifest


def test_what_is_written_is_read_again(raw: dict[str, Any]) -> None:
    manifest = read(raw)
    assert parse_manifest(manifest.model_dump_json()) == manifest
    assert (manifest.chunk_frames, manifest.frame_tokens, manifest.ring_frames) == (3, FRAME_TOKENS, 12)
    assert float(manifest.chunk_duration) == 0.75
    assert manifest.audio.samples_per_chunk == 36_000
    assert manifest.prompt_names == ("prompt_key_0", "prompt_value_0", "prompt_key_1", "prompt_value_1")


def test_shifted_time_steps_are_the_published_noise_levels(raw: dict[str, Any]) -> None:
    sampler = read(raw).sampler
    assert sampler.levels == pytest.approx((*LEVELS, 0.0))
    assert (sampler.steps, sampler.passes, sampler.guidance) == (4, 5, 1.0)
    without = WanSampler(sigmas=(1.0, 0.5, 0.0), clean_pass=False)
    assert (without.levels, without.steps, without.passes) == ((1.0, 0.5, 0.0), 2, 2)


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        (("video", "width"), 160, "160x48, but latents of 10x6 cells .*make 80x48"),
        (("video", "latent"), [4, 6, 10], "field video.latent"),
        (("attention", "window"), 7, "attention.window is 7 latent frames.*chunks of 3"),
        (("attention", "sink"), 1, "attention.sink is 1 latent frames"),
        (("attention", "patch"), [1, 4, 2], r"attention.patch is \[1, 4, 2\]"),
        (("attention", "head_dim"), 7, "head_dim is 7; rotary positions need an even one"),
        (("attention", "heads"), 3, r"graphs.denoise.states does not fit attention: key_0.*float32 \[1, 3, 180, 8\]"),
        (("attention", "dtype"), "float16", r"graphs.denoise.states does not fit.*float16 \[1, 2, 180, 8\]"),
        (("attention", "layers"), 3, "key_2, value_2"),
        (("sampler", "guidance"), 3.0, "field sampler.guidance"),
        (("sampler", "timesteps"), [900.0, 500.0], "must fall from 1.0 to 0.0"),
        (("sampler", "timesteps"), [], "either timesteps with their shift, or sigmas"),
        (("sampler", "sigmas"), [1.0, 0.0], "either timesteps with their shift, or sigmas"),
        (("sampler", "least_steps"), 5, "least_steps is 5, but the model makes 4 steps"),
        (("sampler", "switch"), "stop", "field sampler.switch"),
        (("audio", "samples_per_chunk"), 35_999, "samples_per_chunk is 35999.*exactly 36000"),
        (("decoding", "lead"), 3, "decoding.lead is 3, but the bundle has a graph decode_video_first"),
        (("decoding", "lead"), 4, "field decoding.lead"),
        (("sampler", "context_noise"), 0.1, "field sampler.context_noise: unknown field"),
    ],
)
def test_a_wrong_field_is_named(raw: dict[str, Any], path: tuple[str, ...], value: object, told: str) -> None:
    part = raw
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = value
    with pytest.raises(ManifestError, match=rf"^some/manifest\.json: .*{told}.*export the bundle again"):
        read(raw)


def test_a_chunk_has_four_pictures_for_each_latent_frame(raw: dict[str, Any]) -> None:
    raw["video"]["frames_per_chunk"], raw["audio"]["samples_per_chunk"] = 9, 27_000
    with pytest.raises(ManifestError, match=r"frames_per_chunk is 9, but 3 latent frames .* make 12 pictures"):
        read(raw)


@pytest.mark.parametrize("graph", WanManifest.required_graphs)
def test_a_graph_that_every_model_needs_must_be_listed(raw: dict[str, Any], graph: str) -> None:
    del raw["graphs"][graph]
    with pytest.raises(MissingGraphError, match=rf"graphs\.{graph} is missing; export the bundle again"):
        read(raw)


def test_both_decoders_carry_the_same(raw: dict[str, Any]) -> None:
    raw["graphs"]["decode_video_first"]["states"][0]["shape"][2] = 1
    with pytest.raises(ManifestError, match=r"decode_video_first\.states are not those of graphs\.decode_video"):
        read(raw)


def with_weights(folder: Path, raw: dict[str, Any]) -> Path:
    """The bundle with a file of weights beside a graph; returns that."""
    file = folder / "denoise.onnx.weights"
    file.write_bytes(b"weights")
    raw["graphs"]["denoise"]["weights"] = {"file": file.name, "size_bytes": 7, "sha256": sha256(file)}
    (folder / MANIFEST_FILE).write_text(json.dumps(raw))
    return file


def test_weights_beside_a_graph_are_checked_before_they_are_loaded(folder: Path, raw: dict[str, Any]) -> None:
    file = with_weights(folder, raw)
    Bundle.open(folder).check_weights()
    file.write_bytes(b"wrights")
    opened = Bundle.open(folder)
    with pytest.raises(HashMismatchError, match=r"weights: SHA-256 is .*field graphs\.denoise\.weights\.sha256"):
        load(opened)


def test_weights_that_are_cut_short_or_missing_are_told_at_once(folder: Path, raw: dict[str, Any]) -> None:
    file = with_weights(folder, raw)
    file.write_bytes(b"weight")
    with pytest.raises(HashMismatchError, match=r"has 6 bytes, but field graphs\.denoise\.weights\.size_bytes says 7"):
        Bundle.open(folder)
    file.unlink()
    with pytest.raises(MissingGraphError, match=r"denoise\.onnx\.weights is missing"):
        Bundle.open(folder)
