"""Adds the graph `encode_video` to a bundle that was exported before there was one, from its published weights.

    python -m streamgen_export.pocket.video_encoder --size pocket

The encoder is the one of the bundle's `encode_picture`, which is checked: a chunk that stands still has its latent.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tempfile
from pathlib import Path
from typing import Final

import numpy as np
import onnxruntime
import torch

from streamgen_engines.bundle import Bundle
from streamgen_engines.manifest import MANIFEST_FILE
from streamgen_export.compact import store_as_int8
from streamgen_export.onnx_export import difference
from streamgen_export.pocket import graphs
from streamgen_export.pocket.config import CONFIGS, PocketConfig
from streamgen_export.pocket.encoders import Encoders
from streamgen_export.pocket.export import BUNDLES, CHECKED_CHUNKS, ParityError
from streamgen_export.pocket.weights import read_weights

WEIGHTS: Final = Path("export/weights/pocket.safetensors")
STILL_DIFFERENCE: Final = 2e-3
"""Largest difference between the latents of a still chunk and of its picture: sums in another order."""


def add_video_encoder(bundle: Path, encoders: Encoders, config: PocketConfig) -> float:
    """Write the graph into the bundle and name it in its manifest.

    Returns:
        the largest difference from `encode_picture` where nothing moves.

    Raises:
        ParityError: the graph differs from torch, or the bundle was exported from other weights; nothing is written.
    """
    opened = Bundle.open(bundle)
    with tempfile.TemporaryDirectory() as scratch:
        wide, small = Path(scratch) / "wide.onnx", Path(scratch) / "encode_video.onnx"
        module = graphs.write_video_encoder(wide, encoders, config)
        found = difference(wide, module, graphs.encode_video_calls(config, CHECKED_CHUNKS), {})
        if max(found.values()) > graphs.TOLERANCES["encode_video"]:
            raise ParityError(f"encode_video.onnx differs from torch: {found}")
        store_as_int8(wide, small)
        graph = small.read_bytes()
    still = _still_difference(opened.path("encode_picture"), graph, config)
    if still > STILL_DIFFERENCE:
        raise ParityError(f"encode_video is {still:g} from encode_picture of {bundle}, which has other weights")
    (bundle / "encode_video.onnx").write_bytes(graph)
    manifest = json.loads((bundle / MANIFEST_FILE).read_text())
    digest = hashlib.sha256(graph).hexdigest()
    manifest["graphs"]["encode_video"] = {
        "file": "encode_video.onnx",
        "sha256": digest,
        "precision": "fp32",
        "states": [],
    }
    manifest["training"]["parity"]["encode_video"] = {"float32_max_difference": found}
    (bundle / MANIFEST_FILE).write_text(json.dumps(manifest, indent=1) + "\n")
    Bundle.open(bundle)
    return still


def _still_difference(picture_graph: Path, video_graph: bytes, config: PocketConfig) -> float:
    picture = onnxruntime.InferenceSession(picture_graph)
    video = onnxruntime.InferenceSession(video_graph)
    worst = 0.0
    for call in graphs.encode_picture_calls(config, CHECKED_CHUNKS):
        chunk = np.stack([call["picture"]] * config.frames_per_chunk)
        (one,), (other,) = picture.run(["latent"], call), video.run(["latent"], {"pictures": chunk})
        worst = max(worst, float(np.abs(one - other).max()))
    return worst


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Add the graph encode_video to a bundle.")
    parser.add_argument("--size", choices=sorted(CONFIGS), default="pocket")
    parser.add_argument("--weights", type=Path, default=WEIGHTS, help=f"published weights [{WEIGHTS}]")
    parser.add_argument("--bundle", type=Path, help="bundle folder (default: the size's own)")
    options = parser.parse_args()
    config = CONFIGS[options.size]
    torch.set_grad_enabled(False)
    bundle = options.bundle or BUNDLES / config.name
    encoders, _ = read_weights(options.weights, config)
    still = add_video_encoder(bundle, encoders, config)
    print(f"{bundle}: encode_video.onnx added; {still:g} from encode_picture where nothing moves")


if __name__ == "__main__":
    main()
