"""ONNX to TensorRT: what its parser takes, plans and where they are kept, and the engine that runs them.

`lint` says which nodes TensorRT rejects, `prepare` rewrites a bundle's graph so that none are left, `builder` makes the
plan, `plans` keeps it, `engine` runs it. Nothing here is imported by a server that runs on the CPU, and neither
TensorRT, CUDA nor `onnx` is imported before they are needed: they come with the extras `tensorrt` and `tensorrt-rtx`.
"""
