"""Scans and profiles of a fitted cost along one parameter or two.

A scan leaves the other parameters where the fit ended; a profile minimises over them, as MINOS does. So a scan shows
the cost and the errors with all else known, a profile the errors with nothing else known.
"""

import itertools
import warnings
from collections.abc import Sequence
from typing import Any, overload

import numpy as np

from jaxpwa._checks import ConvergenceWarning, known
from jaxpwa._progress import progress_bar
from jaxpwa.explore.conditional import Fitted, Minimum
from jaxpwa.explore.records import Profile, Surface
from jaxpwa.inference.cost import Cost
from jaxpwa.inference.result import FitResult

_POINTS = {1: 31, 2: 21}
_ERRORS = 3.0
# A fit may end this far above its minimum, in units of errordef.
_LOWER = 0.01
# Another branch is taken where it is lower by this, in units of errordef.
_BRANCH = 1e-4


@overload
def scan(cost: Cost, result: FitResult, names: str, *, points: Any = ..., range: Any = ...) -> Profile: ...
@overload
def scan(cost: Cost, result: FitResult, names: tuple[str, str], *, points: Any = ..., range: Any = ...) -> Surface: ...
@overload
def scan(
    cost: Cost, result: FitResult, names: Sequence[str], *, points: Any = ..., range: Any = ...
) -> Profile | Surface: ...
def scan(
    cost: Cost, result: FitResult, names: str | Sequence[str], *, points: Any = None, range: Any = None
) -> Profile | Surface:
    """Compute the cost along one parameter or over two, with all others where the fit ended.

    Parameters
    ----------
    cost
        What was fitted.
    result
        Its fit; one that was loaded from a file will do. It stays as it is.
    names
        A parameter, or two; they may have been fixed in the fit.
    points
        How many values of each, or the values themselves; for two parameters one number for both, or a pair. None: 31
        of one, 21 of each of two.
    range
        Lowest and highest value; for two parameters a pair of such pairs. None: 3 errors on both sides of the fit,
        within the limits of the parameter.

    Returns
    -------
    `Profile` for one parameter, `Surface` for two. Where the cost is not finite, ``delta`` is NaN and ``valid`` False.

    Raises
    ------
    TypeError, ValueError
        If names are unknown, the result is not a fit of this cost, a range lies outside of the limits, or none is given
        for a parameter without an error.

    Warns
    -----
    ConvergenceWarning
        If a point is lower than the fit: the fit had not found the lowest minimum.

    Examples
    --------
    >>> import jaxpwa as jp
    >>> from jaxpwa.explore import scan
    >>> cost = jp.GaussianConstraint(("a", "b"), [1.0, 2.0], covariance=[[0.04, 0.01], [0.01, 0.09]])
    >>> curve = scan(cost, jp.fit(cost, {"a": 0.0, "b": 0.0}), "a", points=[0.9, 1.0, 1.2])
    >>> abs(curve.delta.round(6)).tolist()
    [0.128571, 0.0, 0.514286]
    """
    names = _names(names)
    fitted = Fitted.make(cost, result, names)
    axes = _axes(fitted, names, points, range)
    held = fitted.positions(names)
    xs = np.repeat(fitted.best.x[None], np.prod([len(axis) for axis in axes]), axis=0)
    xs[:, held] = np.stack([g.ravel() for g in np.meshgrid(*axes, indexing="ij")], axis=1)
    values = fitted.values_at(xs)
    _warn_if_lower(fitted, "scan", names, xs, values)
    return _record(fitted, "scan", names, axes, values, {})


