"""What of a bundle decides its latents, as one word."""

import hashlib
import json
from typing import Final

from streamgen_engines.manifest import Manifest

GRAPHS: Final = ("text", "prompt_kv", "denoise")
"""Those that have a part in latents, as far as a family has them."""


def fingerprint(manifest: Manifest) -> str:
    """What of a bundle decides its latents, as one word: text and denoise graphs, tokenizer and sampler.

    Siblings that only paint larger or smaller pictures have the same.
    """
    parts = {name: manifest.graphs[name].sha256 for name in GRAPHS if name in manifest.graphs} | {
        "tokenizer": manifest.text.tokenizer.sha256,
        "sampler": manifest.sampler.model_dump(mode="json"),
        "attention": manifest.attention.model_dump(mode="json"),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
