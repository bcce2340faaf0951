"""The audience steers: proposals, votes and what they choose. Free of I/O; see `docs/audience.md`."""
