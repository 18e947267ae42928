"""What a comparison in bins found: tables of contents, errors and pulls."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

import jax.numpy as jnp
from jax.scipy.special import gammaincc

from jaxpwa.quality._samples import Record


def _tail(chi2: float, ndof: int) -> float:
    """Return the probability of a larger chi-squared; NaN without degrees of freedom."""
    return float(gammaincc(ndof / 2, jnp.asarray(max(chi2, 0.0) / 2))) if ndof > 0 else float("nan")


@dataclass(frozen=True, eq=False)
class BinTable(Record):
    """One comparison in bins.

    Attributes
    ----------
    columns
        What is binned; one row per bin in all arrays below.
    lower, upper
        Edges, ``(bins, columns)``; of joined bins the smallest box around them.
    observed, expected
        Sums of weights of data, and of the model.
    observed_variance, expected_variance
        Variances that enter chi-squared.
    joined
        Bins of the binning asked for that make up each bin.
    chi2
        Chi-squared.
    n_bins, n_norm, n_fitted
        Degrees of freedom: bins, less one for a normalisation to data, less the fitted parameters.
    n_outside
        Events of data outside of all bins.
    """

    columns: tuple[str, ...]
    lower: np.ndarray
    upper: np.ndarray
    observed: np.ndarray
    expected: np.ndarray
    observed_variance: np.ndarray
    expected_variance: np.ndarray
    joined: np.ndarray
    chi2: float
    n_norm: int
    n_fitted: int
    n_outside: int

    @property
    def n_bins(self) -> int:
        """Number of bins, after the joining of nearly empty ones."""
        return len(self.observed)

    @property
    def ndof(self) -> int:
        """Degrees of freedom, less the fitted parameters; not positive where there are too few bins for that."""
        return self.n_bins - self.n_norm - self.n_fitted

    @property
    def pull(self) -> np.ndarray:
        """Difference over its error, for each bin."""
        return (self.observed - self.expected) / np.sqrt(self.observed_variance + self.expected_variance)

    @property
    def p_value(self) -> float:
        """Probability of a larger chi-squared with ``ndof``; NaN where that is not positive."""
        return _tail(self.chi2, self.ndof)

    @property
    def p_value_unfitted(self) -> float:
        """The same with no fitted parameter subtracted: an upper limit."""
        return _tail(self.chi2, self.n_bins - self.n_norm)

    def to_pandas(self) -> pd.DataFrame:
        """Return one row per bin: edges of each column, then contents, errors, pull and joined bins.

        Returns
        -------
        Columns ``<name>_low`` and ``<name>_high``, ``observed``, ``observed_error``, ``expected``,
        ``expected_error``, ``pull``, ``joined``.
        """
        frame = {}
        for k, name in enumerate(self.columns):
            frame |= {f"{name}_low": self.lower[:, k], f"{name}_high": self.upper[:, k]}
        errors = np.sqrt(self.observed_variance), np.sqrt(self.expected_variance)
        frame |= {"observed": self.observed, "observed_error": errors[0]}
        frame |= {"expected": self.expected, "expected_error": errors[1], "pull": self.pull, "joined": self.joined}
        return pd.DataFrame(frame)

    def _table(self) -> tuple[str, list[str], list[list[str]]]:
        heading = f"{', '.join(self.columns)}: {_verdict(self)}"
        frame = self.to_pandas()
        rows = [[f"{v:.4g}" for v in row] for row in frame.itertuples(index=False)]
        return heading, list(frame.columns), rows


def _verdict(table: BinTable) -> str:
    """Return chi-squared, degrees of freedom and p-value in words."""
    taken = [f"{table.n_bins} bins"] + ["1 normalisation"] * table.n_norm
    taken += [f"{table.n_fitted} fitted"] * (table.n_fitted > 0)
    p = f"p = {table.p_value:.3g}" if table.ndof > 0 else "no p-value"
    if table.n_fitted:
        p += f" (at most {table.p_value_unfitted:.3g})"
    outside = f", {table.n_outside} events of data outside" if table.n_outside else ""
    return f"chi2 = {table.chi2:.4g} for {table.ndof} = {' - '.join(taken)}, {p}{outside}"


@dataclass(frozen=True, eq=False)
class Chi2Test(Record):
    """What `chi2_test` found.

    Attributes
    ----------
    joint
        The table over all columns (of one column: its projection), which decides.
    projections
        A table for each column, and for each pair asked for, by name or pair of names.
    """

    joint: BinTable
    projections: dict[str | tuple[str, str], BinTable]

    @property
    def statistic(self) -> float:
        """Chi-squared of the table over all columns."""
        return self.joint.chi2

    @property
    def chi2(self) -> float:
        """Chi-squared of the table over all columns."""
        return self.joint.chi2

    @property
    def ndof(self) -> int:
        """Degrees of freedom of that table."""
        return self.joint.ndof

    @property
    def p_value(self) -> float:
        """Probability of a larger chi-squared of that table."""
        return self.joint.p_value

    def to_pandas(self) -> pd.DataFrame:
        """Return one row per table, that over all columns first.

        Returns
        -------
        Columns ``columns``, ``bins``, ``chi2``, ``ndof``, ``p_value``, ``p_value_unfitted``, ``largest_pull``.
        """
        rows = [
            {
                "columns": ", ".join(table.columns),
                "bins": table.n_bins,
                "chi2": table.chi2,
                "ndof": table.ndof,
                "p_value": table.p_value,
                "p_value_unfitted": table.p_value_unfitted,
                "largest_pull": table.pull[np.argmax(np.abs(table.pull))],
            }
            for table in dict.fromkeys([self.joint, *self.projections.values()])
        ]
        return pd.DataFrame(rows)

    def _table(self) -> tuple[str, list[str], list[list[str]]]:
        frame = self.to_pandas()
        # Few parameters matter in a projection: its own p-value is nearer to that without subtraction.
        header = ["columns", "bins", "chi2", "ndof", "p, fitted taken off", "p, not taken off", "largest pull"]
        rows = [
            [str(row[0]), *(f"{v:.4g}" if np.isfinite(v) else "" for v in row[1:])]
            for row in frame.itertuples(index=False)
        ]
        return f"{', '.join(self.joint.columns)}: {_verdict(self.joint)}", header, rows
