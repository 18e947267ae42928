"""Fits: the one place that talks to iminuit."""

import os
import time
import warnings
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import iminuit
import numpy as np
from iminuit.minuit import MnStrategy
from iminuit.util import IMinuitWarning

from jaxpwa._checks import ConvergenceWarning, JaxpwaWarning, known
from jaxpwa._progress import progress_bar
from jaxpwa._threads import one_blas_thread
from jaxpwa.inference.basin import Verdict, descend, judge, limits_pushed
from jaxpwa.inference.checkpoint import Checkpoint
from jaxpwa.inference.cost import Cost
from jaxpwa.inference.differences import search_by_differences
from jaxpwa.inference.objective import Objective
from jaxpwa.inference.outcome import Outcome, hardly_determined, problem_of, written_down
from jaxpwa.inference.parameters import ParameterTable
from jaxpwa.inference.result import FitError, FitResult
from jaxpwa.inference.starts import bind_to_start
from jaxpwa.inference.weighted import chosen_kind, corrected

_ATTEMPTS = 4


def _typed(function: Any) -> Any:
    return function


def _new_minuit(objective: Objective, table: ParameterTable, x: np.ndarray, errordef: float) -> iminuit.Minuit:
    """Make the Minuit object with limits, steps and exact derivatives."""
    # iminuit's protocols ask for functions that take any sequence; it passes arrays.
    derivatives = {"grad": objective.gradient, "hessian": objective.hessian, "g2": objective.curvature}
    kept = list(derivatives)[: (0, 1, 3)[objective.derivatives]]
    value, exact = _typed(objective.value), {name: _typed(derivatives[name]) for name in kept}
    with warnings.catch_warnings():
        # iminuit 2.33 says that g2 has no effect beside a Hessian, and calls it all the same where the Hessian is
        # not positive definite: without one, that ends in "'NoneType' object is not callable".
        warnings.filterwarnings("ignore", "hessian overrides g2", IMinuitWarning)
        minuit = iminuit.Minuit(value, x, name=table.names, **exact)
    minuit.errordef = errordef
    for i, name in enumerate(table.names):
        if np.isfinite(table.lower[i]) or np.isfinite(table.upper[i]):
            minuit.limits[name] = (table.lower[i], table.upper[i])
        if np.isfinite(table.step[i]):
            minuit.errors[name] = table.step[i]
        minuit.fixed[name] = bool(table.fixed[i])
    return minuit


def minimizer(cost: Cost, start: Mapping[str, Any] | FitResult, *, fixed: str | Iterable[str] = ()) -> iminuit.Minuit:
    """Return a live `iminuit.Minuit`, not yet fitted, with exact gradient and Hessian attached.

    For those who want to steer MINUIT themselves. Far from a minimum, MINUIT with an exact Hessian can end at a wrong
    point and call it valid: `fit` guards against that, a bare ``migrad()`` does not.

    Parameters
    ----------
    cost, start, fixed
        As in `fit`.

    Returns
    -------
    iminuit.Minuit
        Names, limits, steps, fixed parameters and ``errordef`` are set.

    Raises
    ------
    TypeError, ValueError
        As `fit`.

    Warns
    -----
    JaxpwaWarning
        If a gradient that came from outside of JAX is not that of the cost; MINUIT then takes differences.
    """
    cost, table = bind_to_start(cost, start, fixed)
    objective = Objective(cost)
    objective.check_gradient(table.values, table.free)
    return _new_minuit(objective, table, table.values, cost.errordef)


