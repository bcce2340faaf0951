"""Steering: prompts and settings from clients into the channel, and the word back of what became of them."""
