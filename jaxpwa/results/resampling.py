"""Errors by fitting samples drawn from the sample itself."""

import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

import jax
import jax.numpy as jnp

from jaxpwa._checks import JaxpwaWarning, known
from jaxpwa._progress import progress_bar
from jaxpwa._random import key_words
from jaxpwa.farms.tasks import check_executor, run_all
from jaxpwa.inference import report
from jaxpwa.inference.cost import Cost
from jaxpwa.inference.fit import fit
from jaxpwa.inference.propagate import Estimate
from jaxpwa.inference.replicas import Replicas, refuse_what_has_no_events
from jaxpwa.inference.result import FitResult
from jaxpwa.inference.starts import bind_to_start
from jaxpwa.inference.ties import with_tied

_TOGETHER = 16
# The inverse Hessian of the fit takes a sample's distance to its minimum down by its own relative error, some per cent,
# in each step: it is there after a few, or the parabola is no good.
_MOST_STEPS = 25
_EDM = 1e-6


@dataclass(frozen=True, eq=False)
class Bootstrap:
    """Fits of samples that were drawn from the sample.

    Attributes
    ----------
    samples
        Parameters of each fit by name, ``(replicas,)``; fixed ones don't change.
    values
        Parameters of the fit to the sample itself.
    n_failed
        Samples whose fit found no minimum; they are left out.
    n_lost
        Samples that were not fitted since a task of an executor failed.
    """

    samples: dict[str, np.ndarray]
    values: dict[str, float]
    n_failed: int
    n_lost: int = 0

    def __len__(self) -> int:
        return len(next(iter(self.samples.values())))

    @property
    def covariance(self) -> np.ndarray:
        """Covariance matrix of the parameters, ``(n, n)``, in the order of ``values``."""
        return np.atleast_2d(np.cov(np.stack(list(self.samples.values())), ddof=1))

    @property
    def errors(self) -> dict[str, float]:
        """Standard deviations by name."""
        return {name: float(_spread(x)) for name, x in self.samples.items()}

    def interval(self, name: str, probability: float = 0.6827) -> tuple[float, float]:
        """Return the central interval that holds this part of the fits of a parameter."""
        if name not in self.samples:
            msg = f"unknown parameter {name!r}; there are {known(self.samples)}."
            raise ValueError(msg)
        if not 0 < probability < 1:
            msg = f"probability must be between 0 and 1, got {probability!r}."
            raise ValueError(msg)
        low, high = np.quantile(self.samples[name], [0.5 - probability / 2, 0.5 + probability / 2])
        return float(low), float(high)

    def propagate(self, function: Callable[[dict[str, Any]], Any]) -> Estimate:
        """Compute something from the parameters of every sample.

        Parameters
        ----------
        function
            ``function(params)``, written with `jax.numpy`: returns real numbers or arrays, or dicts, lists or records
            of such.

        Returns
        -------
        `Estimate`: the value is that of the fit, error and covariance are those of the samples.
        """
        points = {name: jnp.asarray(x) for name, x in self.samples.items()}
        value = function({name: jnp.asarray(x) for name, x in self.values.items()})
        every = jax.jit(jax.vmap(function))(points)
        flat = np.concatenate([np.reshape(leaf, (len(self), -1)) for leaf in jax.tree.leaves(every)], axis=1)
        error = jax.tree.map(lambda x: _host(_spread(np.asarray(x))), every)
        value = jax.tree.map(lambda x: _host(np.asarray(x)), value)
        return Estimate(value, error, np.atleast_2d(np.cov(flat.T, ddof=1)))

    def to_pandas(self) -> pd.DataFrame:
        """Return one row per sample, one column per parameter."""
        return pd.DataFrame(self.samples)

    def _table(self) -> tuple[str, list[str], list[list[str]]]:
        failed = f", {self.n_failed} without a minimum left out" if self.n_failed else ""
        failed += f", {self.n_lost} lost" if self.n_lost else ""
        rows = []
        for name, x in self.samples.items():
            error = float(_spread(x))
            low, high = self.interval(name)
            value, sigma = report.rounded(self.values[name], error)
            cells = [report.rounded(edge, error)[0] for edge in (low, high)]
            rows.append([name, value, sigma, report.rounded(float(x.mean()) - self.values[name], error)[0], *cells])
        header = ["name", "value", "error", "mean - value", "16 %", "84 %"]
        return f"bootstrap: {len(self)} samples{failed}", header, rows

    def __str__(self) -> str:
        heading, header, rows = self._table()
        return f"{heading}\n{report.text_table(header, rows)}"

    def _repr_html_(self) -> str:
        heading, header, rows = self._table()
        return f"<p>{report.escaped(heading)}</p>{report.html_table(header, rows)}"


