"""What a prompt says, as the JSON of a request."""

from collections.abc import Mapping

from streamgen.protocol import Target


def prompt_document(
    text: str | Mapping[str, float],
    *,
    cut: bool,
    keep: int | None,
    recache: bool | None,
    knobs: Mapping[str, str] | None,
    target: Target,
    transition_ms: int,
) -> dict[str, object]:
    """What a prompt says, without what is left as it is."""
    document: dict[str, object] = {"cut": cut}
    if isinstance(text, str):
        document["text"] = text
    else:
        document["blend"] = [{"text": part, "weight": float(weight)} for part, weight in text.items()]
    optional = {"keep": keep, "recache": recache, "knobs": dict(knobs) if knobs else None}
    document |= {name: value for name, value in optional.items() if value is not None}
    if target != "av":
        document["target"] = target
    if transition_ms:
        document["transition_ms"] = transition_ms
    return document
