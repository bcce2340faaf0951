"""The transformer of Wan in torch, chunk after chunk, with random weights: the line that graphs have to beat.

Two ways. `eager` is the module that is exported, as it stands. `compiled` is the same blocks through torch.compile,
keys and values written in place, the mask left out (once the ring is full nothing is hidden), and on a GPU one pass
played as a CUDA graph.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, cast

import numpy as np
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from bench.fp8 import narrow_linears
from bench.roofline import Work
from streamgen_export.wan.config import RingShape, WanConfig
from streamgen_export.wan.feeds import pass_inputs, random_context
from streamgen_export.wan.streaming import Denoise, PromptKv
from streamgen_export.wan.transformer import Block, CausalWan, attention, rotate

Precision = Literal["fp32", "fp16", "bf16", "fp8"]
Way = Literal["eager", "compiled"]
PEAKS: Final[dict[Precision, str]] = {"fp32": "float32", "fp16": "float16", "bf16": "bfloat16", "fp8": "float8"}
"""Under which type a card lists the products."""
SIGMAS: Final = (1.0, 0.9375, 5 / 6, 0.625)
"""Of the four steps of Self-Forcing and LongLive."""
WARM_UP: Final = 3
_MS_PER_S: Final = 1000
_ITEM_BYTES: Final[dict[Precision, int]] = {"fp32": 4, "fp16": 2, "bf16": 2, "fp8": 1}


def timed(call: Callable[[], object], device: torch.device, runs: int, *, warm_up: int = WARM_UP) -> list[float]:
    """Milliseconds of each call, from an idle device to an idle device."""
    found = []
    for index in range(warm_up + runs):
        synchronise(device)
        started = time.perf_counter()
        call()
        synchronise(device)
        if index >= warm_up:
            found.append(_MS_PER_S * (time.perf_counter() - started))
    return found


def synchronise(device: torch.device) -> None:
    """Wait for all that was enqueued."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def recorded(call: Callable[[], Tensor], device: torch.device) -> Callable[[], Tensor]:
    """The call as a CUDA graph that is played, its result always in the same memory; on a CPU the call itself."""
    if device.type != "cuda":
        return call
    side = torch.cuda.Stream(device)
    side.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(side):
        for _ in range(WARM_UP):
            call()
    torch.cuda.current_stream(device).wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        result = call()

    def play() -> Tensor:
        graph.replay()
        return result

    return play


def build(config: WanConfig, precision: Precision, device: torch.device) -> CausalWan:
    """A model with torch's own random weights, made where it will run."""
    torch.manual_seed(0)
    with torch.device(device):
        model = CausalWan(config)
    model.eval().requires_grad_(False)
    if precision != "fp32":
        model.halve()
    if precision in ("bf16", "fp8"):
        for parameter in model.parameters():
            if parameter.dtype == torch.float16:
                parameter.data = parameter.data.bfloat16()
    if precision == "fp8":
        for block in model.blocks:
            narrow_linears(block)
    return model


def work_of(config: WanConfig, shape: RingShape, precision: Precision) -> Work:
    """Of one pass: FLOPs as torch counts them, on tensors without memory, and each number moved once.

    Attention is in float16 but for fp32; in fp8 the linears of the blocks are, and keys and values of the text too.
    """
    with torch.device("meta"):
        module = Denoise(CausalWan(config), shape).to("meta")
        sizes = {**module.inputs(), **module.held(), **module.states()}
        feeds = [
            torch.zeros(size, dtype=torch.int64 if name == "write_index" else None) for name, size in sizes.items()
        ]
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            module(*feeds)
    total = counter.get_total_flops()
    in_blocks = [p for block in module.model.blocks for p in block.parameters() if p.dim() > 1 and p.shape[0] != 1]
    heavy = sum(parameter.numel() for parameter in in_blocks)
    rest = sum(parameter.numel() for parameter in module.model.parameters()) - heavy
    kept = 4 if precision == "fp32" else 2  # bytes of a number of the ring and of the text
    chunk = 2 * config.layers * config.width * shape.chunk_tokens * kept
    text = 2 * config.layers * config.width * config.text_tokens * kept
    latents = 2 * 4 * config.channels * shape.chunk * shape.height * shape.width
    moved = heavy * _ITEM_BYTES[precision] + 4 * rest + shape.bytes(config, kept) + chunk + text + latents
    if precision in ("fp32", "fp16"):
        return Work({PEAKS[precision]: total}, moved)
    attended = 4 * config.layers * config.width * shape.chunk_tokens * (shape.slots + config.text_tokens)
    return Work({PEAKS[precision]: total - attended, "float16": attended}, moved)


class Ring:
    """`transformer.Attend` of one layer: writes in place, and sees all of the ring."""

    def __init__(
        self, key: Tensor, value: Tensor, turns: tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]], places: Tensor
    ) -> None:
        self._key, self._value, self._turns, self._places = key, value, turns, places

    def __call__(self, layer: int, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """See `transformer.Attend`."""
        del layer  # it is the only one
        self._key.index_copy_(2, self._places, key.to(value.dtype))
        self._value.index_copy_(2, self._places, value)
        query_turn, key_turn = self._turns
        return attention(rotate(query, *query_turn), rotate(self._key.float(), *key_turn), self._value)


def through_block(
    block: Block,
    x: Tensor,
    modulation: Tensor,
    prompt: tuple[Tensor, Tensor],
    ring: tuple[Tensor, Tensor],
    turns: tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]],
    places: Tensor,
) -> Tensor:
    """One block over its ring: what is compiled once and run for every layer."""
    out: Tensor = block(x, 0, modulation, prompt, Ring(*ring, turns, places))
    return out


