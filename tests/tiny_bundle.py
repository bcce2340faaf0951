"""A complete bundle whose graphs cost almost nothing and still behave, for tests of everything around a model.

Picture and sound are real in shape and small: 160x96 at 12.5 a second, stereo at 24 kHz, chunks of 0.32 s.

- `denoise` converges in any number of steps to latents that depend on the prompt (two colours, a wave pattern, a
  pitch) and on a phase that moves on by `PHASE_STEP` per chunk. The phase lives in the ring: it is read from the
  slot of age 1 and starts at zero when there is none, so a wrong slot, age or write index shows as a jump.
- `decode_video` glides from the last chunk's colours (its state) to the new ones over the pictures of a chunk.
- `decode_audio` sounds one tone with carried phase and level, and a whisper of the noise that it is given.

Text graph and tokenizer are the bundled ones.
"""

from __future__ import annotations

import hashlib
import shutil
from importlib import resources
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto

from streamgen_engines.manifest import (
    FORMAT,
    MANIFEST_FILE,
    VERSION,
    Attention,
    Audio,
    Graph,
    PocketManifest,
    Sampler,
    State,
    Text,
    Tokenizer,
    Video,
)
from streamgen_export.onnx_net import OnnxNet

LAYERS: Final = 2
HEADS: Final = 2
HEAD_DIM: Final = 8
WINDOW: Final = 6
SINK: Final = 1
TOKENS: Final = 34
SLOTS: Final = SINK + WINDOW + 1
PHASE_STEP: Final = 0.35
"""Radians that the pattern moves on per chunk."""
NOISE_LEVEL: Final = 0.002

VIDEO: Final = Video(width=160, height=96, fps=(25, 2), frames_per_chunk=4, latent=(48, 6, 10))
AUDIO: Final = Audio(sample_rate=24_000, channels=2, samples_per_chunk=7_680, latent=(16, 8))
TEXT_TOKENS: Final = 32
TEXT_WIDTH: Final = 384
CODE: Final = 12
"""Numbers in [-1, 1] that the tiny model keeps of a prompt: 6 colour, 4 pattern, 1 pitch, 1 rest."""

FLOAT: Final = TensorProto.FLOAT
INT64: Final = TensorProto.INT64


def write_tiny_bundle(
    folder: Path, *, guidance: float = 1.5, name: str = "tiny", smaller: str | None = None, sees: bool = False
) -> Path:
    """Write the bundle into `folder` (made when missing) and return it: `Bundle.open(write_tiny_bundle(tmp_path))`.

    Where it `sees`, it has the graph `encode_video` too: each latent cell has the mean colours of its four pictures.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with resources.as_file(resources.files("streamgen_engines") / "bundles" / "pocket") as source:
        for file in ("text.onnx", "tokenizer.json"):
            _link(source / file, folder / file)
    for graph, model in (("denoise", _denoise()), ("decode_video", _decode_video()), ("decode_audio", _decode_audio())):
        onnx.save(model, folder / f"{graph}.onnx")
    if sees:
        onnx.save(_encode_video(), folder / "encode_video.onnx")
    seen = (
        {"encode_video": Graph(file="encode_video.onnx", sha256=sha256(folder / "encode_video.onnx"), precision="fp32")}
        if sees
        else {}
    )
    manifest = PocketManifest(
        format=FORMAT,
        version=VERSION,
        family="pocket",
        name=name,
        smaller=smaller,
        licence="Apache-2.0",
        description="A few operators that behave like a model; for tests",
        video=VIDEO,
        audio=AUDIO,
        attention=Attention(layers=LAYERS, heads=HEADS, head_dim=HEAD_DIM, tokens=TOKENS, window=WINDOW, sink=SINK),
        sampler=Sampler(sigmas=(1.0, 0.9, 0.7, 0.4, 0.0), guidance=guidance, context_noise=0.05),
        text=Text(
            max_tokens=TEXT_TOKENS,
            width=TEXT_WIDTH,
            tokenizer=Tokenizer(file="tokenizer.json", sha256=sha256(folder / "tokenizer.json")),
        ),
        graphs={
            "text": Graph(file="text.onnx", sha256=sha256(folder / "text.onnx"), precision="int8"),
            "denoise": Graph(
                file="denoise.onnx",
                sha256=sha256(folder / "denoise.onnx"),
                precision="fp32",
                states=tuple(_state(name, RING_SHAPE) for name in ring_names()),
            ),
            "decode_video": Graph(
                file="decode_video.onnx",
                sha256=sha256(folder / "decode_video.onnx"),
                precision="fp32",
                states=(_state("shown", (1, 3 * CELLS)),),
            ),
            "decode_audio": Graph(
                file="decode_audio.onnx",
                sha256=sha256(folder / "decode_audio.onnx"),
                precision="fp32",
                states=(_state("phase", (1,)), _state("level", (1, 1))),
            ),
            **seen,
        },
    )
    (folder / MANIFEST_FILE).write_text(manifest.model_dump_json(indent=1), encoding="utf-8")
    return folder


def sha256(file: Path) -> str:
    """Hash of a file as the manifest states it."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def ring_names() -> list[str]:
    """The ring's tensors in the order of the graph: k_0, v_0, k_1, ..."""
    return [f"{kind}_{layer}" for layer in range(LAYERS) for kind in "kv"]


