"""Data against Monte Carlo that a fit weighs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from jaxpwa._checks import known
from jaxpwa._types import Intensity
from jaxpwa.data.dataset import Dataset, as_dataset
from jaxpwa.engine.devices import Devices
from jaxpwa.plot._bins import Bins, Column, Histogram, column_of, fill, make_bins
from jaxpwa.plot._canvas import axes_or_new, entries, figure_of, grid, headroom, legend, narrow, per_bin, split
from jaxpwa.plot.styles import DATA, FIT, MUTED, line_look
from jaxpwa.simulation.evaluate import evaluate


def projection(
    column: Column,
    data: Any,
    mc: Any,
    model: Intensity,
    result: Any,
    *,
    bins: Any = 50,
    range: tuple[float, float] | None = None,
    label: str | None = None,
    components: Any = (),
    n_generated: float | None = None,
    pulls: bool = True,
    devices: Devices = None,
    ax: Any = None,
) -> Any:
    r"""Draw one column of the data over Monte Carlo weighted by the intensity.

    .. math:: n_b = s \sum_{e \in b} w_e I(p, x_e), \qquad
              \sigma_b^2 = s^2 \sum_{e \in b} w_e^2 I(p, x_e)^2, \qquad
              \mathrm{pull}_b = \frac{d_b - n_b}{\sqrt{\sum_{e \in b} w_e^2 + \sigma_b^2}}

    The band is :math:`\sigma_b`, of the finite Monte Carlo; errors of the parameters are not in it. A bin without data
    gets a bar upwards, the 68 % interval of Garwood for an event of average weight
    (:math:`\sum w^2 / \sum w`), and in its pull that weight times :math:`n_b` as variance of the data. Nothing
    is drawn where nothing is seen and nothing is expected.

    Parameters
    ----------
    column
        Name of a column, or a function of the events that returns one number for each:
        ``lambda d: d["mass"] ** 2``.
    data
        Events with weights of either sign, or a list of such samples, which add up: signal region, and
        side bands of negative weight.
    mc
        Monte Carlo: that which passed the detector, to compare with data. Its weights multiply the intensity.
    model
        ``intensity(params, data) -> (events,)``.
    result
        A `FitResult`, or parameters by name.
    bins
        Their number, or edges.
    range
        From where to where; None: the range of the data. Events outside do not show, but count in the scale.
    label
        Of the x axis, with the unit at its end: ``"m [GeV]"``. None: the name of the column.
    components
        What is drawn besides: names or patterns of waves, sums and backgrounds, each for ``model.only(name)``; True for
        every name of the model; or by label: ``{"D waves": ("D1+", "D2+"), "rho": intensity}``, with an intensity
        for any model. Interference makes them add up to something else than the whole.
    n_generated
        Events thrown for ``mc``, the number that `ExtendedNLL` was given: :math:`s` is its inverse. None: the scale at
        which the whole of ``mc`` counts as much as the whole of ``data``.
    pulls
        Whether to draw pulls in a panel below.
    devices
        As in `jaxpwa.evaluate`.
    ax
        Axes, of which the lower part becomes the panel of pulls; or two of them, for both. None: new ones.

    Returns
    -------
    The axes, or both with ``pulls``: (above, below).

    Raises
    ------
    ValueError
        If a column is missing, NaN or not one number per event; if nothing can be scaled to data.
    TypeError
        If the intensity is complex, or a component is neither a name nor an intensity.
    """
    panel = _Panel.make(column, label, bins, range, _samples(data), as_dataset(mc, "mc"))
    is_own = ax is None
    above, below = _places(ax, pulls)
    if is_own:
        narrow(above)
    drawn = _expectations([panel], data, mc, model, result, components, n_generated, devices)
    _draw(panel, [(name, expected[0]) for name, expected in drawn], above, below)
    legend(above, is_own)
    return above if below is None else (above, below)


def projections(
    columns: Sequence[Column] | Mapping[str, str],
    data: Any,
    mc: Any,
    model: Intensity,
    result: Any,
    *,
    bins: Any = 50,
    ranges: Mapping[str, tuple[float, float]] | None = None,
    components: Any = (),
    n_generated: float | None = None,
    pulls: bool = True,
    devices: Devices = None,
    ax: Any = None,
) -> np.ndarray:
    """Draw several columns as `projection` does, side by side: every intensity is computed once for all of them.

    Parameters
    ----------
    columns
        Names, or names with labels: ``{"mass": "m [GeV]", "costheta": "cos theta"}``.
    data, mc, model, result, components, n_generated, pulls, devices
        As in `projection`.
    bins
        A number for all, or numbers or edges by name of the column.
    ranges
        By name of the column; the range of the data where none is given.
    ax
        As many axes as columns; None: new ones.

    Returns
    -------
    Axes of the main panels, ``(columns,)``; the panels of pulls are in ``axes[0].figure.axes``, too.

    Raises
    ------
    ValueError, TypeError
        As `projection`; if ``bins`` or ``ranges`` name a column that is not drawn.
    """
    labels = dict(columns) if isinstance(columns, Mapping) else {}
    names = list(columns)
    for what, given in (("bins", bins), ("ranges", ranges)):
        unknown = [name for name in given if name not in names] if isinstance(given, Mapping) else []
        if unknown:
            msg = f"{what} names {known(unknown)}, which are not drawn; columns: {known(map(str, names))}."
            raise ValueError(msg)
    samples, mc = _samples(data), as_dataset(mc, "mc")
    panels = []
    for name in names:
        own = bins.get(name, 50) if isinstance(bins, Mapping) else bins
        panels.append(_Panel.make(name, labels.get(str(name)), own, (ranges or {}).get(str(name)), samples, mc))
    if not panels:
        msg = "columns must name at least one column, got none."
        raise ValueError(msg)
    is_own = ax is None
    axes = grid(len(panels), ax, 2 if len(panels) == 4 else 3)
    drawn = _expectations(panels, data, mc, model, result, components, n_generated, devices)
    for i, (panel, place) in enumerate(zip(panels, axes, strict=True)):
        above, below = _places(place, pulls)
        _draw(panel, [(name, expected[i]) for name, expected in drawn], above, below)
    if is_own and len(panels) > 1:
        handles, texts = entries(axes[0])
        figure_of(axes).legend(handles, texts, loc="outside right upper", frameon=False)
    else:
        legend(axes[0], is_own)
    return axes


@dataclass(frozen=True)
class _Panel:
    """One column: its bins, the data in them, and the bin of each Monte Carlo event."""

    label: str
    bins: Bins
    seen: Histogram
    index: np.ndarray

    @classmethod
    def make(
        cls, column: Column, label: str | None, bins: Any, limits: Any, data: list[Dataset], mc: Dataset
    ) -> "_Panel":
        """Fill the data, and look up the bins of the Monte Carlo."""
        values = [column_of(column, d, "data") for d in data]
        made = make_bins(bins, limits, [v[d.weights != 0] for v, d in zip(values, data, strict=True)])
        seen = fill(made, [(v, d.weights) for v, d in zip(values, data, strict=True)])
        if label is None:
            label = column if isinstance(column, str) else ""
        return cls(label, made, seen, made.index(column_of(column, mc, "mc")))

    def expected(self, weights: np.ndarray) -> Histogram:
        """Fill Monte Carlo that has these weights."""
        return Histogram(self.bins.sums(self.index, weights), self.bins.sums(self.index, weights**2))


def _samples(data: Any) -> list[Dataset]:
    """Return the one sample, or the several, that make up the data."""
    several = data if isinstance(data, (list, tuple)) else [data]
    if not several:
        msg = "data must be a sample of events, or several, got an empty list."
        raise ValueError(msg)
    return [as_dataset(sample, "data") for sample in several]


def _places(ax: Any, pulls: bool) -> tuple[Axes, Axes | None]:
    """Return the axes of the main panel and of that below it."""
    if isinstance(ax, (tuple, list, np.ndarray)) and pulls:
        if len(ax) != 2:
            msg = f"ax must be one axes, or two of them for projection and pulls, got {len(ax)}."
            raise ValueError(msg)
        return axes_or_new(ax[0]), axes_or_new(ax[1])
    one = axes_or_new(ax)
    return split(one) if pulls else (one, None)


def _expectations(
    panels: list[_Panel],
    data: Any,
    mc: Any,
    model: Intensity,
    result: Any,
    components: Any,
    n_generated: float | None,
    devices: Devices,
) -> list[tuple[str, list[Histogram]]]:
    """Return for the fit and each component its histograms, one per panel."""
    params = result if isinstance(result, Mapping) else result.values
    mc = as_dataset(mc, "mc")
    if n_generated is not None and not 0 < n_generated < np.inf:
        msg = f"n_generated must be a number of events above 0, got {n_generated!r}."
        raise ValueError(msg)
    scale = None if n_generated is None else 1 / n_generated
    drawn = []
    for name, intensity in [("fit", model), *_parts(model, components)]:
        weights = evaluate(intensity, params, mc, devices=devices) * mc.weights
        if np.iscomplexobj(weights):
            msg = f"the intensity {name!r} must be real, got complex numbers: an amplitude? Take jnp.abs(a) ** 2."
            raise TypeError(msg)
        scale = _to_data(data, weights) if scale is None else scale
        drawn.append((name, [panel.expected(scale * weights) for panel in panels]))
    return drawn


def _to_data(data: Any, weights: np.ndarray) -> float:
    """Return the factor that makes Monte Carlo count as much as data."""
    seen, expected = sum(sample.sum_of_weights for sample in _samples(data)), weights.sum()
    if not (seen > 0 and 0 < expected < np.inf):
        msg = (
            f"sums of weights must be positive to scale mc to data: data {seen:.6g}, mc times intensity "
            f"{expected:.6g}. Give n_generated instead."
        )
        raise ValueError(msg)
    return seen / expected


def _parts(model: Any, components: Any) -> Iterator[tuple[str, Intensity]]:
    """Yield label and intensity of what is drawn besides the whole."""
    if components is True:
        components = model.names
    if isinstance(components, str):
        components = (components,)
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


def _draw(panel: _Panel, drawn: list[tuple[str, Histogram]], above: Axes, below: Axes | None) -> None:
    """Draw one panel, and the pulls under it."""
    edges, seen, (_, fit), parts = panel.bins.edges, panel.seen, drawn[0], drawn[1:]
    sigma = np.sqrt(fit.variance)
    above.stairs(
        fit.counts + sigma, edges, baseline=fit.counts - sigma, fill=True, color=FIT, alpha=0.35, lw=0, zorder=2
    )
    shown = ~seen.is_empty | (fit.counts != 0)
    bars = np.where(shown, seen.bars(), 0.0)
    middle = panel.bins.middle
    size = float(np.clip(160 / len(middle), 2, 4))
    above.errorbar(
        middle[shown],
        seen.counts[shown],
        bars[:, shown],
        fmt="o",
        ms=size,
        color=DATA,
        lw=0.9,
        label="data",
        zorder=4,
    )
    above.stairs(fit.counts, edges, baseline=None, color=FIT, lw=1.6, label="fit", zorder=3)
    for i, (name, part) in enumerate(parts):
        above.stairs(part.counts, edges, baseline=None, lw=1.3, label=name, zorder=2.5, **line_look(i))
    above.axhline(0, color=MUTED, lw=0.6, zorder=1)
    above.set(ylabel=per_bin(edges, panel.label), xlim=(edges[0], edges[-1]))
    tops = [seen.counts + bars[1], fit.counts + sigma, *(part.counts for _, part in parts)]
    headroom(above, float(np.max(tops)))
    (above if below is None else below).set_xlabel(panel.label)
    if below is not None:
        _draw_pulls(below, edges, seen.pulls(fit))


def _draw_pulls(ax: Axes, edges: np.ndarray, pulls: np.ndarray) -> None:
    """Draw pulls as bars from 0."""
    largest = np.max(np.abs(pulls), initial=0.0, where=np.isfinite(pulls))
    reach = max(3.6, 1.1 * largest)
    ax.axhspan(-1, 1, color=MUTED, alpha=0.15, lw=0)
    ax.axhline(0, color=MUTED, lw=0.6)
    ax.stairs(pulls, edges, fill=True, color=FIT, zorder=2)
    step = next(s for s in (3, 5, 10, 20, 50, 100, 10 ** np.ceil(np.log10(reach))) if reach / s < 2.5)
    ax.set(ylabel="pull", ylim=(-reach, reach), yticks=(-step, 0, step))
    ax.minorticks_off()
