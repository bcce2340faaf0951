"""The channel's log: who asked for what, what was decided, what was made and when it was shown. JSON lines."""
