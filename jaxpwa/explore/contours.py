"""Contours: the border of the joint confidence region of two parameters, on the profile of the cost."""

import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd

from jaxpwa._checks import ConvergenceWarning
from jaxpwa.explore.conditional import Fitted, Minimum, probability_of, starting_point
from jaxpwa.explore.records import rise_of
from jaxpwa.inference import report
from jaxpwa.inference.cost import Cost
from jaxpwa.inference.fit import minimizer
from jaxpwa.inference.result import FitResult

# Steps around an ellipse, at least; and the most steps around anything.
_STEPS, _MOST_STEPS = 48, 2000
# A point is on the contour within this rise, in units of errordef.
_ON_IT = 1e-5
# Greatest turn of the tangent in a step, in radians.
_TURN = 0.3


@dataclass(frozen=True, eq=False)
class Contour(report.Tabular):
    """The border of a joint confidence region of two parameters.

    Attributes
    ----------
    names
        The two parameters.
    points
        Vertices of a closed polygon, ``(k, 2)``, anticlockwise; the last is the first.
    cl
        Probability of the region: two degrees of freedom.
    best
        Values of the fit, ``(2,)``.
    """

    names: tuple[str, str]
    points: np.ndarray
    cl: float
    best: np.ndarray

    def to_pandas(self) -> pd.DataFrame:
        """Return one row per vertex.

        Returns
        -------
        Columns: both names.
        """
        return pd.DataFrame(self.points, columns=pd.Index(self.names))

    def _table(self) -> tuple[str, list[str], list[list[str]]]:
        """Return a heading, the header and the rows of the table: what the region spans."""
        heading = f"joint {self.cl:.4g} confidence region of two parameters, {len(self.points) - 1} vertices"
        low, high = self.points.min(axis=0), self.points.max(axis=0)
        rows = [
            [name, f"{best:.6g}", f"{a:.6g}", f"{b:.6g}"]
            for name, best, a, b in zip(self.names, self.best, low, high, strict=True)
        ]
        return heading, ["name", "fit", "lowest", "highest"], rows


def contour(cost: Cost, result: FitResult, a: str, b: str, *, cl: float = 0.68, points: int = 64) -> Contour:
    r"""Find where the profile of two parameters has risen to the level of a joint confidence region.

    .. math:: \Delta = -2 \ln(1 - \mathrm{cl})\, \mathrm{errordef}

    which is a region that covers both true values at once with probability ``cl``, for a parabola: two degrees of
    freedom. Its extent along one parameter is therefore larger than the interval of that parameter: by the factor 1.51
    for 0.68. The curve is followed from point to point, along the exact gradient of the profile, so that bent regions
    are found as well; of several pieces it is the one that the ray from the fit to larger ``a`` meets first. Where
    a limit of ``a`` or ``b`` cuts the region, the polygon follows the limit, and is found on rays from the fit. Costs
    without exact second derivatives are left to MINUIT's ``mncontour``. Weights of events are not corrected for.

    Parameters
    ----------
    cost
        What was fitted.
    result
        Its fit, valid; one that was loaded from a file will do. It stays as it is.
    a, b
        Two parameters that the fit varied.
    cl
        Probability below 1; or, from 1 on, the probability of so many standard deviations of one Gaussian variable, as
        MINUIT has it: 1 is 0.6827, 2 is 0.9545.
    points
        Number of vertices, at least 8.

    Returns
    -------
    `Contour`.

    Raises
    ------
    TypeError, ValueError
        If a name is unknown, fixed or at a limit, the result is not valid or not a fit of this cost, or numbers are out
        of range.
    RuntimeError
        If there is no such curve near the fit: the cost does not rise so far, or its minima are not found.

    Warns
    -----
    ConvergenceWarning
        If a point is lower than the fit: the fit had not found the lowest minimum.

    Examples
    --------
    >>> import numpy as np, jaxpwa as jp
    >>> from jaxpwa.explore import contour
    >>> cost = jp.GaussianConstraint(("a", "b"), [1.0, 2.0], [0.1, 0.2])
    >>> ring = contour(cost, jp.fit(cost, {"a": 0.0, "b": 0.0}), "a", "b", cl=0.95)
    >>> round(float(ring.points[:, 0].max()), 3), round(float(1 + 0.1 * np.sqrt(-2 * np.log(0.05))), 3)
    (1.245, 1.245)
    """
    if not 0 < cl < 8:
        msg = f"cl must be a probability below 1, or a number of standard deviations from 1 to 8, got {cl!r}."
        raise ValueError(msg)
    if isinstance(points, bool) or not isinstance(points, (int, np.integer)) or points < 8:
        msg = f"points must be a whole number of at least 8, got {points!r}."
        raise ValueError(msg)
    if a == b:
        msg = f"a and b must be different parameters, got {a} twice."
        raise ValueError(msg)
    fitted = Fitted.make(cost, result, (a, b))
    for name in (a, b):
        if name in result.fixed or name in result.at_limit:
            msg = f"{name} is {'fixed' if name in result.fixed else 'at a limit'} in the fit: it has no contour."
            raise ValueError(msg)
    if not result.valid:
        msg = f"a contour goes around a valid minimum, and the fit has none: {result.message}"
        raise ValueError(msg)
    held = fitted.positions((a, b))
    if fitted.cost.derivatives < 2:
        polygon = _by_minuit(cost, result, a, b, cl, points)
    else:
        polygon = _Plane(fitted, held, rise_of(cl, fitted.errordef)).polygon(points)
    return Contour((a, b), polygon, probability_of(cl), fitted.best.x[held])


