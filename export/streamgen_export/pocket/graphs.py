"""Writes the pocket family's modules as ONNX graphs, and checks each against torch over chunks with carried state."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnxscript.onnx_opset import opset24 as op
from torch import Tensor, nn

from streamgen_export.pocket.config import PocketConfig
from streamgen_export.pocket.encoders import Encoders
from streamgen_export.pocket.streaming import DecodeAudio, DecodeVideo, Denoise, EncodePicture
from streamgen_export.pocket.transformer import MASKED, JointTransformer
from streamgen_export.quantise import rollout, strip_notes

OPSET = 24
TOLERANCES = {"denoise": 2e-4, "decode_video": 1.0, "decode_audio": 1e-3, "encode_picture": 2e-3}
"""Largest difference from torch of any output over 20 chunks: latents, steps of a byte, samples. float32 graphs."""

Array = NDArray[np.generic]


def _ring_write(ring: Any, update: Any, index: Any) -> Any:
    return op.TensorScatter(ring, update, index, axis=2, mode="linear")


def _rms_norm(x: Any, shape: Any, weight: Any = None, eps: float = 1e-6) -> Any:
    """RMS normalisation of the last axis in plain operators: ONNX Runtime's own `RMSNormalization` is not vectorised.

    The model's gains are products of their own, so there is no weight here.
    """
    del shape
    if weight is not None:
        raise NotImplementedError("normalise without a weight, and multiply by it")
    last: Any = op.Constant(value_ints=[-1])
    mean = op.ReduceMean(op.Mul(x, x), last, keepdims=1)
    return op.Mul(x, op.Reciprocal(op.Sqrt(op.Add(mean, op.Constant(value_float=eps)))))


def write(
    path: Path,
    module: nn.Module,
    inputs: Mapping[str, Tensor],
    states: Sequence[str],
    outputs: list[str],
) -> None:
    """Export with static shapes; state `x` comes back as `x_out`."""
    translations: dict[Any, Any] = {
        torch.ops.streamgen.ring_write.default: _ring_write,
        torch.ops.aten.rms_norm.default: _rms_norm,
    }
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # the exporter's own deprecations, nothing about the graph
        program = torch.onnx.export(
            module.eval(),
            tuple(inputs.values()),
            input_names=list(inputs),
            output_names=[*outputs, *(f"{name}_out" for name in states)],
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
            custom_translation_table=translations,
        )
    if program is None:
        raise RuntimeError(f"torch exported nothing for {path.name}")
    path.parent.mkdir(parents=True, exist_ok=True)
    program.save(str(path), external_data=False)
    strip_notes(path)
    onnx.checker.check_model(str(path))


def zeros(states: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """Every state before the first chunk."""
    return {name: torch.zeros(shape) for name, shape in states.items()}


def denoise_inputs(config: PocketConfig) -> dict[str, Tensor]:
    """One call's inputs without the rings, all zero."""
    return {
        "video": torch.zeros(1, config.video_channels, config.rows, config.columns),
        "audio": torch.zeros(1, config.audio_channels, config.audio_latents),
        "sigma": torch.zeros(1),
        "context": torch.zeros(1, config.text_tokens, config.text_width),
        "context_bias": torch.zeros(1, config.text_tokens),
        "pooled": torch.zeros(1, config.text_width),
        "age": torch.zeros(config.slots),
        "write_index": torch.zeros(1, dtype=torch.int64),
    }


def write_denoise(path: Path, model: JointTransformer) -> Denoise:
    """Export `denoise.onnx` in float32."""
    module = Denoise(model)
    states = module.states()
    write(
        path,
        module,
        {**denoise_inputs(model.config), **zeros(states)},
        list(states),
        ["video_velocity", "audio_velocity"],
    )
    return module


def write_decoders(folder: Path, encoders: Encoders, config: PocketConfig) -> tuple[DecodeVideo, DecodeAudio]:
    """Export `decode_video.onnx` and `decode_audio.onnx` in float32."""
    video, audio = DecodeVideo(encoders), DecodeAudio(encoders, config)
    latent = torch.zeros(1, config.video_channels, config.rows, config.columns)
    states = video.states(config)
    write(folder / "decode_video.onnx", video, {"latent": latent, **zeros(states)}, list(states), ["frames"])
    sound = torch.zeros(1, config.audio_channels, config.audio_latents)
    noise = torch.zeros(2, config.samples_per_chunk)
    states = audio.states(config)
    inputs = {"latent": sound, "noise": noise, **zeros(states)}
    write(folder / "decode_audio.onnx", audio, inputs, list(states), ["samples"])
    return video, audio


