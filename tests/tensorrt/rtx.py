"""TensorRT for RTX, which parses and builds without a GPU. The development extra brings it where it exists."""

import platform
import sys

import pytest

from streamgen_engines.errors import RuntimeUnavailableError
from streamgen_engines.tensorrt.flavour import Flavour, load_flavour


def installed() -> bool:
    try:
        load_flavour("tensorrt-rtx")
    except RuntimeUnavailableError:
        return False
    return True


EXISTS = sys.platform == "linux" and platform.machine() == "x86_64"
"""Where pyproject.toml asks for its wheel."""

needs_rtx = pytest.mark.skipif(not installed(), reason="TensorRT for RTX is not installed (pip install tensorrt-rtx)")


def rtx() -> Flavour:
    return load_flavour("tensorrt-rtx")
