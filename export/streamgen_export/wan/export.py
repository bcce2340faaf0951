"""The command `streamgen export wan`: a published causal Wan to a bundle.

streamgen export wan --checkpoint self_forcing_dmd.pt --variant self-forcing --out BUNDLE
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from streamgen_engines.errors import EngineError
from streamgen_export.wan.assembly import export
from streamgen_export.wan.journal import ENDING
from streamgen_export.wan.places import find_decoder, find_text
from streamgen_export.wan.precision import PARTS, PRECISIONS
from streamgen_export.wan.request import (
    DECODERS,
    DIMENSIONS,
    SIZE,
    TEXT_PRECISIONS,
    Request,
    read_size,
    with_window,
)
from streamgen_export.wan.umt5_graphs import TextExportError
from streamgen_export.wan.variants import VARIANTS

PROGRAM: Final = "streamgen export wan"
SOUND: Final = "pocket"
SILENT: Final = "none"
EXIT_ERROR: Final = 1
EXIT_INTERRUPTED: Final = 130


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Export a published causal Wan 2.1 as a bundle. Files that are not named are looked for beside the "
        "checkpoint, under the names that they are published as.",
    )
    made.add_argument("--checkpoint", type=Path, required=True, metavar="FILE", help="weights of the transformer")
    made.add_argument("--variant", choices=sorted(VARIANTS), required=True, help="whose weights they are")
    made.add_argument("--out", type=Path, required=True, metavar="BUNDLE", help="folder to write; must not exist")
    made.add_argument("--lora", type=Path, metavar="FILE", help="LoRA that is added to the weights")
    made.add_argument("--decoder", choices=DECODERS, help="Wan's own decoder, or the fast one [the file that is named]")
    made.add_argument("--vae", type=Path, metavar="FILE", help="weights of Wan's own decoder [Wan2.1_VAE.pth]")
    made.add_argument("--taehv", type=Path, metavar="FILE", help="weights of the fast decoder [taew2_1.pth]")
    made.add_argument(
        "--text", type=Path, metavar="FILE", help="weights of the text encoder [models_t5_umt5-xxl-enc-bf16.pth]"
    )
    made.add_argument("--tokenizer", type=Path, metavar="FILE", help="tokenizer.json, spiece.model, or their folder")
    made.add_argument("--size", default=f"{SIZE[0]}x{SIZE[1]}", metavar="WxH", help="of the pictures [%(default)s]")
    made.add_argument(
        "--precision",
        choices=PRECISIONS,
        default="fp16",
        help="of the transformer: fp16, bf16 and fp8 are for GPUs, int8 and fp32 for CPUs [%(default)s]",
    )
    made.add_argument(
        "--text-precision", choices=TEXT_PRECISIONS, help="of the text encoder [bf16 for GPUs, int8 for CPUs]"
    )
    made.add_argument("--window", type=int, metavar="N", help="latent frames seen besides the sink [the variant's]")
    made.add_argument(
        "--sound",
        default=SOUND,
        metavar="BUNDLE",
        help=f"bundle whose audio side makes sound for the pictures, on the CPU; {SILENT} for silence [%(default)s]",
    )
    made.add_argument(
        "--dimensions", choices=sorted(DIMENSIONS), default="published", help="tiny is for tests [%(default)s]"
    )
    return made


def read_request(options: argparse.Namespace) -> Request:
    """The request that options make.

    Raises:
        ValueError: an option is wrong, or a file is missing.
    """
    width, height = read_size(options.size)
    folder = options.checkpoint if options.checkpoint.is_dir() else options.checkpoint.parent
    decoder, decoder_file = find_decoder(folder, options.decoder, {"wan": options.vae, "taehv": options.taehv})
    text, tokenizer = find_text(folder, options.text, options.tokenizer)
    return Request(
        variant=with_window(VARIANTS[options.variant], options.window),
        checkpoint=options.checkpoint,
        decoder=decoder,
        decoder_file=decoder_file,
        text=text,
        tokenizer=tokenizer,
        out=options.out,
        width=width,
        height=height,
        precision=options.precision,
        text_precision=options.text_precision or PARTS[options.precision].text,
        lora=options.lora,
        dimensions=DIMENSIONS[options.dimensions],
        sound=None if options.sound == SILENT else options.sound,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    options = parser().parse_args(arguments)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it warns of operators that no model here has
    try:
        bundle = export(read_request(options), lambda line: print(line, flush=True))
    except (ValueError, OSError, EngineError, TextExportError) as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_ERROR
    except KeyboardInterrupt:
        print(
            f"interrupted; what is whole is kept in {options.out}{ENDING}: the same command goes on from there, and "
            f"removing that folder gives it up",
            file=sys.stderr,
        )
        return EXIT_INTERRUPTED
    size = sum(path.stat().st_size for path in bundle.root.iterdir())
    print(f"{bundle.root}: {bundle.manifest.name}, {size / 1e6:,.0f} MB")
    compiled = f"streamgen compile {bundle.root}, then " if PARTS[options.precision].half else ""
    print(f"next: {compiled}streamgen serve --bundle {bundle.root}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
