"""The C library's allocator, told that a training step asks for the same memory again and again.

Left alone, it gives large blocks back to the system when they are freed, and every step pays for
tens of thousands of page faults. Nothing here needs rights, and nothing changes a result.
"""

from __future__ import annotations

import ctypes
import os

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3  # malloc.h
_KEEP = 2**31 - 1  # bytes; a C int
_PAD = 2**28
_MOST_OF_OLD = 2**25  # glibc before 2.35 takes no more


def keep_memory() -> bool:
    """Keep freed blocks in the process, and ask for huge pages; before the first large tensor.

    Returns:
        Whether there was something to tell: glibc only, and the user's own MALLOC_ variables win.
    """
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")  # read by torch at its first allocation
    if any(name.startswith("MALLOC_") for name in os.environ):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    if mallopt is None:
        return False
    mapped = mallopt(_M_MMAP_THRESHOLD, _KEEP) or mallopt(_M_MMAP_THRESHOLD, _MOST_OF_OLD)
    kept = mallopt(_M_TRIM_THRESHOLD, _KEEP)
    padded = mallopt(_M_TOP_PAD, _PAD)
    return bool(mapped and kept and padded)


def give_back() -> None:
    """Give the system what is kept and free, before it is asked how much is left."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if os.name == "posix" else None
    if trim is not None:
        trim(0)
