"""A test card as a bundle: a counter that machines can read, a time code, a flash with a beep, and the prompt's colour.

    python -m streamgen_export.testcard

Served in place of a model (`streamgen serve --bundle testcard`) it shows whether and when pictures and sound arrive,
with nothing left to taste. All of it is a few ONNX operators that the pocket family runs as it runs a model: the
counter is a carried state of the decoders, and the denoiser turns the prompt into a colour.

What it shows, at 640x360 and 25 pictures a second in chunks of 0.16 s:

- from the top: colour bars; a band in the prompt's colour with a disc and the time code `HH:MM:SS:FF`; a ramp of greys
  with a bar that moves on by 8 pixels a picture; two rows of `BITS` blocks, the number of the picture in binary, most
  significant bit first, and below it the same inverted, so that a reader knows when it misread;
- every 0.96 s the disc flashes for two pictures, and a beep of 80 ms at 1 kHz begins with the first of them.

`read_counter` and `band_colour` read it back.
"""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

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
    Video,
)
from streamgen_engines.manifest import Tokenizer as TokenizerFile
from streamgen_export.onnx_net import OnnxNet

WIDTH, HEIGHT, RATE, PICTURES = 640, 360, 25, 4
SAMPLE_RATE: Final = 48_000
SAMPLES: Final = SAMPLE_RATE * PICTURES // RATE
BITS: Final = 20
COUNTED: Final = 1 << BITS
"""The counter starts again after so many pictures: 11 h 39 min."""
BLOCK: Final = WIDTH // BITS
BAND, RAMP, COUNTER, INVERTED = 120, 240, 296, 328
"""First rows of the parts."""
SPEED: Final = 8
"""Pixels that the bar moves on per picture."""
EVENT_CHUNKS: Final = 6
"""A flash and a beep begin with every so manieth chunk."""
FLASH_PICTURES: Final = 2
BEEP_HZ, BEEP_S, BEEP_LEVEL = 1000, 0.08, 0.5
EDGE_S: Final = 0.002
DISC: Final = (90, 180, 44)
"""Column, row and radius."""
DIGIT_WIDTH, DIGIT_HEIGHT, DIGIT_GAP = 36, 64, 8
CODE_LEFT, CODE_TOP = 180, 148
COLON_WIDTH: Final = 20
LEVELS: Final = (16.0, 235.0)
TEXT_TOKENS, TEXT_WIDTH = 64, 16
COLOUR_LATENT: Final = (3, 1, 1)
SOUND_LATENT: Final = (1, 1)

FLOAT, INT64, UINT8, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.UINT8, TensorProto.BOOL
BUNDLE: Final = Path("engines/streamgen_engines/bundles/testcard")

# Segments of a digit: top, upper left, upper right, middle, lower left, lower right, bottom.
_SEGMENTS: Final = (
    *("1110111", "0010010", "1011101", "1011011", "0111010"),
    *("1101011", "1101111", "1010010", "1111111", "1111011"),
)
_BARS: Final = ((191, 191, 191), (191, 191, 0), (0, 191, 191), (0, 191, 0), (191, 0, 191), (191, 0, 0), (0, 0, 191))
"""The eighth is black."""


