"""Host memory that JAX's CPU backend computes on without a copy."""

import math
import mmap

import numpy as np

ALIGNMENT = 64
# Memory of this size or more is mapped by itself, and goes back to the system when it is let go. The C library would
# keep freed pieces of some MB in its own pools, of which each thread has one: twice the memory of a pass over files.
_MAPPED = 1 << 20
_HUGE = 1 << 22


def aligned(shape: tuple[int, ...], dtype: np.dtype | str | type) -> np.ndarray:
    """Return an empty C-contiguous array whose first byte is aligned to 64 bytes.

    JAX's CPU backend takes such memory over, or borrows it, without a copy.
    """
    kind = np.dtype(dtype)
    n_bytes = math.prod(shape) * kind.itemsize
    if n_bytes >= _MAPPED:
        memory = mmap.mmap(-1, n_bytes)
        if n_bytes >= _HUGE and hasattr(mmap, "MADV_HUGEPAGE"):
            memory.madvise(mmap.MADV_HUGEPAGE)
        return np.frombuffer(memory, np.uint8).view(kind).reshape(shape)
    raw = np.empty(n_bytes + ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % ALIGNMENT
    return raw[start : start + n_bytes].view(kind).reshape(shape)
