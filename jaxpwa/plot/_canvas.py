"""Axes to draw on, and their dress."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer

from jaxpwa.plot._library import pyplot


def axes_or_new(ax: Any, **subplot: Any) -> Axes:
    """Return the axes given, or new ones in a new figure."""
    if ax is None:
        return pyplot.subplots(layout="constrained", subplot_kw=subplot)[1]
    if not isinstance(ax, Axes):
        msg = f"ax must be axes of matplotlib, got {type(ax).__name__}: figure, ax = pyplot.subplots() makes such."
        raise TypeError(msg)
    return ax


def grid(n: int, ax: Any, columns: int = 3, **subplots: Any) -> np.ndarray:
    """Return n axes: those given, the same one n times, or new ones in rows of at most ``columns``."""
    if isinstance(ax, Axes):
        return np.array([ax] * n, object)
    if ax is not None:
        given = np.ravel(np.array(ax, object))
        if len(given) != n:
            msg = f"ax must be one axes or {n} of them, one for each panel, got {len(given)}."
            raise ValueError(msg)
        return np.array([axes_or_new(one) for one in given], object)
    columns = min(n, columns)
    rows = -(-n // columns)
    width, height = pyplot.rcParams["figure.figsize"]
    size = (width, height) if n == 1 else (0.62 * width * columns, 0.66 * height * rows)
    figure, every = pyplot.subplots(rows, columns, figsize=size, layout="constrained", squeeze=False, **subplots)
    figure.get_layout_engine().set(w_pad=0.1, h_pad=0.05)
    for spare in every.flat[n:]:
        spare.remove()
    for above in every.flat[max(0, n - columns) : n]:  # the last of each column keeps its labels
        above.xaxis.set_tick_params(labelbottom=True)
    return every.ravel()[:n]


def split(ax: Axes, share: float = 0.25) -> tuple[Axes, Axes]:
    """Give the lower part of axes to a second panel with the same x axis."""
    figure: Any = ax.figure
    place = ax.get_subplotspec()
    if place is not None:
        parts = place.subgridspec(2, 1, height_ratios=(1 - share, share), hspace=0.0)
        ax.set_subplotspec(parts[0])
        lower = figure.add_subplot(parts[1], sharex=ax)
    else:
        box = ax.get_position()
        ax.set_position((box.x0, box.y0 + (share + 0.02) * box.height, box.width, (0.98 - share) * box.height))
        lower = figure.add_axes((box.x0, box.y0, box.width, share * box.height), sharex=ax)
    ax.tick_params(labelbottom=False)
    ax.xaxis.get_offset_text().set_visible(False)
    return ax, lower


def narrow(ax: Axes) -> None:
    """Bring the panels of our own figure together."""
    figure: Any = ax.figure
    figure.get_layout_engine().set(h_pad=0.015, hspace=0.0)


def per_bin(edges: np.ndarray, label: str) -> str:
    """Return the label of counts: the width of bins in the unit that a label names at its end."""
    widths = np.diff(edges)
    if not np.allclose(widths, widths[0], rtol=1e-6):
        return "events / bin"
    unit = re.search(r"\[([^\[\]]+)\]\s*$", label)
    return f"events / {widths[0]:.3g} {unit[1]}" if unit else f"events / {widths[0]:.3g}"


def title_of(name: str, titles: Mapping[str, str] | None) -> str:
    """Return how a name is written."""
    return (titles or {}).get(name, name)


def entries(ax: Axes) -> tuple[list[Any], list[str]]:
    """Return what a legend names, points with errors first."""
    found = zip(*ax.get_legend_handles_labels(), strict=True)
    ordered = sorted(found, key=lambda entry: not isinstance(entry[0], ErrorbarContainer))
    return [handle for handle, _ in ordered], [text for _, text in ordered]


def legend(ax: Axes, is_own: bool, most_inside: int = 4) -> None:
    """Draw a legend inside of the axes, or beside them where the figure is ours and it would hide what is drawn."""
    handles, labels = entries(ax)
    if not handles:
        return
    if is_own and len(handles) > most_inside:
        ax.legend(handles, labels, loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)
    else:
        ax.legend(handles, labels, loc="best", frameon=False)


def headroom(ax: Axes, top: float, share: float = 0.08) -> None:
    """Let the y axis begin at 0 where nothing is below, and leave room above."""
    low = ax.get_ylim()[0]
    bottom = 0.0 if low > -0.06 * top else low
    if top > 0:
        ax.set_ylim(bottom, top + share * (top - bottom))


def figure_of(axes: Sequence[Axes] | np.ndarray) -> Any:
    """Return the figure of axes."""
    return axes[0].figure


def colour_bar(mappable: Any, ax: Axes, label: str) -> None:
    """Draw the scale of colours beside axes."""
    figure: Any = ax.figure
    figure.colorbar(mappable, ax=ax, label=label)