def fit(
    cost: Cost,
    start: Mapping[str, Any] | FitResult,
    *,
    fixed: str | Iterable[str] = (),
    strategy: int | MnStrategy = 1,
    tolerance: float = 0.1,
    max_calls: int | None = None,
    precision: float | None = None,
    print_level: int = 0,
    covariance: str = "auto",
    influence: Any = None,
    minos: bool | str | Iterable[str] = False,
    cl: float | None = None,
    throw: bool = False,
    checkpoint: str | os.PathLike | None = None,
    progress: bool | None = None,
) -> FitResult:
    """Minimise a cost with MINUIT, on exact derivatives.

    L-BFGS-B goes into the basin of a minimum, Migrad confirms it with exact gradient and Hessian, and the end
    point is judged by exact derivatives: a result is valid only if the Hessian is positive definite and the
    estimated distance to the minimum is within ``tolerance``. At a saddle the fit moves off and tries again.
    Errors come from the exact Hessian.

    Parameters
    ----------
    cost
        What to minimise: `UnbinnedNLL`, `ExtendedNLL`, ..., or a sum of them.
    start
        Start values by name: numbers or `Parameter` (limits, step, fixed); or an earlier `FitResult`.
        Their order is the order of the result.
    fixed
        Names to fix besides.
    strategy
        MINUIT's strategy: 0, 1, 2 or an MnStrategy.
    tolerance
        MINUIT's tolerance: Migrad ends at an estimated distance to minimum below ``0.002 * tolerance * errordef``.
    max_calls
        Most calls of the cost in the descent and in Migrad, which are then tried once; None: 2000 for the
        descent, MINUIT's own limit for Migrad, four tries.
    precision, print_level
        Handed to MINUIT.
    covariance
        ``"hessian"``: the inverse Hessian, right where every event counts one. ``"asymptotic"`` and ``"sumw2"``: for
        events with weights, from the scatter of weighted events (`jaxpwa.inference.weighted` has the formulas). Both
        are right for weights that don't depend on the sample, the second only where the model describes the weighted
        and the squared-weighted sample. ``"auto"``: asymptotic where data have weights other than 0 and 1, and the
        result says so. MINOS errors and profiles are those of the cost, whatever this says.
    influence
        Where weights were computed from the sample itself: how they depend on it, as `jaxpwa.q_factors` and
        `jaxpwa.sweights` return it. The asymptotic covariance then has what that adds.
    minos
        True, or names: compute asymmetric errors.
    cl
        Confidence level or number of sigmas for MINOS, as iminuit understands it; None: one sigma.
    throw
        Raise `FitError` where there is no valid minimum, instead of a warning; it carries the result.
    checkpoint
        A file of this fit alone, in which the best point so far is kept while it runs, so that a script that was
        killed goes on when it is run again: written every ten seconds, at the ends of descent and Migrad and after an
        interrupt, removed after a valid end. Where it exists, the fit starts from it, not from ``start``; limits and
        fixed parameters hold, and MINOS begins anew. The result says so in ``message`` and
        ``settings["resumed"]``; its ``calls`` and ``seconds`` are those of all runs.
    progress
        None: a bar on terminals and in Jupyter for fits of more than two seconds. False: none.

    Returns
    -------
    FitResult
        With the live Minuit object as ``result.minuit``. A parameter held at a limit is fixed in it.

    Raises
    ------
    TypeError, ValueError
        If names do not fit, or the cost is not finite at the start: the message names parameter or event. If the
        checkpoint is damaged or of another fit, which shows in the value of the cost at its point.
    FitError
        With ``throw``, if the fit did not converge.

    Warns
    -----
    ConvergenceWarning
        If the result is not valid; it is returned all the same.
    JaxpwaWarning
        If the data hardly determine a combination of parameters, which it names: their errors are a thousand times
        those that they would have one by one.

    Examples
    --------
    >>> import jaxpwa as jp
    >>> cost = jp.ChiSquared(lambda p, d: p["a"] + p["b"] * d["x"], {"x": [0, 1, 2]}, [1, 3, 5], [0.1, 0.1, 0.1])
    >>> result = jp.fit(cost, {"a": 0.0, "b": 1.0})
    >>> {name: round(value, 6) for name, value in result.values.items()}
    {'a': 1.0, 'b': 2.0}
    """
    began = time.perf_counter()
    cost, table = bind_to_start(cost, start, fixed)
    minos_names = _minos_names(table, minos)
    kind = chosen_kind(cost, covariance, influence)
    if not isinstance(strategy, MnStrategy) and strategy not in (0, 1, 2):
        msg = f"strategy must be 0, 1, 2 or an iminuit MnStrategy, got {strategy!r}."
        raise ValueError(msg)
    if not 0 < tolerance < np.inf:
        msg = f"tolerance must be positive, got {tolerance}."
        raise ValueError(msg)
    saved = Checkpoint(checkpoint, cost, table, began)
    with progress_bar("fit", None, "call", progress) as bar, saved:
        held = cost.holding(table.fixed_values)
        held._compile((1, 2))
        objective = Objective(held, lambda x, value: (bar.update(), saved.seen(x, value)))
        _check_start(cost, objective, saved)
        objective.check_gradient(saved.table.values, table.free)
        saved.follow(objective)
        settings = {"strategy": strategy, "tol": tolerance, "precision": precision, "print_level": print_level}
        # Intensities from elsewhere may be made of large matrices: those keep their threads.
        with one_blas_thread() if objective.derivatives == 2 else nullcontext():
            minuit, verdict = _search(objective, saved.table, cost.errordef, settings, max_calls, saved.begin)
        saved.begin("errors")
        problem = problem_of(minuit, table, verdict, tolerance * cost.errordef)
        if not problem and kind != "hessian" and verdict.covariance is not None:
            moved = corrected(held, np.array(minuit.values), verdict.covariance, kind, influence)
            verdict = replace(verdict, covariance=moved)
        minos_errors = {} if problem else _minos(minuit, minos_names, cl)
        saved.end(not problem)
        objective.use(cost)  # the Minuit object is the user's now, who may free what was fixed
    settings["strategy"] = strategy if isinstance(strategy, int) else type(strategy).__name__
    settings |= {"max_calls": max_calls, "cl": cl, "start": dict(zip(table.names, table.values.tolist(), strict=True))}
    settings |= saved.notes
    outcome = Outcome(verdict, problem, kind, minos_errors, settings, saved.calls, saved.seconds)
    result = written_down(cost, table, minuit, outcome)
    if problem:
        text = f"the fit of {cost._label} is not valid: {problem}{saved.advice}"
        if throw:
            raise FitError(text, result)
        warnings.warn(text, ConvergenceWarning, stacklevel=2)
    elif cost.derivatives == 2:
        weak = hardly_determined(table, verdict, cost.errordef)
        if weak:
            warnings.warn(f"the fit of {cost._label} is valid, but {weak}", JaxpwaWarning, stacklevel=2)
    return result


