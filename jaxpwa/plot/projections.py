"""Data against Monte Carlo that a fit weighs."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from jaxpwa._checks import known
from jaxpwa._types import Intensity
from jaxpwa.engine.devices import Devices
from jaxpwa.plot._bins import Column, Histogram
from jaxpwa.plot._canvas import axes_or_new, entries, figure_of, grid, headroom, legend, narrow, per_bin, split
from jaxpwa.plot._expected import Panel, Request, as_sample, expectations, make_panels, samples_of
from jaxpwa.plot.styles import DATA, FIT, MUTED, line_look


def projection(
    column: Column,
    data: Any,
    mc: Any,
    model: Intensity | None = None,
    result: Any = None,
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
        side bands of negative weight. In memory, in files (`FileDataset`), or as histograms that
        `jaxpwa.results.project` has filled without a model.
    mc
        Monte Carlo: that which passed the detector, to compare with data. Its weights multiply the intensity. In
        memory, in files, or as histograms that `jaxpwa.results.project` has filled with the model.
    model
        ``intensity(params, data) -> (events,)``. None: ``mc`` is histograms.
    result
        A `FitResult`, or parameters by name. None: ``mc`` is histograms.
    bins
        Their number, or edges. Histograms that are given have their own.
    range
        From where to where; None: the range of the data (files are then read once more). Events outside do not show,
        but count in the scale.
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
    sample = as_sample(mc, "mc")
    name = column if isinstance(column, str) else "the function given as column"
    panels, n_data = make_panels([Request(column, name, label, bins, range)], samples_of(data), sample)
    is_own = ax is None
    above, below = _places(ax, pulls)
    if is_own:
        narrow(above)
    drawn = expectations(panels, n_data, sample, model, result, components, n_generated, devices)
    _draw(panels[0], [(name, expected[0]) for name, expected in drawn], above, below)
    legend(above, is_own)
    return above if below is None else (above, below)


def projections(
    columns: Sequence[Column] | Mapping[str, str],
    data: Any,
    mc: Any,
    model: Intensity | None = None,
    result: Any = None,
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
    if not names:
        msg = "columns must name at least one column, got none."
        raise ValueError(msg)
    samples, sample = samples_of(data), as_sample(mc, "mc")
    wanted = []
    for i, name in enumerate(names, 1):
        own = bins.get(name, 50) if isinstance(bins, Mapping) else bins
        key = name if isinstance(name, str) else f"function {i} of columns"
        wanted.append(Request(name, key, labels.get(str(name)), own, (ranges or {}).get(str(name))))
    panels, n_data = make_panels(wanted, samples, sample)
    is_own = ax is None
    axes = grid(len(panels), ax, 2 if len(panels) == 4 else 3)
    drawn = expectations(panels, n_data, sample, model, result, components, n_generated, devices)
    for i, (panel, place) in enumerate(zip(panels, axes, strict=True)):
        above, below = _places(place, pulls)
        _draw(panel, [(name, expected[i]) for name, expected in drawn], above, below)
    if is_own and len(panels) > 1:
        handles, texts = entries(axes[0])
        figure_of(axes).legend(handles, texts, loc="outside right upper", frameon=False)
    else:
        legend(axes[0], is_own)
    return axes


def _places(ax: Any, pulls: bool) -> tuple[Axes, Axes | None]:
    """Return the axes of the main panel and of that below it."""
    if isinstance(ax, (tuple, list, np.ndarray)) and pulls:
        if len(ax) != 2:
            msg = f"ax must be one axes, or two of them for projection and pulls, got {len(ax)}."
            raise ValueError(msg)
        return axes_or_new(ax[0]), axes_or_new(ax[1])
    one = axes_or_new(ax)
    return split(one) if pulls else (one, None)


def _draw(panel: Panel, drawn: list[tuple[str, Histogram]], above: Axes, below: Axes | None) -> None:
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
