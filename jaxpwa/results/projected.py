"""Histograms of weighted events as records: sums, errors, what lies outside, tables."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from jaxpwa._checks import known
from jaxpwa.inference import report


@dataclass(frozen=True, eq=False)
class Projection:
    """Sums of weights in bins of one or two columns, for the whole and for components.

    Attributes
    ----------
    columns
        Names of the one or two columns.
    edges
        Edges of the bins of each, rising. Bins are half-open, the last one closed.
    names
        ``"total"``, then the components.
    all_sums, all_squares
        Sums of weights and of their squares, ``(names, bins + 2)`` or ``(names, bins + 2, bins + 2)``: the first and
        the last entry of an axis are of events below and above its edges.
    """

    columns: tuple[str, ...]
    edges: tuple[np.ndarray, ...]
    names: tuple[str, ...]
    all_sums: np.ndarray
    all_squares: np.ndarray

    @property
    def _inside(self) -> tuple[slice, ...]:
        return (slice(None), *(slice(1, -1) for _ in self.edges))

    @property
    def sums(self) -> np.ndarray:
        """Sums of weights in the bins, ``(names, bins)`` or ``(names, bins, bins)``."""
        return self.all_sums[self._inside]

    @property
    def squares(self) -> np.ndarray:
        """Sums of squared weights: the variances of the sums."""
        return self.all_squares[self._inside]

    @property
    def errors(self) -> np.ndarray:
        """Standard deviations of the sums, from the number of events."""
        return np.sqrt(self.squares)

    @property
    def underflow(self) -> np.ndarray:
        """Sums below the first edge, ``(names,)``; of two columns, below that of either."""
        inside = (slice(None), *(slice(1, None) for _ in self.edges))
        return self._rest(self.all_sums, inside)

    @property
    def overflow(self) -> np.ndarray:
        """Sums above the last edge, ``(names,)``; of two columns, above that of either."""
        inside = (slice(None), *(slice(None, -1) for _ in self.edges))
        return self._rest(self.all_sums, inside)

    @staticmethod
    def _rest(sums: np.ndarray, inside: tuple[slice, ...]) -> np.ndarray:
        """Add up what is not inside."""
        outside = sums.copy()
        outside[inside] = 0.0
        return outside.sum(axis=tuple(range(1, sums.ndim)))

    def of(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Return the sums in the bins of the whole or of one component, and their errors.

        Parameters
        ----------
        name
            One of ``names``.

        Returns
        -------
        Two arrays, ``(bins,)`` or ``(bins, bins)``.

        Raises
        ------
        KeyError
            If there is no such component.
        """
        if name not in self.names:
            msg = f"there is no component {name!r}; there are {known(self.names)}."
            raise KeyError(msg)
        k = self.names.index(name)
        return self.sums[k], self.errors[k]

    def to_pandas(self) -> pd.DataFrame:
        """Return one row per component and bin.

        Returns
        -------
        Columns ``component``, ``COLUMN_low`` and ``COLUMN_high`` of each column, ``sum``, ``error``.
        """
        shape = self.sums.shape
        where = np.indices(shape).reshape(len(shape), -1)
        columns: dict[str, Any] = {"component": np.array(self.names, object)[where[0]]}
        for name, edges, index in zip(self.columns, self.edges, where[1:], strict=True):
            columns |= {f"{name}_low": edges[index], f"{name}_high": edges[index + 1]}
        return pd.DataFrame({**columns, "sum": self.sums.ravel(), "error": self.errors.ravel()})


@dataclass(frozen=True, eq=False)
class Projections:
    """Histograms of several columns, of the same events and weights.

    Indexing gives one of them: ``found["mass"]``, ``found["mass", "costheta"]``.

    Attributes
    ----------
    names
        ``"total"``, then the components.
    histograms
        One `Projection` for each column or pair of columns.
    totals, total_squares
        Sums over all events of weights, and of their squares, ``(names,)``.
    n_events
        Number of events.
    """

    names: tuple[str, ...]
    histograms: tuple[Projection, ...]
    totals: np.ndarray
    total_squares: np.ndarray
    n_events: int

    def __getitem__(self, columns: str | tuple[str, ...]) -> Projection:
        wanted = tuple(columns) if isinstance(columns, (tuple, list)) else (columns,)
        for histogram in self.histograms:
            if histogram.columns == wanted:
                return histogram
        msg = f"there is no projection on {columns!r}; there are {known(_label(h.columns) for h in self.histograms)}."
        raise KeyError(msg)

    def scaled(self, factor: float) -> "Projections":
        """Return the same histograms with all weights multiplied.

        Parameters
        ----------
        factor
            A finite number.

        Returns
        -------
        Another record; errors are multiplied, too.

        Raises
        ------
        ValueError
            If the factor is no finite number.
        """
        factor = finite_number(factor, "factor")
        scaled = tuple(
            replace(h, all_sums=factor * h.all_sums, all_squares=factor**2 * h.all_squares) for h in self.histograms
        )
        return replace(
            self, histograms=scaled, totals=factor * self.totals, total_squares=factor**2 * self.total_squares
        )

    def to_pandas(self) -> pd.DataFrame:
        """Return all histograms of one column as one table; for pairs see `Projection.to_pandas`.

        Returns
        -------
        Columns ``column``, ``component``, ``low``, ``high``, ``sum``, ``error``.
        """
        tables = []
        for histogram in (h for h in self.histograms if len(h.columns) == 1):
            (name,) = histogram.columns
            table = histogram.to_pandas().rename(columns={f"{name}_low": "low", f"{name}_high": "high"})
            table.insert(0, "column", name)
            tables.append(table)
        return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()

    def _table(self) -> tuple[list[str], list[list[str]]]:
        header, rows = ["projection", "component", "bins", "sum", "below", "above"], []
        for h in self.histograms:
            bins = " x ".join(str(len(edges) - 1) for edges in h.edges)
            for k, name in enumerate(h.names):
                total = report.with_error(float(h.sums[k].sum()), float(np.sqrt(h.squares[k].sum())))
                label = _label(h.columns) if k == 0 else ""
                rows.append([label, name, bins, total, f"{h.underflow[k]:.6g}", f"{h.overflow[k]:.6g}"])
        return header, rows

    def __str__(self) -> str:
        return f"{self.n_events} events\n{report.text_table(*self._table())}"

    def _repr_html_(self) -> str:
        return report.html_table(*self._table())

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(str(self))


def finite_number(value: Any, what: str) -> float:
    """Return a real number that is finite, or refuse what is none."""
    number = np.asarray(value)
    if number.shape or number.dtype.kind not in "fiu" or not np.isfinite(number):
        msg = f"{what} must be a finite number, got {value!r}."
        raise ValueError(msg)
    return float(number)


def _label(columns: tuple[str, ...]) -> str:
    return ", ".join(columns)
