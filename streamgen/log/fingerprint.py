"""What of a bundle decides its latents, as one word."""

import hashlib
import json
from typing import Final

from streamgen_engines.manifest import Manifest

GRAPHS: Final = ("text", "prompt_kv", "denoise")
"""Those that have a part in latents, as far as a family has them."""


def fingerprint(manifest: Manifest) -> str:
    """What of a bundle decides its latents, as one word: text and denoise graphs with the files of their weights,
    tokenizer and sampler.

    Siblings that only paint larger or smaller pictures have the same.
    """
    graphs = {name: manifest.graphs[name] for name in GRAPHS if name in manifest.graphs}
    parts = {name: graph.sha256 for name, graph in graphs.items()} | {
        "tokenizer": manifest.text.tokenizer.sha256,
        "sampler": manifest.sampler.model_dump(mode="json"),
        "attention": manifest.attention.model_dump(mode="json"),
    }
    # Named only where there are some, so that logs of all other bundles keep their word.
    parts |= {f"{name}.weights": graph.weights.sha256 for name, graph in graphs.items() if graph.weights is not None}
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
