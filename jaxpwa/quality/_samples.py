"""What the tests compare: data and Monte Carlo with the weights of the model, as points in the columns named."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from jaxpwa._checks import first_bad, known
from jaxpwa.data.dataset import Dataset, as_dataset
from jaxpwa.engine.devices import Devices
from jaxpwa.inference import report
from jaxpwa.inference.result import FitResult
from jaxpwa.simulation.evaluate import evaluate


class Record(report.Tabular):
    """A record that prints as a table: heading, header and rows come from ``_table``."""

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(str(self))


@dataclass(frozen=True, eq=False)
class Samples:
    """Data and Monte Carlo without the events that do not count.

    Attributes
    ----------
    names
        The columns.
    data, mc
        Their values, ``(events, columns)``.
    data_weights, mc_weights
        Weights; those of Monte Carlo times the intensity.
    n_mc
        Events of Monte Carlo, those of weight 0 included.
    """

    names: tuple[str, ...]
    data: np.ndarray
    mc: np.ndarray
    data_weights: np.ndarray
    mc_weights: np.ndarray
    n_mc: int


def n_effective(weights: np.ndarray) -> float:
    """Return the number of events of weight one that have the same relative error."""
    return float(weights.sum() ** 2 / np.sum(weights**2))


def number_of_free(result_or_params: Any) -> int:
    """Return how many parameters a result has that moved freely; 0 for plain parameters."""
    if not isinstance(result_or_params, FitResult):
        return 0
    held = {*result_or_params.fixed, *result_or_params.at_limit, *getattr(result_or_params, "tied", ())}
    return sum(name not in held for name in result_or_params.names)


def column_names(columns: str | Sequence[str]) -> tuple[str, ...]:
    """Return the names of the columns to compare, at least one, all different."""
    names = (columns,) if isinstance(columns, str) else tuple(columns)
    if not names or not all(isinstance(n, str) for n in names) or len(set(names)) != len(names):
        msg = f"columns must be different names, at least one, got {columns!r}."
        raise ValueError(msg)
    return names


def _points(sample: Dataset, names: tuple[str, ...], what: str) -> np.ndarray:
    """Return columns as ``(events, columns)``, finite and real."""
    columns = []
    for name in names:
        if name not in sample:
            msg = f"{what} has no column {name!r}; it has: {known(sample)}."
            raise ValueError(msg)
        values = sample.numbers(name)
        if values.ndim != 1 or values.dtype.kind == "c":
            msg = f"column {name!r} of {what} must have one real number per event, got {values.dtype}{values.shape}."
            raise ValueError(msg)
        bad = ~np.isfinite(values)
        if bad.any():
            msg = f"column {name!r} of {what} must be finite: event {first_bad(bad)} is {values[first_bad(bad)]}."
            raise ValueError(msg)
        columns.append(values.astype(np.float64))
    return np.stack(columns, axis=1)


def _intensities(result_or_params: Any, model: Any, mc: Dataset, devices: Devices, progress: bool | None) -> np.ndarray:
    """Return the model's intensity for each event, finite and not negative."""
    params = result_or_params.values if isinstance(result_or_params, FitResult) else result_or_params
    if not isinstance(params, Mapping):
        msg = f"the fit must be a FitResult or numbers by name, got {type(params).__name__}."
        raise TypeError(msg)
    values = evaluate(model, params, mc, devices=devices, progress=progress)
    bad = ~((values >= 0) & (values < np.inf)) if values.dtype.kind == "f" else np.ones(len(values), bool)
    if bad.any():
        msg = (
            f"the model must give an intensity, finite and not negative: it is {values[first_bad(bad)]} for event "
            f"{first_bad(bad)} of mc."
        )
        raise ValueError(msg)
    return values.astype(np.float64)


def samples(
    result_or_params: Any,
    model: Any,
    data: Any,
    mc: Any,
    columns: str | Sequence[str],
    *,
    devices: Devices,
    progress: bool | None,
) -> Samples:
    """Check the arguments that all tests share, and compute the weights of the model."""
    names = column_names(columns)
    data, mc = as_dataset(data, "data"), as_dataset(mc, "mc")
    points, mc_points = _points(data, names, "data"), _points(mc, names, "mc")
    mc_weights = mc.weights
    if model is not None:
        mc_weights = mc_weights * _intensities(result_or_params, model, mc, devices, progress)
    counted, mc_counted = data.weights != 0, mc_weights != 0
    for what, weights in (("data", data.weights), ("mc, times the intensity,", mc_weights)):
        if np.count_nonzero(weights) < 2 or not weights.sum() > 0:
            msg = (
                f"the weights of {what} must have a positive sum and at least two that are not 0, got sum "
                f"{weights.sum():.6g} of {len(weights)} events."
            )
            raise ValueError(msg)
    return Samples(
        names,
        points[counted],
        mc_points[mc_counted],
        data.weights[counted],
        mc_weights[mc_counted],
        mc.n_events,
    )


def scaled_points(
    both: np.ndarray,
    weights: np.ndarray,
    names: tuple[str, ...],
    periodic: Mapping[str, float] | None,
    scales: Mapping[str, float] | None,
) -> tuple[np.ndarray, dict[str, float]]:
    """Return points in units of their spread, ``(events, coordinates)``, and the spreads.

    An angle enters as its point on a circle whose circumference is the period: close angles are as far apart as they
    differ, all others by the chord.
    """
    periodic, scales = dict(periodic or {}), dict(scales or {})
    for what, given in (("periodic", periodic), ("scales", scales)):
        for name, value in given.items():
            if name not in names or not (np.isfinite(value) and value > 0):
                msg = f"{what} must give positive numbers for columns among {known(names)}, got {name!r}: {value!r}."
                raise ValueError(msg)
    share = np.abs(weights) / np.abs(weights).sum()
    coordinates, used = [], {}
    for k, name in enumerate(names):
        x = both[:, k : k + 1]
        if name in periodic:
            radius = periodic[name] / (2 * np.pi)
            x = radius * np.concatenate([np.cos(x / radius), np.sin(x / radius)], axis=1)
        used[name] = float(scales.get(name) or np.sqrt(np.sum(share @ (x - share @ x) ** 2)))
        if not used[name] > 1e-12 * np.abs(x).max():
            msg = f"column {name!r} has the same value for all events: leave it out."
            raise ValueError(msg)
        coordinates.append(x / used[name])
    return np.concatenate(coordinates, axis=1), used
