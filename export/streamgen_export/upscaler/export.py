"""The command `streamgen export upscaler`: a bundle gets the graph `upscale`, from published weights.

streamgen export upscaler --checkpoint realesr-animevideov3.pth --bundle BUNDLE --out LARGER
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from streamgen_engines.bundle import Bundle, bundle_at
from streamgen_engines.errors import EngineError
from streamgen_engines.families import Condition, load
from streamgen_engines.tensorrt.prepare import prepare
from streamgen_export.quantise import QuantisationError, quantise_convolutions
from streamgen_export.upscaler.checkpoint import load as load_checkpoint
from streamgen_export.upscaler.graph import INPUT, convolution_name, upscale_graph
from streamgen_export.upscaler.install import Licence, install, published_licence

PROGRAM: Final = "streamgen export upscaler"
EXIT_ERROR: Final = 1
Precision = Literal["fp16", "fp32", "int8"]
PROMPTS: Final = ("a golden sun over a calm sea", "rain over a city at night")
"""What is shown while the ranges of activations are measured, for int8, and what the error is told of."""
Pictures = NDArray[np.uint8]


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Add a graph that enlarges pictures to a bundle, from published weights of the compact networks of "
        "Real-ESRGAN (realesr-animevideov3, realesr-general-x4v3).",
    )
    made.add_argument("--checkpoint", type=Path, required=True, metavar="FILE", help="weights of the network")
    made.add_argument("--bundle", type=Path, required=True, metavar="BUNDLE", help="folder or name of a bundled one")
    made.add_argument("--out", type=Path, metavar="BUNDLE", help="folder to write; must not exist [the bundle itself]")
    made.add_argument(
        "--precision",
        choices=get_args(Precision),
        default="fp16",
        help="fp16 is for GPUs, int8 and fp32 for processors [%(default)s]",
    )
    made.add_argument(
        "--licence", metavar="NAME", help="of other weights than the published ones, with --licence-file [BSD-3-Clause]"
    )
    made.add_argument("--licence-file", type=Path, metavar="FILE", help="its text, which goes into the bundle")
    return made


def export(
    checkpoint: Path, bundle: Bundle, out: Path | None, precision: Precision = "fp16", licence: Licence | None = None
) -> tuple[Bundle, str]:
    """Give a bundle the graph.

    Args:
        checkpoint: file of the weights.
        bundle: any.
        out: folder of the new bundle; None changes the bundle itself.
        precision: of the graph.
        licence: of the weights; None is that of the published ones.

    Returns:
        the bundle with it, and a line that says what was made.

    Raises:
        CheckpointError: the file is not such weights.
        ValueError: the folder exists, or nothing can be quantised.
        EngineError: the bundle does not run, whose pictures int8 needs.
    """
    network = load_checkpoint(checkpoint)
    manifest = bundle.manifest
    video = manifest.video
    model = upscale_graph(network, pictures=manifest.pictures_per_decoding, width=video.width, height=video.height)
    told = ""
    if precision == "fp16":
        model = prepare(model, "fp16", name="upscale").model
    elif precision == "int8":
        kept = [convolution_name(place) for place in (0, len(network.convolutions) - 1)]
        model, error = _quantised(model, pictures_of(bundle), kept)
        told = f", off by {error:.4f} in int8"
    made = install(
        bundle,
        out,
        model,
        factor=network.factor,
        precision=precision,
        licence=licence or published_licence(precision),
    )
    width, height = made.manifest.shown_size(upscale=True)
    parameters = f"{network.parameters / 1e6:.2f} M parameters"
    return made, f"{video.width}x{video.height} to {width}x{height}, {parameters}{told}"


def pictures_of(bundle: Bundle) -> tuple[Pictures, Pictures]:
    """What the bundle's decoder gives in one run, for each of the prompts."""
    model = load(bundle)
    try:
        shown = [model.decoder.decode(model.generator.step(Condition(model.text.encode(text)))) for text in PROMPTS]
    finally:
        model.close()
    count = bundle.manifest.pictures_per_decoding
    first, second = (chunk.video[-count:] for chunk in shown)
    return first, second


def _quantised(model: bytes, pictures: tuple[Pictures, Pictures], kept: Sequence[str]) -> tuple[bytes, float]:
    """Static int8 convolutions, but for those that see colours or draw them (`kept`), and their error."""
    with tempfile.TemporaryDirectory() as scratch:
        source, target = Path(scratch) / "float.onnx", Path(scratch) / "int8.onnx"
        source.write_bytes(model)
        seen, other = ([{INPUT: np.ascontiguousarray(each)}] for each in pictures)
        made = quantise_convolutions(source, target, seen, other, keep=kept)
        return target.read_bytes(), made.worst


def read_licence(options: argparse.Namespace) -> Licence | None:
    """The licence that options name.

    Raises:
        ValueError: one of both is missing.
    """
    if options.licence is None and options.licence_file is None:
        return None
    if options.licence is None or options.licence_file is None:
        raise ValueError("--licence names the licence and --licence-file has its text; give both, or neither")
    return Licence(options.licence, options.licence_file.read_text(encoding="utf-8"))


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    options = parser().parse_args(arguments)
    try:
        if options.out is None and not options.bundle.exists():
            raise ValueError(
                f"{options.bundle} is no folder; a bundled model is not changed: name a new one with --out"
            )
        licence = read_licence(options)
        bundle = bundle_at(options.bundle)
        made, told = export(options.checkpoint, bundle, options.out, options.precision, licence)
    except (ValueError, OSError, EngineError, QuantisationError) as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_ERROR
    print(f"{made.root}: {made.manifest.name}, {told}")
    print(f"next: streamgen serve --bundle {made.root} (on a processor, with --upscale)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
