"""What Q-factors are computed from: events, coordinates and densities, checked."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxpwa._checks import first_bad, known
from jaxpwa.data.dataset import Dataset
from jaxpwa.engine.model import ModelRef
from jaxpwa.weights._localfits import Quadrature, density_of, fitting_quadrature


def checked_range(limits: Any) -> tuple[float, float]:
    """Return the range of the discriminating variable."""
    values = np.asarray(limits)
    if values.shape != (2,) or values.dtype.kind not in "fiu" or not -np.inf < values[0] < values[1] < np.inf:
        msg = f"range must be (low, high), two finite numbers, low below high, got {limits!r}."
        raise ValueError(msg)
    return float(values[0]), float(values[1])


def checked_start(start: Mapping[str, float] | None) -> tuple[dict[str, float], float]:
    """Return the start values of the shapes, and of the fraction."""
    shapes = {name: float(value) for name, value in (start or {}).items()}
    fraction = shapes.pop("fraction", 0.5)
    if not 0 < fraction < 1:
        msg = f"start['fraction'] must lie between 0 and 1, got {fraction}."
        raise ValueError(msg)
    bad = [name for name, value in shapes.items() if not np.isfinite(value)]
    if bad:
        msg = f"start values must be finite: {known(bad)} are not."
        raise ValueError(msg)
    return shapes, fraction


def _column(data: Dataset, name: str, what: str) -> np.ndarray:
    """Return a column of finite real numbers, ``(events,)``."""
    values = data.numbers(name)
    if values.ndim != 1 or values.dtype.kind == "c" or not np.isfinite(values).all():
        found = f"{values.dtype} of shape {values.shape}"
        if values.ndim == 1 and values.dtype.kind != "c":
            bad = ~np.isfinite(values)
            found = f"{values[bad][0]} at event {first_bad(bad)}"
        msg = f"{what} {name!r} must hold one finite real number per event, got {found}."
        raise ValueError(msg)
    return values.astype(np.float64)


def discriminating_values(data: Dataset, name: str, low: float, high: float) -> np.ndarray:
    """Return the discriminating variable of unweighted events within the range."""
    if data.is_weighted:
        msg = "q_factors takes events without weights: local fits of weighted events are not defined here."
        raise ValueError(msg)
    m = _column(data, name, "discriminating variable")
    outside = (m < low) | (m > high)
    if outside.any():
        msg = (
            f"{name} must lie in range ({low:.6g}, {high:.6g}): {int(outside.sum())} events do not (first: event "
            f"{first_bad(outside)}, {m[outside][0]:.6g}). Select them out, or widen the range."
        )
        raise ValueError(msg)
    return m


def scaled_points(
    data: Dataset, coordinates: Sequence[str], periodic: dict[str, float], scales: dict[str, float]
) -> tuple[np.ndarray, np.ndarray]:
    """Return scaled coordinates, ``(events, coordinates)``, and their scaled periods, 0 where there is none."""
    if isinstance(coordinates, str) or not len(coordinates):
        msg = f"coordinates must be a sequence of names of columns, got {coordinates!r}."
        raise TypeError(msg)
    for what, given in (("periodic", periodic), ("scales", scales)):
        unknown = [name for name in given if name not in coordinates]
        if unknown:
            msg = f"{what} names {known(unknown)}, not among the coordinates {known(coordinates)}."
            raise ValueError(msg)
        bad = [name for name, value in given.items() if not 0 < value < np.inf]
        if bad:
            msg = f"{what} must be positive numbers: {known(f'{n}={given[n]}' for n in bad)}."
            raise ValueError(msg)
    columns, periods = [], []
    for name in coordinates:
        x, period = _column(data, name, "coordinate"), periodic.get(name, 0.0)
        spread = scales.get(name, period or float(np.ptp(x)))
        if not spread > 0:
            msg = f"coordinate {name!r} has the same value for all events: leave it out."
            raise ValueError(msg)
        scaled = np.mod(x, period) / spread if period else x / spread
        # Rounding may carry the remainder onto the period itself, which is 0.
        columns.append(np.where(scaled >= period / spread, 0.0, scaled) if period else scaled)
        periods.append(period / spread)
    return np.stack(columns, axis=1), np.array(periods)


def values_at(model: ModelRef, what: str, shapes: dict[str, float], m: np.ndarray) -> np.ndarray:
    """Return a density, not normalised, at the events."""
    # Lengths that are powers of two: samples of about the same size share compiled operations.
    padded = np.full(1 << (len(m) - 1).bit_length(), m[0])
    padded[: len(m)] = m
    values = np.asarray(density_of(model, shapes, padded))[: len(m)]
    bad = ~(np.isfinite(values) & (values >= 0))
    if bad.any():
        msg = f"{what} must be finite and not negative: event {first_bad(bad)} has {values[bad][0]}."
        raise ValueError(msg)
    return values


def normalised(
    functions: dict[str, ModelRef], shapes: dict[str, float], m: np.ndarray, limits: tuple[float, float]
) -> tuple[list[np.ndarray], Quadrature]:
    """Return normalised densities at the events, and nodes that integrate them all."""
    values = {what: values_at(f, what, shapes, m) for what, f in functions.items()}
    rules = [fitting_quadrature(f, what, shapes, limits, values[what].max()) for what, f in functions.items()]
    rule = max(rules, key=lambda r: len(r.nodes))
    nothing = np.all([v <= 0 for v in values.values()], axis=0)
    if nothing.any():
        msg = f"{' and '.join(functions)} are both 0 at event {first_bad(nothing)}, at {m[nothing][0]:.6g}."
        raise ValueError(msg)
    integrals = [np.asarray(density_of(f, shapes, rule.nodes)) @ rule.weights for f in functions.values()]
    return [v / i for v, i in zip(values.values(), integrals, strict=True)], rule
