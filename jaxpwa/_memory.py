"""Host memory that JAX's CPU backend computes on without a copy."""

import math
import mmap

import numpy as np

ALIGNMENT = 64
_MAPPED = 1 << 20
_HUGE = 1 << 22


def aligned(shape: tuple[int, ...], dtype: np.dtype | str | type, *, passing: bool = False) -> np.ndarray:
    """Return an empty C-contiguous array whose first byte is aligned to 64 bytes.

    JAX's CPU backend takes such memory over, or borrows it, without a copy.

    Parameters
    ----------
    shape, dtype
        Of the array.
    passing
        Whether it is one of many that come and go, as pieces of files do. A large one is then mapped by itself, and
        goes back to the system when it is let go: the C library would keep freed pieces of some MB in its own pools, of
        which each thread has one, and a pass over files would take twice the memory.
    """
    kind = np.dtype(dtype)
    n_bytes = math.prod(shape) * kind.itemsize
    if passing and n_bytes >= _MAPPED:
        memory = mmap.mmap(-1, n_bytes)
        if n_bytes >= _HUGE and hasattr(mmap, "MADV_HUGEPAGE"):
            memory.madvise(mmap.MADV_HUGEPAGE)
        return np.frombuffer(memory, np.uint8).view(kind).reshape(shape)
    raw = np.empty(n_bytes + ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % ALIGNMENT
    return raw[start : start + n_bytes].view(kind).reshape(shape)
