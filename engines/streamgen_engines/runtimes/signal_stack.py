"""The stack on which this thread handles signals, kept as it is while a library is at work that changes it.

OpenVINO 2026.4 gives the thread that loads a graph a signal stack of its own (sigaltstack(2)), and unmaps it with the
graph. Python handles its signals on that stack (SA_ONSTACK), so the first signal after it, such as Ctrl+C, would end
the process with a segmentation fault.
"""

import contextlib
import ctypes
import sys
from collections.abc import Iterator


class _Stack(ctypes.Structure):
    """`stack_t` of Linux."""

    _fields_ = (("sp", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))


def signal_stack() -> tuple[int | None, int, int]:
    """Address, flags and size (bytes) of this thread's signal stack; a flag of 2 (SS_DISABLE): it has none."""
    stack = _Stack()
    ctypes.CDLL(None).sigaltstack(None, ctypes.byref(stack))
    return stack.sp, stack.flags, stack.size


@contextlib.contextmanager
def kept_signal_stack() -> Iterator[None]:
    """This thread's signal stack is the same afterwards. On other systems than Linux nothing is done."""
    if sys.platform != "linux":
        yield
        return
    before = _Stack(*signal_stack())
    try:
        yield
    finally:
        ctypes.CDLL(None).sigaltstack(ctypes.byref(before), None)
