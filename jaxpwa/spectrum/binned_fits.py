"""What fits in bins found: bin by bin, and as one table."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from jaxpwa._checks import known
from jaxpwa.inference import report
from jaxpwa.inference.manyfits import Minimum
from jaxpwa.inference.result import FitResult
from jaxpwa.spectrum.starts import SAME_VALUE

_MOST_SHOWN = 8


@dataclass(frozen=True, eq=False)
class BinFit:
    """What was found in one bin.

    Attributes
    ----------
    number, low, high
        Position and edges.
    n_data, sum_of_weights
        Events of data that count, and the sum of their weights.
    acceptance
        Accepted over generated Monte Carlo; NaN where one is not known.
    n_starts
        How many starts were tried.
    minima
        The distinct minima, the best first; empty where there is no result.
    failures
        Why starts failed, by their position.
    reason
        Why there is no result, or an empty string.
    derived
        Value and error of derived quantities, by name.
    """

    number: int
    low: float
    high: float
    n_data: int
    sum_of_weights: float
    acceptance: float
    n_starts: int = 0
    minima: tuple[Minimum, ...] = ()
    failures: dict[int, str] = field(default_factory=dict)
    reason: str = ""
    derived: dict[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def result(self) -> FitResult | None:
        """The best result, or None."""
        return self.minima[0].result if self.minima else None

    @property
    def is_valid(self) -> bool:
        """Whether there is a valid result."""
        return bool(self.minima) and self.minima[0].result.valid

    @property
    def solutions(self) -> tuple[Minimum, ...]:
        """The minima whose value is the best one: more than one where solutions come in mirror images."""
        if not self.is_valid:
            return ()
        best = self.minima[0].result
        within = best.fval + SAME_VALUE * best.errordef
        return tuple(m for m in self.minima if m.result.valid and m.result.fval <= within)

    @property
    def reached(self) -> int:
        """How many starts led to the best value."""
        return sum(len(m.starts) for m in self.solutions)

    @property
    def next_minimum(self) -> float:
        """How far the next value of a minimum is above the best one; NaN where there is no other."""
        others = [m.result.fval for m in self.minima if m.result.valid and m not in self.solutions]
        return min(others) - self.minima[0].result.fval if others and self.is_valid else float("nan")

    def row(self) -> dict[str, Any]:
        """Return the row of the table."""
        result, nan = self.result, float("nan")
        row = {
            "low": self.low,
            "high": self.high,
            "centre": 0.5 * (self.low + self.high),
            "n_data": self.n_data,
            "sum_of_weights": self.sum_of_weights,
            "acceptance": self.acceptance,
            "valid": self.is_valid,
            "fval": nan if result is None else result.fval,
            "edm": nan if result is None else result.edm,
            "starts": self.n_starts,
            "reached": self.reached,
            "minima": len(self.minima),
            "solutions": len(self.solutions),
            "next_minimum": self.next_minimum,
            "reason": self.reason if result is None else "" if result.valid else result.message,
        }
        quantities = dict(self.derived)
        if result is not None:
            quantities = {name: (value, result.errors[name]) for name, value in result.values.items()} | quantities
        for name, (value, error) in quantities.items():
            row |= {name: value, f"{name} error": error}
        return row


COLUMNS = tuple(BinFit(0, 0.0, 1.0, 0, 0.0, 1.0).row())
"""Columns that every table of bins has."""


@dataclass(frozen=True, eq=False)
class BinnedFits(Mapping[int, FitResult]):
    """Results of `fit_bins`: a mapping from the numbers of the bins that have one to their best result.

    Attributes
    ----------
    edges
        ``(bins + 1,)``.
    bins
        One `BinFit` per bin, those without a result included.
    by
        What was cut.
    seconds
        Duration in all.
    """

    edges: np.ndarray
    bins: tuple[BinFit, ...]
    by: str
    seconds: float

    def __getitem__(self, number: int) -> FitResult:
        if not isinstance(number, (int, np.integer)) or not 0 <= number < len(self.bins):
            msg = f"there is no bin {number!r}: they go from 0 to {len(self.bins) - 1}."
            raise KeyError(msg)
        result = self.bins[number].result
        if result is None:
            msg = f"bin {number} has no result: {self.bins[number].reason}"
            raise KeyError(msg)
        return result

    def __iter__(self) -> Iterator[int]:
        return (fit.number for fit in self.bins if fit.minima)

    def __len__(self) -> int:
        return sum(1 for fit in self.bins if fit.minima)

    @property
    def results(self) -> dict[int, FitResult]:
        """Best results by number of the bin."""
        return dict(self)

    @property
    def centres(self) -> np.ndarray:
        """Half-way between the edges, ``(bins,)``."""
        return 0.5 * (self.edges[1:] + self.edges[:-1])

    @property
    def problem(self) -> str:
        """What went wrong, in a sentence; empty where every result is valid and no start failed.

        Bins that could not be fitted, such as empty ones, are no such problem: `BinFit.reason` has why.
        """
        parts = []
        bad = [fit for fit in self.bins if (fit.minima or fit.failures) and not fit.is_valid]
        if bad:
            why = bad[0].reason or next(minimum.result.message for minimum in bad[0].minima)
            numbers = known(str(fit.number) for fit in bad)
            parts.append(f"no valid fit in {len(bad)} of {len(self.bins)} bins ({numbers}); the first: {why}")
        failed = [fit for fit in self.bins if fit.failures and fit.minima]
        if failed:
            number, why = next(iter(failed[0].failures.items()))
            n_failed = sum(len(fit.failures) for fit in failed)
            parts.append(f"{n_failed} starts failed; bin {failed[0].number}, start {number}: {why}")
        return " ".join(part if part.endswith(".") else f"{part}." for part in parts)

    def derive(self, functions: Mapping[str, Callable[[dict[str, Any]], Any]]) -> "BinnedFits":
        """Return the same fits with more columns: what functions of the parameters give, with errors.

        Parameters
        ----------
        functions
            ``function(params)`` by name of the column, as `FitResult.propagate` takes them: each returns one real
            number, or a dict of such, whose keys are then added to the name.

        Raises
        ------
        TypeError
            If a function returns something else.
        ValueError
            If a name is that of a column that there is already.
        """
        fits = []
        for fit in self.bins:
            found: dict[str, tuple[float, float]] = {}
            for name, function in functions.items():
                if fit.result is not None:
                    found |= _propagated(fit.result, name, function)
            fits.append(fit if not found else replace(fit, derived=_joined(fit, found)))
        return replace(self, bins=tuple(fits))

    def to_pandas(self) -> pd.DataFrame:
        """Return one row per bin; where a bin has no result, numbers are NaN and ``reason`` says why.

        Returns
        -------
        Columns ``low``, ``high``, ``centre``; ``n_data``, ``sum_of_weights``, ``acceptance``; ``valid``, ``fval``,
        ``edm``; ``starts`` (how many were tried), ``reached`` (how many led to the best value), ``minima`` (distinct
        ones), ``solutions`` (those of the best value), ``next_minimum`` (how far the next value is above the best);
        ``reason``; then each parameter, and each derived quantity, and ``<name> error``. The index is the bin's number.
        """
        table = pd.DataFrame([fit.row() for fit in self.bins])
        table.index.name = "bin"
        return table

    def _table(self) -> tuple[str, list[str], list[list[str]]]:
        """Return a heading, the header and the rows of the table."""
        n_valid = sum(fit.is_valid for fit in self.bins)
        heading = f"{len(self.bins)} bins of {self.by} from {self.edges[0]:.6g} to {self.edges[-1]:.6g}: "
        heading += f"{n_valid} with a valid fit, in {self.seconds:.3g} s"
        if self.problem:
            heading += f"\n{self.problem}"
        shown = list(dict.fromkeys(name for fit in self.bins for name in fit.derived))
        shown = shown or list(dict.fromkeys(name for result in self.values() for name in result.values))
        if len(shown) > _MOST_SHOWN:
            heading += f"\n{len(shown) - _MOST_SHOWN} more quantities are in to_pandas()"
        shown = shown[:_MOST_SHOWN]
        header = [self.by, "events", "fval", "reached", "next", *shown, ""]
        rows = [self._row(fit, shown) for fit in self.bins]
        if not any(row[-1] for row in rows):
            header.pop()
            rows = [row[:-1] for row in rows]
        return heading, header, rows

    def _row(self, fit: BinFit, shown: list[str]) -> list[str]:
        """Return the cells of a bin."""
        result = fit.result
        cells = [f"{fit.low:.6g} to {fit.high:.6g}", str(fit.n_data)]
        if result is None:
            return [*cells, "", "", "", *[""] * len(shown), fit.reason]
        values = {name: (value, result.errors[name]) for name, value in result.values.items()} | fit.derived
        digits = max(6, int(np.ceil(np.log10(max(1.0, abs(result.fval))))) + 3) if np.isfinite(result.fval) else 6
        above = "" if np.isnan(fit.next_minimum) else f"+{fit.next_minimum:.3g}"
        cells += [f"{result.fval:.{digits}g}", f"{fit.reached} of {fit.n_starts}", above]
        cells += [report.with_error(*values[name]) if name in values else "" for name in shown]
        return [*cells, "" if result.valid else "NOT VALID"]

    def __repr__(self) -> str:
        heading, header, rows = self._table()
        return f"{heading}\n{report.text_table(header, rows)}"

    __str__ = __repr__

    def _repr_html_(self) -> str:
        heading, header, rows = self._table()
        return f"<div><p style='margin:0'>{report.escaped(heading)}</p>{report.html_table(header, rows)}</div>"


def _joined(fit: BinFit, found: Mapping[str, tuple[float, float]]) -> dict[str, tuple[float, float]]:
    """Return derived quantities with new ones; refuse names that there are."""
    taken = [name for name in found if {name, f"{name} error"} & {*fit.row()}]
    if taken:
        msg = f"derived quantities need names of their own: there is a column {known(taken)} already."
        raise ValueError(msg)
    return {**fit.derived, **found}


def _propagated(result: FitResult, name: str, function: Callable) -> dict[str, tuple[float, float]]:
    """Return value and error of what a function gives, by name of the column."""
    if not callable(function):
        msg = f"derived quantity {name!r} must be a function of the parameters, got {type(function).__name__}."
        raise TypeError(msg)
    estimate = result.propagate(function)
    value, error = estimate.value, estimate.error
    if not isinstance(value, Mapping):
        value, error, names = {name: value}, {name: error}, {name: name}
    else:
        names = {key: f"{name} {key}" for key in value}
    if any(np.ndim(v) for v in value.values()) or any(isinstance(v, Mapping) for v in value.values()):
        msg = f"derived quantity {name!r} must be one number, or a dict of such, got {value!r}."
        raise TypeError(msg)
    # No valid minimum, no covariance: NaN is what its errors are.
    return {names[key]: (float(value[key]), float(error[key])) for key in value}