def write_testcard(folder: Path, name: str = "testcard") -> Path:
    """Write the bundle into `folder`, which is made when missing, and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    _tokenizer().save(str(folder / "tokenizer.json"))
    built = {
        "text": _text(),
        "denoise": _denoise(),
        "decode_video": _decode_video(),
        "decode_audio": _decode_audio(),
    }
    for graph, model in built.items():
        onnx.save(model, folder / f"{graph}.onnx")
    states: dict[str, dict[str, tuple[int, ...]]] = {
        "denoise": {"k_0": RING, "v_0": RING},
        "decode_video": {"count": (1,)},
        "decode_audio": {"chunks": (1,)},
    }
    manifest = PocketManifest(
        format=FORMAT,
        version=VERSION,
        family="pocket",
        name=name,
        licence="Apache-2.0",
        description="No model: a test card with counter, time code, a flash with a beep, and the prompt as a colour.",
        video=Video(width=WIDTH, height=HEIGHT, fps=(RATE, 1), frames_per_chunk=PICTURES, latent=COLOUR_LATENT),
        audio=Audio(sample_rate=SAMPLE_RATE, channels=2, samples_per_chunk=SAMPLES, latent=SOUND_LATENT),
        attention=Attention(layers=1, heads=1, head_dim=2, tokens=1, window=1, sink=0),
        sampler=Sampler(sigmas=(1.0, 0.0), guidance=1.0, context_noise=0.0),
        text=Text(
            max_tokens=TEXT_TOKENS,
            width=TEXT_WIDTH,
            tokenizer=TokenizerFile(file="tokenizer.json", sha256=_digest(folder / "tokenizer.json")),
        ),
        graphs={
            graph: Graph(
                file=f"{graph}.onnx",
                sha256=_digest(folder / f"{graph}.onnx"),
                precision="fp32",
                states=tuple(
                    State(name=state, shape=shape, dtype="float32") for state, shape in states.get(graph, {}).items()
                ),
            )
            for graph in built
        },
    )
    (folder / MANIFEST_FILE).write_text(manifest.model_dump_json(indent=1) + "\n", encoding="utf-8")
    return folder


def read_counter(picture: NDArray[np.uint8]) -> int | None:
    """The number in a picture uint8 [h, w, 3] of any size; None where it cannot be read for sure."""
    height, width = picture.shape[:2]
    columns = ((np.arange(BITS) + 0.5) * width / BITS).astype(int)
    rows = (round((top + BLOCK / 2) * height / HEIGHT) for top in (COUNTER, INVERTED))
    bits, inverted = (picture[row, columns].astype(float).mean(axis=1) > 128 for row in rows)
    if (bits == inverted).any():
        return None
    return int(sum(1 << (BITS - 1 - place) for place in np.flatnonzero(bits)))


def band_colour(picture: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Mean colour of a piece of the band that nothing else covers, [3]."""
    height, width = picture.shape[:2]
    top, bottom = (round(row * height / HEIGHT) for row in (BAND + 8, BAND + 24))
    left, right = (round(column * width / WIDTH) for column in (200, 600))
    colour: NDArray[np.float64] = picture[top:bottom, left:right].reshape(-1, 3).mean(axis=0)
    return colour


RING: Final = (1, 1, 2, 2)


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _tokenizer() -> Tokenizer:
    """Bytes, one token each, between a first and a last one."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: number for number, token in enumerate(["[CLS]", "[SEP]", *alphabet])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 0), ("[SEP]", 1)]
    )
    tokenizer.enable_truncation(TEXT_TOKENS)
    return tokenizer


def _text() -> Any:
    """Each byte pulls into a direction of its own at each place; together they are the prompt's vector."""
    net, random = OnnxNet("testcard"), np.random.default_rng(11)
    table = random.standard_normal((2 + 256, TEXT_WIDTH))
    turns = random.choice((-1.0, 1.0), (TEXT_TOKENS, TEXT_WIDTH))
    there = net("Unsqueeze", net("Cast", "attention_mask", to=FLOAT), net.shape(2))
    rows = net("Mul", net("Gather", net.constant(table), "input_ids", axis=0), net.constant(turns[None]))
    context = net("Mul", rows, there, out="context")
    total = net("ReduceSum", context, net.shape(1), keepdims=0)
    length = net("Sqrt", net("ReduceSum", net("Mul", total, total), net.shape(1), keepdims=1))
    net("Div", total, net("Max", length, net.constant(1e-6)), out="pooled")
    ids = (INT64, (1, TEXT_TOKENS))
    return net.model(
        {"input_ids": ids, "attention_mask": ids},
        {"context": (FLOAT, (1, TEXT_TOKENS, TEXT_WIDTH)), "pooled": (FLOAT, (1, TEXT_WIDTH))},
    )


def _denoise() -> Any:
    """One step to the colour of the prompt, whatever the noise."""
    net, random = OnnxNet("testcard"), np.random.default_rng(12)
    mixed = net("MatMul", "pooled", net.constant(2.5 * random.standard_normal((TEXT_WIDTH, 3))))
    colour = net("Reshape", net("Tanh", mixed), net.shape(1, *COLOUR_LATENT))
    # x = (1 - sigma) clean + sigma noise, so noise - clean = (x - clean) / sigma. Tokens and ages are of no use here.
    unused = [net("Reshape", name, net.shape(-1)) for name in ("context", "context_bias", "age")]
    total = net("ReduceSum", net("Concat", *unused, axis=0), keepdims=0)
    nothing = net("Clip", total, net.constant(0.0), net.constant(0.0))
    sigma = net("Max", "sigma", net.constant(1e-3))
    net("Div", net("Sub", "video", net("Add", colour, nothing)), sigma, out="video_velocity")
    net("Div", "audio", sigma, out="audio_velocity")
    for name in ("k_0", "v_0"):
        empty = net.constant(np.zeros((1, 1, 1, 2)))
        net("TensorScatter", name, empty, "write_index", out=f"{name}_out", axis=2, mode="linear")
    inputs = {
        "video": (FLOAT, (1, *COLOUR_LATENT)),
        "audio": (FLOAT, (1, *SOUND_LATENT)),
        "sigma": (FLOAT, (1,)),
        "context": (FLOAT, (1, TEXT_TOKENS, TEXT_WIDTH)),
        "context_bias": (FLOAT, (1, TEXT_TOKENS)),
        "pooled": (FLOAT, (1, TEXT_WIDTH)),
        "age": (FLOAT, (2,)),
        "write_index": (INT64, (1,)),
    }
    outputs = {"video_velocity": (FLOAT, (1, *COLOUR_LATENT)), "audio_velocity": (FLOAT, (1, *SOUND_LATENT))}
    ring = {"k_0": (FLOAT, RING), "v_0": (FLOAT, RING)}
    return net.model({**inputs, **ring}, {**outputs, **{f"{name}_out": spec for name, spec in ring.items()}})


