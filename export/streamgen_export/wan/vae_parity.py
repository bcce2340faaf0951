"""Both decoders at their published size, compared and timed.

    python -m streamgen_export.wan.vae_parity                        # random weights, small pictures
    python -m streamgen_export.wan.vae_parity --wan Wan2.1_VAE.pth --taehv taew2_1.pth

For each decoder: the graphs on ONNX Runtime against torch, the stream against diffusers where that is installed (Wan's
only), milliseconds for a latent, and how pictures change over a joint between latents as against inside of one, while
the latent stays the same. With random weights these pictures show nothing.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from streamgen_engines.runtimes import OnnxRuntimeCpu
from streamgen_export.wan.taehv import TaehvDecoder
from streamgen_export.wan.vae import Norm, WanDecoder
from streamgen_export.wan.vae_config import PICTURES_PER_LATENT
from streamgen_export.wan.vae_cost import decoder_cost
from streamgen_export.wan.vae_graphs import GraphStream, Parity, WrittenGraph, graphs_of, parity, write_decoder
from streamgen_export.wan.vae_streaming import LatentStream, cells
from streamgen_export.wan.vae_weights import diffusers_names, published, read_taehv_decoder, read_wan_decoder

WARM_UP = 4
"""Latents before anything is measured: most of a stream's beginning is forgotten then, though Wan's decoder looks back
as far as `REACH`."""
REACH = 38
"""Latents that a picture of Wan's decoder depends on: two for each of the 12 convolutions over time at the
latents' rate, and fewer for those at twice and four times that rate (24 + 7 + 7)."""
MEASURED = 3
"""Latents over which changes from picture to picture are averaged."""
WAN_SPREAD, TAEHV_SPREAD = 0.4, 0.2
"""Deviation of the pictures that random weights make, in each decoder's own range, so that few values are clipped."""


@dataclass(frozen=True)
class Changes:
    """Mean absolute change from a picture to the next one, of values in [0, 1].

    Attributes:
        joint: from the last picture of a latent to the first one of the next.
        inside: from picture to picture of one latent.
    """

    joint: float
    inside: float


def randomise(decoder: WanDecoder | TaehvDecoder, seed: int) -> None:
    """Weights under which numbers stay of the same size from layer to layer, and pictures have contrast."""
    generator = torch.Generator().manual_seed(seed)
    gains = {id(part.gamma) for part in decoder.modules() if isinstance(part, Norm)}
    with torch.no_grad():
        for parameter in decoder.parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if id(parameter) in gains:
                parameter.copy_(1.0 + 0.1 * noise)
            elif parameter.dim() == 1:
                parameter.copy_(0.1 * noise)
            else:
                parameter.copy_(noise / parameter[0].numel() ** 0.5)
        taehv = isinstance(decoder, TaehvDecoder)
        last: nn.Module = decoder.exit if isinstance(decoder, TaehvDecoder) else decoder.conv_out
        assert isinstance(last, nn.Conv2d | nn.Conv3d)
        assert last.bias is not None
        last.bias.zero_()
        graphs = graphs_of(decoder)
        stream = LatentStream(graphs)
        pictures = torch.cat([stream.decode(latent) for latent in random_latents(decoder, 2, 4, 4, seed)])[-1:]
        own = pictures if taehv else pictures * 2.0 - 1.0
        last.weight.mul_((TAEHV_SPREAD if taehv else WAN_SPREAD) / own.std())
        last.bias.fill_(0.5 if taehv else 0.0)


def random_latents(
    decoder: WanDecoder | TaehvDecoder, count: int, rows: int, columns: int, seed: int
) -> Iterator[Tensor]:
    """Latents of unit variance [1, Z, 1, rows, columns], one after another."""
    generator = torch.Generator().manual_seed(seed)
    for _ in range(count):
        yield torch.randn(1, decoder.config.channels, 1, rows, columns, generator=generator)


def changes(pictures: Tensor) -> Changes:
    """Of whole latents' pictures [4 N, 3, H, W], N at least two."""
    steps = pictures.diff(dim=0).abs().mean(dim=(1, 2, 3))
    at_joint = torch.arange(1, len(pictures)) % PICTURES_PER_LATENT == 0
    return Changes(float(steps[at_joint].mean()), float(steps[~at_joint].mean()))


def still(decoder: WanDecoder | TaehvDecoder, latent: Tensor, warm_up: int = WARM_UP) -> Changes:
    """Changes between pictures while one latent is decoded again and again, after the first `warm_up` times.

    With random weights the pictures of one latent differ as much as those of any two, so that only weights that were
    trained, or that make equal pictures of a latent, can show a fault at a joint.
    """
    stream = LatentStream(graphs_of(decoder))
    for _ in range(warm_up):
        stream.decode(latent)
    return changes(torch.cat([stream.decode(latent) for _ in range(MEASURED)]))


