"""What of a bundle decides its latents, as one word."""

import hashlib
import json

from streamgen_engines.manifest import Manifest


def fingerprint(manifest: Manifest) -> str:
    """What of a bundle decides its latents, as one word: text and denoise graphs, tokenizer and sampler.

    Siblings that only paint larger or smaller pictures have the same.
    """
    parts = {
        "text": manifest.graphs["text"].sha256,
        "denoise": manifest.graphs["denoise"].sha256,
        "tokenizer": manifest.text.tokenizer.sha256,
        "sampler": manifest.sampler.model_dump(mode="json"),
        "attention": manifest.attention.model_dump(mode="json"),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
