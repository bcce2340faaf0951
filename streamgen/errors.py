"""The error tree of the server package.

Every error that `streamgen` raises on purpose is a `StreamgenError`, and its message says what to do next.
Modules outside generation and media add their own branches where they raise them.

    StreamgenError
    ├── GenerationError
    │   ├── GeneratorStartError         the process did not become ready
    │   ├── GeneratorDiedError          the process ended while it was needed
    │   └── GeneratorUnresponsiveError  the process lives, but does not read commands or write events
    ├── MediaError
    │   ├── EncoderUnavailableError     this build of PyAV lacks an encoder
    │   └── UnsupportedRateError        a picture or sample rate that the media plane cannot carry exactly
    └── RenderError
        ├── OutputPathError             the output file cannot be written, or its kind is not known
        └── PromptTimelineError         a prompt such as "@5 it starts to rain" cannot be read
"""


class StreamgenError(Exception):
    """Root of every error that the server package raises on purpose."""


class GenerationError(StreamgenError):
    """Something about the generator process went wrong."""


class GeneratorStartError(GenerationError):
    """The generator process did not become ready."""


class GeneratorDiedError(GenerationError):
    """The generator process ended while it was needed."""


class GeneratorTooSlowError(GenerationError):
    """The model is too large for this machine; a smaller one takes over."""


class GeneratorUnresponsiveError(GenerationError):
    """The generator process lives, but neither reads commands nor writes events."""


class MediaError(StreamgenError):
    """Encoding or timing of media failed."""


class EncoderUnavailableError(MediaError):
    """An encoder that is needed is missing from this build of PyAV."""


class PictureError(MediaError):
    """A reference picture cannot be used."""


class UnsupportedRateError(MediaError):
    """A picture or sample rate that cannot be carried exactly on the RTP clocks."""


class RenderError(StreamgenError):
    """Rendering to a file cannot start or cannot go on."""


class OutputPathError(RenderError):
    """The output file cannot be written, or its extension names no known container."""


class PromptTimelineError(RenderError):
    """A timed prompt cannot be read."""
