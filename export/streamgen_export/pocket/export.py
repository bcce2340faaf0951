"""Writes a trained run as a bundle: float32 graphs checked against torch, int8 ones checked against those, manifest.

python -m streamgen_export.pocket.export --size pocket
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import torch
from torch import nn

from streamgen_engines.manifest import MANIFEST_FILE, parse_manifest
from streamgen_engines.tensorrt.prepare import prepare
from streamgen_export.compact import store_as_int8
from streamgen_export.onnx_export import Array, difference
from streamgen_export.pocket import checkpoint, graphs
from streamgen_export.pocket.config import CONFIGS, PocketConfig
from streamgen_export.pocket.encoders import load_encoders
from streamgen_export.pocket.knobs import KNOBS
from streamgen_export.pocket.latents import read_shard
from streamgen_export.pocket.sampling import FEW_STEPS, GUIDED, Sampling
from streamgen_export.pocket.streaming import DecodeAudio, DecodeVideo
from streamgen_export.pocket.transformer import JointTransformer
from streamgen_export.quantise import quantise_linears, relative_errors, rollout

BUNDLES = Path("engines/streamgen_engines/bundles")
CHECKED_CHUNKS = 20
GUARD_FILE = "guard.json"
"""Ranges that a run without latents of its own took over."""
GUARD_SHARDS = 40
GUARD_PULL = 0.25
"""Share of the way back into its range that a straying channel is moved in one chunk."""
WORST_INT8 = 0.1
"""Largest relative error that an int8 graph may have over the checked chunks."""
WORST_HALF = 0.01
"""The same of a graph in half precision."""
Precision = Literal["int8", "fp16"]
"""What a bundle is for: int8 for CPUs, fp16 for GPUs."""
_SHARED: Final = ("text.onnx", "tokenizer.json")
"""Files of a bundle that no run makes."""
DESCRIPTION = (
    "Eighteen places in six weathers and at four times of day, with subjects that move through them, in several "
    "drawing styles and under a moving camera, made together with stereo sound in real time on a CPU. "
    "Trained from nothing on scenes that streamgen renders itself."
)


class ParityError(RuntimeError):
    """An exported graph does not do what the trained model does."""


def guard_of(latents: Path) -> dict[str, Any]:
    """The ranges in which training latents live, for the engines' guard against drift.

    Per channel, the 0.2 % and 99.8 % quantiles over chunks of the mean and the standard deviation; `limit` is beyond
    anything seen.

    Args:
        latents: folder of shards.
    """
    shards = [read_shard(path) for path in sorted(latents.glob("[0-9]*"))[:GUARD_SHARDS]]
    guard: dict[str, Any] = {"pull": GUARD_PULL}
    highest = 0.0
    for name in ("video", "audio"):
        chunks = np.concatenate([np.asarray(shard[name], np.float32) for shard in shards])
        rows = chunks.reshape(-1, chunks.shape[2], int(np.prod(chunks.shape[3:])))
        highest = max(highest, float(np.abs(rows).max()))
        guard[name] = {
            kind: np.round(np.quantile(values, (0.002, 0.998), axis=0).T, 4).tolist()
            for kind, values in (("mean", rows.mean(2)), ("deviation", rows.std(2)))
        }
    return {"limit": round(highest, 2), **guard}


def guard_for(run: Path) -> dict[str, Any]:
    """The ranges of `guard_of` for a run: from its latents, or as it took them over.

    Raises:
        FileNotFoundError: it has neither.
    """
    if any((run / "latents").glob("[0-9]*")):
        return guard_of(run / "latents")
    kept: dict[str, Any] = json.loads((run / GUARD_FILE).read_text())
    return kept


def load_transformer(config: PocketConfig, run: Path, stage: str = "transformer") -> JointTransformer:
    """The averaged weights of a run, after this stage.

    Raises:
        FileNotFoundError: there is no checkpoint yet.
    """
    state = checkpoint.load(run / f"{stage}.pt")
    if state is None:
        raise FileNotFoundError(f"{run}/{stage}.pt is missing; train with: python -m streamgen_export.pocket.train")
    model = JointTransformer(config)
    model.load_state_dict(state["ema"])
    return model.eval()


def export(
    config: PocketConfig,
    run: Path,
    bundle: Path,
    notes: Mapping[str, Any] | None = None,
    *,
    few_steps: bool = False,
    precision: Precision = "int8",
) -> dict[str, Any]:
    """Write every graph and the manifest into `bundle`, where `text.onnx` and `tokenizer.json` already lie.

    With `few_steps` it is the transformer after the few-step stage. With the precision fp16 the graphs, the text's
    among them, are those that TensorRT takes; the weights are the trained ones, not ones that were int8 before.

    Returns:
        the measured errors, which also go into the manifest's `training.parity`.

    Raises:
        ParityError: a graph is off; nothing is written then.
    """
    model = load_transformer(config, run, "few_step" if few_steps else "transformer")
    encoders = load_encoders(config, run)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        denoise = graphs.write_denoise(folder / "denoise.onnx", model)
        video, audio = graphs.write_decoders(folder, encoders, config)
        encoder = graphs.write_encoder(folder / "encode_picture.onnx", encoders, config)
        video_encoder = graphs.write_video_encoder(folder / "encode_video.onnx", encoders, config)
        calls: dict[str, tuple[nn.Module, list[dict[str, Array]], Mapping[str, tuple[int, ...]]]] = {
            "denoise": (denoise, graphs.denoise_calls(config, CHECKED_CHUNKS), denoise.states()),
            "decode_video": (video, graphs.decode_video_calls(config, CHECKED_CHUNKS), DecodeVideo.states(config)),
            "decode_audio": (audio, graphs.decode_audio_calls(config, CHECKED_CHUNKS), DecodeAudio.states(config)),
            "encode_picture": (encoder, graphs.encode_picture_calls(config, CHECKED_CHUNKS), {}),
            "encode_video": (video_encoder, graphs.encode_video_calls(config, CHECKED_CHUNKS), {}),
        }
        parity: dict[str, Any] = {}
        for name, (module, inputs, states) in calls.items():
            found = difference(folder / f"{name}.onnx", module, inputs, states)
            if max(found.values()) > graphs.TOLERANCES[name]:
                raise ParityError(f"{name}.onnx differs from torch: {found}, allowed {graphs.TOLERANCES[name]}")
            parity[name] = {"float32_max_difference": found}
        small = folder / "small"
        small.mkdir()
        for name in calls:
            _shrink(folder / f"{name}.onnx", small / f"{name}.onnx", precision)
        worst = WORST_INT8 if precision == "int8" else WORST_HALF
        for name, (_, inputs, states) in calls.items():
            feeds = rollout(folder / f"{name}.onnx", inputs, {state: f"{state}_out" for state in states}).feeds
            errors = relative_errors(folder / f"{name}.onnx", small / f"{name}.onnx", feeds)
            visible = {output: round(error, 5) for output, error in errors.items() if not output.endswith("_out")}
            if max(visible.values()) > worst:
                raise ParityError(f"{precision} {name}.onnx is {visible} off in norm, allowed {worst}")
            parity[name][f"{precision}_relative_error"] = visible
        for name in calls:
            (bundle / f"{name}.onnx").write_bytes((small / f"{name}.onnx").read_bytes())
        if precision == "fp16":
            text = bundle / "text.onnx"
            text.write_bytes(prepare(text.read_bytes(), "fp16", name="text").model)
    training = {"parity": parity, **(notes or {})}
    states_of = {name: states for name, (_, _, states) in calls.items()}
    sampling = FEW_STEPS if few_steps else GUIDED
    write_manifest(config, bundle, states_of, guard_for(run), training, sampling, precision)
    return parity


def _shrink(source: Path, target: Path, precision: Precision) -> None:
    """A float32 graph as the bundle has it."""
    if precision == "fp16":
        target.write_bytes(prepare(source.read_bytes(), "fp16", name=source.stem).model)
    elif source.stem == "denoise":
        quantise_linears(source, target)
    else:
        store_as_int8(source, target)


def write_manifest(
    config: PocketConfig,
    bundle: Path,
    states: Mapping[str, Mapping[str, Sequence[int]]],
    guard: Mapping[str, Any],
    training: Mapping[str, Any],
    sampling: Sampling = GUIDED,
    precision: Precision = "int8",
) -> None:
    """Write `manifest.json` for the graphs that lie in `bundle`, checked as a reader would check it."""
    precisions = {"text": "int8", "denoise": "int8", **dict.fromkeys(states.keys() - {"denoise"}, "fp32")}
    if precision == "fp16":
        precisions = dict.fromkeys(precisions, "fp16")
    document = {
        "format": "streamgen-bundle",
        "version": 1,
        "family": "pocket",
        "name": config.name,
        "licence": "Apache-2.0",
        "description": DESCRIPTION,
        "video": {
            "width": config.width,
            "height": config.height,
            "fps": list(config.fps),
            "frames_per_chunk": config.frames_per_chunk,
            "latent": [config.video_channels, config.rows, config.columns],
        },
        "audio": {
            "sample_rate": config.sample_rate,
            "channels": 2,
            "samples_per_chunk": config.samples_per_chunk,
            "latent": [config.audio_channels, config.audio_latents],
        },
        "attention": {
            "layers": config.layers,
            "heads": config.heads,
            "head_dim": config.head_dim,
            "tokens": config.tokens,
            "window": config.window,
            "sink": config.sink,
        },
        "sampler": {
            "sigmas": list(sampling.sigmas),
            "guidance": sampling.guidance,
            "least_steps": sampling.least_steps,
            "context_noise": sampling.context_noise,
            "guard": guard,
            "change": sampling.change,
        },
        "text": {
            "max_tokens": config.text_tokens,
            "width": config.text_width,
            "tokenizer": {"file": "tokenizer.json", "sha256": _digest(bundle / "tokenizer.json")},
        },
        "graphs": {
            name: {
                "file": f"{name}.onnx",
                "sha256": _digest(bundle / f"{name}.onnx"),
                "precision": precision,
                "states": [
                    {"name": state, "shape": list(shape), "dtype": "float32"}
                    for state, shape in states.get(name, {}).items()
                ],
            }
            for name, precision in precisions.items()
        },
        "training": dict(training),
        "knobs": KNOBS,
    }
    if config.smaller:
        document["smaller"] = config.smaller
    text = json.dumps(document, indent=1) + "\n"
    parse_manifest(text)
    (bundle / MANIFEST_FILE).write_text(text)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Write a trained run as a bundle.")
    parser.add_argument("--size", choices=sorted(CONFIGS), default="pocket")
    parser.add_argument("--run", type=Path, help="folder of the training (default runs/SIZE)")
    parser.add_argument("--bundle", type=Path, help="bundle folder with text.onnx (default: the size's own)")
    parser.add_argument("--few-steps", action="store_true", help="the transformer after the few-step stage")
    parser.add_argument("--precision", choices=("int8", "fp16"), default="int8", help="int8 for CPUs, fp16 for GPUs")
    options = parser.parse_args()
    config = CONFIGS[options.size]
    run = options.run or Path("runs") / options.size
    if options.precision == "fp16" and options.bundle is None:
        parser.error("--precision fp16 needs --bundle: the size's own bundle is for CPUs")
    bundle = options.bundle or BUNDLES / config.name
    if options.precision == "fp16":
        bundle.mkdir(parents=True, exist_ok=True)
        for file in _SHARED:
            shutil.copyfile(BUNDLES / config.name / file, bundle / file)
    torch.set_grad_enabled(False)
    parity = export(config, run, bundle, few_steps=options.few_steps, precision=options.precision)
    print(json.dumps(parity, indent=1))
    size = sum(path.stat().st_size for path in bundle.iterdir())
    print(f"{bundle}: {size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
