"""Records of scans and profiles: the cost above its minimum along one parameter, or over the plane of two."""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from jaxpwa.explore.conditional import probability_of, sigmas_of
from jaxpwa.inference import report

_ROWS_SHOWN, _NAMES_SHOWN = 41, 6


def _shown(delta: Any) -> str:
    return "" if math.isnan(delta) else f"{delta:.4g}"


@dataclass(frozen=True, eq=False)
class Profile(report.Tabular):
    """The cost along one parameter.

    Attributes
    ----------
    name
        The parameter.
    grid
        Its values, ``(n,)``, rising.
    delta
        The cost above that of the fit, ``(n,)``; NaN where there is none.
    errordef
        By how much the cost rises at one standard deviation: 0.5 or 1.
    best, error
        Value and error of the fit.
    kind
        "scan": the other parameters stay where the fit ended. "profile": the cost is minimised over them.
    valid
        Where there is a value: the cost is finite, and the minimum over the others was found, ``(n,)``.
    others
        Values of the other free parameters by name, ``(n,)`` each; empty for a scan.
    limits
        Limits of the parameter, infinite where there is none.
    """

    name: str
    grid: np.ndarray
    delta: np.ndarray
    errordef: float
    best: float
    error: float
    kind: str
    valid: np.ndarray
    others: dict[str, np.ndarray] = field(default_factory=dict)
    limits: tuple[float, float] = (-math.inf, math.inf)

    def interval(self, cl: float | None = None) -> tuple[float, float]:
        r"""Return where the cost has risen to the level of a confidence interval, on both sides of the fit.

        .. math:: \Delta(x) = k^2\, \mathrm{errordef}

        with k standard deviations. For a profile these are the ends of MINOS. Between grid points the signed root of
        the rise, which is a straight line for a parabola, is interpolated by cubic polynomials.

        Parameters
        ----------
        cl
            Probability below 1, or a number of standard deviations from 1 on; None: one standard deviation.

        Returns
        -------
        Lower and upper end: the first crossings as seen from the fit. An end is the limit of the parameter where the
        cost does not rise so far up to there, and NaN where the grid ends before.

        Raises
        ------
        ValueError
            If ``cl`` is not positive.

        Examples
        --------
        >>> import numpy as np, jaxpwa as jp
        >>> from jaxpwa.explore import profile
        >>> cost = jp.GaussianConstraint(("a", "b"), [1.0, 2.0], covariance=[[0.04, 0.01], [0.01, 0.09]])
        >>> low, high = profile(cost, jp.fit(cost, {"a": 0.0, "b": 0.0}), "a").interval()
        >>> round(low, 6), round(high, 6)
        (0.8, 1.2)
        """
        level = sigmas_of(cl)
        known_ = self.valid & (self.grid != self.best)
        x, rise = self.grid[known_], self.delta[known_] / self.errordef
        side = np.sign(x - self.best)
        # The fit itself is a point of the curve.
        order = np.argsort([*x, self.best])
        x = np.array([*x, self.best])[order]
        z = np.array([*(side * np.sqrt(np.maximum(rise, 0.0))), 0.0])[order]
        centre = int(np.flatnonzero(order == len(order) - 1)[0])
        upper = _crossing(x[centre:], z[centre:], _slopes(x, z)[centre:], level)
        lower = -_crossing(-x[centre::-1], -z[centre::-1], _slopes(x, z)[centre::-1], level)
        ends = x[0], x[-1]
        found = []
        for crossing, end, limit in zip((lower, upper), ends, self.limits, strict=True):
            reaches = math.isfinite(limit) and abs(end - limit) <= 1e-9 * max(1.0, abs(limit))
            found.append(limit if math.isnan(crossing) and reaches else crossing)
        return float(found[0]), float(found[1])

    def to_pandas(self) -> pd.DataFrame:
        """Return one row per point.

        Returns
        -------
        Columns: the parameter's name, ``delta``, ``valid``, then the other parameters of a profile.
        """
        return pd.DataFrame({self.name: self.grid, "delta": self.delta, "valid": self.valid} | self.others)

    def _table(self) -> tuple[str, list[str], list[list[str]]]:
        """Return a heading, the header and the rows of the table."""
        heading = f"{self.kind} of {self.name}: fit {report.with_error(self.best, self.error)}, errordef "
        heading += f"{self.errordef:g}; {self.valid.sum()} of {len(self.grid)} points have a value"
        names = list(self.others)[:_NAMES_SHOWN]
        rows = []
        for i in _few(len(self.grid), _ROWS_SHOWN):
            numbers = [f"{self.grid[i]:.6g}", _shown(self.delta[i])]
            rows.append([*numbers, *(f"{self.others[n][i]:.6g}" for n in names), "" if self.valid[i] else "NOT VALID"])
        header = [self.name, "delta", *names, ""]
        if self.valid.all():
            header, rows = header[:-1], [row[:-1] for row in rows]
        return heading, header, rows