def write_encoder(path: Path, encoders: Encoders, config: PocketConfig) -> EncodePicture:
    """Export `encode_picture.onnx` in float32."""
    module = EncodePicture(encoders, config.upscale)
    write(path, module, {"picture": torch.zeros(config.height, config.width, 3, dtype=torch.uint8)}, [], ["latent"])
    return module


def encode_picture_calls(config: PocketConfig, pictures: int, seed: int = 0) -> list[dict[str, Array]]:
    """Pictures of soft random colours for the encoder."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (pictures, config.rows, config.columns, 3), dtype=np.uint8)
    return [{"picture": np.kron(c, np.ones((config.patch, config.patch, 1), np.uint8))} for c in coarse]


def denoise_calls(config: PocketConfig, chunks: int, seed: int = 0) -> list[dict[str, Array]]:
    """Inputs of two passes a chunk with the ring's slots and ages as streaming has them, latents and texts random."""
    rng = np.random.default_rng(seed)
    rotating = config.window + 1
    calls: list[dict[str, Array]] = []
    for chunk in range(chunks):
        age = np.full(config.slots, -1.0, np.float32)
        for past in range(max(chunk - config.window, 0), chunk + 1):
            age[1 + past % rotating] = chunk - past
        context = rng.standard_normal((1, config.text_tokens, config.text_width)).astype(np.float32) * 0.5
        length = int(rng.integers(4, config.text_tokens))
        bias = np.where(np.arange(config.text_tokens) < length, 0.0, MASKED).astype(np.float32)[None]
        pooled = rng.standard_normal((1, config.text_width)).astype(np.float32)
        for sigma in (1.0, 0.3):
            calls.append(
                {
                    "video": _normal(rng, 1, config.video_channels, config.rows, config.columns),
                    "audio": _normal(rng, 1, config.audio_channels, config.audio_latents),
                    "sigma": np.array([sigma], np.float32),
                    "context": context * (bias > MASKED)[..., None],
                    "context_bias": bias,
                    "pooled": pooled / np.linalg.norm(pooled),
                    "age": age,
                    "write_index": np.array([(1 + chunk % rotating) * config.tokens], np.int64),
                }
            )
    return calls


def decode_video_calls(config: PocketConfig, chunks: int, seed: int = 0) -> list[dict[str, Array]]:
    """Random latents for the picture decoder."""
    rng = np.random.default_rng(seed)
    return [{"latent": _normal(rng, 1, config.video_channels, config.rows, config.columns)} for _ in range(chunks)]


def decode_audio_calls(config: PocketConfig, chunks: int, seed: int = 0) -> list[dict[str, Array]]:
    """Random latents and noise for the sound decoder."""
    rng = np.random.default_rng(seed)
    return [
        {
            "latent": _normal(rng, 1, config.audio_channels, config.audio_latents),
            "noise": _normal(rng, 2, config.samples_per_chunk),
        }
        for _ in range(chunks)
    ]


def difference(
    path: Path, module: nn.Module, calls: Sequence[Mapping[str, Array]], states: Mapping[str, tuple[int, ...]]
) -> dict[str, float]:
    """Largest difference of each output between torch and ONNX Runtime, each carrying its own states."""
    ran = rollout(path, list(calls), {name: f"{name}_out" for name in states})
    carried = list(zeros(states).values())
    names = list(ran.outputs[0])
    worst = dict.fromkeys(names, 0.0)
    with torch.no_grad():
        for call, outputs in zip(calls, ran.outputs, strict=True):
            returned = module(*(torch.from_numpy(np.asarray(value)) for value in call.values()), *carried)
            carried = list(returned[len(names) :])
            for name, tensor in zip(names, returned, strict=False):
                gap = np.abs(tensor.numpy().astype(np.float64) - np.asarray(outputs[name], np.float64)).max()
                worst[name] = max(worst[name], float(gap))
    return worst


def _normal(rng: np.random.Generator, *shape: int) -> NDArray[np.float32]:
    return rng.standard_normal(shape).astype(np.float32)
