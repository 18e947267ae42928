"""MINUIT as PyPWA hands it out: live and not yet fitted."""

from typing import Any

import iminuit
import numpy as np

import jaxpwa
from jaxpwa_compat.base import Likelihood
from jaxpwa_compat.habits import refuse_old_call, refuse_old_settings


def minuit(settings: Any, likelihood: Any, *old: Any, **old_keywords: Any) -> iminuit.Minuit:
    """Return a live `iminuit.Minuit`, not yet fitted.

    Parameters
    ----------
    settings
        Start values: a dict by name (their order is that of the parameters; values may be `jaxpwa.Parameter` with
        limits), or an array, whose parameters are called x0, x1, ... and reach `calculate` as an array.
    likelihood
        A likelihood of this package, any cost of jaxpwa, or a function of the parameters.
    old, old_keywords
        Nothing: what PyPWA 3 took is refused with what to write now.

    Returns
    -------
    iminuit.Minuit
        With ``errordef`` from the likelihood (0.5 for log-likelihoods, else 1, also for functions without an
        ``errordef`` or ``TYPE``). Amplitudes of torch bring their exact gradient, costs of jaxpwa also the Hessian.
        Limits, steps and fixed parameters are set on it afterwards.

    Raises
    ------
    ValueError
        For keys of old versions (``limit_x``, ``error_x``, ``fix_x``), or values that are no numbers.
    TypeError
        For the call of PyPWA 3.

    Warns
    -----
    jaxpwa.JaxpwaWarning
        If the gradient of torch is not that of the likelihood, and so not used.
    """
    if old or old_keywords:
        refuse_old_call(old, old_keywords)
    if isinstance(settings, dict):
        refuse_old_settings(settings)
        if isinstance(likelihood, jaxpwa.Cost):
            return jaxpwa.minimizer(likelihood, settings)
        return _of_function(likelihood, list(settings), list(settings.values()), by_name=True)
    try:
        values = np.asarray(settings, np.float64)
    except (TypeError, ValueError):
        values = np.empty((0, 0))
    if values.ndim != 1 or not len(values):
        msg = f"settings must be a dict of start values by name, or an array of them, got {settings!r}."
        raise TypeError(msg)
    names = [f"x{i}" for i in range(len(values))]
    if isinstance(likelihood, Likelihood):
        return jaxpwa.minimizer(likelihood.taking_arrays(), dict(zip(names, values.tolist(), strict=True)))
    if isinstance(likelihood, jaxpwa.Cost):
        return jaxpwa.minimizer(likelihood, dict(zip(names, values.tolist(), strict=True)))
    return _of_function(likelihood, names, values.tolist(), by_name=False)


def _of_function(function: Any, names: list[str], values: list[Any], by_name: bool) -> iminuit.Minuit:
    """Return the Minuit object of a plain function."""
    if not callable(function):
        msg = f"likelihood must be a likelihood, a cost or a function of the parameters, got {function!r}."
        raise TypeError(msg)
    numbers = [float(v) for v in values]

    def objective(x: Any) -> Any:
        return function(dict(zip(names, x.tolist(), strict=True)) if by_name else np.array(x))

    fcn: Any = objective
    live = iminuit.Minuit(fcn, numbers, name=names)
    kind = getattr(function, "TYPE", None)
    live.errordef = getattr(function, "errordef", 0.5 if kind == "LIKELIHOOD" else 1.0)
    return live
