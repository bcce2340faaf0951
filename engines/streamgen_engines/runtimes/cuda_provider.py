"""ONNX Runtime's provider for NVIDIA GPUs by its name, and what installs it: importing this loads nothing."""

from typing import Final

PROVIDER: Final = "CUDAExecutionProvider"
INSTALL: Final = (
    'pip install "streamgen[cuda]"; pip uninstall -y onnxruntime; '
    "pip install --force-reinstall --no-deps onnxruntime-gpu"
)
"""The packages onnxruntime and onnxruntime-gpu bring the same files, so the one for CPUs has to go."""
