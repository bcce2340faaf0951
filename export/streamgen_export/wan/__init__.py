"""Causal Wan 2.1: from published checkpoints to the graphs of a bundle."""