def _check_start(cost: Cost, objective: Objective, saved: Checkpoint) -> None:
    """Refuse a checkpoint of another cost, and a start where the cost is not finite, naming the events."""
    table = saved.table
    value, *gradient = objective.exact(table.values, 1 if objective.derivatives == 2 else 0)
    saved.verify(value)
    if not np.isfinite(value):
        msg = f"the cost is not finite at the start: {cost._explain(table.values)[0]}. Start elsewhere."
        raise ValueError(msg)
    if gradient and not np.isfinite(gradient[0]).all():
        bad = [n for n, g in zip(table.names, gradient[0], strict=True) if not np.isfinite(g)]
        msg = (
            f"the gradient with respect to {known(bad)} is not finite at the start, though the value is. "
            "A square root or an angle at the end of its range, or an intensity too small for a double, does that: "
            "start elsewhere, or write the intensity so that it is smooth there."
        )
        raise ValueError(msg)


def _search(
    objective: Objective,
    table: ParameterTable,
    errordef: float,
    settings: dict[str, Any],
    max_calls: int | None,
    begin: Callable[[str], object],
) -> tuple[iminuit.Minuit, Verdict]:
    """Descend, run Migrad, judge; again from a better place while there is hope. ``begin`` is told the stages."""
    if objective.derivatives < 2:
        return search_by_differences(
            lambda x: _new_minuit(objective, table, x, errordef), objective, table, settings, max_calls
        )
    x = table.values
    budget = 2000 if max_calls is None else max_calls
    for attempt in range(_ATTEMPTS if max_calls is None else 1):
        begin("descent")
        x = descend(objective, table, x, errordef, budget, fine=attempt > 0)
        begin("migrad")
        minuit = _new_minuit(objective, table, x, errordef)
        for name, value in settings.items():
            setattr(minuit, name, value)
        # MINUIT's sine transform has no slope at a limit: a parameter pressed against one is held there.
        for i in np.flatnonzero(limits_pushed(table, x, objective.gradient(x))):
            minuit.fixed[table.names[i]] = True
        if minuit.nfit:
            minuit.migrad(ncall=max_calls)
        x = np.array(minuit.values)
        verdict = judge(objective, table, x, errordef)
        if not problem_of(minuit, table, verdict, settings["tol"] * errordef):
            break
        if verdict.uphill is not None:
            x = _off_the_saddle(objective, table, x, verdict, errordef)
        elif not np.isfinite(verdict.value):
            break
    return minuit, verdict


def _off_the_saddle(
    objective: Objective, table: ParameterTable, x: np.ndarray, verdict: Verdict, errordef: float
) -> np.ndarray:
    """Step along negative curvature to the lower side."""
    direction = verdict.uphill
    curvature = abs(direction @ verdict.hessian @ direction)
    step = direction * np.sqrt(2 * errordef / curvature)
    sides = [np.clip(x + s * step, table.lower, table.upper) for s in (1, -1)]
    return min(sides, key=objective.value)


def _minos_names(table: ParameterTable, wanted: bool | str | Iterable[str]) -> list[str]:
    """Return the parameters that MINOS shall look at."""
    if wanted is False:
        return []
    free = [n for n, fixed in zip(table.names, table.fixed, strict=True) if not fixed]
    if wanted is True:
        return free
    names = [wanted] if isinstance(wanted, str) else list(wanted)
    unknown = [n for n in names if n not in free]
    if unknown:
        msg = f"minos names {known(unknown)}, which the fit does not vary; free: {known(free)}."
        raise ValueError(msg)
    return names


def _minos(minuit: iminuit.Minuit, names: list[str], cl: float | None) -> dict[str, tuple[float, float]]:
    """Return asymmetric errors by name, NaN where MINOS found none or the parameter is at a limit."""
    errors = dict.fromkeys(names, (np.nan, np.nan))
    moving = [n for n in names if not minuit.fixed[n]]
    if moving:
        minuit.minos(*moving, cl=cl)  # pyright: ignore[reportArgumentType]
    for name in moving:
        m = minuit.merrors[name]
        errors[name] = (m.lower if m.lower_valid else np.nan, m.upper if m.upper_valid else np.nan)
    return errors
