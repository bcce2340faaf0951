"""Inputs and outputs that the manifest promises of each graph of the family."""

from streamgen_engines.families.wan.positions import TIME_WIDTH, temporal_pairs
from streamgen_engines.manifest import WanManifest
from streamgen_engines.manifest.wan import PICTURES_PER_LATENT
from streamgen_engines.runtimes.interface import Signature, TensorSpec


def denoise_signature(manifest: WanManifest) -> Signature:
    """One pass: noisy latents to their velocity, the prompt's keys and values being held."""
    latent = _float(1, *manifest.video.latent)
    pairs = temporal_pairs(manifest.attention.head_dim)
    chunk, ring = _float(manifest.chunk_frames, pairs), _float(manifest.ring_frames, pairs)
    return Signature(
        {
            "latent": latent,
            "time": _float(1, TIME_WIDTH),
            "query_cos": chunk,
            "query_sin": chunk,
            "key_cos": ring,
            "key_sin": ring,
            "bias": _float(manifest.ring_frames),
            "write_index": TensorSpec((1,), "int64"),
        },
        {"velocity": latent},
        _prompt(manifest),
    )


def prompt_signature(manifest: WanManifest) -> Signature:
    """A text's hidden states to its keys and values in every layer."""
    text = manifest.text
    return Signature({"context": _float(1, text.max_tokens, text.width)}, _prompt(manifest))


def decode_signature(manifest: WanManifest, *, pictures: int = PICTURES_PER_LATENT) -> Signature:
    """A latent frame to its pictures."""
    channels, _, rows, columns = manifest.video.latent
    frames = TensorSpec((pictures, manifest.video.height, manifest.video.width, 3), "uint8")
    return Signature({"latent": _float(1, channels, 1, rows, columns)}, {"frames": frames})


def _prompt(manifest: WanManifest) -> dict[str, TensorSpec]:
    spec = TensorSpec(manifest.prompt_shape, manifest.attention.dtype)
    return dict.fromkeys(manifest.prompt_names, spec)


def _float(*shape: int) -> TensorSpec:
    return TensorSpec(shape, "float32")
