"""Knowledge about parameters from elsewhere, as a cost."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import jax
import jax.numpy as jnp

from jaxpwa._checks import known
from jaxpwa._types import Params
from jaxpwa.engine.functions import ParameterFunction
from jaxpwa.inference.cost import Cost
from jaxpwa.inference.penalties import GaussianTerm, PenaltyTerm


def _numbers(values: Any, what: str) -> np.ndarray:
    try:
        return np.asarray(values, np.float64)
    except (TypeError, ValueError):
        msg = f"{what} must be one or more numbers, got {values!r}."
        raise TypeError(msg) from None


class GaussianConstraint(Cost):
    r"""Knowledge from elsewhere about parameters, as a Gaussian.

    .. math:: \frac12 (p - \mu)^T C^{-1} (p - \mu)

    Parameters
    ----------
    names
        Name of a parameter, or several names.
    mean
        Number, or one per name.
    sigma
        Standard deviation, positive: number, or one per name (uncorrelated).
    covariance
        Instead of ``sigma``: covariance matrix, ``(names, names)``, positive definite.

    Raises
    ------
    ValueError, TypeError
        If shapes differ, names repeat, or the errors are not positive.

    Examples
    --------
    >>> import jaxpwa as jp
    >>> jp.GaussianConstraint("mass", 0.775, 0.001)({"mass": 0.777})
    2.0000000000000036
    """

    def __init__(self, names: str | Sequence[str], mean: Any, sigma: Any = None, *, covariance: Any = None):
        names = (names,) if isinstance(names, str) else tuple(names)
        n = len(names)
        if not n or len(set(names)) != n:
            msg = f"names must be one or more different parameter names, got {names}."
            raise ValueError(msg)
        mu = np.atleast_1d(_numbers(mean, "mean"))
        if (sigma is None) == (covariance is None):
            msg = "give either sigma or covariance."
            raise ValueError(msg)
        if covariance is None:
            s = np.atleast_1d(_numbers(sigma, "sigma"))
            if s.shape != (n,) or not np.all((s > 0) & np.isfinite(s)):
                msg = f"sigma must be {n} positive number(s), one for each of {known(names)}, got {sigma!r}."
                raise ValueError(msg)
            matrix = np.diag(s**2)
        else:
            matrix = np.atleast_2d(_numbers(covariance, "covariance"))
        if mu.shape != (n,) or not np.all(np.isfinite(mu)):
            msg = f"mean must be {n} number(s), one for each of {known(names)}, got {mean!r}."
            raise ValueError(msg)
        if matrix.shape != (n, n) or not np.allclose(matrix, matrix.T) or np.linalg.eigvalsh(matrix)[0] <= 0:
            msg = f"covariance must be a symmetric positive definite matrix of shape ({n}, {n})."
            raise ValueError(msg)
        term = GaussianTerm(names, mu, np.linalg.inv(matrix), 1.0, np.arange(n))
        super().__init__([term], 0.5, 0, f"GaussianConstraint({known(names)})")


@dataclass(frozen=True)
class _TwoHalves:
    """Two halves of Gaussians with their top in common."""

    name: str
    mean: float
    below: float
    above: float

    @property
    def __name__(self) -> str:
        return f"AsymmetricConstraint({self.name!r}, {self.mean!r}, {self.below!r}, {self.above!r})"

    def __call__(self, p: Params) -> jax.Array:
        away = p[self.name] - self.mean
        return 0.5 * (away / jnp.where(away < 0, self.below, self.above)) ** 2


class AsymmetricConstraint(Cost):
    r"""Knowledge from elsewhere about a parameter, :math:`\mu^{+\sigma_+}_{-\sigma_-}`, as two halves of Gaussians.

    .. math:: \frac12 \left(\frac{p - \mu}{\sigma}\right)^2, \quad
       \sigma = \sigma_-\ \text{for}\ p < \mu,\ \sigma_+\ \text{else}

    Value and slope are smooth, the curvature jumps at :math:`\mu`. This is the one choice among many that has the two
    errors where the published likelihood rose by 1/2; far out, the original likelihood is better if there is one.

    Parameters
    ----------
    name
        Name of the parameter.
    mean
        The published value.
    below, above
        Its lower and upper error, both positive.

    Raises
    ------
    ValueError, TypeError
        If numbers are missing or the errors are not positive.

    Examples
    --------
    >>> import jaxpwa as jp
    >>> constraint = jp.AsymmetricConstraint("width", 0.107, below=0.005, above=0.010)
    >>> round(constraint({"width": 0.127}), 9), round(constraint({"width": 0.097}), 9)
    (2.0, 2.0)
    """

    def __init__(self, name: str, mean: Any, below: Any, above: Any):
        if not isinstance(name, str):
            msg = f"name must be the name of one parameter, got {name!r}."
            raise TypeError(msg)
        numbers = [_numbers(value, what) for value, what in ((mean, "mean"), (below, "below"), (above, "above"))]
        for number, what in zip(numbers, ("mean", "below", "above"), strict=True):
            if number.shape != () or not np.isfinite(number) or (what != "mean" and number <= 0):
                kind = "one number" if what == "mean" else "one positive number: errors are given without their sign"
                msg = f"{what} of the constraint on {name!r} must be {kind}, got {number}."
                raise ValueError(msg)
        function = _TwoHalves(name, *map(float, numbers))
        term = PenaltyTerm(ParameterFunction(function, "the constraint"), 1.0, np.arange(1))
        super().__init__([term], 0.5, 0, f"AsymmetricConstraint({name})")


class Penalty(Cost):
    """Any function of the parameters, added to a negative log-likelihood: a prior, a regulariser, a soft limit.

    Parameters
    ----------
    function
        ``function(params)`` returns a number, minus the logarithm of a density where it stands for one; written with
        `jax.numpy`, and reads parameters by name in brackets. It is differentiated twice.
    name
        What results call it; None: the function's own name.

    Raises
    ------
    TypeError
        If it can't be traced, or does not return a real number.

    Notes
    -----
    Covariances of weighted events take a penalty for a measurement from elsewhere, which scatters as its curvature
    says.

    Examples
    --------
    >>> import jaxpwa as jp
    >>> jp.Penalty(lambda p: 0.1 * abs(p["a"]), "lasso")({"a": -3.0})
    0.30000000000000004
    """

    def __init__(self, function: Callable[[Params], Any], name: str | None = None):
        wrapped = ParameterFunction(function, "the penalty")
        if not wrapped.reads:
            msg = "the penalty must depend on at least one parameter."
            raise ValueError(msg)
        term = PenaltyTerm(wrapped, 1.0, np.arange(len(wrapped.reads)))
        super().__init__([term], 0.5, 0, f"Penalty({wrapped.name if name is None else name})")
