"""Knowledge about parameters from elsewhere, as a cost."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxpwa._checks import known
from jaxpwa.inference.cost import Cost
from jaxpwa.inference.terms import GaussianTerm


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
