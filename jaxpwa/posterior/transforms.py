"""Limited parameters on the whole line, and the line in units of a fit's errors."""

from dataclasses import dataclass

import numpy as np

import jax
import jax.numpy as jnp

from jaxpwa._checks import known
from jaxpwa.inference.cost import Cost
from jaxpwa.inference.result import FitResult


@dataclass(frozen=True, eq=False)
class Limits:
    r"""Limits of parameters, and the maps between them and the whole line.

    .. math::
        x = l + (u - l) / (1 + e^{-y}), \qquad x = l + e^{y}, \qquad x = u - e^{-y}

    for two limits, a lower and an upper one; else :math:`x = y`. All rise with :math:`y`.

    Attributes
    ----------
    lower, upper
        Arrays ``(n,)``, infinite where there is no limit.
    """

    lower: np.ndarray
    upper: np.ndarray

    @property
    def _kinds(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Which parameters have two limits, a lower one only, an upper one only."""
        low, high = np.isfinite(self.lower), np.isfinite(self.upper)
        return low & high, low & ~high, high & ~low

    def from_line(self, y: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Return the parameters ``(n,)`` and the logarithm of the Jacobian ``dx/dy``, a scalar."""
        both, low, high = self._kinds
        low_end, high_end = np.where(both | low, self.lower, 0.0), np.where(both | high, self.upper, 0.0)
        width = np.where(both, high_end - low_end, 1.0)
        # Safe arguments: what a `where` leaves out must be finite, too, or gradients are NaN.
        sigmoid = jnp.where(both, y, 0.0)
        rise = jnp.exp(jnp.where(low, y, jnp.where(high, -y, 0.0)))
        inside = low_end + width * jax.nn.sigmoid(sigmoid)
        x = jnp.where(both, inside, jnp.where(low, low_end + rise, jnp.where(high, high_end - rise, y)))
        slopes = np.log(width) + jax.nn.log_sigmoid(sigmoid) + jax.nn.log_sigmoid(-sigmoid)
        log_slopes = jnp.where(both, slopes, jnp.where(low, y, jnp.where(high, -y, 0.0)))
        return x, jnp.sum(log_slopes)

    def to_line(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the points on the line of parameters inside of their limits, and the slopes ``dx/dy``, ``(n,)``."""
        both, low, high = self._kinds
        y, slope = x.astype(np.float64), np.ones(len(x))
        up, down = x - self.lower, self.upper - x
        y[both] = np.log(up[both] / down[both])
        slope[both] = (up * down)[both] / (self.upper - self.lower)[both]
        y[low], slope[low] = np.log(up[low]), up[low]
        y[high], slope[high] = -np.log(down[high]), down[high]
        return y, slope

    def inside(self, x: np.ndarray, margin: np.ndarray) -> np.ndarray:
        """Return the points moved so far inside of their limits, to the middle at most."""
        margin = np.minimum(margin, 0.5 * (self.upper - self.lower))
        return np.clip(x, self.lower + margin, self.upper - margin)


@dataclass(frozen=True, eq=False)
class Line:
    """Coordinates in which the posterior is about a unit Gaussian.

    Attributes
    ----------
    names
        The parameters that are sampled.
    limits
        Their limits.
    centre
        Where the unit Gaussian's middle lies, on the whole line, ``(n,)``.
    root
        Lower triangular ``(n, n)``: its product with its transpose is the covariance on the line.
    """

    names: tuple[str, ...]
    limits: Limits
    centre: np.ndarray
    root: np.ndarray

    @classmethod
    def at_fit(cls, cost: Cost, result: FitResult, names: tuple[str, ...]) -> "Line":
        """Take the errors of a fit.

        Parameters
        ----------
        cost
            What was fitted.
        result
            The fit.
        names
            The parameters that are sampled.

        Raises
        ------
        ValueError
            If the fit has no positive definite covariance of them.
        """
        rows = [result.names.index(name) for name in names]
        x = np.array([result.values[name] for name in names])
        pairs = np.array([result.limits.get(name, (-np.inf, np.inf)) for name in names]).reshape(-1, 2)
        limits = Limits(pairs[:, 0], pairs[:, 1])
        covariance = _conditional(result, rows)
        pressed = [i for i, name in enumerate(names) if name in result.at_limit]
        if pressed:
            errors = _errors_at_limits(cost, result, [names[i] for i in pressed])
            covariance[pressed, pressed] = errors**2
        sigma = np.sqrt(np.diag(covariance))
        # Within its error of a limit, a parameter's distribution is that of its distance to it.
        y, slope = limits.to_line(limits.inside(x, sigma))
        try:
            root = np.linalg.cholesky(covariance / np.outer(slope, slope))
        except np.linalg.LinAlgError:
            msg = f"the covariance of {known(names)} is not positive definite: there is a direction without an error."
            raise ValueError(msg) from None
        return cls(names, limits, y, root)


def _conditional(result: FitResult, rows: list[int]) -> np.ndarray:
    """Return the covariance of some parameters with all others fixed."""
    covariance = np.asarray(result.covariance, np.float64)
    if not np.isfinite(covariance).all():
        msg = "the fit has no covariance, from which the chains would start; look at result.message."
        raise ValueError(msg)
    has_error = np.flatnonzero(np.diag(covariance) > 0).tolist()
    moving = [i for i in has_error if result.names[i] not in result.tied]
    kept = [i for i in rows if i in moving]
    still = [result.names[i] for i in rows if i not in moving and result.names[i] not in result.at_limit]
    if still:
        msg = f"the fit gives {known(still)} no error: fix it, sample_posterior(..., fixed=...), or fit it."
        raise ValueError(msg)
    out = np.zeros((len(rows), len(rows)))
    block = covariance[np.ix_(kept, kept)]
    if len(kept) < len(moving):
        every = covariance[np.ix_(moving, moving)]
        at = [moving.index(i) for i in kept]
        block = np.linalg.inv(np.linalg.inv(every)[np.ix_(at, at)])
    at = [rows.index(i) for i in kept]
    out[np.ix_(at, at)] = block
    return out


def _errors_at_limits(cost: Cost, result: FitResult, names: list[str]) -> np.ndarray:
    """Return how far from its limit each parameter raises the negative log-likelihood by about 1."""
    point = {name: result.values[name] for name in cost.parameters or ()}
    order = list(point)
    at = [order.index(name) for name in names]
    gradient = cost.value_and_grad(point)[1]
    factor = 0.5 / cost.errordef
    slope = factor * np.abs([gradient[name] for name in names])
    curvature = factor * np.maximum(np.diag(cost.hessian(point))[at], 0.0)
    # The positive root of slope d + curvature d^2 / 2 = 1.
    total = slope + np.sqrt(slope**2 + 2 * curvature)
    return 2.0 / np.maximum(total, 1e-300)
