"""What the data determine badly: weak directions of a fit, and correlations of its parameters."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from jaxpwa.explore.conditional import Fitted, check_result
from jaxpwa.inference import report
from jaxpwa.inference.cost import Cost
from jaxpwa.inference.result import FitResult
from jaxpwa.inference.weak import WeakDirection, weak_directions_of

_PARTS_SHOWN = 8


@dataclass(frozen=True, eq=False)
class WeakDirections(Sequence[WeakDirection]):
    """Weak directions of a fit, weakest first.

    Attributes
    ----------
    directions
        Them.
    threshold
        Largest eigenvalue that counts as small.
    """

    directions: tuple[WeakDirection, ...]
    threshold: float

    def __getitem__(self, number):
        return self.directions[number]

    def __len__(self) -> int:
        return len(self.directions)

    def to_pandas(self) -> pd.DataFrame:
        """Return one row per direction and parameter that takes part.

        Returns
        -------
        Columns ``direction`` (0 is the weakest), ``eigenvalue``, ``inflation``, ``parameter``, ``part``, ``step``.
        """
        columns = ["direction", "eigenvalue", "inflation", "parameter", "part", "step"]
        rows = [
            [number, d.eigenvalue, d.inflation, name, part, d.steps[name]]
            for number, d in enumerate(self.directions)
            for name, part in d.parts.items()
        ]
        return pd.DataFrame(rows, columns=pd.Index(columns))

    def _table(self) -> tuple[str, list[str], list[list[str]]]:
        """Return a heading, the header and the rows of the table."""
        heading = f"{len(self)} weak direction{'s'[: len(self) != 1]} with an eigenvalue up to {self.threshold:g}"
        rows = []
        for d in self.directions:
            parts = [f"{part:+.2f} {name}" for name, part in d.parts.items()]
            more = f" ... ({len(parts)} in all)" if len(parts) > _PARTS_SHOWN else ""
            rows.append([f"{d.eigenvalue:.2e}", f"{d.inflation:.3g}", " ".join(parts[:_PARTS_SHOWN]) + more])
        return heading, ["eigenvalue", "error times", "parameters, in units of their errors"], rows

    def __str__(self) -> str:
        heading, header, rows = self._table()
        return f"{heading}\n{report.text_table(header, rows)}" if rows else heading

    def _repr_html_(self) -> str:
        heading, header, rows = self._table()
        return f"<div><p style='margin:0'>{report.escaped(heading)}</p>{report.html_table(header, rows)}</div>"


def _moving(result: FitResult) -> list[str]:
    """Return the parameters that the fit varied and that are not at a limit."""
    out = {*result.fixed, *result.at_limit, *result.tied}
    return [n for n in result.values if n not in out]


def _covariance(result: FitResult, names: list[str]) -> np.ndarray:
    """Return the covariance of these, or say that there is none."""
    at = [result.names.index(n) for n in names]
    matrix = result.covariance[np.ix_(at, at)]
    if not np.isfinite(matrix).all():
        msg = f"the result has no covariance matrix: {result.message} weak_directions(result, cost) needs none."
        raise ValueError(msg)
    return matrix


def _inverse(matrix: np.ndarray) -> np.ndarray:
    """Return the inverse of a covariance matrix, by way of correlations."""
    sigma = np.sqrt(np.diag(matrix))
    return np.linalg.inv(matrix / np.outer(sigma, sigma)) / np.outer(sigma, sigma)


def weak_directions(result: FitResult, cost: Cost | None = None, *, threshold: float = 0.01) -> WeakDirections:
    r"""Find the combinations of parameters that the data determine badly, or not at all.

    These are the eigenvectors of the Hessian whose eigenvalues are small, in units of the errors that the parameters
    would have one by one:

    .. math:: \frac{H_{ij}}{\sqrt{H_{ii} H_{jj}}}\, v_j = \lambda\, v_i

    Along ``v`` the error is :math:`1/\sqrt\lambda` times what it would be without correlations.

    Parameters
    ----------
    result
        A fit.
    cost
        What was fitted: its exact Hessian is taken where the fit ended, which also tells why a fit is not valid. None:
        the inverse of the covariance matrix of the result.
    threshold
        Largest eigenvalue that is listed, between 0 and 1; 0.01 is an error ten times as long.

    Returns
    -------
    `WeakDirections`, weakest first; none where all is well. Parameters that were fixed or are at a limit take no part.

    Raises
    ------
    TypeError, ValueError
        If the result has no covariance matrix and no cost is given, the cost is another one or has no exact second
        derivatives, or the threshold is out of range.

    Examples
    --------
    >>> import jaxpwa as jp
    >>> from jaxpwa.explore import weak_directions
    >>> cost = jp.GaussianConstraint(("a", "b"), [1.0, 2.0], covariance=[[1.0, 0.999], [0.999, 1.0]])
    >>> print(weak_directions(jp.fit(cost, {"a": 0.0, "b": 0.0})))
    1 weak direction with an eigenvalue up to 0.01
    -------------------------------------------------------------
    eigenvalue  error times  parameters, in units of their errors
    -------------------------------------------------------------
    1.00e-03           31.6                       +0.71 a +0.71 b
    -------------------------------------------------------------
    """
    if not 0 <= threshold <= 1:
        msg = f"threshold must be between 0 and 1, got {threshold}."
        raise ValueError(msg)
    names = _moving(check_result(result))
    if cost is None:
        hessian = 2 * result.errordef * _inverse(_covariance(result, names))
    else:
        fitted = Fitted.make(cost, result, ())
        fitted.cost._need(2, "second derivatives")
        at = fitted.positions(names)
        if fitted.best.hessian is None or not np.isfinite(fitted.best.hessian).all():
            msg = "the cost has no finite second derivatives where the fit ended."
            raise ValueError(msg)
        hessian = fitted.best.hessian[np.ix_(at, at)]
    return WeakDirections(weak_directions_of(hessian, names, threshold, result.errordef), threshold)


@dataclass(frozen=True, eq=False)
class Correlations:
    """Correlations of the parameters of a fit.

    Attributes
    ----------
    pairs
        Two names and their correlation coefficient, the strongest first.
    global_
        Global correlation coefficients by name; see `global_correlations`.
    above
        Smallest size of a coefficient that is listed in ``pairs``.
    """

    pairs: tuple[tuple[str, str, float], ...]
    global_: dict[str, float]
    above: float

    def to_pandas(self) -> pd.DataFrame:
        """Return one row per pair.

        Returns
        -------
        Columns ``a``, ``b``, ``correlation``, ``global_a``, ``global_b``.
        """
        rows = [[a, b, rho, self.global_[a], self.global_[b]] for a, b, rho in self.pairs]
        return pd.DataFrame(rows, columns=pd.Index(["a", "b", "correlation", "global_a", "global_b"]))

    def _table(self) -> tuple[str, list[str], list[list[str]]]:
        """Return a heading, the header and the rows of the table."""
        n = len(self.global_)
        heading = f"{len(self.pairs)} of {n * (n - 1) // 2} pairs of parameters have a correlation of {self.above:g} "
        heading += "or more; beside it the global correlation of each"
        rows = [
            [f"{a}, {b}", f"{rho:+.4f}", f"{self.global_[a]:.4f}", f"{self.global_[b]:.4f}"] for a, b, rho in self.pairs
        ]
        return heading, ["pair", "correlation", "first", "second"], rows

    def __str__(self) -> str:
        heading, header, rows = self._table()
        return f"{heading}\n{report.text_table(header, rows)}" if rows else heading

    def _repr_html_(self) -> str:
        heading, header, rows = self._table()
        return f"<div><p style='margin:0'>{report.escaped(heading)}</p>{report.html_table(header, rows)}</div>"


def correlations(result: FitResult, above: float = 0.9) -> Correlations:
    """List the strongest correlations between parameters.

    Parameters
    ----------
    result
        A fit with a covariance matrix.
    above
        Smallest size of a correlation coefficient that is listed, between 0 and 1.

    Returns
    -------
    `Correlations`, strongest first, with global correlation coefficients of all. Parameters that were fixed, tied or
    are at a limit take no part.

    Raises
    ------
    TypeError, ValueError
        If the result has no covariance matrix, or ``above`` is out of range.
    """
    if not 0 <= above <= 1:
        msg = f"above must be between 0 and 1, got {above}."
        raise ValueError(msg)
    coefficients = global_correlations(result)
    names = list(coefficients)
    matrix = _covariance(result, names)
    sigma = np.sqrt(np.diag(matrix))
    rho = matrix / np.outer(sigma, sigma)
    pairs = [(a, b, float(rho[i, j])) for j, b in enumerate(names) for i, a in enumerate(names[:j])]
    pairs = [pair for pair in pairs if abs(pair[2]) >= above]
    return Correlations(tuple(sorted(pairs, key=lambda pair: -abs(pair[2]))), coefficients, above)


def global_correlations(result: FitResult) -> dict[str, float]:
    r"""Compute how strongly each parameter is correlated with the best combination of all others.

    .. math:: \rho_i = \sqrt{1 - \frac{1}{V_{ii}\, (V^{-1})_{ii}}}

    Parameters
    ----------
    result
        A fit with a covariance matrix.

    Returns
    -------
    Coefficients between 0 and 1 by name, of the parameters that were not fixed, tied, or at a limit.

    Raises
    ------
    TypeError, ValueError
        If the result has no covariance matrix.
    """
    names = _moving(check_result(result))
    matrix = _covariance(result, names)
    size = np.diag(matrix) * np.diag(_inverse(matrix)) if names else np.zeros(0)
    return {n: math.sqrt(max(0.0, 1 - 1 / s)) for n, s in zip(names, size, strict=True)}