RING_SHAPE: Final = (1, HEADS, SLOTS * TOKENS, HEAD_DIM)
SLOT_SHAPE: Final = (1, HEADS, TOKENS, HEAD_DIM)
CHANNELS, ROWS, COLUMNS = VIDEO.latent
CELLS: Final = ROWS * COLUMNS
VIDEO_SHAPE: Final = (1, *VIDEO.latent)
AUDIO_SHAPE: Final = (1, *AUDIO.latent)


def _state(name: str, shape: tuple[int, ...]) -> State:
    return State(name=name, shape=shape, dtype="float32")


def _link(source: Path, target: Path) -> None:
    try:
        target.symlink_to(source)
    except OSError:  # no links on this file system
        shutil.copy(source, target)


def _waves() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Cosine and sine of four plane waves over the cells, each [4, CELLS]."""
    y, x = np.mgrid[0:ROWS, 0:COLUMNS]
    angles = np.stack([0.9 * x, 1.2 * y, 0.6 * x + 0.8 * y, 0.6 * x - 0.8 * y]).reshape(4, CELLS)
    return np.cos(angles), np.sin(angles)


def _denoise() -> Any:
    net, random = OnnxNet("tiny"), np.random.default_rng(7)

    # What is kept of the prompt. Tokens count a little, so that a wrong context or bias shows.
    attend = net("Softmax", "context_bias", axis=-1)
    tokens = net("Squeeze", net("MatMul", net("Unsqueeze", attend, net.shape(1)), "context"), net.shape(1))
    told = net("Add", "pooled", net("Mul", tokens, net.constant(0.01)))
    code = net("Tanh", net("MatMul", told, net.constant(1.5 * random.standard_normal((TEXT_WIDTH, CODE)))))

    # The phase of the last chunk (its cosine and sine lie in v_0 of the slot of age 1), turned on by one step.
    age = net("Reshape", "age", net.shape(1, SLOTS))
    newest = net("Cast", net("Equal", age, net.constant(1.0)), to=FLOAT)
    firsts = net("Slice", "v_0", net.shape(0), net.shape(SLOTS * TOKENS), net.shape(2), net.shape(TOKENS))
    firsts = net("Reshape", net.cut(net.cut(firsts, 0, 1, 1), 0, 2, 3), net.shape(SLOTS, 2))
    none = net("Sub", net.constant(1.0), net("ReduceSum", newest, net.shape(1), keepdims=1))
    last = net("Add", net("MatMul", newest, firsts), net("Mul", none, net.constant([[1.0, 0.0]])))
    c, s = np.cos(PHASE_STEP), np.sin(PHASE_STEP)
    phase = net("MatMul", last, net.constant([[c, s], [-s, c]]))  # [1, 2]

    # Clean latents: first colour + second colour * travelling wave, then channels that only fill the width.
    cosines, sines = _waves()
    pattern = net.cut(code, 6, 10, 1)
    both = [net("MatMul", pattern, net.constant(w)) for w in (cosines, sines)]
    turning = [net("Mul", wave, net.cut(phase, i, i + 1, 1)) for i, wave in enumerate(both)]
    wave = net("Reshape", net("Add", *turning), net.shape(1, 1, CELLS))
    ground, light = (net("Reshape", net.cut(code, i, i + 3, 1), net.shape(1, 3, 1)) for i in (0, 3))
    colours = net("Add", net("Mul", ground, net.constant(0.6)), net("Mul", net("Mul", light, wave), net.constant(0.3)))
    filling = net("MatMul", code, net.constant(random.standard_normal((CODE, (CHANNELS - 3) * CELLS)) / CODE**0.5))
    filling = net("Reshape", filling, net.shape(1, CHANNELS - 3, CELLS))
    video = net("Reshape", net("Concat", colours, filling, axis=1), net.shape(*VIDEO_SHAPE))
    pitch = np.zeros((CODE, *AUDIO.latent))
    pitch[10, 0] = 1.5  # octaves from the middle, constant over the chunk
    pitch[11, 2:] = random.standard_normal((AUDIO.latent[0] - 2, AUDIO.latent[1]))
    audio = net("MatMul", code, net.constant(pitch.reshape(CODE, -1)))
    audio = net("Reshape", audio, net.shape(*AUDIO_SHAPE))

    # x = (1 - sigma) clean + sigma noise, so noise - clean = (x - clean) / sigma.
    sigma = net("Max", "sigma", net.constant(1e-3))
    net("Div", net("Sub", "video", video), sigma, out="video_velocity")
    net("Div", net("Sub", "audio", audio), sigma, out="audio_velocity")

    # Ring: the phase in v_0, pieces of the input everywhere else, which tell chunks and passes apart.
    flat = net("Reshape", "video", net.shape(-1))
    slot_size = int(np.prod(SLOT_SHAPE))
    widened = net("Concat", phase, net.constant(np.zeros((1, HEAD_DIM - 2))), axis=1)
    for i, name in enumerate(ring_names()):
        if name == "v_0":
            new = net("Expand", net("Reshape", widened, net.shape(1, 1, 1, HEAD_DIM)), net.shape(*SLOT_SHAPE))
        else:
            new = net("Reshape", net.cut(flat, i * slot_size, (i + 1) * slot_size, 0), net.shape(*SLOT_SHAPE))
        net("TensorScatter", name, new, "write_index", out=f"{name}_out", axis=2, mode="linear")

    ring = {name: (FLOAT, RING_SHAPE) for name in ring_names()}
    inputs = {
        "video": (FLOAT, VIDEO_SHAPE),
        "audio": (FLOAT, AUDIO_SHAPE),
        "sigma": (FLOAT, (1,)),
        "context": (FLOAT, (1, TEXT_TOKENS, TEXT_WIDTH)),
        "context_bias": (FLOAT, (1, TEXT_TOKENS)),
        "pooled": (FLOAT, (1, TEXT_WIDTH)),
        "age": (FLOAT, (SLOTS,)),
        "write_index": (INT64, (1,)),
    }
    outputs = {"video_velocity": (FLOAT, VIDEO_SHAPE), "audio_velocity": (FLOAT, AUDIO_SHAPE)}
    return net.model({**inputs, **ring}, {**outputs, **{f"{name}_out": spec for name, spec in ring.items()}})


def _decode_video() -> Any:
    net = OnnxNet("tiny")
    pictures = VIDEO.frames_per_chunk
    new = net("Reshape", net.cut("latent", 0, 3, 1), net.shape(1, 3 * CELLS))
    both = net("Concat", "shown", new, axis=0)
    net("Slice", both, *(net.shape(n) for n in (1, 2, 0)), out="shown_out")
    weights = np.arange(1, pictures + 1) / pictures
    glide = net("MatMul", net.constant(np.stack([1 - weights, weights], axis=1)), both)
    cells = net("Reshape", glide, net.shape(pictures, 3, ROWS, COLUMNS))
    levels = net("Add", net("Mul", net("Tanh", cells), net.constant(127.0)), net.constant(128.0))
    # Rounded while it is small, then each cell becomes a solid block.
    levels = net("Transpose", net("Cast", levels, to=TensorProto.UINT8), perm=[0, 2, 3, 1])
    high, wide = VIDEO.height // ROWS, VIDEO.width // COLUMNS
    blocks = net("Reshape", levels, net.shape(pictures, ROWS, 1, COLUMNS, 1, 3))
    blocks = net("Expand", blocks, net.shape(pictures, ROWS, high, COLUMNS, wide, 3))
    frames = (pictures, VIDEO.height, VIDEO.width, 3)
    net("Reshape", blocks, net.shape(*frames), out="frames")
    return net.model(
        {"latent": (FLOAT, VIDEO_SHAPE), "shown": (FLOAT, (1, 3 * CELLS))},
        {"frames": (TensorProto.UINT8, frames), "shown_out": (FLOAT, (1, 3 * CELLS))},
    )


def _encode_video() -> Any:
    net = OnnxNet("tiny")
    pictures = VIDEO.frames_per_chunk
    high, wide = VIDEO.height // ROWS, VIDEO.width // COLUMNS
    blocks = net("Reshape", net("Cast", "pictures", to=FLOAT), net.shape(pictures, ROWS, high, COLUMNS, wide, 3))
    colours = net("Transpose", net("ReduceMean", blocks, net.shape(2, 4), keepdims=0), perm=[0, 3, 1, 2])
    levels = net("Sub", net("Div", colours, net.constant(127.5)), net.constant(1.0))
    once = net("Reshape", levels, net.shape(1, 3 * pictures, ROWS, COLUMNS))
    net("Tile", once, net.shape(1, CHANNELS // (3 * pictures), 1, 1), out="latent")
    shape = (pictures, VIDEO.height, VIDEO.width, 3)
    return net.model({"pictures": (TensorProto.UINT8, shape)}, {"latent": (FLOAT, VIDEO_SHAPE)})


def _decode_audio() -> Any:
    net = OnnxNet("tiny")
    samples = AUDIO.samples_per_chunk
    octaves = net("ReduceMean", net("Reshape", net.cut("latent", 0, 1, 1), net.shape(1, -1)), net.shape(1), keepdims=0)
    frequency = net("Mul", net("Pow", net.constant(2.0), octaves), net.constant(330.0))
    turns = net("Mul", frequency, net.constant(np.arange(1, samples + 1) / AUDIO.sample_rate))
    turns = net("Add", "phase", turns)
    net("Mod", net.cut(turns, samples - 1, samples, 0), net.constant([1.0]), out="phase_out", fmod=1)
    wave = net("Sin", net("Mul", turns, net.constant(2 * np.pi)))

    # The level moves from the last chunk's to 0.3 along the chunk: no click at the start.
    both = net("Concat", "level", net.constant([[0.3]]), axis=1)
    net("Slice", both, *(net.shape(n) for n in (1, 2, 1)), out="level_out")
    along = np.arange(1, samples + 1) / samples
    level = net("MatMul", both, net.constant(np.stack([1 - along, along])))
    tone = net("Mul", net("Reshape", wave, net.shape(1, samples)), level)
    heard = net("Add", tone, net("Mul", "noise", net.constant(NOISE_LEVEL)))
    net("Clip", heard, net.constant(-1.0), net.constant(1.0), out="samples")
    sound = (AUDIO.channels, samples)
    return net.model(
        {"latent": (FLOAT, AUDIO_SHAPE), "noise": (FLOAT, sound), "phase": (FLOAT, (1,)), "level": (FLOAT, (1, 1))},
        {"samples": (FLOAT, sound), "phase_out": (FLOAT, (1,)), "level_out": (FLOAT, (1, 1))},
    )
