"""Many fits: bins of a spectrum, random starts, or both, on one compilation."""

import time
import warnings
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

import jax

from jaxpwa._checks import ConvergenceWarning, known
from jaxpwa._progress import progress_bar
from jaxpwa._threads import one_blas_thread
from jaxpwa.inference.cost import Cost
from jaxpwa.inference.fit import fit
from jaxpwa.inference.manyfits import ManyFits, Minimum
from jaxpwa.inference.parameters import Parameter, ParameterTable
from jaxpwa.inference.result import FitResult
from jaxpwa.inference.starts import bind_to_start
from jaxpwa.inference.together import descend_together, most_together

Start = Mapping[str, float | Parameter] | FitResult

# Compiling for many points takes as long as side by side saves on about so many starts: 0.7 s, and 6 ms per start of
# 49 gradients (2000 events of six waves, two cores). Where data are large a CPU gains nothing, and a GPU more.
_WORTH_COMPILING = {"cpu": 64}
_WORTH_COMPILING_ELSEWHERE = 16
_FEW = 4
_DESCENT_CALLS = 2000
# Ends of descents, and minima, are one minimum within this: of the cost, in units of errordef, and of the parameters,
# as the square of their distance in standard deviations.
_SAME = 0.25


def fit_many(
    costs: Cost | Sequence[Cost] | Mapping[Hashable, Cost],
    starts: Start | Sequence[Start] | Mapping[Hashable, Start | Sequence[Start]],
    *,
    fixed: str | Iterable[str] = (),
    progress: bool | None = None,
    **settings: Any,
) -> ManyFits:
    """Fit many costs, from one start or from many, and sort what was found into distinct minima.

    Costs of one intensity share their compiled code. Where starts are many (64 in all on CPUs, 16 on GPUs, at least 4
    of a cost), their descents run side by side, and value and gradient at up to 16 points are computed in one call.
    Then `fit` confirms each distinct end.

    Parameters
    ----------
    costs
        One cost, or a sequence or mapping of them, such as one per bin: results have its positions or keys.
    starts
        One start, or a sequence of starts such as `random_starts` gives: every cost is fitted from each. A mapping with
        the keys of ``costs`` (positions of a sequence) gives each cost its own start or starts.
    fixed
        Names to fix besides.
    progress
        None: a bar on terminals and in Jupyter for work of more than two seconds. False: none.
    **settings
        Further keywords of `fit`, but for ``throw``.

    Returns
    -------
    ManyFits
        The best result of each cost, and its other minima with the starts that led there.

    Raises
    ------
    TypeError, ValueError
        If costs or starts are not of this form, or every fit fails.

    Warns
    -----
    ConvergenceWarning
        Once, if a cost has no valid result or starts failed: the cost is not finite there.

    Examples
    --------
    >>> import numpy as np, jax.numpy as jnp, jaxpwa as jp
    >>> x = np.random.default_rng(3).normal([[-1.0], [2.0]], 1.0, (2, 500))
    >>> def gauss(p, d):
    ...     return jnp.exp(-0.5 * (d["x"] - p["mean"]) ** 2)
    >>> fits = jp.fit_many([jp.UnbinnedNLL(gauss, {"x": bin_}) for bin_ in x], {"mean": 0.5})
    >>> [round(fits[i].values["mean"], 1) for i in fits]
    [-0.9, 2.0]
    """
    began = time.perf_counter()
    labelled = _labelled(costs)
    if "throw" in settings:
        msg = "fit_many has no throw: look at the results' valid, one fit that fails does not end the others."
        raise TypeError(msg)
    fixed = [fixed] if isinstance(fixed, str) else list(fixed)
    own = _starts_of(starts, labelled)
    tables: dict[Hashable, list[ParameterTable]] = {}
    bound: dict[Hashable, Cost] = {}
    for label, cost in labelled.items():
        tables[label] = []
        for number, start in enumerate(own[label]):
            if number:
                start = _in_order(start, tables[label][0].names, number)
            bound[label], table = bind_to_start(cost, start, fixed)
            tables[label].append(table)
    minima: dict[Hashable, tuple[Minimum, ...]] = {}
    failures: dict[Hashable, dict[int, str]] = {}
    n_starts = sum(map(len, tables.values()))
    together = worth_compiling(n_starts)
    with progress_bar("fits", n_starts, " starts", progress) as bar:
        for label, cost in bound.items():
            minima[label], failed = fit_one(cost, tables[label], settings, together, bar.update)
            if failed:
                failures[label] = failed
    found = ManyFits(minima, failures, time.perf_counter() - began)
    if not any(minima.values()):
        msg = f"every fit fails: {found.problem}"
        raise ValueError(msg)
    if found.problem:
        warnings.warn(found.problem, ConvergenceWarning, stacklevel=2)
    return found


def worth_compiling(n_starts: int) -> bool:
    """Tell whether so many descents are worth the code that computes at many points in one call."""
    return n_starts >= _WORTH_COMPILING.get(jax.devices()[0].platform, _WORTH_COMPILING_ELSEWHERE)


