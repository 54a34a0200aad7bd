"""How the C library hands out memory, which decides much of a CPU's speed in XLA."""

import ctypes

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # from glibc's malloc.h


def keep_freed_memory() -> bool:
    """Makes glibc keep large freed blocks for the next call instead of returning them to the system.

    XLA asks for its scratch memory anew at every call. What was returned to the system comes back
    page by page, each zeroed by the kernel at first touch: a fifth of the time of an LSTM's training
    step with H = 256, T = 64, batch 32. The process's memory no longer shrinks.

    Returns:
      Whether this C library can do so; without glibc nothing changes.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    largest = 2**31 - 1
    return bool(mallopt(M_MMAP_THRESHOLD, largest) and mallopt(M_TRIM_THRESHOLD, largest))
