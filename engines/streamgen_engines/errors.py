"""The error tree of the engines: everything raised on purpose derives from `EngineError`.

Every message names the file and field at fault and says what to do next.
"""


class EngineError(Exception):
    """Root of every error that this package raises on purpose."""


class BundleError(EngineError):
    """A folder is not a usable bundle."""


class ManifestError(BundleError):
    """`manifest.json` is unreadable, or a field of it is missing, unknown or wrong."""


class UnsupportedVersionError(BundleError):
    """The bundle was written by a newer streamgen than this one."""


class MissingGraphError(BundleError):
    """A graph that the manifest needs or names is not there."""


class HashMismatchError(BundleError):
    """A file of the bundle is not the one that the manifest describes."""


class UnknownFamilyError(BundleError):
    """No code in this version runs the bundle's model family."""


class GraphMismatchError(BundleError):
    """A graph loads, but its inputs or outputs are not those that the manifest promises."""


class GraphLoadError(BundleError):
    """The runtime cannot load a graph: not ONNX, a newer opset, or an operator without a kernel."""


class RuntimeUnavailableError(EngineError):
    """The asked-for runtime is not installed or has no device here."""


class UnknownPrecisionError(EngineError):
    """There is no precision of that name."""


class OutOfMemoryError(EngineError):
    """A graph and its states do not fit into the memory of the machine or device."""


class GraphRunError(EngineError):
    """A graph failed while it ran. The engine's state is undefined until `reset()`."""


class DeviceLostError(GraphRunError):
    """The device or its driver is gone; only another process can use it again."""


class PromptError(EngineError):
    """A prompt or a blend of prompts cannot be encoded as asked."""


class TextServiceError(PromptError):
    """The service that encodes texts elsewhere is away, refuses, or answers what it should not."""


class TextServiceUnavailableError(TextServiceError):
    """No text can be encoded there now: it is away, too slow, has too much to do, or serves others."""


class TextPlacementError(EngineError):
    """Texts cannot be encoded where they shall be."""


class ConditionError(EngineError):
    """A setting of a chunk (guidance, seed, steps) is outside what can be generated."""


class NonFiniteError(EngineError):
    """Generation produced NaN or infinity. The generator must be `reset()` before its next step."""
