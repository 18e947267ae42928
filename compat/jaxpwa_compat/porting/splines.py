"""Splines of `scipy.interpolate`, such as acceptances and shapes from tables, on JAX values."""

from typing import Any

import numpy as np
from scipy.interpolate import BSpline, PPoly, UnivariateSpline

import jax.numpy as jnp

from jaxpwa_compat.porting.trace import note, refuse
from jaxpwa_compat.porting.values import StandIn, result, traced_in, unwrap

KINDS = (PPoly, BSpline, UnivariateSpline)
"""Kinds of splines that have a counterpart; `CubicSpline`, Pchip and Akima are of the first."""


class Spline(StandIn):
    """Stands for a spline: a polynomial in every interval, outside continued as scipy does.

    Parameters
    ----------
    real
        The spline itself.
    """

    def __init__(self, real: Any):
        self._real = real

    def __call__(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """Evaluate."""
        found = list(traced_in([x, args, kwargs]))
        if not found:
            return self._real(x, *args, **kwargs)
        name = type(self._real).__name__
        if any(bool(np.any(unwrap(a))) for a in args) or kwargs:
            refuse(f"{name} is called with more than the positions", "Use spline.derivative() for derivatives.")
        note(f"scipy.interpolate.{name}")
        pieces, outside = _pieces(self._real)
        return result(found, _evaluate(pieces, outside, jnp.asarray(unwrap(x), float)))

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._real, name)
        if name in ("derivative", "antiderivative"):
            return lambda *args: Spline(value(*args))
        return value


def _pieces(spline: Any) -> tuple[PPoly, str]:
    """Return the polynomials of a spline, and what it does outside: ``continue``, ``nan``, ``zeros`` or ``const``."""
    outside = "continue"
    if isinstance(spline, UnivariateSpline):
        knots, coefficients = spline.get_knots(), spline.get_coeffs()
        degree = len(coefficients) - len(knots) + 1
        pieces = PPoly.from_spline((np.pad(knots, degree, mode="edge"), coefficients, degree))
        outside = {1: "zeros", 3: "const"}.get(getattr(spline, "ext", 0), "continue")
    else:
        pieces = spline if isinstance(spline, PPoly) else PPoly.from_spline(spline)
        if spline.extrapolate == "periodic":
            refuse(f"{type(spline).__name__} is periodic", "Bring the positions into the period with numpy.remainder.")
        outside = "continue" if spline.extrapolate else "nan"
    if pieces.c.ndim != 2:
        refuse(f"{type(spline).__name__} has several values per position", "Make one spline for each.")
    return pieces, outside


def _evaluate(pieces: PPoly, outside: str, x: Any) -> Any:
    """Evaluate by Horner's rule in the interval of every position."""
    inner = pieces.x[1:-1]
    beyond = (x < pieces.x[0]) | (x > pieces.x[-1])
    if outside == "const":
        x = jnp.clip(x, pieces.x[0], pieces.x[-1])
    interval = jnp.searchsorted(jnp.asarray(inner), x, side="right")
    distance = x - jnp.asarray(pieces.x)[interval]
    coefficients = jnp.asarray(pieces.c)
    value = jnp.zeros_like(x)
    for row in coefficients:
        value = value * distance + row[interval]
    return jnp.where(beyond, {"nan": jnp.nan, "zeros": 0.0}[outside], value) if outside in ("nan", "zeros") else value
