"""Many fits: bins of a spectrum, random starts, or both, on one compilation."""

import inspect
import time
import warnings
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from functools import partial
from typing import Any

import numpy as np

import jax

from jaxpwa._checks import ConvergenceWarning, known
from jaxpwa._progress import progress_bar
from jaxpwa._threads import one_blas_thread
from jaxpwa.farms.parcels import Parcel
from jaxpwa.farms.tasks import check_executor, run_all
from jaxpwa.inference.cost import Cost
from jaxpwa.inference.fit import fit
from jaxpwa.inference.manyfits import ManyFits, Minimum
from jaxpwa.inference.manystarts import in_order, labelled_costs, starts_of
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
# Tasks for an executor: about so many in all, but with no more starts of a cost than this. Neither depends on the
# number of workers, so that results don't.
_TASKS = 64
_STARTS_PER_TASK = 16
# What `fit` takes and many fits are given otherwise.
_OWN = ("cost", "start", "fixed", "progress")


def fit_many(
    costs: Cost | Sequence[Cost] | Mapping[Hashable, Cost],
    starts: Start | Sequence[Start] | Mapping[Hashable, Start | Sequence[Start]],
    *,
    fixed: str | Iterable[str] = (),
    executor: Executor | None = None,
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
    executor
        Fits run there, such as in a `process_pool`, each cost with up to 16 of its starts at a time; what `farm` says
        of executors holds. Each worker gets the events of its costs. None: in this process, one cost after the other.
    progress
        None: a bar on terminals and in Jupyter for work of more than two seconds. False: none.
    **settings
        Further keywords of `fit`, but for ``throw`` and ``checkpoint``.

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
        Once, if a cost has no valid result or starts failed: the cost is not finite there, or their process ended.

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
    labelled = labelled_costs(costs)
    check_settings(settings, "fit_many", "jaxpwa.farm calls a function that fits with one")
    fixed = [fixed] if isinstance(fixed, str) else list(fixed)
    check_executor(executor)
    own = starts_of(starts, labelled)
    tables: dict[Hashable, list[ParameterTable]] = {}
    bound: dict[Hashable, Cost] = {}
    for label, cost in labelled.items():
        tables[label] = []
        for number, start in enumerate(own[label]):
            if number:
                start = in_order(start, tables[label][0].names, number)
            bound[label], table = bind_to_start(cost, start, fixed)
            tables[label].append(table)
    if executor is None:
        ends = _here(bound, tables, settings, progress)
    else:
        ends = _elsewhere(bound, tables, settings, executor, progress)
    minima = {label: end for label, (end, _) in ends.items()}
    failures = {label: failed for label, (_, failed) in ends.items() if failed}
    found = ManyFits(minima, failures, time.perf_counter() - began)
    if not any(minima.values()):
        msg = f"every fit fails: {found.problem}"
        raise ValueError(msg)
    if found.problem:
        warnings.warn(found.problem, ConvergenceWarning, stacklevel=2)
    return found


def check_settings(settings: Mapping[str, Any], who: str, instead_of_checkpoint: str) -> None:
    """Refuse keywords that `fit` does not have, and those that make no sense for many fits."""
    if "throw" in settings:
        msg = f"{who} has no throw: look at the results' valid, one fit that fails does not end the others."
        raise TypeError(msg)
    if "checkpoint" in settings:
        msg = f"{who} has no checkpoint, which is a file of one fit: {instead_of_checkpoint}."
        raise TypeError(msg)
    takes = [name for name in inspect.signature(fit).parameters if name not in (*_OWN, "throw", "checkpoint")]
    unknown = [name for name in settings if name not in takes]
    if unknown:
        msg = f"{who} has no keyword {known(map(repr, unknown))}, and neither has fit, which takes {', '.join(takes)}."
        raise TypeError(msg)


Ends = tuple[tuple[Minimum, ...], dict[int, str]]
"""Minima of a cost, and why starts failed."""


def _here(
    costs: dict[Hashable, Cost],
    tables: dict[Hashable, list[ParameterTable]],
    settings: dict[str, Any],
    progress: bool | None,
) -> dict[Hashable, Ends]:
    """Fit one cost after the other."""
    n_starts = sum(map(len, tables.values()))
    together = worth_compiling(n_starts)
    with progress_bar("fits", n_starts, " starts", progress) as bar:
        return {label: fit_one(cost, tables[label], settings, together, bar.update) for label, cost in costs.items()}


def _elsewhere(
    costs: dict[Hashable, Cost],
    tables: dict[Hashable, list[ParameterTable]],
    settings: dict[str, Any],
    executor: Executor,
    progress: bool | None,
) -> dict[Hashable, Ends]:
    """Fit costs in an executor, some starts at a time, and put together what tasks found of one cost."""
    n_starts = sum(map(len, tables.values()))
    size = min(_STARTS_PER_TASK, -(-n_starts // _TASKS))
    tasks = [
        (label, range(first, min(first + size, len(rows))))
        for label, rows in tables.items()
        for first in range(0, len(rows), size)
    ]

    def packages() -> Iterator[tuple[Parcel, list[ParameterTable]]]:
        parcel, packed = None, None
        for label, numbers in tasks:
            if parcel is None or packed != label:
                parcel, packed = Parcel.of(_holding(costs[label], tables[label]), f"cost {label!r}"), label
            yield parcel, [tables[label][i] for i in numbers]

    farmed = run_all(
        partial(_fit_packed, settings=settings, together=worth_compiling(n_starts)),
        packages(),
        executor,
        len(tasks),
        what="fits",
        whose="a keyword of fit",
        unit=" starts",
        steps=lambda k: len(tasks[k][1]),
        label=lambda k: f"cost {tasks[k][0]!r}, from start {tasks[k][1][0]} on,",
        progress=progress,
    )
    parts: dict[Hashable, list[tuple[FitResult, list[int]]]] = {label: [] for label in costs}
    failed: dict[Hashable, dict[int, str]] = {label: {} for label in costs}
    for k, (label, numbers) in enumerate(tasks):
        if k in farmed.failures:
            failed[label] |= dict.fromkeys(numbers, farmed.failures[k].reason)
            continue
        minima, reasons = farmed[k]
        failed[label] |= {numbers[i]: reason for i, reason in reasons.items()}
        parts[label] += [(m.result, [numbers[i] for i in m.starts]) for m in minima]
    return {label: (_merged(found, tables[label][0]), failed[label]) for label, found in parts.items()}


def _fit_packed(task: tuple[Parcel, list[ParameterTable]], settings: dict[str, Any], together: bool) -> Ends:
    """Fit some starts of a cost in a worker."""
    return fit_one(task[0].open(), task[1], settings, together, lambda: None)


def _merged(parts: list[tuple[FitResult, list[int]]], table: ParameterTable) -> tuple[Minimum, ...]:
    """Return the distinct ones of minima that were found apart; of equal ones that of the first start stays."""
    found: list[tuple[FitResult, list[int]]] = []
    for result, numbers in sorted(parts, key=lambda part: part[1][0]):
        x = np.array([result.values[n] for n in table.names])
        home = _same(found, table, x, result.fval) if result.valid else None
        if home is None:
            found.append((result, list(numbers)))
        else:
            home += numbers
    return _lowest_first(found)


def _lowest_first(found: list[tuple[FitResult, list[int]]]) -> tuple[Minimum, ...]:
    """Return minima, valid ones first."""
    found = sorted(found, key=lambda pair: (not pair[0].valid, pair[0].fval if np.isfinite(pair[0].fval) else np.inf))
    return tuple(Minimum(result, tuple(sorted(numbers))) for result, numbers in found)


def _holding(cost: Cost, tables: list[ParameterTable]) -> Cost:
    """Return a cost that knows what all starts fix."""
    held = tables[0].fixed_values
    return cost.holding({n: v for n, v in held.items() if all(t.fixed_values.get(n) == v for t in tables)})


def worth_compiling(n_starts: int) -> bool:
    """Tell whether so many descents are worth the code that computes at many points in one call."""
    return n_starts >= _WORTH_COMPILING.get(jax.devices()[0].platform, _WORTH_COMPILING_ELSEWHERE)


def fit_one(
    cost: Cost,
    tables: list[ParameterTable],
    settings: dict[str, Any],
    together: bool,
    on_end: Callable[[], object],
) -> Ends:
    """Fit one cost from all its starts."""
    cost = _holding(cost, tables)
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
    return _lowest_first(found), failed


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
