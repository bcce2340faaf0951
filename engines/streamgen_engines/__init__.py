"""Bundles, runtimes and the chunk loop; numpy only, never torch."""
