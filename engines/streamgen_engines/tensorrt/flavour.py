"""Which TensorRT: the full one, or TensorRT for RTX, which builds plans on any machine and compiles kernels at load."""

import functools
import importlib
import logging
from dataclasses import dataclass
from typing import Any, Final, Literal

from streamgen_engines.errors import RuntimeUnavailableError

FlavourName = Literal["tensorrt", "tensorrt-rtx"]
FLAVOURS: Final[tuple[FlavourName, ...]] = ("tensorrt", "tensorrt-rtx")
KEPT_MESSAGES: Final = 50
"""Messages of TensorRT that are remembered for an error's text; older ones are dropped."""
_MODULES: Final = {"tensorrt": "tensorrt", "tensorrt-rtx": "tensorrt_rtx"}
_SILENT: Final = "it gave no reason"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Flavour:
    """An installed TensorRT.

    Attributes:
        name: which one.
        api: its Python module.
        logger: its logger, an `ILogger` with the attribute `messages`.
    """

    name: FlavourName
    api: Any
    logger: Any

    @property
    def version(self) -> str:
        """Version of the library, part of what plans are kept under."""
        return str(self.api.__version__)

    @property
    def portable(self) -> bool:
        """Plans are built without a GPU, and run on any of a range of them."""
        return self.name == "tensorrt-rtx"

    def last_error(self) -> str:
        """The latest error that TensorRT has reported, in one line; forgotten afterwards."""
        said = [*self.logger.messages]
        self.logger.messages.clear()
        return said[-1] if said else _SILENT

    def errors(self) -> str:
        """Every error that TensorRT has reported, the latest one first; forgotten afterwards.

        Which kind of failure it was is often said by an earlier one: the last one only tells what became of it.
        """
        said = [*self.logger.messages]
        self.logger.messages.clear()
        return "; ".join(reversed(said)) or _SILENT


def load_flavour(name: FlavourName) -> Flavour:
    """Import TensorRT.

    Raises:
        RuntimeUnavailableError: it is not installed, or does not load here.
    """
    try:
        api = importlib.import_module(_MODULES[name])
    except ImportError as error:
        raise RuntimeUnavailableError(
            f"{name} is not installed ({error}); add it with: pip install 'streamgen[{name}]'"
        ) from error
    except OSError as error:
        raise RuntimeUnavailableError(
            f"{name} is installed and does not load ({error}); install it again: pip install --force-reinstall {name}"
        ) from error
    return Flavour(name, api, _logger(api))


@functools.cache
def _logger(api: Any) -> Any:
    """One for the whole process: TensorRT keeps the first logger that it is given, and reports to that one too."""

    class Logger(api.ILogger):  # type: ignore[misc]
        """Errors are kept for the text of ours, warnings go to the log at debug level: they are about details."""

        def __init__(self) -> None:
            api.ILogger.__init__(self)
            self.messages: list[str] = []

        def log(self, severity: Any, message: str) -> None:
            line = " ".join(message.split())
            if severity <= api.ILogger.ERROR:
                self.messages.append(line)
                del self.messages[:-KEPT_MESSAGES]
            _log.debug("%s: %s", api.__name__, line)

    return Logger()
