"""From a start anywhere into the basin of a minimum, and the verdict on where one has arrived.

MINUIT's Newton steps with an exact Hessian are right near a minimum and can stop at a wrong point far
from one. So scipy's L-BFGS-B goes first, on the exact gradient, within the limits; and whatever a minimiser
says, the point it ends at is judged here by exact derivatives.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import OptimizeResult, minimize

from jaxpwa._checks import known
from jaxpwa.inference.objective import Objective
from jaxpwa.inference.parameters import ParameterTable

# Migrad's Newton step takes a point that is this close to the minimum (in units of errordef) all the way.
_SMALL_GAIN = 1e-3


class _GainedLittle:
    """Stop a descent at a step that gains next to nothing."""

    def __init__(self, small: float):
        self.small = small
        self.last = np.inf

    # scipy passes the state to a callback whose argument has this name.
    def __call__(self, intermediate_result: OptimizeResult) -> None:
        gain, self.last = self.last - intermediate_result.fun, intermediate_result.fun
        if gain < self.small:
            raise StopIteration


def _scales(table: ParameterTable, x: np.ndarray) -> np.ndarray:
    """Return the size of each parameter: its value, else its step or range, else 1."""
    span = table.upper - table.lower
    other = np.where(np.isfinite(table.step), 10 * table.step, np.where(np.isfinite(span), span / 2, 1.0))
    return np.where(x != 0, np.abs(x), other)


def descend(
    objective: Objective, table: ParameterTable, x: np.ndarray, errordef: float, max_calls: int, *, fine: bool = False
) -> np.ndarray:
    """Go downhill from ``x`` with L-BFGS-B, free parameters only, limits respected.

    Parameters
    ----------
    objective, table
        The function, and limits and fixed parameters.
    x
        Where to start, ``(n,)``.
    errordef
        Scale of the cost.
    max_calls
        Most calls of value and gradient.
    fine
        Go on until rounding stops the descent, rather than until steps gain little.

    Returns
    -------
    The lowest point found, ``(n,)``.
    """
    free = table.free
    if not len(free):
        return x
    scale = _scales(table, x)[free]
    start = x.copy()
    best = [np.inf, x]

    def scaled(z: np.ndarray) -> tuple[float, np.ndarray]:
        point = start.copy()
        point[free] = np.clip(z * scale, table.lower[free], table.upper[free])
        value, gradient = objective.value_and_gradient(point)
        if value < best[0]:
            best[:] = [value, point]
        return value, gradient[free] * scale

    minimize(
        scaled,
        x[free] / scale,
        jac=True,
        method="L-BFGS-B",
        bounds=list(zip(table.lower[free] / scale, table.upper[free] / scale, strict=True)),
        callback=None if fine else _GainedLittle(_SMALL_GAIN * errordef),
        options={"maxfun": max_calls, "maxiter": max_calls, "ftol": 1e-15, "gtol": 1e-10, "maxcor": 20, "maxls": 40},
    )
    return best[1]


@dataclass(frozen=True)
class Verdict:
    """What exact derivatives say of a point.

    Attributes
    ----------
    value, gradient, hessian
        There.
    at_limit
        Bool ``(n,)``: free parameters at a limit that the cost pushes against.
    covariance
        ``2 errordef`` times the inverse of the Hessian of the parameters that can move, zero elsewhere; or
        None, where that Hessian is not positive definite.
    edm
        How far the value is above the minimum of the parabola, NaN where there is none.
    uphill
        A direction of negative curvature, ``(n,)``, or None.
    reason
        Why there is no minimum, or empty.
    """

    value: float
    gradient: np.ndarray
    hessian: np.ndarray
    at_limit: np.ndarray
    covariance: np.ndarray | None
    edm: float
    uphill: np.ndarray | None
    reason: str


def limits_pushed(table: ParameterTable, x: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    """Return which free parameters sit at a limit that the cost pushes them against."""
    near = 1e-9 * np.maximum(1.0, np.abs(x))
    low = (x <= table.lower + near) & (gradient > 0)
    high = (x >= table.upper - near) & (gradient < 0)
    return (low | high) & ~table.fixed


def judge(objective: Objective, table: ParameterTable, x: np.ndarray, errordef: float) -> Verdict:
    """Judge a point by its exact derivatives."""
    value, gradient, hessian = objective.exact(x, 2)
    finite = np.isfinite(value) and np.isfinite(gradient).all() and np.isfinite(hessian).all()
    at_limit = limits_pushed(table, x, gradient) if finite else np.zeros(len(x), bool)
    moving = np.flatnonzero(~table.fixed & ~at_limit)
    covariance = np.zeros_like(hessian)

    def verdict(
        covariance: np.ndarray | None, edm: float, uphill: np.ndarray | None = None, reason: str = ""
    ) -> Verdict:
        return Verdict(value, gradient, hessian, at_limit, covariance, edm, uphill, reason)

    if not finite:
        return verdict(None, np.nan, reason="value or derivatives are not finite")
    if not len(moving):
        return verdict(covariance, 0.0)
    h, g = hessian[np.ix_(moving, moving)], gradient[moving]
    names = [table.names[i] for i in moving]
    diagonal = np.diag(h)
    if (diagonal <= 0).any():
        direction = np.zeros(len(x))
        direction[moving[int(np.argmin(diagonal))]] = 1.0
        flat = [n for n, d in zip(names, diagonal, strict=True) if d == 0]
        bent = [n for n, d in zip(names, diagonal, strict=True) if d < 0]
        if bent:
            return verdict(None, np.nan, direction, f"the cost falls on both sides along {known(bent)}")
        return verdict(None, np.nan, reason=f"the cost does not depend on {known(flat)} here")
    # Unit diagonal: eigenvalues then don't depend on the parameters' units.
    size = 1 / np.sqrt(diagonal)
    eigenvalues, vectors = np.linalg.eigh(h * np.outer(size, size))
    weakest = vectors[:, 0]
    involved = [n for n, v in zip(names, weakest, strict=True) if abs(v) > 0.2]
    if eigenvalues[0] < -1e-10 * len(moving):
        direction = np.zeros(len(x))
        direction[moving] = weakest * size
        return verdict(None, np.nan, direction, f"this is a saddle: the cost falls along {known(involved)}")
    if eigenvalues[0] <= 1e-11 * len(moving):
        return verdict(
            None, np.nan, reason=f"a direction is flat: the data do not determine {known(involved)} separately"
        )
    scaled = vectors / eigenvalues @ vectors.T
    inverse = scaled * np.outer(size, size)
    covariance[np.ix_(moving, moving)] = 2 * errordef * inverse
    return verdict(covariance, 0.5 * float(g @ inverse @ g))
