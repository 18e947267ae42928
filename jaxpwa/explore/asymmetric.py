"""MINOS errors of a result that exists already."""

import warnings
from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from jaxpwa._checks import ConvergenceWarning, known
from jaxpwa.explore.conditional import check_result, check_value, starting_point
from jaxpwa.inference.cost import Cost
from jaxpwa.inference.fit import minimizer
from jaxpwa.inference.result import FitResult


def minos(
    cost: Cost, result: FitResult, names: str | Iterable[str] | None = None, cl: float | None = None
) -> FitResult:
    """Compute asymmetric errors by MINOS, after the fit.

    MINUIT follows the profile of each parameter until the cost has risen by ``errordef``, times the square of the
    number of standard deviations. `jaxpwa.explore.profile` shows the same curve, and its ``interval`` says more where
    MINOS fails. Where events have weights, these are errors of the weighted likelihood as it stands, without the
    correction of the covariance matrix.

    Parameters
    ----------
    cost
        What was fitted.
    result
        Its fit; one that was loaded from a file will do. It stays as it is.
    names
        Parameters; None: all that the fit varied.
    cl
        Confidence level, below 1, or number of standard deviations, from 1 on; None: one standard deviation.

    Returns
    -------
    FitResult
        The same, with these errors as ``minos`` in place of earlier ones, NaN where MINOS found none, and with the
        Minuit object that found them.

    Raises
    ------
    TypeError, ValueError
        If the result is not valid or not a fit of this cost, or names are unknown, tied or fixed.

    Warns
    -----
    ConvergenceWarning
        If MINOS fails: the message says for which parameters, and why.

    Examples
    --------
    >>> import jaxpwa as jp
    >>> from jaxpwa.explore import minos
    >>> cost = jp.ChiSquared(lambda p, d: p["a"] * d["x"], {"x": [1, 2, 3]}, [1, 2, 3], [0.1, 0.1, 0.1])
    >>> low, high = minos(cost, jp.fit(cost, {"a": 0.5})).minos["a"]
    >>> round(low, 4), round(high, 4)
    (-0.0267, 0.0267)
    """
    start = starting_point(check_result(result))
    free = [n for n in start if n not in result.fixed]
    wanted = free if names is None else [names] if isinstance(names, str) else list(names)
    unknown = [n for n in wanted if n not in free]
    if unknown:
        msg = f"names has {known(unknown)}, which the fit does not vary; free: {known(free)}."
        raise ValueError(msg)
    if not result.valid:
        msg = f"MINOS starts from a valid minimum, and the fit has none: {result.message}"
        raise ValueError(msg)
    minuit = minimizer(cost, start, fixed=[*result.fixed, *result.at_limit])
    check_value(minuit.fcn(list(minuit.values)), result)
    failed = {n: "at a limit" for n in wanted if n in result.at_limit}
    moving = [n for n in wanted if n not in result.at_limit]
    errors = dict.fromkeys(wanted, (np.nan, np.nan))
    if moving:
        minuit.migrad()
        if minuit.valid:
            minuit.minos(*moving, cl=cl)  # pyright: ignore[reportArgumentType]
            for name in moving:
                error = minuit.merrors[name]
                lower, upper = (
                    error.lower if error.lower_valid else np.nan,
                    error.upper if error.upper_valid else np.nan,
                )
                errors[name] = float(lower), float(upper)
                failed |= {name: _why(error)} if np.isnan(errors[name]).any() else {}
        else:
            failed |= dict.fromkeys(moving, "MINUIT does not confirm the minimum")
    if failed:
        text = "; ".join(f"{name}: {why}" for name, why in failed.items())
        warnings.warn(f"MINOS failed for {len(failed)} of {len(wanted)} parameters: {text}.", ConvergenceWarning, 2)
    return replace(result, minos=errors, minuit=minuit)


def _why(error: object) -> str:
    """Say why MINOS found no error on one side or both."""
    reasons = []
    for side in ("lower", "upper"):
        if getattr(error, f"{side}_valid"):
            continue
        kinds = {
            f"at_{side}_limit": "a limit is nearer",
            f"{side}_new_min": "there is a lower minimum",
            f"at_{side}_max_fcn": "too many calls",
        }
        found = [text for flag, text in kinds.items() if getattr(error, flag)]
        reasons.append(f"{side} ({found[0] if found else 'no crossing found'})")
    return " and ".join(reasons)
