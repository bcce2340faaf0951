"""A complete bundle of the `wan` family whose transformer is real and tiny, and the same model in plain numpy.

`denoise` is a transformer in every respect that the host has a part in: it writes its keys and values into a ring,
turns queries and keys by the tables that it is given, hides what `bias` hides, and attends to the held keys and values
of a prompt. So a wrong row, place, bias, noise level or prompt changes what comes out. The velocity is bounded, so that
a stream never runs away.

`TinyWan` computes the same with lists of chunks in place of a ring, written to be read: what the host has to match.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto

from streamgen_engines.manifest import (
    FORMAT,
    MANIFEST_FILE,
    VERSION,
    Graph,
    State,
    Text,
    Tokenizer,
    WanAttention,
    WanAudio,
    WanDecoding,
    WanManifest,
    WanSampler,
    WanVideo,
)
from streamgen_engines.manifest.wan import Switch
from streamgen_export.onnx_net import OnnxNet
from tests.tiny_bundle import sha256

Reals = NDArray[Any]

CHANNELS: Final = 4
ROWS, COLUMNS = 6, 10
CELLS: Final = ROWS * COLUMNS
PATCH: Final = 2
FRAME_TOKENS: Final = (ROWS // PATCH) * (COLUMNS // PATCH)
TOKEN_WIDTH: Final = CHANNELS * PATCH * PATCH
LAYERS, HEADS, HEAD_DIM = 2, 2, 8
WIDTH: Final = HEADS * HEAD_DIM
PAIRS: Final = 2  # of the 4 of a head, those that turn with time: 4 - 2 * (8 // 6)
TEXT_TOKENS, TEXT_WIDTH = 8, 6
TIME_WIDTH: Final = 256
HEIGHT, PICTURE_WIDTH = 8 * ROWS, 8 * COLUMNS
RATE: Final = 48_000
LEVELS: Final = (1.0, 0.9375, 5 / 6, 0.625)
"""What the time steps 1000, 750, 500, 250 are with a shift of 5."""

FLOAT: Final = TensorProto.FLOAT
HALF: Final = TensorProto.FLOAT16
INT64: Final = TensorProto.INT64


def _weights() -> dict[str, Reals]:
    random = np.random.default_rng(11)

    def linear(inputs: int, outputs: int, scale: float = 1.0) -> Reals:
        made: Reals = (scale * random.standard_normal((inputs, outputs)) / inputs**0.5).astype(np.float32)
        return made

    made = {"in": linear(TOKEN_WIDTH, WIDTH), "time": linear(TIME_WIDTH, WIDTH, 2.0), "out": linear(WIDTH, TOKEN_WIDTH)}
    for layer in range(LAYERS):
        for name in ("q", "k", "v", "o", "cq", "co"):
            made[f"{name}{layer}"] = linear(WIDTH, WIDTH, 2.0)
        for name in ("pk", "pv"):
            made[f"{name}{layer}"] = linear(TEXT_WIDTH, WIDTH, 2.0)
    return made


WEIGHTS: Final = _weights()
FREQUENCIES: Final = (0.37 * 1.9 ** np.arange(TEXT_WIDTH)).astype(np.float32)


def write_tiny_wan_bundle(
    folder: Path,
    *,
    name: str = "tiny-wan",
    chunk: int = 3,
    window: int = 6,
    sink: int = 3,
    first: bool = True,
    clean_pass: bool = True,
    renoise: Literal["fresh", "predicted"] = "fresh",
    switch: Switch = "keep",
    recache_sink: bool = False,
    half: bool = False,
    sound: str | None = None,
    sample_rate: int = RATE,
) -> Path:
    """Write the bundle into `folder` (made when missing) and return it.

    Args:
        folder: where to.
        name: of the bundle.
        chunk, window, sink: latent frames.
        first: with a graph of its own for a stream's first latent frame; without, the first 3 pictures are led in.
        clean_pass, renoise, switch, recache_sink: of the sampler.
        half: the ring, and the keys and values of prompts, are float16.
        sound: bundle that makes the sound.
        sample_rate: of the sound.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with resources.as_file(resources.files("streamgen_engines") / "bundles" / "pocket") as source:
        shutil.copy(source / "tokenizer.json", folder / "tokenizer.json")
    frames = sink + window + chunk
    carried = (State(name="carried_0", shape=(1, CHANNELS, 2, ROWS, COLUMNS), dtype="float32"),)
    dtype: Literal["float32", "float16"] = "float16" if half else "float32"
    ring = tuple(
        State(name=f"{kind}_{layer}", shape=(1, HEADS, frames * FRAME_TOKENS, HEAD_DIM), dtype=dtype)
        for layer in range(LAYERS)
        for kind in ("key", "value")
    )
    graphs: dict[str, tuple[Any, tuple[State, ...]]] = {
        "text": (_text(), ()),
        "prompt_kv": (_prompt_kv(half=half), ()),
        "denoise": (_denoise(chunk, frames, half=half), ring),
        "decode_video": (_decode_video(), carried),
    }
    if first:
        graphs["decode_video_first"] = (_decode_video_first(), carried)
    for graph, (model, _) in graphs.items():
        onnx.save(model, folder / f"{graph}.onnx")
    manifest = WanManifest(
        format=FORMAT,
        version=VERSION,
        family="wan",
        name=name,
        licence="Apache-2.0",
        description="A tiny transformer with random weights; for tests",
        video=WanVideo(
            width=PICTURE_WIDTH,
            height=HEIGHT,
            fps=(16, 1),
            frames_per_chunk=4 * chunk,
            latent=(CHANNELS, chunk, ROWS, COLUMNS),
        ),
        audio=WanAudio(
            sample_rate=sample_rate, channels=2, samples_per_chunk=4 * chunk * sample_rate // 16, bundle=sound
        ),
        attention=WanAttention(layers=LAYERS, heads=HEADS, head_dim=HEAD_DIM, window=window, sink=sink, dtype=dtype),
        sampler=WanSampler(
            timesteps=(1000.0, 750.0, 500.0, 250.0),
            shift=5.0,
            clean_pass=clean_pass,
            renoise=renoise,
            switch=switch,
            recache_sink=recache_sink,
        ),
        decoding=WanDecoding(lead=0 if first else 3),
        text=Text(
            max_tokens=TEXT_TOKENS,
            width=TEXT_WIDTH,
            tokenizer=Tokenizer(file="tokenizer.json", sha256=sha256(folder / "tokenizer.json")),
        ),
        graphs={
            graph: Graph(file=f"{graph}.onnx", sha256=sha256(folder / f"{graph}.onnx"), precision="fp32", states=states)
            for graph, (_, states) in graphs.items()
        },
    )
    (folder / MANIFEST_FILE).write_text(manifest.model_dump_json(indent=1), encoding="utf-8")
    return folder


