"""Model families: the code that turns a bundle's graphs into chunks. `load` picks it by the manifest."""

from collections.abc import Callable
from dataclasses import dataclass

from streamgen_engines.bundle import Bundle, bundled
from streamgen_engines.embedding_cache import EmbeddingCache, texts_folder
from streamgen_engines.errors import UnknownFamilyError
from streamgen_engines.families.interface import Decoder, Generator, PromptEncoder, UpscalingDecoder
from streamgen_engines.families.pocket import Condition, PictureEncoder, PocketDecoder, PocketGenerator
from streamgen_engines.families.pocket_sound import PocketSound
from streamgen_engines.families.wan import WanDecoder, WanGenerator, WanPrompts
from streamgen_engines.families.wan_text import TextEncoding, WanTextEncoder
from streamgen_engines.manifest import MANIFEST_FILE, PocketManifest, WanManifest
from streamgen_engines.planes.request import PlaneRequest
from streamgen_engines.runtimes import OnnxRuntimeCpu, Runtime
from streamgen_engines.sound import Silence, Sound
from streamgen_engines.sound_thread import SoundThread
from streamgen_engines.text import TextEncoder
from streamgen_engines.text_placement import IN_PLACE, MODEL, TextPlacement

__all__ = [
    "Condition",
    "Decoder",
    "Generator",
    "Model",
    "PictureEncoder",
    "PocketDecoder",
    "PocketGenerator",
    "PromptEncoder",
    "UpscalingDecoder",
    "WanDecoder",
    "WanGenerator",
    "WanPrompts",
    "load",
    "load_pictures",
]


@dataclass(frozen=True, slots=True)
class Model:
    """The three parts of a loaded model. Each may live on a thread of its own; only `text` may be shared by several.

    Attributes:
        bundle: what it was loaded from.
        text: encodes prompts.
        generator: makes latent chunks.
        decoder: turns latent chunks into pictures and sound.
        upscale: whether the decoder enlarges pictures by the bundle's graph `upscale` (`Manifest.shown_size`).
    """

    bundle: Bundle
    text: PromptEncoder
    generator: Generator
    decoder: Decoder
    upscale: bool = False

    def close(self) -> None:
        """Close the connections of a text encoder on another machine. Idempotent; no text is encoded after it."""
        self.text.close()


def load(
    bundle: Bundle,
    threads: int = 1,
    *,
    seed: int = 0,
    runtime: Callable[[], Runtime] = OnnxRuntimeCpu,
    planes: PlaneRequest | None = None,
    known_texts: bool = True,
    texts: TextPlacement = IN_PLACE,
    upscale: bool = False,
) -> Model:
    """Load every graph of a bundle.

    Args:
        bundle: an opened bundle.
        threads: compute threads for denoising, and as many for decoding.
        seed: of the generator and the decoder.
        runtime: makes what the graphs run on (`runtimes.runtime_named`). Each part gets one of its own, because the
            parts may live on different threads, and not every runtime can serve several.
        planes: what the decoder gives besides RGB, or in its place, on a runtime that makes it; None = RGB alone.
        known_texts: take texts that an earlier process encoded from the user's cache, where encoding takes seconds.
        texts: where texts are encoded, in families whose text graph is large; where a service does it, `bundle` may
            have been opened without that graph.
        upscale: enlarge pictures by the bundle's graph `upscale`; planes are then of the enlarged ones.

    Raises:
        MissingGraphError: pictures are to be enlarged, and the bundle has no graph for it.
        UnknownFamilyError: no code here runs the bundle's family.
        BundleError: a graph does not load or does not fit the manifest.
        RuntimeUnavailableError: the runtime is not here, or finds no device that it can use.
        OutOfMemoryError: the graphs do not fit into the memory of the machine or device.
        TextPlacementError: the family does not take texts from a service.
        TextServiceError: the service does not encode; that is found out before anything heavy is loaded.
    """
    manifest = bundle.manifest
    texts = texts.of(manifest)
    assert bundle.absent <= texts.absent, f"{bundle.absent} of the bundle have not been looked at"
    bundle.check_weights()
    match manifest:
        case PocketManifest():
            return Model(
                bundle,
                TextEncoder(bundle, runtime()),
                PocketGenerator(bundle, runtime(), seed, threads=threads),
                PocketDecoder(bundle, runtime(), seed, threads=threads, planes=planes, upscale=upscale),
                upscale,
            )
        case WanManifest():
            # On disk too: encoding a text may take seconds.
            cache = EmbeddingCache(texts_folder()) if known_texts else None
            encoder = _text_encoding(bundle, texts, runtime, threads, cache)
            try:
                sound = _sound(bundle, manifest, seed, threads)
                return Model(
                    bundle,
                    WanPrompts(encoder),
                    WanGenerator(bundle, manifest, runtime(), seed, threads=threads),
                    WanDecoder(bundle, manifest, runtime(), sound, threads=threads, planes=planes, upscale=upscale),
                    upscale,
                )
            except BaseException:
                encoder.close()
                raise
        case _:
            raise UnknownFamilyError(
                f"field family of bundle {manifest.name} is {manifest.family!r}, which this streamgen does not run; "
                f"upgrade with `pip install --upgrade streamgen`, or choose another bundle"
            )


def load_pictures(bundle: Bundle, threads: int = 1) -> PictureEncoder:
    """Load what encodes a picture that a stream can start from; apart from `load`, because few streams need it.

    Raises:
        MissingGraphError: the bundle cannot start from a picture.
        BundleError: the graph does not load or does not fit the manifest.
    """
    return PictureEncoder(bundle, OnnxRuntimeCpu(), threads=threads)


def _text_encoding(
    bundle: Bundle, texts: TextPlacement, runtime: Callable[[], Runtime], threads: int, cache: EmbeddingCache | None
) -> TextEncoding:
    """What encodes texts, where they are to be encoded."""
    if texts.url is None:
        chosen = runtime() if texts.place == MODEL else OnnxRuntimeCpu()
        return WanTextEncoder(bundle, chosen, threads=threads, cache=cache)
    # What speaks HTTP is in no other model's memory.
    from streamgen_engines.families.wan_text_remote import RemoteTextEncoder

    text = bundle.manifest.text
    encoder = RemoteTextEncoder(texts.url, texts.token, places=text.max_tokens, width=text.width, cache=cache)
    try:
        encoder.encode("")  # every stream needs it, and a service that is away is better told now
    except BaseException:
        encoder.close()
        raise
    return encoder


def _sound(bundle: Bundle, manifest: WanManifest, seed: int, threads: int) -> Sound:
    name = manifest.audio.bundle
    if name is None:
        return Silence(manifest.audio)
    beside = bundle.root.parent / name
    source = Bundle.open(beside) if (beside / MANIFEST_FILE).is_file() else bundled(name)
    # On the CPU whatever makes the pictures, and meanwhile.
    return SoundThread(PocketSound(source, manifest, OnnxRuntimeCpu, seed, threads=threads))
