"""Python client: watch a channel, steer it, measure it."""