# The graphs.


def _text() -> Any:
    net = OnnxNet("tiny")
    ids = net("Unsqueeze", net("Cast", "input_ids", to=FLOAT), net.shape(2))
    mask = net("Unsqueeze", net("Cast", "attention_mask", to=FLOAT), net.shape(2))
    waves = net("Sin", net("Mul", ids, net.constant(FREQUENCIES)))
    net("Mul", waves, mask, out="context")
    tokens = (INT64, (1, TEXT_TOKENS))
    return net.model(
        {"input_ids": tokens, "attention_mask": tokens}, {"context": (FLOAT, (1, TEXT_TOKENS, TEXT_WIDTH))}
    )


def _prompt_kv(*, half: bool) -> Any:
    net = OnnxNet("tiny")
    for layer in range(LAYERS):
        for kind, short in (("key", "pk"), ("value", "pv")):
            rows = net("Tanh", net("MatMul", "context", net.constant(WEIGHTS[f"{short}{layer}"])))
            split = net("Reshape", rows, net.shape(1, TEXT_TOKENS, HEADS, HEAD_DIM))
            by_head = net("Transpose", split, perm=[0, 2, 1, 3])
            net("Cast", by_head, to=HALF if half else FLOAT, out=f"prompt_{kind}_{layer}")
    return net.model({"context": (FLOAT, (1, TEXT_TOKENS, TEXT_WIDTH))}, _prompt_tensors(HALF if half else FLOAT))


