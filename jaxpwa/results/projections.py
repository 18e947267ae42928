r"""Histograms of events weighted by an intensity, in one pass over events of any number.

.. math:: n_b = \sum_{e \in b} w_e I(p, x_e), \qquad v_b = \sum_{e \in b} w_e^2 I(p, x_e)^2
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any

import numpy as np

from jaxpwa._checks import first_bad, known
from jaxpwa._progress import progress_bar
from jaxpwa._types import Intensity
from jaxpwa.data.dataset import Dataset
from jaxpwa.data.filedata import FileDataset
from jaxpwa.engine.devices import Devices
from jaxpwa.engine.histograms import Axis, Sums, Weighing
from jaxpwa.engine.model import ModelRef, column_specs
from jaxpwa.engine.pieces import Events, as_events, in_step, is_streamed, names_of_numbers, share_of, some_of
from jaxpwa.engine.processes import exchange
from jaxpwa.results.projected import Projection, Projections, finite_number
from jaxpwa.simulation.evaluate import parameters_of

_TOTAL = "total"


def project(
    model: Intensity | None,
    result: Any,
    events: Any,
    bins: Mapping[Any, Any],
    *,
    components: Any = (),
    columns: Mapping[str, Callable[[Dataset], Any]] | None = None,
    scale: float = 1.0,
    devices: Devices = None,
    progress: bool | None = None,
) -> Projections:
    r"""Fill histograms of events weighted by an intensity, all of them in one pass.

    .. math:: n_b = s \sum_{e \in b} w_e I(p, x_e), \qquad
              \sigma_b^2 = s^2 \sum_{e \in b} w_e^2 I(p, x_e)^2

    Parameters
    ----------
    model
        ``intensity(params, data) -> (events,)``; or None: weights alone count, as for data.
    result
        A `FitResult`, or parameters by name. Not read without a model.
    events
        Monte Carlo or data, in memory or in files (`FileDataset`), of which pieces pass through memory one after the
        other. Weights multiply the intensity; events of weight 0 do not count.
    bins
        Edges by column: ``{"mass": np.linspace(0.5, 2, 51)}``, equally wide or not; of pairs of columns, two sequences
        of edges: ``{("s12", "s23"): (edges, edges)}``.
    components
        What is filled besides: names or patterns of waves, sums and backgrounds, each for ``model.only(name)``; True
        for every name of the model; or by label: ``{"D waves": ("D1+", "D2+"), "rho": intensity}``. What they share
        with the whole is computed once.
    columns
        Columns that ``bins`` names and the events do not have: functions of the events, which return one number for
        each: ``{"s12": lambda d: d["m12"] ** 2}``. With them, all columns of numbers in files are read.
    scale
        :math:`s`: a number, such as the inverse of the number of events generated.
    devices, progress
        As in `jaxpwa.evaluate`.

    Returns
    -------
    Projections
        Histograms with what lies beyond the edges, and with errors from the number of events (those of the parameters
        are not in them). Where several processes take part, of the events of all of them, the same in each.

    Raises
    ------
    ValueError
        If edges do not rise; a column is missing, no number, or NaN; an intensity is NaN or infinite. Events are named
        by their number in the whole. If there are components without a model, or two histograms of the same columns.
    TypeError
        If the intensity is complex, a component is neither a name nor an intensity, an argument is no mapping, or
        ``result`` no fit either.

    Examples
    --------
    >>> import numpy as np, jaxpwa as jp
    >>> from jaxpwa.results.projections import project
    >>> mc = {"x": np.array([0.1, 0.2, 0.7, 1.5])}
    >>> found = project(lambda p, d: p["a"] * d["x"], {"a": 10.0}, mc, {"x": [0, 0.5, 1]})
    >>> found["x"].sums.tolist(), found["x"].overflow.tolist()
    ([[3.0, 7.0]], [15.0])
    """
    sample = as_events(events, "events")
    makers = _makers(columns)
    sums_of = _histograms(bins, sample, makers)
    if model is None and components:
        msg = "components are parts of a model, and there is none: give the model, or no components."
        raise ValueError(msg)
    kinds = [] if model is None else [(_TOTAL, model), *parts_by_name(model, components)]
    names = tuple(name for name, _ in kinds) or (_TOTAL,)
    if len(set(names)) < len(names):
        msg = f"components must have different names, none of them 'total', got {known(names[1:])}."
        raise ValueError(msg)
    scale = finite_number(scale, "scale")
    params = {} if model is None else parameters_of(result)
    specs = column_specs(some_of(sample))
    models = [ModelRef(intensity) for _, intensity in kinds]
    named = tuple(dict.fromkeys(name for pair, _ in sums_of for name in pair))
    read = names_of_numbers(some_of(sample)) if makers else named
    weighing = Weighing.make(names, models, params, specs, read)
    sums = [Sums(tuple(pair), axes, len(names)) for pair, axes in sums_of]
    totals = np.zeros((2, len(names)))
    start, stop = share_of(sample)
    with progress_bar("project", stop - start, "event", progress) as bar, in_step(sample):
        with closing(weighing.run(sample, devices)) as running:
            for first, piece, weights in running:
                _add(sums, totals, piece, weights, first, makers)
                bar.update(piece.n_events)
    _add_processes(sample, totals, sums)
    histograms = tuple(
        Projection(
            s.columns,
            tuple(axis.edges for axis in s.axes),
            names,
            scale * s.sums.reshape(-1, *s.shape),
            scale**2 * s.squares.reshape(-1, *s.shape),
        )
        for s in sums
    )
    return Projections(names, histograms, scale * totals[0], scale**2 * totals[1], sample.n_events)


def _add(
    sums: Sequence[Sums],
    totals: np.ndarray,
    piece: Dataset,
    weights: Sequence[np.ndarray],
    first: int,
    makers: Mapping[str, Callable],
) -> None:
    """Add a piece of the events to all histograms."""
    squares = [w**2 for w in weights]
    totals += [[w.sum() for w in weights], [w2.sum() for w2 in squares]]
    names = dict.fromkeys(name for one in sums for name in one.columns)
    values = {name: _numbers(name, piece, first, makers) for name in names}
    for one in sums:
        one.add([values[name] for name in one.columns], weights, squares)


def _numbers(name: str, piece: Dataset, first: int, makers: Mapping[str, Callable]) -> np.ndarray:
    """Return one real number per event, 0 where it is NaN for an event of weight 0."""
    values = np.asarray(makers[name](piece)) if name in makers else piece.numbers(name)
    if values.shape != (piece.n_events,) or values.dtype.kind not in "fiub":
        msg = f"column {name!r} must have one real number per event, got shape {values.shape} of dtype {values.dtype}."
        raise ValueError(msg)
    values = values.astype(np.float64, copy=False)
    bad = np.isnan(values)
    if not bad.any():
        return values
    counted = bad & (piece.weights != 0)
    if counted.any():
        msg = f"column {name!r} is NaN for event {first + first_bad(counted)}. Give such events weight 0."
        raise ValueError(msg)
    return np.where(bad, 0.0, values)


def _add_processes(sample: Events, totals: np.ndarray, sums: Sequence[Sums]) -> None:
    """Add up what all processes have found in their slices of files."""
    if not is_streamed(sample):
        return
    for array in (totals, *(a for one in sums for a in (one.sums, one.squares))):
        array[...] = exchange(array).sum(axis=0)


def _makers(columns: Any) -> dict[str, Callable[[Dataset], Any]]:
    """Return the functions that make columns, by name."""
    makers = {} if columns is None else columns
    if not isinstance(makers, Mapping) or not all(callable(make) for make in makers.values()):
        msg = (
            f"columns must map names to functions of the events, like {{'m2': lambda d: d['m'] ** 2}}, got {columns!r}."
        )
        raise TypeError(msg)
    return dict(makers)


def _histograms(
    bins: Any, sample: Events, makers: Mapping[str, Callable]
) -> list[tuple[tuple[str, ...], tuple[Axis, ...]]]:
    """Return columns and axes of each histogram."""
    if not isinstance(bins, Mapping) or not bins:
        msg = f"bins must map columns to edges, like {{'mass': [0, 0.5, 1]}}, got {bins!r}."
        raise TypeError(msg)
    found = []
    for key, given in bins.items():
        columns = (key,) if isinstance(key, str) else key
        is_tuple = isinstance(columns, tuple) and len(columns) in (1, 2)
        if not is_tuple or not all(isinstance(c, str) for c in columns):
            msg = f"bins must name a column or a pair of columns, got {key!r}; functions go into columns by name."
            raise TypeError(msg)
        unknown = [c for c in columns if c not in makers and c not in some_of(sample)]
        if unknown:
            msg = f"bins names {known(unknown)}, which the events do not have; columns: {known(some_of(sample))}."
            raise ValueError(msg)
        if any(columns == before for before, _ in found):
            msg = f"bins names {known(columns)} twice."
            raise ValueError(msg)
        edges = (given,) if len(columns) == 1 else tuple(given) if np.iterable(given) else ()
        if len(edges) != len(columns):
            msg = f"bins of the pair {key!r} must be two sequences of edges, got {len(edges) or given}."
            raise ValueError(msg)
        found.append((columns, tuple(_axis(e, c) for e, c in zip(edges, columns, strict=True))))
    return found


def _axis(edges: Any, column: str) -> Axis:
    try:
        edges = np.asarray(edges) if np.iterable(edges) else np.empty(0)
    except ValueError:  # sequences of unequal length
        edges = np.empty(0)
    edges = edges.astype(np.float64) if edges.ndim == 1 and edges.dtype.kind in "fiu" else np.empty(0)
    if len(edges) < 2 or not np.all(np.diff(edges) > 0):
        msg = f"bins of {column!r} must be at least two rising edges, such as np.linspace(0, 1, 51)."
        raise ValueError(msg)
    return Axis(edges)


def parts_by_name(model: Any, components: Any) -> Iterator[tuple[str, Intensity]]:
    """Yield label and intensity of what is wanted besides the whole.

    Parameters
    ----------
    model
        The whole.
    components
        As of `project`.
    """
    if components is True:
        components = getattr(model, "names", None)
        if components is None:
            msg = f"components=True needs a model with names, got {type(model).__name__}: give {{'label': intensity}}."
            raise TypeError(msg)
    if isinstance(components, str):
        components = (components,)
    if not np.iterable(components or ()):
        msg = f"components must be names, or intensities by label, got {components!r}."
        raise TypeError(msg)
    by_label = components if isinstance(components, Mapping) else {str(name): name for name in components or ()}
    for label, part in by_label.items():
        if callable(part):
            intensity: Any = part
            yield label, intensity
            continue
        names = tuple(part) if isinstance(part, (tuple, list)) else (part,)
        if not all(isinstance(name, str) for name in names):
            msg = f"component {label!r} must be a name, names or an intensity(params, data), got {part!r}."
            raise TypeError(msg)
        only: Any = getattr(model, "only", None)
        if only is None:
            msg = (
                f"component {label!r} is a name, but the model has no parts with names ({type(model).__name__}): "
                "give {'label': intensity}."
            )
            raise TypeError(msg)
        yield label, only(*names)


def extremes(sample: FileDataset, names: Sequence[str], makers: Mapping[str, Callable]) -> dict[str, np.ndarray]:
    """Return the smallest and the largest finite value, ``(2,)``, of columns of events that count.

    Parameters
    ----------
    sample
        Events in files, of which every process reads its slice.
    names, makers
        Columns, and the functions among them.
    """
    ends = np.tile([np.inf, -np.inf], (len(names), 1))
    read = names_of_numbers(sample.head) if makers else tuple(names)
    weighing = Weighing.make((), (), {}, (), read)
    with in_step(sample), closing(weighing.run(sample, None)) as running:
        for first, piece, _ in running:
            for row, name in zip(ends, names, strict=True):
                values = _numbers(name, piece, first, makers)
                values = values[np.isfinite(values) & (piece.weights != 0)]
                row[:] = min(row[0], values.min(initial=np.inf)), max(row[1], values.max(initial=-np.inf))
    every = exchange(ends)
    found = np.stack([every[..., 0].min(axis=0), every[..., 1].max(axis=0)], axis=-1)
    return {name: pair[np.isfinite(pair)] for name, pair in zip(names, found, strict=True)}
