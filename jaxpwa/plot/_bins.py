"""Histograms of weighted events and their errors."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from jaxpwa._checks import first_bad
from jaxpwa.data.dataset import Dataset

# Upper end of Garwood's central interval of 68.27 % for no events seen, -ln(0.15866): Biometrika 28 (1936) 437.
NO_EVENTS = 1.841021645

Column = str | Callable[[Dataset], Any]


@dataclass(frozen=True)
class Bins:
    """Bins of one column: half-open, the last one closed."""

    edges: np.ndarray

    @property
    def middle(self) -> np.ndarray:
        """Middle of every bin."""
        return (self.edges[1:] + self.edges[:-1]) / 2

    def __len__(self) -> int:
        return len(self.edges) - 1

    def index(self, values: np.ndarray) -> np.ndarray:
        """Return the bin of each event, the number of bins for events outside."""
        n = len(self)
        found = np.searchsorted(self.edges, values, side="right") - 1
        found[values == self.edges[-1]] = n - 1
        return np.where((found < 0) | (found >= n), n, found)

    def sums(self, index: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Add up weights in bins, ``(bins,)``."""
        return np.bincount(index, weights, minlength=len(self) + 1)[: len(self)]


def column_of(column: Column, data: Dataset, what: str) -> np.ndarray:
    """Return one real number per event: a column, or what a function makes of the events."""
    values = data.numbers(column) if isinstance(column, str) else np.asarray(column(data))
    if values.shape != (data.n_events,) or values.dtype.kind not in "fiub":
        name = repr(column) if isinstance(column, str) else "the function given as column"
        msg = f"{name} must have one real number per event of {what}, got shape {values.shape} of dtype {values.dtype}."
        raise ValueError(msg)
    bad = np.isnan(values) & (data.weights != 0)
    if bad.any():
        msg = f"{column!r} of {what} is NaN for {int(bad.sum())} events (first: event {first_bad(bad)}). Mask them out."
        raise ValueError(msg)
    return values.astype(np.float64, copy=False)


def make_bins(bins: Any, limits: Any, samples: Sequence[np.ndarray]) -> Bins:
    """Return bins from a number and a range, or from edges."""
    if np.ndim(bins) == 1:
        edges = np.asarray(bins, np.float64)
        if len(edges) < 2 or not np.all(np.diff(edges) > 0):
            msg = f"bins must be a whole number, or at least two rising edges, got {edges.tolist()}."
            raise ValueError(msg)
        return Bins(edges)
    if isinstance(bins, bool) or not isinstance(bins, (int, np.integer)) or bins < 1:
        msg = f"bins must be a whole number above 0, or edges, got {bins!r}."
        raise ValueError(msg)
    if limits is None:
        finite = [v[np.isfinite(v)] for v in samples]
        finite = [v for v in finite if len(v)]
        if not finite:
            msg = "there are no events to take the range from: give range=(low, high)."
            raise ValueError(msg)
        limits = min(v.min() for v in finite), max(v.max() for v in finite)
        if limits[0] == limits[1]:
            limits = limits[0] - 0.5, limits[1] + 0.5
    low, high = (float(v) for v in limits)
    if not low < high or not np.isfinite(high - low):
        msg = f"range must be (low, high) with low < high, got ({low:g}, {high:g})."
        raise ValueError(msg)
    return Bins(np.linspace(low, high, bins + 1))


@dataclass(frozen=True)
class Histogram:
    r"""Sum of weights in each bin, and its variance :math:`\sum w^2`.

    ``event`` is the weight of one event where a bin has none: :math:`\sum w^2 / \sum w` of all of them.
    """

    counts: np.ndarray
    variance: np.ndarray
    event: float = 1.0

    @property
    def is_empty(self) -> np.ndarray:
        """Bins in which no event counts."""
        return self.variance == 0

    def bars(self) -> np.ndarray:
        """Lengths of error bars down and up, ``(2, bins)``: upwards only for no events."""
        sigma = np.sqrt(self.variance)
        return np.stack([sigma, np.where(self.is_empty, NO_EVENTS * self.event, sigma)])

    def pulls(self, expected: "Histogram") -> np.ndarray:
        """Differences in standard deviations, ``(bins,)``; NaN where nothing is seen and nothing expected."""
        # A bin without events has the variance that the expectation gives it, not none.
        seen = np.where(self.is_empty, self.event * np.maximum(expected.counts, 0.0), self.variance)
        sigma = np.sqrt(seen + expected.variance)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(sigma > 0, (self.counts - expected.counts) / sigma, np.nan)


def fill(bins: Bins, samples: Sequence[tuple[np.ndarray, np.ndarray]]) -> Histogram:
    """Fill the events of one or more samples, each values and weights."""
    counts, variance = np.zeros(len(bins)), np.zeros(len(bins))
    total, squares = 0.0, 0.0
    for values, weights in samples:
        index = bins.index(values)
        counts += bins.sums(index, weights)
        variance += bins.sums(index, weights**2)
        total, squares = total + weights.sum(), squares + (weights**2).sum()
    return Histogram(counts, variance, squares / total if total > 0 else 1.0)