def _denoise(chunk: int, frames: int, *, half: bool) -> Any:
    net = OnnxNet("tiny")
    kept = HALF if half else FLOAT  # type of the ring and of what is held
    count, rows = chunk * FRAME_TOKENS, frames * FRAME_TOKENS

    def heads(value: str) -> str:
        return net("Transpose", net("Reshape", value, net.shape(1, count, HEADS, HEAD_DIM)), perm=[0, 2, 1, 3])

    def linear(value: str, name: str) -> str:
        return net("MatMul", value, net.constant(WEIGHTS[name]))

    def by_token(table: str, places: int) -> str:
        wide = net("Expand", net("Unsqueeze", table, net.shape(1)), net.shape(places, FRAME_TOKENS, PAIRS))
        return net("Reshape", wide, net.shape(1, 1, places * FRAME_TOKENS, PAIRS))

    def turned(value: str, cos: str, sin: str) -> str:
        a, b, rest = (net.cut(value, s, e, 3) for s, e in ((0, PAIRS), (PAIRS, 2 * PAIRS), (2 * PAIRS, HEAD_DIM)))
        left = net("Sub", net("Mul", a, cos), net("Mul", b, sin))
        right = net("Add", net("Mul", a, sin), net("Mul", b, cos))
        return net("Concat", left, right, rest, axis=3)

    def attended(query: str, key: str, value: str, bias: str = "") -> str:
        scores = net("MatMul", query, net("Transpose", key, perm=[0, 1, 3, 2]))
        scores = net("Mul", scores, net.constant(HEAD_DIM**-0.5))
        weights = net("Softmax", net("Add", scores, bias) if bias else scores, axis=-1)
        joined = net("Transpose", net("MatMul", weights, value), perm=[0, 2, 1, 3])
        return net("Reshape", joined, net.shape(1, count, WIDTH))

    high, wide = ROWS // PATCH, COLUMNS // PATCH
    pieces = net("Reshape", "latent", net.shape(CHANNELS, chunk, high, PATCH, wide, PATCH))
    pieces = net("Transpose", pieces, perm=[1, 2, 4, 0, 3, 5])
    x = linear(net("Reshape", pieces, net.shape(1, count, TOKEN_WIDTH)), "in")
    x = net("Add", x, net("Unsqueeze", linear("time", "time"), net.shape(1)))
    queries = by_token("query_cos", chunk), by_token("query_sin", chunk)
    keys = by_token("key_cos", frames), by_token("key_sin", frames)
    hidden = net("Expand", net("Unsqueeze", "bias", net.shape(1)), net.shape(frames, FRAME_TOKENS))
    hidden = net("Reshape", hidden, net.shape(1, 1, 1, rows))
    for layer in range(LAYERS):
        new = heads(linear(x, f"k{layer}")), heads(linear(x, f"v{layer}"))
        key, value = (
            net(
                "TensorScatter",
                f"{kind}_{layer}",
                net("Cast", each, to=kept),
                "write_index",
                out=f"{kind}_{layer}_out",
                axis=2,
            )
            for kind, each in zip(("key", "value"), new, strict=True)
        )
        key, value = net("Cast", key, to=FLOAT), net("Cast", value, to=FLOAT)
        query = turned(heads(linear(x, f"q{layer}")), *queries)
        x = net("Tanh", net("Add", x, linear(attended(query, turned(key, *keys), value, hidden), f"o{layer}")))
        asked = heads(linear(x, f"cq{layer}"))
        told = attended(asked, *(net("Cast", f"prompt_{kind}_{layer}", to=FLOAT) for kind in ("key", "value")))
        x = net("Tanh", net("Add", x, linear(told, f"co{layer}")))
    out = net("Reshape", net("Tanh", linear(x, "out")), net.shape(chunk, high, wide, CHANNELS, PATCH, PATCH))
    out = net("Transpose", out, perm=[3, 0, 1, 4, 2, 5])
    latent = (1, CHANNELS, chunk, ROWS, COLUMNS)
    net("Reshape", out, net.shape(*latent), out="velocity")
    ring = {
        f"{kind}_{layer}": (kept, (1, HEADS, rows, HEAD_DIM)) for layer in range(LAYERS) for kind in ("key", "value")
    }
    inputs = {
        "latent": (FLOAT, latent),
        "time": (FLOAT, (1, TIME_WIDTH)),
        "query_cos": (FLOAT, (chunk, PAIRS)),
        "query_sin": (FLOAT, (chunk, PAIRS)),
        "key_cos": (FLOAT, (frames, PAIRS)),
        "key_sin": (FLOAT, (frames, PAIRS)),
        "bias": (FLOAT, (frames,)),
        "write_index": (INT64, (1,)),
    }
    return net.model(
        {**inputs, **_prompt_tensors(kept), **ring},
        {"velocity": (FLOAT, latent), **{f"{name}_out": spec for name, spec in ring.items()}},
    )


