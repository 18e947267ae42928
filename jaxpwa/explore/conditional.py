"""A fitted cost with some parameters held: the others at their minimum, on exact derivatives."""

import math
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np

import jax

from jaxpwa._checks import ConvergenceWarning, known
from jaxpwa.inference.basin import limits_pushed
from jaxpwa.inference.cost import Cost
from jaxpwa.inference.fit import fit
from jaxpwa.inference.parameters import Parameter, ParameterTable
from jaxpwa.inference.result import FitResult
from jaxpwa.inference.starts import bind_to_start
from jaxpwa.inference.together import most_together

# A minimum is found where Newton's step would lower the cost by less than this, in units of errordef.
_CLOSE = 1e-6
# Where rounding stops the descent it may be this far.
_CLOSE_ENOUGH = 1e-3
_MOST_STEPS, _MOST_HALVINGS, _MOST_DETOURS = 40, 12, 3
# Relative size of curvatures that are rounding: those of `jaxpwa.fit`.
_FLAT = 1e-11
# Compiling the code for many points takes as long as some thousand calls save on CPUs, and it gains more on GPUs.
_TOGETHER = {"cpu": 3000}
_TOGETHER_ELSEWHERE = 16
# Values times events from which on code without gradients is worth compiling.
_WORTH_COMPILING = 8_000_000


def check_result(result: object) -> FitResult:
    """Return the result, or say that it is none."""
    if not isinstance(result, FitResult):
        msg = f"result must be a FitResult, as jaxpwa.fit returns it, got {type(result).__name__}."
        raise TypeError(msg)
    return result


def check_value(value: float, result: FitResult) -> None:
    """Refuse a result of another cost: ``value`` is the cost where the fit ended."""
    # Intensities in single precision are good to seven digits.
    if not abs(value - result.fval) <= 0.01 * result.errordef + 1e-7 * abs(result.fval):
        msg = (
            f"result is not a fit of this cost: it has fval {result.fval:.10g}, and the cost there is {value:.10g}. "
            "Fit this cost first."
        )
        raise ValueError(msg)


def sigmas_of(cl: float | None) -> float:
    """Return the number of standard deviations: None is one, below 1 it is a probability, else the number itself."""
    if cl is None:
        return 1.0
    if not isinstance(cl, (int, float, np.integer, np.floating)) or not 0 < cl < np.inf:
        msg = f"cl must be a probability below 1 or a number of standard deviations from 1 on, got {cl!r}."
        raise ValueError(msg)
    return NormalDist().inv_cdf((1 + cl) / 2) if cl < 1 else float(cl)


def probability_of(cl: float) -> float:
    """Return the probability: from 1 on, ``cl`` is a number of standard deviations of one Gaussian variable."""
    return cl if cl < 1 else math.erf(sigmas_of(cl) / math.sqrt(2))


def starting_point(result: FitResult) -> dict[str, Parameter]:
    """Return the parameters of the fit as start values, with limits and what was fixed; none that were tied."""
    tied = result.tied
    start = {}
    for name in (n for n in result.values if n not in tied):
        low, high = result.limits.get(name, (-np.inf, np.inf))
        low, high = (float(limit) if np.isfinite(limit) else None for limit in (low, high))
        error = result.errors[name]
        step = error if np.isfinite(error) and error > 0 else None
        start[name] = Parameter(result.values[name], low, high, step, name in result.fixed)
    return start


@dataclass(frozen=True, eq=False)
class Minimum:
    """A minimum with some parameters held.

    Attributes
    ----------
    x
        All parameters, ``(n,)``.
    value
        The cost; NaN where there is no minimum.
    gradient, hessian
        There, of all parameters; None where the cost has no exact ones.
    valid
        Whether it is a minimum.
    """

    x: np.ndarray
    value: float
    gradient: np.ndarray | None
    hessian: np.ndarray | None
    valid: bool


@dataclass(frozen=True)
class _Step:
    """Newton's step in the parameters that can move; see `_newton`."""

    step: np.ndarray
    edm: float
    is_minimum: bool