@overload
def profile(
    cost: Cost, result: FitResult, names: str, *, points: Any = ..., range: Any = ..., progress: bool | None = ...
) -> Profile: ...
@overload
def profile(
    cost: Cost,
    result: FitResult,
    names: tuple[str, str],
    *,
    points: Any = ...,
    range: Any = ...,
    progress: bool | None = ...,
) -> Surface: ...
@overload
def profile(
    cost: Cost,
    result: FitResult,
    names: Sequence[str],
    *,
    points: Any = ...,
    range: Any = ...,
    progress: bool | None = ...,
) -> Profile | Surface: ...
def profile(
    cost: Cost,
    result: FitResult,
    names: str | Sequence[str],
    *,
    points: Any = None,
    range: Any = None,
    progress: bool | None = None,
) -> Profile | Surface:
    """Compute the cost along one parameter or over two, minimised over all others at each point.

    From the fit outward each point starts from its neighbour, moved along the tangent of the curve of minima, and takes
    Newton's steps on exact derivatives within the limits of the fit; where these fail, or there are no exact
    derivatives, `jaxpwa.fit` does it. Where a neighbour's minimum leads to a lower one, that is taken. Parameters that
    were fixed stay fixed. The profile of a weighted likelihood is that of the likelihood: unlike the errors of a fit
    with weights, it is not corrected for them.

    Parameters
    ----------
    cost, result, names, points, range
        As in `scan`.
    progress
        None: a bar on terminals and in Jupyter for work of more than two seconds. False: none.

    Returns
    -------
    `Profile` for one parameter, `Surface` for two, with the values of the other parameters. Where no minimum was found
    ``delta`` is NaN and ``valid`` False.

    Raises
    ------
    TypeError, ValueError
        As `scan`.

    Warns
    -----
    ConvergenceWarning
        If a point is lower than the fit: the fit had not found the lowest minimum.

    Examples
    --------
    >>> import jaxpwa as jp
    >>> from jaxpwa.explore import profile
    >>> cost = jp.GaussianConstraint(("a", "b"), [1.0, 2.0], covariance=[[0.04, 0.01], [0.01, 0.09]])
    >>> curve = profile(cost, jp.fit(cost, {"a": 0.0, "b": 0.0}), "a", points=[0.8, 1.0, 1.2])
    >>> abs(curve.delta.round(6)).tolist(), curve.others["b"].round(6).tolist()
    ([0.5, 0.0, 0.5], [1.95, 2.0, 2.05])
    """
    names = _names(names)
    fitted = Fitted.make(cost, result, names)
    axes = _axes(fitted, names, points, range)
    held = fitted.positions(names)
    with progress_bar("profile", int(np.prod([len(axis) for axis in axes])), " points", progress) as bar:
        found = _minima(fitted, held, axes, bar)
    xs = np.stack([m.x for m in found])
    values = np.array([m.value for m in found])
    _warn_if_lower(fitted, "profile", names, xs, values)
    others = [i for i in fitted.table.free if i not in held]
    nuisances = {fitted.table.names[i]: np.where(np.isfinite(values), xs[:, i], np.nan) for i in others}
    return _record(fitted, "profile", names, axes, values, nuisances)


def _names(names: Any) -> list[str]:
    """Return one or two different names."""
    listed = [names] if isinstance(names, str) else list(names)
    if len(listed) not in (1, 2) or len(set(listed)) != len(listed) or not all(isinstance(n, str) for n in listed):
        msg = f"names must be a parameter, or two different ones, got {names!r}."
        raise ValueError(msg)
    return listed


def _axes(fitted: Fitted, names: list[str], points: Any, range_: Any) -> list[np.ndarray]:
    """Return the grid of each parameter."""
    k = len(names)
    if points is None or np.ndim(points) == 0:
        points = [points] * k
    elif k == 1:
        points = [points]
    ranges = [None] * k if range_ is None else [range_] if k == 1 else list(range_)
    if len(points) != k or len(ranges) != k:
        msg = f"points and range must be given once, or one for each of {known(names)}."
        raise ValueError(msg)
    return [_axis(fitted, name, p, r, _POINTS[k]) for name, p, r in zip(names, points, ranges, strict=True)]


def _axis(fitted: Fitted, name: str, points: Any, range_: Any, default: int) -> np.ndarray:
    """Return the grid of a parameter."""
    i = int(fitted.positions([name])[0])
    low, high = float(fitted.table.lower[i]), float(fitted.table.upper[i])
    if np.ndim(points) == 1:
        grid = np.sort(np.asarray(points, np.float64))
        if range_ is not None:
            msg = f"give either the points of {name} themselves, or their number and a range."
            raise ValueError(msg)
        if not len(grid) or not np.isfinite(grid).all() or (np.diff(grid) == 0).any():
            msg = f"points of {name} must be one or more different finite numbers, got {points!r}."
            raise ValueError(msg)
    else:
        n = default if points is None else points
        if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 2:
            msg = f"points of {name} must be a whole number of at least 2, or the values, got {points!r}."
            raise ValueError(msg)
        if range_ is None:
            best, error = float(fitted.best.x[i]), float(fitted.errors[i])
            if not (np.isfinite(error) and error > 0):
                msg = f"{name} has no error in the result (fixed, at a limit, or no valid fit): give a range."
                raise ValueError(msg)
            offsets = error * np.linspace(-_ERRORS, _ERRORS, n)
            inside = best + offsets[0] >= low and best + offsets[-1] <= high
            ends = max(best - _ERRORS * error, low), min(best + _ERRORS * error, high)
            grid = best + offsets if inside else np.linspace(*ends, n)
        else:
            if np.shape(range_) != (2,) or not range_[0] < range_[1] or not np.isfinite(range_).all():
                msg = f"range of {name} must be its lowest and highest value, got {range_!r}."
                raise ValueError(msg)
            grid = np.linspace(float(range_[0]), float(range_[1]), n)
    if grid[0] < low or grid[-1] > high:
        msg = f"points of {name} must be within its limits [{low:g}, {high:g}], got {grid[0]:g} to {grid[-1]:g}."
        raise ValueError(msg)
    return grid