def _prompt_tensors(kind_of_number: int) -> dict[str, tuple[int, Any]]:
    shape = (1, HEADS, TEXT_TOKENS, HEAD_DIM)
    return {f"prompt_{kind}_{layer}": (kind_of_number, shape) for layer in range(LAYERS) for kind in ("key", "value")}


_FRAME: Final = (1, CHANNELS, 1, ROWS, COLUMNS)
_CARRIED: Final = (1, CHANNELS, 2, ROWS, COLUMNS)


def _decode_video() -> Any:
    """Glides in four pictures from the last latent frame to this one."""
    net = OnnxNet("tiny")
    last = net.cut("carried_0", 1, 2, 2)
    net("Concat", last, "latent", axis=2, out="carried_0_out")
    along = net.constant((np.arange(1, 5) / 4).reshape(1, 1, 4, 1, 1))
    rest = net("Sub", net.constant(1.0), along)
    _paint(net, net("Add", net("Mul", last, rest), net("Mul", "latent", along)), 4)
    return net.model(
        {"latent": (FLOAT, _FRAME), "carried_0": (FLOAT, _CARRIED)},
        {"frames": (TensorProto.UINT8, (4, HEIGHT, PICTURE_WIDTH, 3)), "carried_0_out": (FLOAT, _CARRIED)},
    )


def _decode_video_first() -> Any:
    """One picture of the latent frame, from which the steady graph glides on."""
    net = OnnxNet("tiny")
    none = net("Mul", net.cut("carried_0", 0, 1, 2), net.constant(0.0))
    net("Concat", none, "latent", axis=2, out="carried_0_out")
    _paint(net, "latent", 1)
    return net.model(
        {"latent": (FLOAT, _FRAME), "carried_0": (FLOAT, _CARRIED)},
        {"frames": (TensorProto.UINT8, (1, HEIGHT, PICTURE_WIDTH, 3)), "carried_0_out": (FLOAT, _CARRIED)},
    )


def _paint(net: OnnxNet, cells: str, pictures: int) -> None:
    """`[1, C, pictures, ROWS, COLUMNS]` -> `frames`: the first three channels are colours, and each cell is 8x8."""
    levels = net("Add", net("Mul", net("Tanh", net.cut(cells, 0, 3, 1)), net.constant(100.0)), net.constant(128.0))
    levels = net("Cast", net("Round", levels), to=TensorProto.UINT8)
    levels = net("Transpose", levels, perm=[0, 2, 3, 4, 1])
    blocks = net("Reshape", levels, net.shape(pictures, ROWS, 1, COLUMNS, 1, 3))
    blocks = net("Expand", blocks, net.shape(pictures, ROWS, 8, COLUMNS, 8, 3))
    net("Reshape", blocks, net.shape(pictures, HEIGHT, PICTURE_WIDTH, 3), out="frames")


# The same in numpy.


