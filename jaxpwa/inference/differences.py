"""Fits of costs without exact second derivatives: MINUIT takes differences, and its word is what there is."""

from collections.abc import Callable
from typing import Any

import numpy as np

from jaxpwa.inference.basin import Verdict
from jaxpwa.inference.objective import Objective
from jaxpwa.inference.parameters import ParameterTable

_ATTEMPTS = 4
# MINUIT's own limits map a parameter through a sine, which comes close to them but never quite there.
_AT_LIMIT = 1e-5
# Migrad's goal leaves a hundredth of an error; a hundredth of the goal leaves a thousandth.
_POLISH = 1e-2


def _near_limits(table: ParameterTable, x: np.ndarray) -> np.ndarray:
    """Return which free parameters have ended at a limit."""
    span = table.upper - table.lower
    near = _AT_LIMIT * np.where(np.isfinite(span), span, np.maximum(1.0, np.abs(x)))
    return ((x - table.lower < near) | (table.upper - x < near)) & ~table.fixed


def search_by_differences(
    new_minuit: Callable[[np.ndarray], Any],
    objective: Objective,
    table: ParameterTable,
    settings: dict[str, Any],
    max_calls: int | None,
) -> tuple[Any, Verdict]:
    """Run Migrad and HESSE on values alone, or on values and gradients.

    Parameters
    ----------
    new_minuit
        Makes the Minuit object that starts at a point.
    objective, table
        The function, and limits and fixed parameters.
    settings
        Attributes to set on the Minuit object.
    max_calls
        Limit of calls of Migrad, which is then run once.

    Returns
    -------
    The Minuit object, in which parameters at a limit are fixed, and MINUIT's verdict.
    """
    x = table.values
    at_limit = np.zeros(len(x), bool)
    for _ in range(_ATTEMPTS if max_calls is None else 1):
        minuit = new_minuit(x)
        for name, value in settings.items():
            setattr(minuit, name, value)
        for i in np.flatnonzero(at_limit):
            minuit.fixed[table.names[i]] = True
        if not minuit.nfit:
            break
        minuit.migrad(ncall=max_calls)
        x = np.array(minuit.values)
        ended = _near_limits(table, x)
        if minuit.valid and (ended <= at_limit).all():
            _polish(minuit, settings["tol"], max_calls)
            minuit.hesse()
            break
        x[ended] = np.where(x - table.lower < table.upper - x, table.lower, table.upper)[ended]
        at_limit |= ended
    return minuit, _verdict(minuit, objective, at_limit)


def _polish(minuit: Any, tolerance: float, max_calls: int | None) -> None:
    """Go on to where a fit on exact derivatives would have ended, or as far as rounding lets differences go."""
    minuit.tol = _POLISH * tolerance
    minuit.migrad(ncall=max_calls)
    minuit.tol = tolerance
    if not minuit.valid:
        minuit.migrad(ncall=max_calls)


def _verdict(minuit: Any, objective: Objective, at_limit: np.ndarray) -> Verdict:
    """Put MINUIT's word into the form of a verdict."""
    n = len(at_limit)
    value = objective.exact(np.array(minuit.values), 0)[0]
    nothing = np.zeros((n, n))
    covariance, edm, reason = nothing, 0.0, ""
    if minuit.nfit:
        state = minuit.fmin
        edm = float(state.edm)
        covariance = None if minuit.covariance is None else np.array(minuit.covariance)
        if not np.isfinite(value):
            reason = "the value is not finite"
        elif covariance is None or not state.has_covariance:
            reason = "MINUIT found no covariance matrix by differences"
        elif state.has_made_posdef_covar or not state.has_posdef_covar:
            reason = "the matrix of second differences is not positive definite"
    return Verdict(value, nothing[0], nothing, at_limit, None if reason else covariance, edm, None, reason)
