"""What `streamgen export` does: runs the exporter of a family in a process of its own.

The exporters need torch, which serving does not have and does not import.
"""

import importlib.util
import subprocess
import sys
from collections.abc import Sequence
from typing import Final

from streamgen.errors import StreamgenError

EXPORTERS: Final = {"wan": "streamgen_export.wan.export", "upscaler": "streamgen_export.upscaler.export"}
"""Module that is the command of each family, and of a graph that bundles of all families may have."""
NEEDED: Final = ("torch", "onnx", "onnxscript", "safetensors", "filelock")
"""What exporters import, and streamgen without extras lacks."""


class ExportError(StreamgenError):
    """Nothing can be exported as asked."""


def export(family: str, arguments: Sequence[str]) -> int:
    """Run the exporter of a family until it ends.

    Args:
        family: of the model.
        arguments: of its command.

    Returns:
        its exit status.

    Raises:
        ExportError: there is no such exporter, or what it needs is not installed.
    """
    module = EXPORTERS.get(family)
    if module is None:
        raise ExportError(f"there is no exporter for {family!r}, only for {', '.join(EXPORTERS)}")
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise ExportError(f"{', '.join(missing)} is not installed; add it with: pip install 'streamgen[export]'")
    process = subprocess.Popen([sys.executable, "-m", module, *arguments])
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue  # the exporter has it as well, and says what it keeps