@dataclass(eq=False)
class Kept:
    """A chunk as the past knows it: what it was made from, and keys and values by layer, keys without rotation."""

    latent: Reals
    sigma: float
    keys: list[Reals] = field(default_factory=list)
    values: list[Reals] = field(default_factory=list)


class TinyWan:
    """The model with lists of chunks in the place of a ring: `[sink..., window..., the chunk being made]`.

    Args:
        chunk: latent frames of a chunk.
    """

    def __init__(self, chunk: int = 3) -> None:
        self.chunk = chunk
        self.latent_shape = (1, CHANNELS, chunk, ROWS, COLUMNS)

    def prompt(self, context: Reals) -> list[tuple[Reals, Reals]]:
        """Keys and values of a prompt by layer, `[H, T, D]` each."""
        return [
            (self._heads(np.tanh(context[0] @ WEIGHTS[f"pk{n}"])), self._heads(np.tanh(context[0] @ WEIGHTS[f"pv{n}"])))
            for n in range(LAYERS)
        ]

    def step(
        self, latent: Reals, sigma: float, past: list[Kept], prompt: list[tuple[Reals, Reals]]
    ) -> tuple[Reals, Kept]:
        """The velocity of a chunk that sees `past`, oldest first, and what it leaves behind."""
        high, wide = ROWS // PATCH, COLUMNS // PATCH
        pieces = latent.reshape(CHANNELS, self.chunk, high, PATCH, wide, PATCH).transpose(1, 2, 4, 0, 3, 5)
        x: Reals = pieces.reshape(-1, TOKEN_WIDTH) @ WEIGHTS["in"]
        angles = 1000 * sigma * 10_000.0 ** (-np.arange(128) / 128)
        x = x + np.concatenate([np.cos(angles), np.sin(angles)]).astype(np.float32) @ WEIGHTS["time"]
        left = Kept(latent, sigma)
        first = len(past) * self.chunk  # place of this chunk's first latent frame
        for n in range(LAYERS):
            left.keys.append(self._heads(x @ WEIGHTS[f"k{n}"]))
            left.values.append(self._heads(x @ WEIGHTS[f"v{n}"]))
            seen = [*past, left]
            key = np.concatenate([_turned(each.keys[n], place * self.chunk) for place, each in enumerate(seen)], axis=1)
            value = np.concatenate([each.values[n] for each in seen], axis=1)
            query = _turned(self._heads(x @ WEIGHTS[f"q{n}"]), first)
            x = np.tanh(x + _attended(query, key, value) @ WEIGHTS[f"o{n}"])
            x = np.tanh(x + _attended(self._heads(x @ WEIGHTS[f"cq{n}"]), *prompt[n]) @ WEIGHTS[f"co{n}"])
        out = np.tanh(x @ WEIGHTS["out"]).reshape(self.chunk, high, wide, CHANNELS, PATCH, PATCH)
        return out.transpose(3, 0, 1, 4, 2, 5).reshape(self.latent_shape), left

    @staticmethod
    def _heads(rows: Reals) -> Reals:
        return rows.reshape(-1, HEADS, HEAD_DIM).transpose(1, 0, 2)


def _turned(rows: Reals, first: int) -> Reals:
    """`[H, n, D]` turned by their latent frames' places, the first of which is `first`."""
    places = first + np.arange(rows.shape[1]) // FRAME_TOKENS
    angles = places[:, None] * 10_000.0 ** (-np.arange(PAIRS) / PAIRS)
    cos, sin = np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)
    a, b, rest = rows[..., :PAIRS], rows[..., PAIRS : 2 * PAIRS], rows[..., 2 * PAIRS :]
    return np.concatenate([a * cos - b * sin, a * sin + b * cos, rest], axis=-1)


def _attended(query: Reals, key: Reals, value: Reals) -> Reals:
    scores = query @ key.transpose(0, 2, 1) * np.float32(HEAD_DIM**-0.5)
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights /= weights.sum(axis=-1, keepdims=True)
    joined: Reals = (weights @ value).transpose(1, 0, 2).reshape(-1, WIDTH)
    return joined