def _labelled(costs: Any) -> dict[Any, Cost]:
    """Return costs by label."""
    if isinstance(costs, Cost):
        return {0: costs}
    if isinstance(costs, Mapping):
        labelled = dict(costs)
    elif isinstance(costs, Iterable):
        labelled = dict(enumerate(costs))
    else:
        msg = f"costs must be a cost, or a sequence or mapping of costs, got {type(costs).__name__}."
        raise TypeError(msg)
    if not labelled:
        msg = "costs must hold at least one cost, got none."
        raise ValueError(msg)
    return labelled


def _in_order(start: Any, names: tuple[str, ...], number: int) -> Any:
    """Return a start with its parameters in the order of the first one."""
    values = start.start_values if isinstance(start, FitResult) else start
    if not isinstance(values, Mapping):
        return values
    if set(values) != set(names):
        msg = f"start {number} names other parameters than the first: {known(values)}; expected {known(names)}."
        raise ValueError(msg)
    return {name: values[name] for name in names}


def _is_start(value: Any) -> bool:
    """Tell whether this is one start, and not a mapping or sequence of them."""
    if isinstance(value, FitResult):
        return True
    return isinstance(value, Mapping) and not any(isinstance(v, (Mapping, FitResult, list)) for v in value.values())


def _starts_of(starts: Any, labelled: dict[Hashable, Cost]) -> dict[Hashable, list[Any]]:
    """Return the starts of each cost."""
    if _is_start(starts):
        return {label: [starts] for label in labelled}
    if isinstance(starts, Mapping):
        missing = [label for label in labelled if label not in starts]
        unknown = [label for label in starts if label not in labelled]
        if missing or unknown:
            msg = (
                f"starts by cost must have the keys of costs: {known(map(repr, labelled))}; "
                f"missing: {known(map(repr, missing))}; unknown: {known(map(repr, unknown))}."
            )
            raise ValueError(msg)
        return {label: _listed(starts[label]) for label in labelled}
    listed = _listed(starts)
    return dict.fromkeys(labelled, listed)


def _listed(starts: Any) -> list[Any]:
    if _is_start(starts):
        return [starts]
    if isinstance(starts, (str, bytes)) or not isinstance(starts, Iterable):
        msg = f"starts must be a start, or a sequence of starts, got {type(starts).__name__}."
        raise TypeError(msg)
    listed = list(starts)
    if not listed:
        msg = "starts must hold at least one start, got none."
        raise ValueError(msg)
    return listed


def fit_one(
    cost: Cost,
    tables: list[ParameterTable],
    settings: dict[str, Any],
    together: bool,
    on_end: Callable[[], object],
) -> tuple[tuple[Minimum, ...], dict[int, str]]:
    """Fit one cost from all its starts."""
    held = tables[0].fixed_values
    cost = cost.holding({n: v for n, v in held.items() if all(t.fixed_values.get(n) == v for t in tables)})
    points = [table.values for table in tables]
    order, known_values = list(range(len(tables))), [np.inf] * len(tables)
    batched = together and len(tables) >= _FEW and most_together(cost) > 1
    if batched:
        with one_blas_thread():
            descents = descend_together(cost, tables, settings.get("max_calls") or _DESCENT_CALLS, on_end)
        known_values = [d.value for d in descents]
        points = [d.x if np.isfinite(d.value) else t.values for d, t in zip(descents, tables, strict=True)]
        order.sort(key=lambda i: known_values[i])
    found: list[tuple[FitResult, list[int]]] = []
    failed: dict[int, str] = {}
    for number in order:
        table, x = tables[number], points[number]
        home = _same(found, table, x, known_values[number])
        if home is None:
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", ConvergenceWarning)
                    result = fit(cost, table.at(x), progress=False, **settings)
            except ValueError as error:
                failed[number] = str(error)
                continue
            finally:
                if not batched:
                    on_end()
            home = (
                _same(found, table, np.array([result.values[n] for n in table.names]), result.fval)
                if result.valid
                else None
            )
            if home is None:
                home = []
                found.append((result, home))
        home.append(number)
    found.sort(key=lambda pair: (not pair[0].valid, pair[0].fval if np.isfinite(pair[0].fval) else np.inf))
    return tuple(Minimum(result, tuple(sorted(numbers))) for result, numbers in found), failed


def _same(
    found: list[tuple[FitResult, list[int]]], table: ParameterTable, x: np.ndarray, value: float
) -> list[int] | None:
    """Return the starts of the valid minimum that a point belongs to, or None."""
    for result, numbers in found:
        if not result.valid or not abs(value - result.fval) <= _SAME * result.errordef:
            continue
        away = x - np.array([result.values[n] for n in table.names])
        covariance = result.covariance[: len(x), : len(x)]  # tied parameters come last
        moving = np.diag(covariance) > 0
        if (np.abs(away[~moving]) > 1e-6 * np.maximum(1.0, np.abs(x[~moving]))).any():
            continue
        if (
            not moving.any()
            or away[moving] @ np.linalg.solve(covariance[np.ix_(moving, moving)], away[moving]) <= _SAME
        ):
            return numbers
    return None
