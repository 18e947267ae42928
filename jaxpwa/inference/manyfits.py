"""What many fits found: for each cost its minima, lowest first."""

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from jaxpwa._checks import known
from jaxpwa.inference import report
from jaxpwa.inference.result import FitResult


@dataclass(frozen=True, eq=False)
class Minimum:
    """A minimum, and the starts that led there.

    Attributes
    ----------
    result
        The fit.
    starts
        Positions of the starts whose fits end there.
    """

    result: FitResult
    starts: tuple[int, ...]


def _distance(result: FitResult, best: FitResult) -> float:
    """Return how far a minimum is from the best one, in standard deviations of the best; NaN where either is none."""
    tied = getattr(best, "tied", ())
    moving = [i for i, n in enumerate(best.names) if best.covariance[i, i] > 0 and n in result.values and n not in tied]
    if not (result.valid and best.valid) or not np.isfinite(best.covariance).all():
        return np.nan
    away = np.array([result.values[best.names[i]] - best.values[best.names[i]] for i in moving])
    sigma = np.sqrt(np.diag(best.covariance)[moving])
    correlation = best.covariance[np.ix_(moving, moving)] / np.outer(sigma, sigma)
    pulls = away / sigma
    # Rounding can leave a matrix of parameters that are all but one without an inverse.
    return float(np.sqrt(max(0.0, pulls @ np.linalg.pinv(correlation, rcond=1e-14, hermitian=True) @ pulls)))


@dataclass(frozen=True, eq=False)
class ManyFits(Mapping[Hashable, FitResult]):
    """Results of `fit_many`: a mapping from a cost's position or key to its best result.

    The best is the lowest valid one, else the lowest of those that are not valid.

    Attributes
    ----------
    minima
        For each cost its distinct minima, valid ones first, lowest first; empty where every start failed.
    failures
        Why starts failed, by cost and position of the start; only costs where some did.
    seconds
        Duration in all.
    """

    minima: dict[Hashable, tuple[Minimum, ...]]
    failures: dict[Hashable, dict[int, str]]
    seconds: float

    def __getitem__(self, label: Hashable) -> FitResult:
        if not self.minima[label]:
            number, reason = next(iter(self.failures[label].items()))
            msg = f"cost {label!r} has no result: every start failed; start {number}: {reason}"
            raise KeyError(msg)
        return self.minima[label][0].result

    def __iter__(self) -> Iterator[Hashable]:
        return iter(self.minima)

    def __len__(self) -> int:
        return len(self.minima)

    @property
    def best(self) -> FitResult:
        """The best result of the only cost.

        Raises
        ------
        ValueError
            If there are several.
        """
        if len(self.minima) != 1:
            msg = f"there are {len(self.minima)} costs: take one, fits[{next(iter(self.minima))!r}]."
            raise ValueError(msg)
        return self[next(iter(self.minima))]

    @property
    def problem(self) -> str:
        """What went wrong, in a sentence; empty where every cost has a valid result and no start failed."""
        bad = [repr(label) for label, minima in self.minima.items() if not (minima and minima[0].result.valid)]
        parts = []
        if bad:
            first = next(label for label, minima in self.minima.items() if not (minima and minima[0].result.valid))
            why = self[first].message if self.minima[first] else next(iter(self.failures[first].values()))
            parts.append(f"no valid fit for {len(bad)} of {len(self.minima)} costs ({known(bad)}); the first: {why}")
        n_failed = sum(map(len, self.failures.values()))
        if n_failed:
            label, failed = next(iter(self.failures.items()))
            number, why = next(iter(failed.items()))
            parts.append(f"{n_failed} starts failed; cost {label!r}, start {number}: {why}")
        return " ".join(part if part.endswith(".") else f"{part}." for part in parts)

    def to_pandas(self) -> pd.DataFrame:
        """Return one row per minimum, lowest first within its cost.

        Returns
        -------
        Columns ``cost`` (position or key), ``minimum`` (0 is the best), ``starts`` (how many led there), ``fval``,
        ``above`` (the best), ``distance`` (from the best, in standard deviations: the root of d^T V^-1 d with V of the
        best; NaN where either is not valid), ``valid``, ``edm``, then each parameter and ``<name>_error``.
        """
        rows = []
        for label, minima in self.minima.items():
            for number, minimum in enumerate(minima):
                r = minimum.result
                row = {"cost": label, "minimum": number, "starts": len(minimum.starts), "fval": r.fval}
                row |= {"above": r.fval - minima[0].result.fval, "distance": _distance(r, minima[0].result)}
                row |= {"valid": r.valid, "edm": r.edm}
                for name, value in r.values.items():
                    row |= {name: value, f"{name}_error": r.errors[name]}
                rows.append(row)
        return pd.DataFrame(rows)

    def _table(self) -> tuple[str, list[str], list[list[str]]]:
        """Return a heading, the header and the rows of the table."""
        n_fits = sum(len(minimum.starts) for minima in self.minima.values() for minimum in minima)
        n_fits += sum(map(len, self.failures.values()))
        heading = f"{n_fits} fits of {len(self.minima)} cost{'s'[: len(self.minima) > 1]} in {self.seconds:.3g} s"
        if self.problem:
            heading += f"\n{self.problem}"
        single = len(self.minima) == 1
        names = list(dict.fromkeys(n for minima in self.minima.values() for m in minima for n in m.result.values))
        header = ["minimum" if single else "cost", "starts", "fval", "above" if single else "minima", "distance", ""]
        header += names
        rows = []
        for label, minima in self.minima.items():
            for number, minimum in enumerate(minima if single else minima[:1]):
                r = minimum.result
                digits = max(6, int(np.ceil(np.log10(max(1.0, abs(r.fval))))) + 3) if np.isfinite(r.fval) else 6
                above = r.fval - minima[0].result.fval
                row = [str(number if single else label), str(len(minimum.starts)), f"{r.fval:.{digits}g}"]
                distance = _distance(r, minima[0].result)
                row += [
                    (f"{above:.3f}" if above < 1e4 else f"{above:.5g}") if single else str(len(minima)),
                    f"{distance:.3g}" if number and np.isfinite(distance) else "",
                    "" if r.valid else "NOT VALID",
                ]
                rows.append(
                    [*row, *(report.with_error(r.values[n], r.errors[n]) if n in r.values else "" for n in names)]
                )
            if not minima:
                rows.append([str(label), "0", "", "0", "", "FAILED", *[""] * len(names)])
        for column in (5, 4):
            if not any(row[column] for row in rows):
                header.pop(column)
                rows = [row[:column] + row[column + 1 :] for row in rows]
        return heading, header, rows

    def __repr__(self) -> str:
        heading, header, rows = self._table()
        return f"{heading}\n{report.text_table(header, rows)}"

    __str__ = __repr__

    def _repr_html_(self) -> str:
        heading, header, rows = self._table()
        return f"<div><p style='margin:0'>{report.escaped(heading)}</p>{report.html_table(header, rows)}</div>"