def _newton(h: np.ndarray, g: np.ndarray, errordef: float) -> _Step:
    """Return Newton's step, downhill also where the Hessian is not positive, and none along flat directions."""
    diagonal = np.abs(np.diag(h))
    size = 1 / np.sqrt(np.where(diagonal > 0, diagonal, 1.0))
    curvature, vectors = np.linalg.eigh(h * np.outer(size, size))
    slope = vectors.T @ (size * g)
    flat = np.abs(curvature) <= _FLAT * len(g)
    along = np.where(flat, 0.0, slope / np.where(flat, 1.0, np.abs(curvature)))
    level = not (np.abs(slope[flat]) > 1e-4 * errordef).any()
    return _Step(-size * (vectors @ along), 0.5 * float(slope @ along), level and not (curvature[~flat] < 0).any())


@dataclass(frozen=True, eq=False)
class Fitted:
    """A cost at its fit.

    Attributes
    ----------
    cost
        Bound to the parameters of the table, those that stay fixed held.
    table
        Names, values, limits, and which parameters the fit did not vary.
    errors
        One standard deviation of each, ``(n,)``; 0 or NaN where there is none.
    best
        The fit.
    """

    cost: Cost
    table: ParameterTable
    errors: np.ndarray
    best: Minimum

    @classmethod
    def make(cls, cost: Cost, result: FitResult, names: Iterable[str]) -> "Fitted":
        """Read the result against the cost; the named parameters are going to be moved."""
        start = starting_point(check_result(result))
        names = list(names)
        unknown = [n for n in names if n not in start]
        if unknown:
            tied = [n for n in unknown if n in result.tied]
            why = f" {known(tied)} follows from others: explore those." if tied else ""
            msg = f"unknown parameter {known(unknown)}; the fit has: {known(start)}.{why}"
            raise ValueError(msg)
        bound, table = bind_to_start(cost, start, ())
        bound = bound.holding({n: v for n, v in table.fixed_values.items() if n not in names})
        order = 2 if bound.derivatives == 2 else 0
        value, *derivatives = bound._compute(table.values, order)
        check_value(value, result)
        gradient, hessian = derivatives or (None, None)
        best = Minimum(table.values, value, gradient, hessian, result.valid)
        return cls(bound, table, np.array([result.errors[n] for n in table.names]), best)

    @property
    def errordef(self) -> float:
        """By how much the cost rises at one standard deviation."""
        return self.cost.errordef

    def positions(self, names: Sequence[str]) -> np.ndarray:
        """Return where these parameters stand."""
        return np.array([self.table.names.index(n) for n in names])

    def values_at(self, points: np.ndarray) -> np.ndarray:
        """Return the cost at points ``(m, n)``, NaN where it is not finite."""
        size = most_together(self.cost)
        enough = _TOGETHER.get(jax.devices()[0].platform, _TOGETHER_ELSEWHERE)
        if size > 1 and len(points) >= enough:
            out = []
            for i in range(0, len(points), size):
                chunk = points[i : i + size]
                padded = np.concatenate([chunk, np.repeat(chunk[:1], size - len(chunk), axis=0)])
                out.append(self.cost._compute_at(padded, len(chunk))[0][: len(chunk)])
            values = np.concatenate(out)
        else:
            # The fit has compiled value and gradient.
            few = self.cost.derivatives == 2 and len(points) * self.cost._n_summed < _WORTH_COMPILING
            values = np.array([self.cost._compute(point, int(few))[0] for point in points])
        return np.where(np.isfinite(values), values, np.nan)

    def moved(self, start: Minimum, held: np.ndarray, to: np.ndarray) -> np.ndarray:
        """Return where the others are expected to be when held parameters go from ``start`` to new values, ``(n,)``."""
        x = start.x.copy()
        shift = to - x[held]
        x[held] = to
        others = self.moving(held, start)
        if start.hessian is not None and len(others):
            pull = start.hessian[np.ix_(others, held)] @ shift
            x[others] += _newton(start.hessian[np.ix_(others, others)], pull, np.inf).step
            x = np.where(np.isfinite(x), x, start.x)
            x[held] = to
            x[others] = np.clip(x, self.table.lower, self.table.upper)[others]
        return x

    def _others(self, held: np.ndarray) -> np.ndarray:
        """Return the parameters that are minimised over."""
        free = ~self.table.fixed
        free[held] = False
        return np.flatnonzero(free)

    def moving(self, held: np.ndarray, at: Minimum) -> np.ndarray:
        """Return which of them are not pressed against a limit."""
        others = self._others(held)
        return others if at.gradient is None else others[~limits_pushed(self.table, at.x, at.gradient)[others]]

    def _holding(self, held: np.ndarray) -> ParameterTable:
        """Return the table with everything fixed that is not minimised over."""
        fixed = np.ones(len(self.table.names), bool)
        fixed[self._others(held)] = False
        return replace(self.table, fixed=fixed)

    def minimum(self, held: np.ndarray, x: np.ndarray) -> Minimum:
        """Minimise over all parameters but those held, from ``x``, within limits."""
        table = self._holding(held)
        found = self._descend(table, x) if self.cost.derivatives == 2 else None
        return found if found is not None and found.valid else self._fit(table, x)

    def reach(self, held: np.ndarray, starts: Sequence[Minimum], to: np.ndarray) -> Minimum:
        """Minimise with held parameters at new values, from minima at others, the first one that leads there."""
        if self.cost.derivatives == 2:
            for start in starts:
                found = self._follow(held, start, to, _MOST_DETOURS)
                if found.valid:
                    return found
        return self._fit(self._holding(held), self.moved(starts[0], held, to))

    def _follow(self, held: np.ndarray, start: Minimum, to: np.ndarray, detours: int) -> Minimum:
        """Take Newton's steps from a minimum to the next one; by way of one half-way if the cost is not finite."""
        table, unmoved = self._holding(held), start.x.copy()
        unmoved[held] = to
        for x in (self.moved(start, held, to), unmoved):
            found = self._descend(table, x)
            if found.valid:
                return found
        if detours and np.isnan(found.value):
            half = self._follow(held, start, (start.x[held] + to) / 2, detours - 1)
            return self._follow(held, half, to, detours - 1) if half.valid else found
        return found

    def _descend(self, table: ParameterTable, x: np.ndarray) -> Minimum:
        """Take Newton's steps, halved where they lead uphill; the value is NaN where the start has none."""
        value, g, h = self.cost._compute(x, 2)
        if not np.isfinite(value):
            return Minimum(x, np.nan, None, None, False)
        for _ in range(_MOST_STEPS):
            nowhere = Minimum(x, value, g, h, False)
            if not (np.isfinite(g).all() and np.isfinite(h).all()):
                break
            moving = np.flatnonzero(~table.fixed & ~limits_pushed(table, x, g))
            newton = _newton(h[np.ix_(moving, moving)], g[moving], self.errordef)
            if newton.edm <= _CLOSE * self.errordef:
                return replace(nowhere, valid=newton.is_minimum)
            for halving in range(_MOST_HALVINGS):
                trial = x.copy()
                trial[moving] += newton.step / 2**halving
                trial = np.where(table.fixed, x, np.clip(trial, table.lower, table.upper))
                out = self.cost._compute(trial, 2)
                if out[0] <= value + 1e-4 * min(0.0, float(g @ (trial - x))):
                    break
            else:
                return replace(nowhere, valid=newton.is_minimum and newton.edm <= _CLOSE_ENOUGH * self.errordef)
            x, (value, g, h) = trial, out
        return nowhere

    def _fit(self, table: ParameterTable, x: np.ndarray) -> Minimum:
        """Let `jaxpwa.fit` find the minimum."""
        nothing = Minimum(x, np.nan, None, None, False)
        if table.fixed.all():
            value = self.cost._compute(x, 0)[0]
            return Minimum(x, value, None, None, True) if np.isfinite(value) else nothing
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                result = fit(self.cost, table.at(x), progress=False)
        except ValueError:
            return nothing
        if not result.valid:
            return nothing
        end = np.array([result.values[n] for n in table.names])
        value, *derivatives = self.cost._compute(end, 2 if self.cost.derivatives == 2 else 0)
        gradient, hessian = derivatives or (None, None)
        return Minimum(end, value, gradient, hessian, True)
