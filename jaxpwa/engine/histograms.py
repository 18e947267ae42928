"""Sums of weights in bins: intensities from the devices, block by block, added up in bins on the host.

A core adds an event to a bin in 1.4 ns (`numpy.bincount`) once it knows the bin, which takes 7 ns where bins are
equally wide and 40 ns where they are not; XLA's scatter takes 5.5 ns an event on the same core, and as many
comparisons as there are edges to find the bin. The devices compute the next part meanwhile.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

import jax
import jax.numpy as jnp
from jax import lax

from jaxpwa._checks import first_bad
from jaxpwa.data.dataset import Dataset
from jaxpwa.data.filedata import FileDataset
from jaxpwa.engine.blocks import Arrays, gather
from jaxpwa.engine.devices import Devices, over_events
from jaxpwa.engine.model import ColumnSpecs, ModelRef, inspect_model, pack_parameters
from jaxpwa.engine.pieces import MOST_ROWS, Events, Part, parts, pieces_of, rows_in_budget, share_of
from jaxpwa.engine.pointwise import MapSpec, one_ahead, values_of_blocks

# Values that stay in a core's cache while their bins are looked up.
_STRETCH = 1 << 14


@dataclass(frozen=True, eq=False)
class Axis:
    """Bins of one column, half-open but for the last one, which holds its upper edge; as `numpy.histogram` has them.

    Attributes
    ----------
    edges
        Rising, ``(bins + 1,)``.
    """

    edges: np.ndarray

    def __len__(self) -> int:
        return len(self.edges) - 1

    def index(self, values: np.ndarray) -> np.ndarray:
        """Return the bin of each event, from 1 on; 0 below the first edge, ``bins + 1`` above the last."""
        n, edges = len(self), self.edges
        width = (edges[-1] - edges[0]) / n
        if np.isfinite(width) and np.abs(np.diff(edges) - width).max() < 1e-6 * width:
            found = self._of_equal(values, width)
        else:
            found = np.searchsorted(edges, values, side="right")
        found[values == edges[-1]] = n
        return found

    def _of_equal(self, values: np.ndarray, width: float) -> np.ndarray:
        """Look up bins of equal width: computed, and put right by one where rounding or the edges say so."""
        n, low = len(self), self.edges[0]
        padded = np.concatenate([[-np.inf], self.edges, [np.inf]])
        found = np.empty(len(values), np.intp)
        for start in range(0, len(values), _STRETCH):
            part = values[start : start + _STRETCH]
            guess = np.clip((part - low) * (1 / width) + 1, 0, n + 1).astype(np.intp)
            guess -= part < padded[guess]
            guess += part >= padded[guess + 1]
            found[start : start + _STRETCH] = np.minimum(guess, n + 1)
        return found


class Sums:
    r"""Sums of weights and of their squares in bins of one or two columns, of several kinds of weights.

    Attributes
    ----------
    columns, axes
        Names of the columns, and their bins.
    sums, squares
        :math:`\sum w` and :math:`\sum w^2`, ``(kinds, cells)``: the cells of a grid with a bin more at both ends of
        each axis.
    """

    def __init__(self, columns: tuple[str, ...], axes: tuple[Axis, ...], n_kinds: int):
        self.columns, self.axes = columns, axes
        self.shape = tuple(len(axis) + 2 for axis in axes)
        self.sums = np.zeros((n_kinds, int(np.prod(self.shape))))
        self.squares = np.zeros_like(self.sums)

    def add(self, values: Sequence[np.ndarray], weights: Sequence[np.ndarray], squares: Sequence[np.ndarray]) -> None:
        """Add events: values of each column, weights of each kind."""
        found = self.axes[0].index(values[0])
        for axis, more in zip(self.axes[1:], values[1:], strict=True):
            found = found * (len(axis) + 2) + axis.index(more)
        cells = self.sums.shape[1]
        for kind, (w, w2) in enumerate(zip(weights, squares, strict=True)):
            self.sums[kind] += np.bincount(found, w, cells)
            self.squares[kind] += np.bincount(found, w2, cells)


@lru_cache(maxsize=32)
def compiled_kinds(specs: tuple[MapSpec, ...]) -> Callable[[np.ndarray, Arrays], tuple[jax.Array, ...]]:
    """Return the compiled values per event of several intensities: what they share is computed once.

    ``(theta, arrays) -> (rows,)`` of each, padded like the columns. All read the same parameters and columns.
    """
    mesh, block = specs[0].mesh, specs[0].block

    def local(theta: jax.Array, arrays: Arrays) -> tuple[jax.Array, ...]:
        kinds, n = [values_of_blocks(spec, theta, arrays) for spec in specs], arrays[3][0]

        def body(i: jax.Array, out: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
            return tuple(
                lax.dynamic_update_slice_in_dim(rows, of_block(i), i * block, 0)
                for rows, of_block in zip(out, kinds, strict=True)
            )

        start = tuple(jnp.zeros(len(arrays[0][0]), spec.dtype) for spec in specs)
        return lax.fori_loop(0, (n + block - 1) // block, body, start)

    return over_events(mesh, local, 1, 1)


Weighted = tuple[int, Dataset, list[np.ndarray]]
"""Index of the first of some events, these, and their weights of each kind."""


@dataclass(frozen=True)
class Weighing:
    """Intensities of which each makes one kind of weights, all computed together; none: weights as they are.

    Attributes
    ----------
    names, models
        What messages call them, and what they are.
    parameters, theta
        Names and values of all parameters that they read.
    columns, dtypes
        All columns that they read, and the types of their values.
    also
        Columns that the user of the weights needs.
    """

    names: tuple[str, ...]
    models: tuple[ModelRef, ...]
    parameters: tuple[str, ...]
    theta: np.ndarray
    columns: tuple[str, ...]
    dtypes: tuple[str, ...]
    also: tuple[str, ...]

    @classmethod
    def make(
        cls,
        names: tuple[str, ...],
        models: Sequence[ModelRef],
        params: Mapping[str, Any],
        specs: ColumnSpecs,
        also: tuple[str, ...],
    ) -> "Weighing":
        """Check intensities, parameters and columns against each other, before any work."""
        infos, is_open = [], False
        for model in models:
            info = inspect_model(model, specs)
            whole = info.parameters is None
            is_open |= whole
            infos.append((inspect_model(model, specs, tuple(params)) if whole else info, model))
        read = dict.fromkeys(name for info, _ in infos for name in info.parameters or ())
        if is_open:
            # A model that takes them as a whole may go by their order.
            read = dict.fromkeys(params)
        for info, model in infos:
            pack_parameters(params, info.parameters or (), model.name)
        return cls(
            names,
            tuple(models),
            tuple(read),
            pack_parameters(params, tuple(read), "the model") if models else np.empty(0),
            tuple(dict.fromkeys(name for info, _ in infos for name in info.columns)),
            tuple(str(info.dtype) for info, _ in infos),
            also,
        )

    def run(self, data: Events, devices: Devices) -> Generator[Weighted]:
        """Yield one part of the events after the other, with their weights; the next is computed meanwhile."""
        if not self.models:
            yield from _as_they_are(data, self.also)
            return
        n = len(self.models)
        most = max(MOST_ROWS // n, 1 << 16)
        placed = parts(data, self.columns, weighted=True, devices=devices, most=most, also=self.also, n_results=1 + n)
        with closing(placed):
            for part, kinds in one_ahead((part, self._launch(part, data.dtype)) for part in placed):
                piece = part.data if part.data.n_events == part.events.n_events else part.data.select(part.rows)
                weights = [gather(values, part.events.cuts) for values in kinds]
                found = zip(weights, self.names, strict=True)
                yield part.start, piece, [_finite(w, piece, name, part.start) for w, name in found]

    def _launch(self, part: Part, dtype: str) -> tuple[jax.Array, ...]:
        """Start the computation of all kinds of weights of a part."""
        single, (mesh, block) = dtype == "float32", (part.events.mesh, part.events.block)
        specs = tuple(
            MapSpec(model, self.parameters, self.columns, kind, single, mesh, block)
            for model, kind in zip(self.models, self.dtypes, strict=True)
        )
        return compiled_kinds(specs)(self.theta, part.events.arrays)


def _as_they_are(data: Events, columns: tuple[str, ...]) -> Generator[Weighted]:
    """Yield parts of the events with the weights that they have."""
    start, stop = share_of(data)
    if isinstance(data, FileDataset):
        rows = min(MOST_ROWS, rows_in_budget(data, columns))
        for first, piece in pieces_of(data, columns, start, stop, rows):
            yield first, piece, [piece.weights]
    else:
        for first in range(start, stop, MOST_ROWS):
            piece = data.select(slice(first, first + MOST_ROWS))
            yield first, piece, [piece.weights]


def _finite(values: np.ndarray, piece: Dataset, name: str, first: int) -> np.ndarray:
    """Return intensities times weights as doubles; events of weight 0 do not count, whatever their intensity."""
    values = values.astype(np.float64, copy=False)
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(values.sum()):
            return values
    bad = ~np.isfinite(values)
    counted = bad & (piece.weights != 0)
    if counted.any():
        event = first_bad(counted)
        msg = (
            f"intensity {name!r} is NaN or infinite for event {first + event} ({values[event]}). "
            "Drop such events or give them weight 0."
        )
        raise ValueError(msg)
    return np.where(bad, 0.0, values)