@dataclass(frozen=True, slots=True)
class Setting:
    """What is measured.

    Attributes:
        config: the transformer.
        shape: its ring and latents.
        precision: of what is heavy.
        way: see above.
        backend: of torch.compile.
    """

    config: WanConfig
    shape: RingShape
    precision: Precision
    way: Way
    backend: str = "inductor"


class Stream:
    """A stream with a full ring: passes, chunks and changes of the text.

    Args:
        model: built with the setting's config and precision.
        setting: what is measured.
        device: where.
    """

    def __init__(self, model: CausalWan, setting: Setting, device: torch.device) -> None:
        self._model, self._setting, self._device = model, setting, device
        shape, config = setting.shape, setting.config
        self._chunks = 0
        self._module = Denoise(model, shape).to(device)
        kind = model.held
        self._rings = [torch.zeros(size, dtype=kind, device=device) for size in self._module.states().values()]
        self._prompt_kv = PromptKv(model)
        self._context = torch.from_numpy(random_context(config)).to(device)
        self._held = [torch.zeros(size, dtype=kind, device=device) for size in self._module.held().values()]
        latent = np.zeros((1, config.channels, shape.chunk, shape.height, shape.width), np.float32)
        self._feeds = {
            name: torch.from_numpy(np.asarray(value)).to(device)
            for name, value in pass_inputs(config, shape, self._full, latent, 1.0).items()
        }
        self._places = torch.arange(shape.chunk_tokens, device=device)
        self._block = torch.compile(through_block, backend=setting.backend, dynamic=False)
        self._play: Callable[[], Tensor] | None = None
        self.change_text()

    @property
    def _full(self) -> int:
        """The first chunk that is made with a full ring."""
        return self._setting.shape.frames // self._setting.shape.chunk

    @property
    def latent_shape(self) -> tuple[int, ...]:
        """[1, channels, F, h, w]."""
        return tuple(self._feeds["latent"].shape)

    @torch.no_grad()
    def run(self) -> Tensor:
        """One pass over what is fed: the velocity."""
        if self._setting.way == "eager":
            velocity, *rings = self._module(*self._feeds.values(), *self._held, *self._rings)
            self._rings = rings
            return cast(Tensor, velocity)
        if self._play is None:
            self._play = recorded(self._compiled, self._device)
        return self._play()

    @torch.no_grad()
    def _compiled(self) -> Tensor:
        model, feeds, shape = self._model, self._feeds, self._setting.shape
        time_ = model.time_embedding(feeds["time"])[None]
        modulation = model.time_projection(time_).unflatten(-1, (6, -1))
        turns = (
            self._module._turn(feeds["query_cos"], feeds["query_sin"]),
            self._module._turn(feeds["key_cos"], feeds["key_sin"]),
        )
        x = model.tokens(feeds["latent"])
        places = self._places + feeds["write_index"]
        for layer, block in enumerate(model.blocks):
            prompt, ring = (each[2 * layer : 2 * layer + 2] for each in (self._held, self._rings))
            x = self._block(
                cast(Block, block), x, modulation, (prompt[0], prompt[1]), (ring[0], ring[1]), turns, places
            )
        return model.latents(model.head(x, time_), shape.chunk, shape.rows, shape.columns)

    def _feed(self, latent: Tensor, sigma: float) -> None:
        self._feeds["latent"].copy_(latent)
        made = pass_inputs(self._setting.config, self._setting.shape, self._full + self._chunks, _NOTHING, sigma)
        for name in ("time", "write_index", "query_cos", "query_sin", "key_cos", "key_sin", "bias"):
            self._feeds[name].copy_(torch.from_numpy(np.asarray(made[name])))

    @torch.no_grad()
    def denoise(self, sigmas: tuple[float, ...] = SIGMAS) -> Tensor:
        """All steps of a chunk, each from fresh noise; its clean latents."""
        clean = torch.zeros(self.latent_shape, device=self._device)
        for sigma in sigmas:
            noisy = (1 - sigma) * clean + sigma * torch.randn(self.latent_shape, device=self._device)
            self._feed(noisy, sigma)
            clean = noisy - sigma * self.run()
        return clean

    def chunk(self) -> Tensor:
        """A whole chunk: its steps, and the pass that leaves it in the ring; its latents."""
        clean = self.denoise()
        self.write(clean)
        return clean

    @torch.no_grad()
    def write(self, clean: Tensor) -> None:
        """The pass that leaves a chunk in the ring."""
        self._feed(clean, 0.0)
        self.run()
        self._chunks += 1

    @torch.no_grad()
    def change_text(self) -> None:
        """Keys and values of another text, and hold them: what `keep` costs, and what every switch begins with."""
        for held, made in zip(self._held, self._prompt_kv(self._context), strict=True):
            held.copy_(made)

    @torch.no_grad()
    def blend(self, share: float) -> None:
        """Hold a mix of two texts that are there: what a blend adds to each of its chunks."""
        for held in self._held:
            held.copy_(torch.lerp(held, held, share))

    def recache(self) -> None:
        """Another text, and every visible chunk of the past read again under it."""
        self.change_text()
        past = self._setting.shape.frames // self._setting.shape.chunk - 1
        clean = torch.randn(self.latent_shape, device=self._device)
        for _ in range(past):
            self.write(clean)

    def cut(self) -> None:
        """Another text, and an empty ring."""
        self.change_text()
        for ring in self._rings:
            ring.zero_()


_NOTHING: Final = np.zeros(1, np.float32)  # in the place of latents that are on the device already