@dataclass(frozen=True, eq=False)
class Surface(report.Tabular):
    """The cost over the plane of two parameters.

    Attributes
    ----------
    names
        The two parameters.
    x, y
        Their values, ``(nx,)`` and ``(ny,)``, rising.
    delta
        The cost above that of the fit, ``(nx, ny)``; NaN where there is none.
    errordef
        By how much the cost rises at one standard deviation of one parameter: 0.5 or 1.
    best
        Values of the fit, ``(2,)``.
    kind
        "scan" or "profile", as in `Profile`.
    valid
        Where there is a value, ``(nx, ny)``.
    others
        Values of the other free parameters by name, ``(nx, ny)`` each; empty for a scan.
    """

    names: tuple[str, str]
    x: np.ndarray
    y: np.ndarray
    delta: np.ndarray
    errordef: float
    best: np.ndarray
    kind: str
    valid: np.ndarray
    others: dict[str, np.ndarray] = field(default_factory=dict)

    def level(self, cl: float = 0.68) -> float:
        r"""Return the rise of the cost on the border of a joint confidence region of both parameters.

        .. math:: \Delta = -2 \ln(1 - \mathrm{cl})\, \mathrm{errordef}

        Parameters
        ----------
        cl
            Probability of the region, two degrees of freedom; from 1 on, the probability of so many standard
            deviations of one variable, as MINUIT has it.

        Returns
        -------
        float
        """
        return rise_of(cl, self.errordef)

    def to_pandas(self) -> pd.DataFrame:
        """Return one row per point.

        Returns
        -------
        Columns: both names, ``delta``, ``valid``, then the other parameters of a profile.
        """
        x, y = np.meshgrid(self.x, self.y, indexing="ij")
        columns = {self.names[0]: x, self.names[1]: y, "delta": self.delta, "valid": self.valid} | self.others
        return pd.DataFrame({name: column.ravel() for name, column in columns.items()})

    def _table(self) -> tuple[str, list[str], list[list[str]]]:
        """Return a heading, the header and the rows of the table: some of the points."""
        a, b = self.names
        heading = f"{self.kind}: cost above the fit ({a} = {self.best[0]:.6g}, {b} = {self.best[1]:.6g}), errordef "
        heading += f"{self.errordef:g}; {self.valid.sum()} of {self.valid.size} points have a value"
        columns = _few(len(self.y), 8)
        header = [f"{a} \\ {b}", *(f"{self.y[j]:.5g}" for j in columns)]
        rows = [
            [f"{self.x[i]:.5g}", *(_shown(self.delta[i, j]) for j in columns)] for i in _few(len(self.x), _ROWS_SHOWN)
        ]
        return heading, header, rows


def rise_of(cl: float, errordef: float) -> float:
    """Return the rise of the cost on the border of a joint region of two parameters."""
    return -2.0 * math.log1p(-probability_of(cl)) * errordef


def _few(n: int, most: int) -> np.ndarray:
    """Return positions spread over ``n``, not more than ``most``."""
    return np.unique(np.linspace(0, n - 1, min(n, most)).round().astype(int))


def _slopes(x: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Return dz/dx at the points, from parabolas through neighbours."""
    return np.gradient(z, x, edge_order=2 if len(x) > 2 else 1) if len(x) > 1 else np.zeros(1)


def _crossing(x: np.ndarray, z: np.ndarray, slope: np.ndarray, level: float) -> float:
    """Return the first place where z, interpolated between rising ``x``, reaches a level; NaN where it doesn't."""
    above = np.flatnonzero(z >= level)
    if not len(above) or above[0] == 0:
        return math.nan
    i = int(above[0])
    width = x[i] - x[i - 1]
    ends = z[i - 1], z[i], width * slope[i - 1], width * slope[i]

    def cubic(t: float) -> float:
        a, b, da, db = ends
        return a + t * (da + t * (3 * (b - a) - 2 * da - db + t * (2 * (a - b) + da + db)))

    low, high = 0.0, 1.0
    for _ in range(60):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if cubic(middle) < level else (low, middle)
    return float(x[i - 1] + width * high)