def _spread(x: np.ndarray) -> Any:
    """Return the standard deviation over the samples; exactly 0 for what did not change."""
    return np.where(np.ptp(x, axis=0) == 0, 0.0, np.std(x, axis=0, ddof=1))[()]


def _host(x: np.ndarray) -> Any:
    return float(x) if x.ndim == 0 else x


def bootstrap(
    key_or_seed: Any,
    cost: Cost,
    result: FitResult,
    n_replicas: int = 200,
    *,
    executor: Executor | None = None,
    progress: bool | None = None,
) -> Bootstrap:
    r"""Fit samples drawn from the data: errors that believe neither the model nor a parabola.

    Each event of the data counts :math:`n_e` times, a Poisson number of mean 1, on top of its weight. All samples use
    the compiled code and the events on the devices of the fit; 16 of them are minimised side by side, by the inverse
    Hessian of the fit, from its minimum. Where that does not get there, `fit` does. Means of Gaussian constraints
    scatter as they say. Monte Carlo is not drawn again: its statistical error is not in these errors.

    Parameters
    ----------
    key_or_seed
        A whole number, or a JAX key: the same one gives the same samples.
    cost
        What was fitted: unbinned likelihoods of events, with constraints and penalties if there are any.
    result
        Its fit, valid.
    n_replicas
        How many samples, at least 2: errors are known to :math:`1 / \sqrt{2 n}`.
    executor
        Samples are drawn and fitted there, such as in a `process_pool`, 16 per task; what `farm` says of executors
        holds. They are the same ones as without. Each task has the events with it.
    progress
        None: a bar on terminals and in Jupyter for work of more than two seconds. False: none.

    Returns
    -------
    `Bootstrap`.

    Raises
    ------
    ValueError, TypeError
        If the cost has bins, points or intensities from outside of JAX; if the result is not valid or of another cost;
        if fewer than two samples have a minimum.

    Warns
    -----
    JaxpwaWarning
        If tasks of the executor failed: their samples are left out.

    References
    ----------
    B. Efron, Ann. Statist. 7 (1979) 1.

    Examples
    --------
    >>> import numpy as np, jax.numpy as jnp, jaxpwa as jp
    >>> x = np.random.default_rng(1).exponential(2.0, 2000)
    >>> cost = jp.UnbinnedNLL(lambda p, d: jnp.exp(-d["x"] / p["tau"]) / p["tau"], {"x": x})
    >>> result = jp.fit(cost, {"tau": 1.0})
    >>> again = jp.bootstrap(1, cost, result)
    >>> 0.8 < again.errors["tau"] / result.errors["tau"] < 1.25
    True
    """
    if isinstance(n_replicas, bool) or not isinstance(n_replicas, (int, np.integer)) or n_replicas < 2:
        msg = f"n_replicas must be a whole number of samples, at least 2, got {n_replicas!r}."
        raise ValueError(msg)
    if not isinstance(result, FitResult) or not result.valid:
        found = "a result that is not valid" if isinstance(result, FitResult) else type(result).__name__
        msg = f"result must be the valid result of a fit, where the samples start, got {found}."
        raise ValueError(msg)
    check_executor(executor)
    words = key_words(key_or_seed)
    bound, _ = bind_to_start(cost, result, ())
    refuse_what_has_no_events(bound)
    batches = _Batches.make(bound.holding({name: result.values[name] for name in result.fixed}), result, words)
    sizes = [min(_TOGETHER, n_replicas - first) for first in range(0, n_replicas, _TOGETHER)]
    found, lost = [], {}
    if executor is None:
        with progress_bar("bootstrap", n_replicas, " samples", progress) as bar:
            for task in enumerate(sizes):
                for point in batches.points(task):
                    found.append(point)
                    bar.update(1)
    else:
        about = {"what": "bootstrap", "whose": "the cost", "unit": " samples", "progress": progress}
        farmed = run_all(batches, enumerate(sizes), executor, len(sizes), steps=sizes.__getitem__, **about)
        found, lost = [point for points in farmed.values() for point in points], farmed.failures
    n_lost = sum(sizes[number] for number in lost)
    points = [point for point in found if point is not None]
    why = f"{n_lost} of {n_replicas} samples are lost: {next(iter(lost.values())).reason}." if lost else ""
    if len(points) < 2:
        n_failed = n_replicas - n_lost - len(points)
        msg = f"{n_failed} of {n_replicas} samples have no minimum: the fit is not stable enough for a bootstrap."
        raise ValueError(why or msg)
    if why:
        warnings.warn(why, JaxpwaWarning, stacklevel=2)
    return Bootstrap(_by_name(bound, np.stack(points)), dict(result.values), len(found) - len(points), n_lost)


