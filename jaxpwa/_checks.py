"""Warning classes and the small checks that every door uses."""

from collections.abc import Iterable

import numpy as np


class JaxpwaWarning(UserWarning):
    """Root of every warning that jaxpwa issues."""


class ConvergenceWarning(JaxpwaWarning):
    """A fit ended without a valid minimum."""


class EnvelopeExceededWarning(JaxpwaWarning):
    """Rejection sampling met intensities above the given maximum."""


class PerformanceWarning(JaxpwaWarning):
    """Something costs speed that need not."""


class PrecisionWarning(JaxpwaWarning):
    """Something costs digits that a fit needs."""


def known(names: Iterable[str], most: int = 12) -> str:
    """List names for a message, shortened when there are many."""
    names = [str(n) for n in names]
    if not names:
        return "(none)"
    tail = "" if len(names) <= most else f", ... ({len(names)} in all)"
    return ", ".join(names[:most]) + tail


def check_length(what: str, got: int, of: str, expected: int) -> None:
    """Raise ValueError unless ``got`` entries fit ``expected`` events."""
    if got != expected:
        msg = f"{what} must have one entry per {of}: got {got} for {expected} {of}s."
        raise ValueError(msg)


def numbers_per(of: str, values: np.ndarray, what: str, expected: int) -> np.ndarray:
    """Return one real number per event (or row, or bin) as float64, or say why the values are not that."""
    if values.dtype.kind not in "fiub":
        msg = f"{what} must be real numbers, got dtype {values.dtype}."
        raise TypeError(msg)
    if values.ndim != 1:
        msg = f"{what} must have shape ({of}s,), got shape {values.shape}."
        raise ValueError(msg)
    check_length(what, len(values), of, expected)
    return values.astype(np.float64)


def first_bad(mask: np.ndarray) -> int:
    """Index of the first true entry."""
    return int(np.argmax(mask))
