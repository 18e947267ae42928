"""What projections draw: data in bins, and what Monte Carlo weighted by intensities puts there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from jaxpwa._types import Intensity
from jaxpwa.data.dataset import Dataset, as_dataset
from jaxpwa.data.filedata import FileDataset
from jaxpwa.engine.devices import Devices
from jaxpwa.plot._bins import Bins, Column, Histogram, column_of, fill, make_bins
from jaxpwa.results.projected import Projections
from jaxpwa.results.projections import extremes, parts_by_name, project
from jaxpwa.simulation.evaluate import evaluate

Sample = Dataset | FileDataset | Projections
"""Events in memory, in files, or in bins already."""


@dataclass(frozen=True)
class Panel:
    """One column, its bins, and the data in them.

    Attributes
    ----------
    column, key
        The column, and the name that it has in projections.
    label
        Of the axis.
    bins
        Where data and Monte Carlo are filled.
    seen
        The data.
    """

    column: Column
    key: str
    label: str
    bins: Bins
    seen: Histogram


@dataclass(frozen=True)
class Request:
    """A column to draw, and what the user said of it."""

    column: Column
    key: str
    label: str | None
    bins: Any
    limits: tuple[float, float] | None

    def name(self) -> str:
        """Return the label of the axis."""
        return (self.column if isinstance(self.column, str) else "") if self.label is None else self.label


def as_sample(events: Any, what: str) -> Sample:
    """Return events in files and histograms as they are, and others as a `Dataset`."""
    return events if isinstance(events, (FileDataset, Projections)) else as_dataset(events, what)


def samples_of(data: Any) -> list[Sample]:
    """Return the one sample, or the several, that make up the data."""
    several = data if isinstance(data, (list, tuple)) else [data]
    if not several:
        msg = "data must be a sample of events, or several, got an empty list."
        raise ValueError(msg)
    return [as_sample(sample, "data") for sample in several]


def makers_of(wanted: Sequence[Request | Panel]) -> dict[str, Any]:
    """Return the functions among the columns, by the names that they get."""
    return {one.key: one.column for one in wanted if not isinstance(one.column, str)}


def make_panels(wanted: Sequence[Request], data: list[Sample], mc: Sample) -> tuple[list[Panel], float]:
    """Choose bins and fill the data; return them, and the sum of the weights of all data."""
    in_memory = [sample for sample in data if isinstance(sample, Dataset)]
    bins = _bins(wanted, data, mc)
    if len(in_memory) == len(data):
        panels = []
        for one, made in zip(wanted, bins, strict=True):
            filled = fill(made, [(column_of(one.column, d, "data"), d.weights) for d in in_memory])
            panels.append(Panel(one.column, one.key, one.name(), made, filled))
        return panels, sum(sample.sum_of_weights for sample in in_memory)
    edges = {one.key: made.edges for one, made in zip(wanted, bins, strict=True)}
    makers = makers_of(wanted)
    found = [s if isinstance(s, Projections) else project(None, {}, s, edges, columns=makers) for s in data]
    total, squares = (float(sum(f)) for f in ([r.totals[0] for r in found], [r.total_squares[0] for r in found]))
    panels = []
    for one, made in zip(wanted, bins, strict=True):
        counts, variance = np.sum([_inside(record, one.key, made) for record in found], axis=0)[:, 0]
        seen = Histogram(counts, variance, squares / total if total > 0 else 1.0)
        panels.append(Panel(one.column, one.key, one.name(), made, seen))
    return panels, total


def _inside(record: Projections, key: str, bins: Bins) -> tuple[np.ndarray, np.ndarray]:
    """Return sums and variances of a projection, whose edges must be these."""
    found = record[key]
    if not np.array_equal(found.edges[0], bins.edges):
        msg = f"projections on {key!r} must have the same edges in data and mc; fill both with those of one of them."
        raise ValueError(msg)
    return found.sums, found.squares


def _bins(wanted: Sequence[Request], data: list[Sample], mc: Sample) -> list[Bins]:
    """Return the bins of each column: those of histograms that are given, or what the user says."""
    for record in (*data, mc):
        if isinstance(record, Projections):
            return [Bins(record[one.key].edges[0]) for one in wanted]
    # Columns whose range is to be that of the data, which files must be read for.
    open_ones = [one for one in wanted if np.ndim(one.bins) != 1 and one.limits is None]
    values: dict[str, list[np.ndarray]] = {one.key: [] for one in wanted}
    for sample in data:
        if isinstance(sample, FileDataset):
            ends = extremes(sample, [one.key for one in open_ones], makers_of(open_ones)) if open_ones else {}
            for key, pair in ends.items():
                values[key].append(pair)
        elif isinstance(sample, Dataset):
            for one in wanted:
                values[one.key].append(column_of(one.column, sample, "data")[sample.weights != 0])
    return [make_bins(one.bins, one.limits, values[one.key]) for one in wanted]


def expectations(
    panels: list[Panel],
    n_data: float,
    mc: Sample,
    model: Intensity | None,
    result: Any,
    components: Any,
    n_generated: float | None,
    devices: Devices,
) -> list[tuple[str, list[Histogram]]]:
    """Return for the fit and each component its histograms, one per panel."""
    if n_generated is not None and not 0 < n_generated < np.inf:
        msg = f"n_generated must be a number of events above 0, got {n_generated!r}."
        raise ValueError(msg)
    scale = None if n_generated is None else 1 / n_generated
    if isinstance(mc, Projections):
        if components:
            msg = "components of an mc that is histograms are those in it: give them to project instead."
            raise ValueError(msg)
        return _of_record(panels, n_data, mc, scale)
    if model is None:
        msg = "model must be an intensity, unless mc is histograms that project has filled."
        raise TypeError(msg)
    if isinstance(mc, FileDataset):
        edges, makers = {panel.key: panel.bins.edges for panel in panels}, makers_of(panels)
        record = project(model, result, mc, edges, components=components, columns=makers, devices=devices)
        return _of_record(panels, n_data, record, scale)
    params = result if isinstance(result, Mapping) else result.values
    index = [panel.bins.index(column_of(panel.column, mc, "mc")) for panel in panels]
    drawn = []
    for name, intensity in [("fit", model), *parts_by_name(model, components)]:
        weights = evaluate(intensity, params, mc, devices=devices) * mc.weights
        if np.iscomplexobj(weights):
            msg = f"the intensity {name!r} must be real, got complex numbers: an amplitude? Take jnp.abs(a) ** 2."
            raise TypeError(msg)
        scale = _to_data(n_data, weights.sum()) if scale is None else scale
        scaled = scale * weights
        sums = [
            (panel.bins.sums(i, scaled), panel.bins.sums(i, scaled**2)) for panel, i in zip(panels, index, strict=True)
        ]
        drawn.append((name, [Histogram(*pair) for pair in sums]))
    return drawn


def _of_record(
    panels: list[Panel], n_data: float, record: Projections, scale: float | None
) -> list[tuple[str, list[Histogram]]]:
    """Read histograms that have been filled."""
    scaled = record.scaled(_to_data(n_data, record.totals[0]) if scale is None else scale)
    found = [_inside(scaled, panel.key, panel.bins) for panel in panels]
    names = ["fit", *record.names[1:]]
    return [(name, [Histogram(sums[k], squares[k]) for sums, squares in found]) for k, name in enumerate(names)]


def _to_data(seen: float, expected: float) -> float:
    """Return the factor that makes Monte Carlo count as much as data."""
    if not (seen > 0 and 0 < expected < np.inf):
        msg = (
            f"sums of weights must be positive to scale mc to data: data {seen:.6g}, mc times intensity "
            f"{expected:.6g}. Give n_generated instead."
        )
        raise ValueError(msg)
    return seen / expected