def _decode_video() -> Any:
    """Each part of the picture is made for itself, in bytes wherever it can be, and put below the one before."""
    net = OnnxNet("testcard")
    number = net("Add", "count", net.constant(np.arange(PICTURES)))  # [4]
    net("Reshape", net.rest(net("Add", "count", net.constant([PICTURES])), COUNTED), net.shape(1), out="count_out")
    bars = np.array([*_BARS, (LEVELS[0],) * 3])[np.arange(WIDTH) * (len(_BARS) + 1) // WIDTH]
    parts = [
        _spread(net, net.constant(bars[None, None], np.uint8), BAND),
        _band(net, number),
        _ramp(net, number),
        *_counter(net, number),
    ]
    net("Concat", *parts, axis=1, out="frames")
    frames = (PICTURES, HEIGHT, WIDTH, 3)
    return net.model(
        {"latent": (FLOAT, (1, *COLOUR_LATENT)), "count": (FLOAT, (1,))},
        {"frames": (UINT8, frames), "count_out": (FLOAT, (1,))},
    )


def _spread(net: OnnxNet, rows: str, height: int) -> str:
    """Something of one row, or of one colour, over `height` rows."""
    return net("Expand", rows, net.shape(PICTURES, height, WIDTH, 3))


def _byte(net: OnnxNet, value: str) -> str:
    return net(
        "Cast", net("Clip", net("Add", value, net.constant(0.5)), net.constant(0.0), net.constant(255.0)), to=UINT8
    )


def _band(net: OnnxNet, number: str) -> str:
    """The prompt's colour, over it the disc and the time code."""
    dark, bright = LEVELS
    high = RAMP - BAND
    shade = net("Mul", net("Add", "latent", net.constant(1.0)), net.constant(90.0))
    shade = _byte(net, net("Reshape", net("Add", shade, net.constant(30.0)), net.shape(1, 1, 1, 3)))

    seconds = net.whole(number, RATE)
    minutes, hours = net.whole(seconds, 60), net.whole(seconds, 3600)
    pairs = (hours, net.rest(minutes, 60), net.rest(seconds, 60), net.rest(number, RATE))
    digits = [part for pair in pairs for part in (net.whole(pair, 10), net.rest(pair, 10))]
    glyphs = net.constant(_glyphs(), np.uint8)
    colon = net("Expand", net.constant(_colon()[None], np.uint8), net.shape(PICTURES, DIGIT_HEIGHT, COLON_WIDTH))
    shown = [
        net("Gather", glyphs, net("Cast", digit, to=INT64), axis=0) if digit else colon
        for digit in (*digits[:2], "", *digits[2:4], "", *digits[4:6], "", *digits[6:])
    ]
    wide = len(digits) * (DIGIT_WIDTH + DIGIT_GAP) + 3 * COLON_WIDTH
    above, left = CODE_TOP - BAND, CODE_LEFT
    ends = (0, above, left, 0, high - above - DIGIT_HEIGHT, WIDTH - left - wide)
    code = net("Cast", net("Pad", net("Concat", *shown, axis=2), net.shape(*ends)), to=BOOL)
    code = net("Unsqueeze", code, net.shape(3))  # [4, high, W, 1]
    band = net("Where", code, net.constant([bright], np.uint8), shade)

    column, row, radius = DISC
    rows, columns = np.arange(BAND, RAMP)[:, None], np.arange(WIDTH)[None]
    inside = (columns - column) ** 2 + (rows - row) ** 2 < radius**2
    since = net.rest(number, PICTURES * EVENT_CHUNKS)
    level = net("Add", net("Mul", net.below(since, FLASH_PICTURES), net.constant(bright - dark)), net.constant(dark))
    level = _byte(net, net("Reshape", level, net.shape(PICTURES, 1, 1, 1)))
    return net("Where", net.constant(inside[None, :, :, None], np.bool_), level, band)


def _ramp(net: OnnxNet, number: str) -> str:
    """Greys from dark to bright, and the bar that moves."""
    dark, bright = LEVELS
    columns = np.arange(WIDTH)[None, None, :, None]
    position = net("Reshape", net.rest(net("Mul", number, net.constant(SPEED)), WIDTH), net.shape(PICTURES, 1, 1, 1))
    near = net.below(net("Abs", net("Sub", net.constant(columns), position)), SPEED)
    greys = net.constant(dark + (bright - dark) * columns / WIDTH)
    return _spread(net, _byte(net, net("Max", greys, net("Mul", near, net.constant(bright)))), COUNTER - RAMP)


def _counter(net: OnnxNet, number: str) -> list[str]:
    """The blocks, and inverted."""
    dark, bright = LEVELS
    powers = net.constant(2.0 ** np.arange(BITS - 1, -1, -1)[None])
    bits = net.rest(net("Floor", net("Div", net("Reshape", number, net.shape(PICTURES, 1)), powers)), 2)  # [4, BITS]
    rows = []
    for low, high in ((dark, bright), (bright, dark)):
        level = _byte(net, net("Add", net("Mul", bits, net.constant(high - low)), net.constant(low)))
        blocks = net("Reshape", level, net.shape(PICTURES, 1, BITS, 1, 1))
        blocks = net("Expand", blocks, net.shape(PICTURES, BLOCK, BITS, BLOCK, 3))
        rows.append(net("Reshape", blocks, net.shape(PICTURES, BLOCK, WIDTH, 3)))
    return rows


def _glyphs() -> NDArray[np.float32]:
    """Ten digits of seven segments, [10, DIGIT_HEIGHT, DIGIT_WIDTH + DIGIT_GAP]."""
    thick, high, wide = 8, DIGIT_HEIGHT, DIGIT_WIDTH
    middle = (high - thick) // 2
    segments = (
        (slice(0, thick), slice(thick // 2, wide - thick // 2)),
        (slice(thick // 2, high // 2), slice(0, thick)),
        (slice(thick // 2, high // 2), slice(wide - thick, wide)),
        (slice(middle, middle + thick), slice(thick // 2, wide - thick // 2)),
        (slice(high // 2, high - thick // 2), slice(0, thick)),
        (slice(high // 2, high - thick // 2), slice(wide - thick, wide)),
        (slice(high - thick, high), slice(thick // 2, wide - thick // 2)),
    )
    glyphs = np.zeros((10, high, wide + DIGIT_GAP), np.float32)
    for glyph, lit in zip(glyphs, _SEGMENTS, strict=True):
        for place, on in zip(segments, lit, strict=True):
            if on == "1":
                glyph[place] = 1.0
    return glyphs


def _colon() -> NDArray[np.float32]:
    """Two dots, [DIGIT_HEIGHT, COLON_WIDTH]."""
    colon = np.zeros((DIGIT_HEIGHT, COLON_WIDTH), np.float32)
    for row in (18, 38):
        colon[row : row + 8, 2:10] = 1.0
    return colon


def _decode_audio() -> Any:
    net = OnnxNet("testcard")
    seconds = np.arange(SAMPLES) / SAMPLE_RATE
    edges = np.clip(np.minimum(seconds, BEEP_S - seconds) / EDGE_S, 0.0, 1.0)
    beep = BEEP_LEVEL * np.sin(2 * np.pi * BEEP_HZ * seconds) * edges
    now = net.below("chunks", 1)
    net("Reshape", net.rest(net("Add", "chunks", net.constant([1.0])), EVENT_CHUNKS), net.shape(1), out="chunks_out")
    # The latent and the noise say nothing; so quiet a hiss keeps the sound from being digital silence.
    hiss = net("Mul", net("Add", "noise", net("Reshape", "latent", net.shape(1, 1))), net.constant(1e-4))
    heard = net("Add", net("Mul", net.constant(beep[None]), now), hiss)
    net("Clip", heard, net.constant(-1.0), net.constant(1.0), out="samples")
    return net.model(
        {"latent": (FLOAT, (1, *SOUND_LATENT)), "noise": (FLOAT, (2, SAMPLES)), "chunks": (FLOAT, (1,))},
        {"samples": (FLOAT, (2, SAMPLES)), "chunks_out": (FLOAT, (1,))},
    )


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Write the test card's bundle.")
    parser.add_argument("--bundle", type=Path, default=BUNDLE, help="folder that is written")
    folder = write_testcard(parser.parse_args().bundle)
    print(f"{folder}: {sum(file.stat().st_size for file in folder.iterdir()) / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