@dataclass(frozen=True, eq=False)
class _Batches:
    """What draws and fits samples, some at a time.

    Attributes
    ----------
    cost, result
        What was fitted, bound and with fixed parameters held, and its fit.
    centre, inverse
        The minimum and the inverse Hessian there, zero for parameters that can't move.
    words
        What samples are drawn with, besides the number of the batch.
    """

    cost: Cost
    result: FitResult
    centre: np.ndarray
    inverse: np.ndarray
    words: tuple[int, ...]

    @classmethod
    def make(cls, cost: Cost, result: FitResult, words: np.ndarray) -> "_Batches":
        """Compute the Hessian at the minimum."""
        centre = np.array([result.values[name] for name in cost._known])
        moving = np.array([name not in (*result.fixed, *result.at_limit) for name in cost._known])
        inverse = np.zeros((len(centre), len(centre)))
        hessian = cost._compute(centre, 2)[2]
        inverse[np.ix_(moving, moving)] = np.linalg.inv(hessian[np.ix_(moving, moving)])
        return cls(cost, result, centre, inverse, tuple(int(w) for w in words))

    def __call__(self, task: tuple[int, int]) -> list[np.ndarray | None]:
        return list(self.points(task))

    def points(self, task: tuple[int, int]) -> Iterator[np.ndarray | None]:
        """Yield the minima of so many samples of a batch, None where there is none; ``task`` is its number and size."""
        number, size = task
        replicas = Replicas.draw(self.cost, _TOGETHER, np.random.default_rng([*self.words, number]))
        points, done = _minimised(replicas, self.centre, self.inverse, _limits(self.result, self.cost._known))
        for k in range(size):
            yield points[k] if done[k] else _by_fit(replicas.single(k), self.result)


def _limits(result: FitResult, names: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    low, high = zip(*(result.limits.get(name, (-np.inf, np.inf)) for name in names), strict=True)
    return np.array(low), np.array(high)


def _minimised(
    replicas: Replicas, centre: np.ndarray, inverse: np.ndarray, limits: tuple[np.ndarray, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Go to the minima of all samples; return where, and which of them got there."""
    points = np.tile(centre, (replicas.n, 1))
    done = np.zeros(replicas.n, bool)
    lost = np.zeros(replicas.n, bool)
    before = np.full(replicas.n, np.inf)
    for _ in range(_MOST_STEPS):
        values, gradients = replicas.values_and_gradients(points)
        steps = -gradients @ inverse
        edm = -0.5 * np.sum(steps * gradients, axis=1)
        lost |= ~np.isfinite(values) | ~np.isfinite(edm) | (edm > 4 * before)
        done = ~lost & (edm < _EDM)
        if (done | lost).all():
            break
        before = np.where(done, before, edm)
        going = ~done & ~lost
        points[going] += steps[going]
        outside = ((points < limits[0]) | (points > limits[1])).any(axis=1)
        lost |= outside & going
        points[lost] = centre
    return points, done & ~lost


def _by_fit(cost: Cost, result: FitResult) -> np.ndarray | None:
    """Return the minimum of one sample, found by `fit`, or None."""
    start = bind_to_start(cost, result, result.fixed)[1]
    low, high = _limits(result, start.names)
    start = replace(start, lower=low, upper=high)
    try:
        again = fit(cost, start.at(start.values), covariance="hessian", tolerance=1e-3, throw=True, progress=False)
    except (RuntimeError, ValueError):
        return None
    return np.array([again.values[name] for name in cost._known])


def _by_name(cost: Cost, points: np.ndarray) -> dict[str, np.ndarray]:
    """Return parameters by name, those that are tied to others last."""
    samples = dict(zip(cost._known, points.T, strict=True))
    if cost._tied:
        nothing = np.zeros((points.shape[1], points.shape[1]))
        rows = [with_tied(cost._terms, point, nothing)[0] for point in points]
        samples |= {name: np.array([row[name] for row in rows]) for name in cost._tied}
    return samples
