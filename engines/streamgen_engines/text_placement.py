"""Where the texts of a model are encoded, for settings and flags: importing this loads no runtime."""

from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias
from urllib.parse import urlsplit

from streamgen_engines.errors import TextPlacementError
from streamgen_engines.manifest import Manifest

TEXT_GRAPH: Final = "text"
MODEL: Final = "model"
CPU: Final = "cpu"

TextSide: TypeAlias = Literal["model", "cpu", "service"]
"""Where texts are encoded, without an address."""


@dataclass(frozen=True, slots=True)
class TextPlacement:
    """Where texts are encoded.

    Attributes:
        place: `model` is where the model runs, `cpu` ONNX Runtime on the CPU of this machine, whatever the model runs
            on; anything else is the address of a text service.
        token: of that service; never shown.
    """

    place: str = MODEL
    token: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        """Check both.

        Raises:
            TextPlacementError: there is no such place, or the service's token is missing or cannot be sent.
        """
        check_place(self.place)
        if self.url is not None:
            check_token(self.token)

    @property
    def url(self) -> str | None:
        """Address of the text service; None where texts are encoded on this machine."""
        return None if self.place in (MODEL, CPU) else self.place

    @property
    def side(self) -> TextSide:
        """The same without an address, for a log."""
        if self.url is not None:
            return "service"
        return "cpu" if self.place == CPU else "model"

    @property
    def absent(self) -> frozenset[str]:
        """Graphs of which no file is needed here, because another machine runs them."""
        return frozenset() if self.url is None else frozenset({TEXT_GRAPH})

    def of(self, manifest: Manifest) -> "TextPlacement":
        """Where the texts of this very model are encoded: a small text graph stays where its model is.

        Raises:
            TextPlacementError: they cannot be encoded there: what a service answers is of no use to this model, or its
                text graph is none for a CPU.
        """
        if manifest.abilities.texts_apart:
            if self.place == CPU and manifest.graphs[TEXT_GRAPH].precision == "bf16":
                raise TextPlacementError(
                    f"the text graph of {manifest.name} is bf16, in which ONNX Runtime computes nothing on a CPU; "
                    f"export the bundle with --text-precision int8, or set text_encoder to {MODEL}"
                )
            return self
        if self.url is not None:
            raise TextPlacementError(
                f"{manifest.name} is of the family {manifest.family}, whose text graph is small and runs where the "
                f"model does; no text service encodes for it: set text_encoder to {MODEL}"
            )
        return IN_PLACE

    def apart(self, manifest: Manifest) -> dict[str, str]:
        """Graphs of this model that are not loaded where it runs, and where they run instead, in words.

        Raises:
            TextPlacementError: as `of`.
        """
        placed = self.of(manifest)
        if placed.place == MODEL:
            return {}
        return {TEXT_GRAPH: "on the CPU" if placed.url is None else f"at {placed.url}"}


def check_place(place: str) -> None:
    """Check that texts can be encoded there, as far as the words go.

    Raises:
        TextPlacementError: it is neither `model` nor `cpu` nor the address of a service.
    """
    if place in (MODEL, CPU):
        return
    if not place.startswith(("http://", "https://")):
        told = "this" if "@" in place else repr(place)  # a password is not said again
        raise TextPlacementError(
            f"{told} is no place for the text encoder; give {MODEL}, {CPU}, or the address of a text service, such "
            f"as https://text.example:8090"
        )
    try:
        parts = urlsplit(place)
        host = parts.hostname if parts.port is None or parts.port > 0 else None
    except ValueError:  # a port that is none, or half an IPv6 address
        host, parts = None, urlsplit("")
    if parts.username is not None or parts.password is not None:
        raise TextPlacementError(
            "the text service's address has a name or a password in it; give its token as text_encoder_token"
        )
    if not host or parts.query or parts.fragment or not place.isprintable() or " " in place:
        raise TextPlacementError(
            "the text service's address cannot be used; give scheme, host and port, such as https://text.example:8090"
        )


def check_token(token: str) -> None:
    """Check that a text service can be sent this token.

    Raises:
        TextPlacementError: it is empty, or has characters that no header carries.
    """
    if not token:
        raise TextPlacementError(
            "a text service wants its token, the one in its --token-file; set text_encoder_token, or "
            "export STREAMGEN_TEXT_ENCODER_TOKEN=$(cat token)"
        )
    if not (token.isascii() and token.isprintable()):
        raise TextPlacementError(
            "the text service's token has characters that cannot be sent; give the one that it has"
        )


IN_PLACE: Final = TextPlacement()
"""Texts are encoded where the model runs."""