def from_diffusers(decoder: WanDecoder, latents: Sequence[Tensor]) -> float:
    """Largest difference of a stream from diffusers' `AutoencoderKLWan` with the same weights, of values in [-1, 1]."""
    config = decoder.config
    reference: Any = (
        importlib.import_module("diffusers")
        .AutoencoderKLWan(
            base_dim=config.base,
            z_dim=config.channels,
            dim_mult=list(config.multipliers),
            num_res_blocks=config.blocks - 1,
            temperal_downsample=list(reversed(config.doubles_time)),
            latents_mean=list(config.latent_mean),
            latents_std=list(config.latent_std),
        )
        .eval()
    )
    names = diffusers_names(config)
    state = {published(own, names): tensor.float() for own, tensor in decoder.state_dict().items()}
    unknown = reference.load_state_dict(state, strict=False).unexpected_keys
    if unknown:
        raise RuntimeError(f"diffusers has no tensors {unknown}; its layout is another one than this code knows")
    mean = torch.tensor(config.latent_mean).reshape(1, -1, 1, 1, 1)
    std = torch.tensor(config.latent_std).reshape(1, -1, 1, 1, 1)
    with torch.no_grad():
        right = reference.decode(torch.cat(list(latents), dim=2) * std + mean).sample[0].transpose(0, 1)
    stream = LatentStream(graphs_of(decoder))
    made = torch.cat([stream.decode(latent) for latent in latents]) * 2.0 - 1.0
    return float((made.clamp(-1.0, 1.0) - right).abs().max())


def milliseconds(written: dict[str, WrittenGraph], latents: Sequence[Tensor], threads: int) -> float:
    """For a latent through the steady graph on ONNX Runtime: the least of the latents after the second."""
    stream = GraphStream(written, OnnxRuntimeCpu(), threads=threads)
    took: list[float] = []
    for latent in latents:
        start = time.perf_counter()
        stream.decode(latent.numpy())
        took.append(time.perf_counter() - start)
    return min(took[2:] or took[-1:]) * 1000.0


def report(
    name: str, decoder: WanDecoder | TaehvDecoder, folder: Path, options: argparse.Namespace
) -> tuple[Parity, float]:
    """Write, compare and time one decoder, and print what was found; its parity, and ms for a latent."""
    rows, columns = cells(options.width, options.height)
    latents = list(random_latents(decoder, options.latents, rows, columns, seed=1))
    cost = decoder_cost(decoder, options.width, options.height, "fp32")
    print(
        f"{name}: {cost.parameters / 1e6:.2f} M parameters, {cost.flops / 1e9:.1f} GFLOP for a latent, "
        f"states {cost.state_bytes / 1e6:.1f} MB in float32"
    )
    change = still(decoder, latents[0])
    print(f"  the same latent again: joint {change.joint:.4f}, inside {change.inside:.4f} (mean change of a value)")
    if isinstance(decoder, WanDecoder) and importlib.util.find_spec("diffusers") is not None:
        print(f"  from diffusers: {from_diffusers(decoder, latents):.1e} of values in [-1, 1]")
    written = write_decoder(folder / name, decoder, options.width, options.height)
    found = parity(written, decoder, latents)
    print(
        f"  graphs from torch over {len(latents)} latents: {found.steps} steps of a byte at most, "
        f"{found.share:.1e} of values differ, states {found.states:.1e}"
    )
    took = milliseconds(written, latents, options.threads)
    print(f"  ONNX Runtime, {options.threads} thread(s): {took:.0f} ms for a latent")
    return found, took


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Compare and time the decoders of the wan family.")
    parser.add_argument("--width", type=int, default=128, help="of the pictures, in pixels [128]")
    parser.add_argument("--height", type=int, default=64, help="of the pictures, in pixels [64]")
    parser.add_argument("--latents", type=int, default=4, help="length of the stream [4]")
    parser.add_argument("--threads", type=int, default=1, help="of ONNX Runtime [1]")
    parser.add_argument("--wan", type=Path, help="weights of Wan's decoder [random]")
    parser.add_argument("--taehv", type=Path, help="weights of TAEHV's decoder [random]")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    wan = WanDecoder() if options.wan is None else read_wan_decoder(options.wan)
    taehv = TaehvDecoder() if options.taehv is None else read_taehv_decoder(options.taehv)
    for decoder, given in ((wan, options.wan), (taehv, options.taehv)):
        decoder.eval().requires_grad_(False)
        if given is None:
            randomise(decoder, seed=0)
    with tempfile.TemporaryDirectory() as folder:
        _, slow = report("wan", wan, Path(folder), options)
        _, fast = report("taehv", taehv, Path(folder), options)
    print(f"TAEHV takes 1/{slow / fast:.1f} of the time of Wan's decoder")


if __name__ == "__main__":
    main()