def _by_minuit(cost: Cost, result: FitResult, a: str, b: str, cl: float, points: int) -> np.ndarray:
    """Let MINUIT find the contour."""
    minuit = minimizer(cost, starting_point(result), fixed=[*result.fixed, *result.at_limit])
    minuit.migrad()
    polygon = np.asarray(minuit.mncontour(a, b, cl=probability_of(cl), size=points))
    if len(polygon) != points + 1:
        msg = f"MINUIT found only {len(polygon) - 1} of {points} points of the contour of {a} and {b}."
        raise RuntimeError(msg)
    x, y = polygon[:-1].T
    area = x @ np.roll(y, -1) - y @ np.roll(x, -1)
    return polygon if area > 0 else polygon[::-1]


class _Cut(Exception):
    """A limit cuts the curve."""


class _Plane:
    """The profile over the plane of two parameters, in coordinates where it is round near the fit."""

    def __init__(self, fitted: Fitted, held: np.ndarray, rise: float):
        self.fitted, self.held, self.rise = fitted, held, rise
        self.best = fitted.best.x[held]
        self.low, self.high = fitted.table.lower[held], fitted.table.upper[held]
        self.axes = self._axes()
        self.radius = np.sqrt(rise / fitted.errordef)
        self.lowest: Minimum = fitted.best

    def _axes(self) -> np.ndarray:
        """Return the matrix from round coordinates to the parameters: of the covariance of the two."""
        minimum = self.fitted.minimum(self.held, self.fitted.best.x)
        others = self.fitted.moving(self.held, minimum)
        if minimum.hessian is None:
            why = "no minimum is found at the fit"
            raise self._none(why)
        h = minimum.hessian
        direct, mixed = h[np.ix_(self.held, self.held)], h[np.ix_(self.held, others)]
        curvature = direct - mixed @ np.linalg.pinv(h[np.ix_(others, others)], hermitian=True) @ mixed.T
        try:
            return np.linalg.cholesky(2 * self.fitted.errordef * np.linalg.inv(curvature))
        except np.linalg.LinAlgError:
            why = "the profile is flat at the fit"
            raise self._none(why) from None

    def _none(self, why: str) -> RuntimeError:
        names = " and ".join(self.fitted.table.names[i] for i in self.held)
        return RuntimeError(f"there is no contour of {names}: {why}.")

    def at(self, z: np.ndarray, start: Minimum) -> tuple[float, np.ndarray, Minimum]:
        """Return the profile above the level, its gradient ``(2,)`` and the minimum over the others."""
        point = self.best + self.axes @ z
        slack = 1e-9 * np.linalg.norm(self.axes, axis=1)
        if (point < self.low - slack).any() or (point > self.high + slack).any():
            raise _Cut
        point = np.clip(point, self.low, self.high)
        minimum = self.fitted.reach(self.held, [start, self.fitted.best], point)
        if not minimum.valid or minimum.gradient is None:
            why = f"no minimum over the other parameters is found at {point[0]:.6g}, {point[1]:.6g}"
            raise self._none(why)
        if minimum.value < self.lowest.value:
            self.lowest = minimum
        # The derivative of a minimum is the derivative with the others held.
        slope = self.axes.T @ minimum.gradient[self.held]
        return minimum.value - self.fitted.best.value - self.rise, slope, minimum

    def polygon(self, points: int) -> np.ndarray:
        """Return the vertices, ``(points + 1, 2)``."""
        try:
            z = self._traced(points)
        except _Cut:
            z = np.array([self._on_ray(angle) for angle in 2 * np.pi * np.arange(points) / points])
            z = np.concatenate([z, z[:1]])
        self._warn_if_lower()
        return self.best + z @ self.axes.T

    def _warn_if_lower(self) -> None:
        below = self.fitted.best.value - self.lowest.value
        if below > 0.01 * self.fitted.errordef:
            names = zip(self.fitted.table.names, self.lowest.x, strict=True)
            where = ", ".join(f"{n}={v:.6g}" for n, v in names)
            msg = f"the profile is lower than the fit by {below:.4g}, at {where}. Fit again from there."
            warnings.warn(msg, ConvergenceWarning, stacklevel=4)

    def _on_ray(self, angle: float) -> np.ndarray:
        """Return the first crossing of a ray from the fit, at most the limit that it meets."""
        direction = np.array([np.cos(angle), np.sin(angle)])
        along = self.axes @ direction
        with np.errstate(divide="ignore"):
            room = np.where(along > 0, (self.high - self.best) / along, (self.low - self.best) / along)
        most = float(np.min(room[along != 0]))
        inside, outside, r, minimum = 0.0, np.inf, min(self.radius, most), self.fitted.best
        for _ in range(60):
            z = direction * r
            above, slope, minimum = self.at(z, minimum)
            if abs(above) < _ON_IT * self.fitted.errordef or (above < 0 and r == most):
                return z
            inside, outside = (r, outside) if above < 0 else (inside, r)
            rising = float(slope @ direction)
            # For a parabola the root of the rise is a straight line.
            root = (np.sqrt(max(above + self.rise, 0.0) * self.rise) - above - self.rise) * 2 / rising if rising else 0
            step = r + root if rising > 0 else np.inf
            upper = min(outside, 2 * r, most)
            r = step if inside < step < upper else upper if upper < outside else (inside + outside) / 2
            if r > 1e4 * self.radius:
                break
        why = "the cost does not rise so far"
        raise self._none(why)

    def _onto(self, z: np.ndarray, start: Minimum) -> tuple[np.ndarray, np.ndarray, Minimum] | None:
        """Go along the gradient onto the curve; None where that leads astray."""
        for _ in range(8):
            above, slope, start = self.at(z, start)
            if abs(above) < _ON_IT * self.fitted.errordef:
                return z, slope, start
            if not slope.any():
                return None
            z = z - above * slope / (slope @ slope)
        return None

    def _traced(self, points: int) -> np.ndarray:
        """Follow the curve around, and spread vertices evenly along it, ``(points + 1, 2)``."""
        first = self._on_ray(0.0)
        z, (above, slope, minimum) = first, self.at(first, self.fitted.best)
        if abs(above) > 2 * _ON_IT * self.fitted.errordef:
            raise _Cut
        step = 2 * np.pi * self.radius / max(points, _STEPS)
        h, curve, tangents = step, [z], [_turned(slope)]
        for _ in range(_MOST_STEPS):
            tangent = tangents[-1]
            found = self._onto(z + h * tangent, minimum)
            turn = 0.0 if found is None else float(np.arccos(np.clip(_turned(found[1]) @ tangent, -1, 1)))
            if found is None or turn > _TURN or np.linalg.norm(found[0] - z) > 2 * h:
                h /= 2
                if h < 1e-4 * step:
                    why = "the curve can't be followed"
                    raise self._none(why)
                continue
            back = first - z
            if len(curve) > 3 and 0 <= back @ tangent <= np.linalg.norm(found[0] - z) and np.linalg.norm(back) < 2 * h:
                break
            z, slope, minimum = found
            curve.append(z)
            tangents.append(_turned(slope))
            h = min(step, 1.5 * h)
        else:
            why = "the curve does not close"
            raise self._none(why)
        curve.append(first)
        tangents.append(tangents[0])
        return _evenly(np.array(curve), np.array(tangents), points)


def _turned(slope: np.ndarray) -> np.ndarray:
    """Return the direction along the curve, anticlockwise."""
    return np.array([-slope[1], slope[0]]) / np.linalg.norm(slope)


def _evenly(curve: np.ndarray, tangents: np.ndarray, n: int) -> np.ndarray:
    """Return points at equal distances along a curve, by cubic polynomials through its points and tangents."""
    lengths = np.linalg.norm(np.diff(curve, axis=0), axis=1)
    keep = np.append(True, lengths > 0)
    curve, tangents, lengths = curve[keep], tangents[keep], lengths[lengths > 0]
    along = np.concatenate([[0.0], np.cumsum(lengths)])
    wanted = np.linspace(0, along[-1], n + 1)
    i = np.clip(np.searchsorted(along, wanted, side="right") - 1, 0, len(lengths) - 1)
    t = ((wanted - along[i]) / lengths[i])[:, None]
    a, b = curve[i], curve[i + 1]
    da, db = tangents[i] * lengths[i][:, None], tangents[i + 1] * lengths[i][:, None]
    points = a + t * (da + t * (3 * (b - a) - 2 * da - db + t * (2 * (a - b) + da + db)))
    points[-1] = points[0]
    return points