def _minima(fitted: Fitted, held: np.ndarray, axes: list[np.ndarray], bar: Any) -> list[Minimum]:
    """Minimise at every point of a grid, outward from the fit; return the minima row by row."""
    best = fitted.best
    widths = [float(axis[-1] - axis[0]) or 1.0 for axis in axes]
    places = [np.abs(axis - best.x[h]) / w for axis, h, w in zip(axes, held, widths, strict=True)]
    shape = tuple(len(axis) for axis in axes)
    distance = {at: sum(float(place[i]) ** 2 for place, i in zip(places, at, strict=True)) for at in np.ndindex(*shape)}
    outward = sorted(distance, key=lambda at: distance[at])
    steps = [step for step in itertools.product((-1, 0, 1), repeat=len(shape)) if sum(map(abs, step)) == 1]
    found: dict[tuple[int, ...], Minimum] = {}

    def target(at: tuple[int, ...]) -> np.ndarray:
        return np.array([axis[i] for axis, i in zip(axes, at, strict=True)])

    def neighbours(at: tuple[int, ...]) -> list[Minimum]:
        around = [tuple(int(i + s) for i, s in zip(at, step, strict=True)) for step in steps]
        return [found[n] for n in sorted(around, key=lambda n: distance.get(n, np.inf)) if n in found]

    for at in outward:
        found[at] = fitted.reach(held, [*[m for m in neighbours(at) if m.valid][:1], best], target(at))
        bar.update()
    # Another branch of minima that comes in from outside is followed inward; then outward again.
    for way in (outward[::-1], outward):
        changed = False
        for at in way:
            starts = [fitted.moved(m, held, target(at)) for m in neighbours(at) if m.valid]
            if not starts:
                continue
            values = np.nan_to_num(fitted.values_at(np.stack(starts)), nan=np.inf)
            lowest, here = int(np.argmin(values)), found[at]
            if not here.valid or values[lowest] < here.value - _BRANCH * fitted.errordef:
                better = fitted.minimum(held, starts[lowest])
                if better.valid:
                    found[at], changed = better, True
        if not changed:
            break
    return [found[at] for at in np.ndindex(*shape)]


def _warn_if_lower(fitted: Fitted, kind: str, names: list[str], xs: np.ndarray, values: np.ndarray) -> None:
    """Warn where a point is lower than the fit."""
    if not np.isfinite(values).any():
        return
    i = int(np.nanargmin(values))
    below = fitted.best.value - values[i]
    if below > _LOWER * fitted.errordef:
        where = known((f"{n}={v:.6g}" for n, v in zip(fitted.table.names, xs[i], strict=True)), 12)
        msg = (
            f"the {kind} of {known(names)} is lower than the fit by {below:.4g}, at {where}: "
            "the fit had not found the lowest minimum. Fit again from there."
        )
        warnings.warn(msg, ConvergenceWarning, stacklevel=3)


def _record(
    fitted: Fitted,
    kind: str,
    names: list[str],
    axes: list[np.ndarray],
    values: np.ndarray,
    others: dict[str, np.ndarray],
) -> Profile | Surface:
    """Write down what was found."""
    delta = values - fitted.best.value
    valid = np.isfinite(values)
    at = fitted.positions(names)
    if len(names) == 1:
        (i,), table = at, fitted.table
        best, error = float(fitted.best.x[i]), float(fitted.errors[i])
        limits = float(table.lower[i]), float(table.upper[i])
        return Profile(names[0], axes[0], delta, fitted.errordef, best, error, kind, valid, others, limits)
    shape = len(axes[0]), len(axes[1])
    shaped = {name: column.reshape(shape) for name, column in others.items()}
    best = fitted.best.x[at]
    x, y = axes
    return Surface(
        (names[0], names[1]), x, y, delta.reshape(shape), fitted.errordef, best, kind, valid.reshape(shape), shaped
    )
