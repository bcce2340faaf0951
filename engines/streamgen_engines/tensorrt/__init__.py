"""ONNX to TensorRT: what its parser takes, plans, where they are kept, and how they are loaded.

`lint` says which nodes TensorRT rejects, `prepare` rewrites a bundle's graph so that none are left, `builder` makes the
plan, `plans` keeps it, `runtime` loads it; from there on it is run as everything on a GPU is (`device`). Nothing here
is imported by a server that runs on the CPU, and neither TensorRT, CUDA nor `onnx` is imported before they are needed:
they come with the extras `tensorrt` and `tensorrt-rtx`.
"""
