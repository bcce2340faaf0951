"""Model definitions, training, ONNX export and judging; the only package that imports torch."""
