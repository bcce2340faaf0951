"""The `wan` family: causal descendants of Wan 2.1 (Wan Team 2025), from their published weights to ONNX graphs."""
