"""A prompt in the words of a bundle, through its text encoder."""

from collections.abc import Mapping

from streamgen.packets import SetPrompt
from streamgen_engines.families import PromptEncoder
from streamgen_engines.manifest import Manifest
from streamgen_engines.prompt import Prompt


def encode_request(request: SetPrompt, text: PromptEncoder, manifest: Manifest) -> tuple[Prompt, Prompt | None]:
    """What a model is told for a prompt, in the bundle's words: text or blend with its knobs, and that of the sound.

    Raises:
        EngineError: the text encoder failed, or the weights are of no use.
    """

    def blended(parts: tuple[tuple[str, float], ...], knobs: Mapping[str, str]) -> Prompt:
        return text.blend([(manifest.told(part, knobs), weight) for part, weight in parts])

    shown = blended(request.blend or ((request.text, 1.0),), request.knobs)
    return shown, blended(request.sound, request.sound_knobs) if request.sound else None
