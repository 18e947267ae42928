"""Bins of one, two or more columns, and their union where nearly empty."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, eq=False)
class Bins:
    """Bins, and which event is in which.

    Attributes
    ----------
    data, mc
        Bin of each event; -1 outside of all.
    lower, upper
        Edges, ``(bins, columns)``.
    """

    data: np.ndarray
    mc: np.ndarray
    lower: np.ndarray
    upper: np.ndarray


def quantile_edges(values: np.ndarray, weights: np.ndarray, n_bins: int) -> np.ndarray:
    """Return inner edges, at most ``n_bins - 1``, between which the weights have equal sums."""
    order = np.argsort(values, kind="stable")
    x, share = values[order], np.cumsum(np.maximum(weights[order], 0.0))
    at = np.searchsorted(share, share[-1] * np.arange(1, n_bins) / n_bins)
    inside = at[(at + 1 < len(x))]
    edges = np.unique((x[inside] + x[inside + 1]) / 2)
    return edges[(edges > x[0]) & (edges < x[-1])]


def edges_of(spec: Any, name: str, data: np.ndarray, mc: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the edges of a column: given ones, or quantiles with the ends that hold every event."""
    if isinstance(spec, (int, np.integer)) and not isinstance(spec, bool):
        if spec < 2:
            msg = f"bins must be at least 2, got {spec} for column {name!r}."
            raise ValueError(msg)
        ends = [min(data.min(), mc.min()), max(data.max(), mc.max())]
        return np.concatenate([ends[:1], quantile_edges(mc, weights, int(spec)), ends[1:]])
    edges = np.asarray(spec, np.float64) if not isinstance(spec, str) else np.empty(0)
    if edges.ndim != 1 or len(edges) < 3 or not np.all(np.isfinite(edges)) or not np.all(np.diff(edges) > 0):
        msg = f"bins of column {name!r} must be a whole number or at least three rising finite edges, got {spec!r}."
        raise ValueError(msg)
    return edges


def spec_of(bins: Any, names: Sequence[str]) -> dict[str, Any]:
    """Return the bins wanted for each column."""
    if not isinstance(bins, Mapping):
        return dict.fromkeys(names, bins)
    unknown = [name for name in bins if name not in names]
    if unknown:
        msg = f"bins names column {unknown[0]!r}, which is not among the columns compared: {', '.join(names)}."
        raise ValueError(msg)
    return {name: bins.get(name, 20) for name in names}


def _cell(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Return the bin of each value, [lower, upper), the last one closed; -1 outside."""
    cell = np.searchsorted(edges, values, "right") - 1
    cell[values == edges[-1]] = len(edges) - 2
    cell[(cell < 0) | (cell > len(edges) - 2)] = -1
    return cell


def grid(data: np.ndarray, mc: np.ndarray, edges: Sequence[np.ndarray]) -> Bins:
    """Return the product of the bins of each column, in an order in which neighbours follow each other."""
    shape = tuple(len(e) - 1 for e in edges)
    index = np.arange(np.prod(shape)).reshape(shape)
    if len(shape) == 2:
        index[1::2] = index[1::2, ::-1].copy()  # there and back: the path never jumps across the plane

    def cells(points: np.ndarray) -> np.ndarray:
        each = [_cell(points[:, k], e) for k, e in enumerate(edges)]
        outside = np.any([c < 0 for c in each], axis=0)
        return np.where(outside, -1, index[tuple(each)])

    order = np.argsort(index.ravel())
    where = np.unravel_index(order, shape)
    lower = np.stack([e[:-1][w] for e, w in zip(edges, where, strict=True)], axis=1)
    upper = np.stack([e[1:][w] for e, w in zip(edges, where, strict=True)], axis=1)
    return Bins(cells(data), cells(mc), lower, upper)


def boxes(data: np.ndarray, mc: np.ndarray, weights: np.ndarray, n_boxes: int) -> Bins:
    """Cut the space into boxes of about equal prediction, column after column."""
    ends = np.stack([np.minimum(data.min(0), mc.min(0)), np.maximum(data.max(0), mc.max(0))])
    in_data, in_mc = np.zeros(len(data), np.intp), np.zeros(len(mc), np.intp)
    corners = []
    for rows, mc_rows, box in _halves(data, mc, weights, np.arange(len(data)), np.arange(len(mc)), ends, n_boxes, 0):
        in_data[rows], in_mc[mc_rows] = len(corners), len(corners)
        corners.append(box)
    lower, upper = np.stack(corners, axis=1)
    return Bins(in_data, in_mc, lower, upper)


def _halves(
    data: np.ndarray,
    mc: np.ndarray,
    weights: np.ndarray,
    rows: np.ndarray,
    mc_rows: np.ndarray,
    box: np.ndarray,
    n_boxes: int,
    depth: int,
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield boxes with the events in them, in an order in which neighbours mostly follow each other."""
    n_columns = data.shape[1]
    for column in [(depth + k) % n_columns for k in range(n_columns)] if n_boxes > 1 else ():
        cut = _cut(mc[mc_rows, column], weights[mc_rows], (n_boxes // 2) / n_boxes)
        if cut is None:
            continue
        left, mc_left = data[rows, column] < cut, mc[mc_rows, column] < cut
        low, high = box.copy(), box.copy()
        low[1, column] = high[0, column] = cut
        n_left = n_boxes // 2
        yield from _halves(data, mc, weights, rows[left], mc_rows[mc_left], low, n_left, column + 1)
        yield from _halves(data, mc, weights, rows[~left], mc_rows[~mc_left], high, n_boxes - n_left, column + 1)
        return
    yield rows, mc_rows, box


def _cut(values: np.ndarray, weights: np.ndarray, fraction: float) -> float | None:
    """Return where the weights below are this fraction, or None where all values are the same."""
    order = np.argsort(values, kind="stable")
    x, share = values[order], np.cumsum(np.maximum(weights[order], 0.0))
    if len(x) < 2 or x[0] == x[-1]:
        return None
    at = min(int(np.searchsorted(share, fraction * share[-1])), len(x) - 2)
    cut = (x[at] + x[at + 1]) / 2
    return float(cut if cut > x[0] else x[x > x[0]][0])


def merged(sums: np.ndarray, full: Callable[[np.ndarray], bool]) -> np.ndarray:
    """Return the group of each bin: bins, with their sums in rows, join the next until the group is full.

    What is left at the end joins the last group.
    """
    group, number, total = np.zeros(len(sums), np.intp), 0, np.zeros(sums.shape[1])
    for i, row in enumerate(sums):
        group[i] = number
        total = total + row
        if full(total):
            number, total = number + 1, np.zeros_like(total)
    return np.minimum(group, max(number - 1, 0))
