"""Matrices with names: correlations, fit fractions."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from jaxpwa._checks import known
from jaxpwa.plot._canvas import axes_or_new, colour_bar, title_of
from jaxpwa.plot._library import pyplot
from jaxpwa.plot.styles import FIT

_PRINTED = 16


def correlation(
    result: Any, names: Iterable[str] | None = None, *, titles: Mapping[str, str] | None = None, ax: Any = None
) -> Axes:
    """Draw the correlation matrix of a fit, with its values printed where there are at most 16 parameters.

    Parameters
    ----------
    result
        A `FitResult`, or what else has ``names`` and ``correlation`` ``(n, n)``.
    names
        Which parameters, in which order; None: all that have an error, not those fixed or at a limit.
    titles
        How names are written, where they shall be written otherwise.
    ax
        Axes; None: new ones.

    Returns
    -------
    The axes.

    Raises
    ------
    ValueError
        If a name is unknown, or no parameter is left.
    """
    every = list(result.names)
    still = {*getattr(result, "fixed", ()), *getattr(result, "at_limit", ())}
    chosen = [name for name in every if name not in still] if names is None else list(names)
    rows = _rows(chosen, every)
    matrix = np.asarray(result.correlation, np.float64)[np.ix_(rows, rows)]
    return _heat_map(matrix, [title_of(n, titles) for n in chosen], 1.0, "correlation", "{:.2f}", ax)


def _rows(chosen: list[str], every: list[str]) -> list[int]:
    """Return where names are."""
    unknown = [name for name in chosen if name not in every]
    if unknown or not chosen:
        what = f"there is no {known(unknown)}" if unknown else "there is nothing to draw"
        msg = f"{what}; there are {known(every)}."
        raise ValueError(msg)
    return [every.index(name) for name in chosen]


def _heat_map(matrix: np.ndarray, names: list[str], reach: float, label: str, form: str, ax: Any) -> Axes:
    """Draw a square matrix in diverging colours."""
    n = len(names)
    if ax is None:
        side = float(np.clip(0.5 * n + 1.8, 4.0, 13.0))
        ax = pyplot.subplots(figsize=(1.15 * side, side), layout="compressed")[1]
    ax = axes_or_new(ax)
    image = ax.imshow(matrix, cmap="RdBu_r", vmin=-reach, vmax=reach)
    colour_bar(image, ax, label)
    small = 9 if n <= 20 else 7 if n <= 40 else 5
    ax.set_xticks(range(n), names, rotation=45 if max(map(len, names)) > 3 else 0, ha="right", fontsize=small)
    if max(map(len, names)) <= 3:
        ax.set_xticks(range(n), names, ha="center", fontsize=small)
    else:
        for text in ax.get_xticklabels():
            text.set_rotation_mode("anchor")
    ax.set_yticks(range(n), names, fontsize=small)
    ax.minorticks_off()
    ax.tick_params(top=False, right=False, length=0)
    if n <= _PRINTED:
        for (i, j), value in np.ndenumerate(matrix):
            if np.isfinite(value):
                colour = "white" if abs(value) > 0.65 * reach else "black"
                text = form.format(value)
                text = text.lstrip("-") if float(text) == 0 else text.replace("-", "\u2212")
                ax.text(j, i, text, ha="center", va="center", color=colour, fontsize=8 if n <= 10 else 7)
    return ax


def fractions(
    record: Any,
    names: Iterable[str] | None = None,
    *,
    matrix: bool = False,
    titles: Mapping[str, str] | None = None,
    ax: Any = None,
) -> Axes:
    """Draw fit fractions as bars with errors, or with the interferences of pairs as a triangle of numbers.

    Parameters
    ----------
    record
        With ``names``, ``values`` ``(n, n)``: fractions on the diagonal, interferences beside it; and ``errors``
        ``(n, n)``. ``(n,)`` each will do for bars.
    names
        Which, in which order; None: all.
    matrix
        Whether to draw the matrix.
    titles
        How names are written, where they shall be written otherwise.
    ax
        Axes; None: new ones.

    Returns
    -------
    The axes. Numbers are in percent.

    Raises
    ------
    ValueError
        If a name is unknown; if a matrix is wanted and there is none.
    """
    every = list(record.names)
    chosen = every if names is None else list(names)
    rows = _rows(chosen, every)
    values, errors = (100 * np.asarray(x, np.float64) for x in (record.values, record.errors))
    texts = [title_of(name, titles) for name in chosen]
    if matrix:
        if values.shape != (len(every), len(every)):
            msg = f"values must have the shape ({len(every)}, {len(every)}) to draw a matrix, got {values.shape}."
            raise ValueError(msg)
        part = values[np.ix_(rows, rows)]
        part[np.tril_indices(len(rows), -1)] = np.nan  # a pair counts once
        return _heat_map(part, texts, float(np.nanmax(np.abs(part))), "fraction, interference [%]", "{:.1f}", ax)
    values, errors = ((np.diag(x) if x.ndim == 2 else x)[rows] for x in (values, errors))
    if ax is None:
        ax = pyplot.subplots(figsize=(6.0, 1.2 + 0.38 * len(rows)), layout="constrained")[1]
    ax = axes_or_new(ax)
    place = np.arange(len(rows))
    known_errors = np.where(np.isfinite(errors), errors, 0.0)
    ax.barh(place, values, 0.7, color=FIT, zorder=2)
    ax.errorbar(values, place, xerr=known_errors, fmt="none", ecolor="black", elinewidth=1.2, capsize=3, zorder=3)
    right = values + known_errors
    for y, (x, value, error) in enumerate(zip(right, values, errors, strict=True)):
        text = f"{value:.1f} \u00b1 {error:.1f}" if np.isfinite(error) else f"{value:.1f}"
        ax.annotate(text, (x, y), xytext=(6, 0), textcoords="offset points", va="center", fontsize=9, color="0.2")
    ax.set_yticks(place, texts)
    ax.set(xlabel="fit fraction [%]", xlim=(min(0.0, float(values.min())), 1.22 * float(np.nanmax(right))))
    ax.set_ylim(len(rows) - 0.4, -0.6)
    ax.tick_params(axis="y", which="both", left=False, right=False)
    return ax
