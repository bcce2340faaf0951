"""Prompts over time: what shall happen at a media time, a chunk or a beat, and when it is due."""
