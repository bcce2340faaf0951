"""The pocket family's modules as ONNX graphs, and inputs to check them with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from streamgen_export.onnx_export import Array, write, zeros
from streamgen_export.pocket.config import PocketConfig
from streamgen_export.pocket.encoders import Encoders
from streamgen_export.pocket.streaming import DecodeAudio, DecodeVideo, Denoise, EncodePicture, EncodeVideo
from streamgen_export.pocket.transformer import MASKED, JointTransformer

TOLERANCES = {"denoise": 2e-4, "decode_video": 1.0, "decode_audio": 1e-3, "encode_picture": 2e-3, "encode_video": 2e-3}
"""Largest difference from torch of any output over 20 chunks: latents, steps of a byte, samples. float32 graphs."""


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
        ["video_velocity", "audio_velocity"],
        list(states),
    )
    return module


def write_decoders(folder: Path, encoders: Encoders, config: PocketConfig) -> tuple[DecodeVideo, DecodeAudio]:
    """Export `decode_video.onnx` and `decode_audio.onnx` in float32."""
    video, audio = DecodeVideo(encoders), DecodeAudio(encoders, config)
    latent = torch.zeros(1, config.video_channels, config.rows, config.columns)
    states = video.states(config)
    write(folder / "decode_video.onnx", video, {"latent": latent, **zeros(states)}, ["frames"], list(states))
    sound = torch.zeros(1, config.audio_channels, config.audio_latents)
    noise = torch.zeros(2, config.samples_per_chunk)
    states = audio.states(config)
    inputs = {"latent": sound, "noise": noise, **zeros(states)}
    write(folder / "decode_audio.onnx", audio, inputs, ["samples"], list(states))
    return video, audio


def write_encoder(path: Path, encoders: Encoders, config: PocketConfig) -> EncodePicture:
    """Export `encode_picture.onnx` in float32."""
    module = EncodePicture(encoders, config.upscale)
    write(path, module, {"picture": torch.zeros(config.height, config.width, 3, dtype=torch.uint8)}, ["latent"])
    return module


def write_video_encoder(path: Path, encoders: Encoders, config: PocketConfig) -> EncodeVideo:
    """Export `encode_video.onnx` in float32."""
    module = EncodeVideo(encoders, config.upscale)
    shape = (config.frames_per_chunk, config.height, config.width, 3)
    write(path, module, {"pictures": torch.zeros(shape, dtype=torch.uint8)}, ["latent"])
    return module


def encode_video_calls(config: PocketConfig, chunks: int, seed: int = 0) -> list[dict[str, Array]]:
    """Pictures of soft random colours, chunk by chunk, for the encoder of whole chunks."""
    frames = config.frames_per_chunk
    pictures = [call["picture"] for call in encode_picture_calls(config, frames * chunks, seed)]
    return [{"pictures": np.stack(pictures[frames * chunk : frames * (chunk + 1)])} for chunk in range(chunks)]


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


def _normal(rng: np.random.Generator, *shape: int) -> NDArray[np.float32]:
    return rng.standard_normal(shape).astype(np.float32)
