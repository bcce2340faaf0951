"""Errors of the `wan` export. Messages say what is wrong with which file, and what to do."""


class CheckpointError(ValueError):
    """A file is not the weights that were asked for."""


class UnsafeCheckpointError(CheckpointError):
    """A pickle holds more than weights, so that reading it would run code. Nothing of it was run."""


class NoRoomError(OSError):
    """What is to be written does not fit onto the disk."""
