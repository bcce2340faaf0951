"""The wan family: published causal Wan 2.1 checkpoints as graphs."""
