"""The cost around its minimum, along one parameter or two."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from jaxpwa.plot._canvas import axes_or_new, colour_bar, legend
from jaxpwa.plot.styles import DATA, FIT, MUTED, PALETTE, line_look

# -2 ln(1 - cl): quantiles of chi-squared of two degrees of freedom, exact.
_LEVELS = {text: -2 * np.log(1 - cl) for text, cl in (("68.3 %", 0.682689), ("95.4 %", 0.954500))}


def _rise(errordef: float) -> str:
    """Return what (cost - minimum) / errordef is called."""
    return {0.5: r"$-2\,\Delta\,\ln L$", 1.0: r"$\Delta\chi^2$"}.get(errordef, "(cost \u2212 minimum) / errordef")


def profile(record: Any, *, minos: Any = None, label: str | None = None, ax: Any = None) -> Axes:
    r"""Draw the cost along one parameter, in units in which :math:`n` standard deviations are :math:`n^2`.

    With it go the heights of one and two standard deviations, the parabola :math:`((x - \hat x) / \sigma)^2` of the
    Hessian's error and the MINOS interval, where there are such.

    Parameters
    ----------
    record
        With ``name``, ``grid`` and ``delta`` (cost above its minimum), ``(n,)`` each, ``errordef``; where it has
        them, ``best``, ``error`` and ``valid`` ``(n,)``, False for hollow points.
    minos
        ``(lower, upper)`` errors, lower negative, as in `FitResult.minos`; None: what the record has as ``minos``.
    label
        Of the x axis; None: the name.
    ax
        Axes; None: new ones.

    Returns
    -------
    The axes.

    Raises
    ------
    TypeError
        If the record lacks one of these.
    ValueError
        If grid and delta are not of equal length.
    """
    grid, delta, errordef = _read(record, "grid", "delta", "errordef")
    if grid.ndim != 1 or grid.shape != delta.shape:
        msg = f"grid and delta must have the same shape (n,), got {grid.shape} and {delta.shape}."
        raise ValueError(msg)
    is_own, ax = ax is None, axes_or_new(ax)
    rise = delta / errordef
    best, error = float(getattr(record, "best", np.nan)), float(getattr(record, "error", np.nan))
    highest = float(np.nanmax(rise, initial=0.0))
    if np.isfinite(best) and error > 0:
        x = np.linspace(grid.min(), grid.max(), 201)
        ax.plot(x, ((x - best) / error) ** 2, color=MUTED, ls="--", lw=1.3, label="parabola of the Hessian")
        ax.axvline(best, color=MUTED, lw=0.7)
    valid = np.asarray(getattr(record, "valid", np.ones(len(grid), bool)), bool)
    ax.plot(grid, rise, color=FIT, lw=1.8, label=getattr(record, "kind", None) or "profile", zorder=3)
    ax.plot(grid[valid], rise[valid], "o", ms=3.5, color=FIT, zorder=3)
    ax.plot(grid[~valid], rise[~valid], "o", ms=3.5, mfc="white", color=FIT, zorder=3)
    minos = getattr(record, "minos", None) if minos is None else minos
    if minos is not None and np.all(np.isfinite(minos)):
        ax.axvspan(best + minos[0], best + minos[1], color=PALETTE[1], alpha=0.25, lw=0, label="MINOS")
    # Two standard deviations of curve say all: beyond, a steep side would squeeze the minimum.
    top = max(4.6, min(1.05 * highest, 12.0))
    for n in (1, 2):
        ax.axhline(n**2, color=MUTED, lw=0.8, ls=":")
        ax.annotate(
            rf"{n}$\,\sigma$",
            (1, n**2),
            xycoords=("axes fraction", "data"),
            xytext=(-4, 2),
            textcoords="offset points",
            ha="right",
            color=MUTED,
        )
    ax.set(xlabel=label or str(record.name), ylabel=_rise(float(errordef)))
    ax.set(xlim=(grid.min(), grid.max()), ylim=(0, top))
    legend(ax, is_own)
    return ax


def surface(record: Any, *, labels: tuple[str, str] | None = None, most: float = 12.0, ax: Any = None) -> Axes:
    r"""Draw the cost over two parameters as colours, with lines around 68.3 % and 95.4 %.

    The lines are at :math:`-2 \ln(1 - cl)` = 2.30 and 6.18 times ``errordef`` above the minimum: regions that hold both
    parameters together, in the limit of many events.

    Parameters
    ----------
    record
        With ``names`` (a, b), ``x`` ``(nx,)``, ``y`` ``(ny,)``, ``delta`` ``(nx, ny)``, ``errordef``; where it has
        it, ``best`` ``(2,)``.
    labels
        Of x and y axis; None: the names.
    most
        Where colours end, in units of ``errordef``.
    ax
        Axes; None: new ones.

    Returns
    -------
    The axes.

    Raises
    ------
    TypeError
        If the record lacks one of these.
    ValueError
        If delta has not the shape (nx, ny).
    """
    x, y, delta, errordef = _read(record, "x", "y", "delta", "errordef")
    if delta.shape != (len(x), len(y)):
        msg = f"delta must have the shape (nx, ny) = ({len(x)}, {len(y)}), got {delta.shape}."
        raise ValueError(msg)
    ax = axes_or_new(ax)
    rise = np.ma.masked_invalid(delta / errordef).T
    mesh = ax.pcolormesh(x, y, rise, cmap="viridis_r", vmin=0, vmax=most, shading="nearest", rasterized=True)
    colour_bar(mesh, ax, _rise(float(errordef)))
    for (text, height), dashes in zip(_LEVELS.items(), ("-", "--"), strict=True):
        if rise.min() < height < rise.max():
            line = ax.contour(x, y, rise, levels=[height], colors="white", linestyles=dashes, linewidths=1.8)
            ax.clabel(line, fmt={height: text}, fontsize=9)
    _cross(ax, record, "white")
    names = labels or record.names
    ax.set(xlabel=str(names[0]), ylabel=str(names[1]), xlim=(x[0], x[-1]), ylim=(y[0], y[-1]))
    return ax


def contour(records: Any, *, labels: tuple[str, str] | None = None, ax: Any = None) -> Axes:
    """Draw confidence contours of two parameters.

    Parameters
    ----------
    records
        One, or several of the same parameters: ``names`` (a, b), ``points`` ``(k, 2)``, ``cl``; where they have it,
        ``best`` ``(2,)``. A ``cl`` of at least 1 is a number of standard deviations.
    labels
        Of x and y axis; None: the names.
    ax
        Axes; None: new ones.

    Returns
    -------
    The axes.

    Raises
    ------
    TypeError
        If a record lacks one of these.
    ValueError
        If records are of different parameters, or points have not the shape (k, 2).
    """
    several = list(records) if isinstance(records, (list, tuple)) else [records]
    if not several:
        msg = "records must be a contour, or several, got an empty list."
        raise ValueError(msg)
    is_own, ax = ax is None, axes_or_new(ax)
    for i, record in enumerate(several):
        (points,) = _read(record, "points")
        if points.ndim != 2 or points.shape[1] != 2:
            msg = f"points must have the shape (k, 2), got {points.shape}."
            raise ValueError(msg)
        if tuple(record.names) != tuple(several[0].names):
            msg = f"contours must be of the same two parameters, got {several[0].names} and {record.names}."
            raise ValueError(msg)
        cl = float(record.cl)
        text = f"{100 * cl:.3g} %" if cl < 1 else rf"{cl:g}$\,\sigma$"
        look = line_look(i) | ({"color": FIT} if i == 0 else {})
        closed = np.vstack([points, points[:1]])
        ax.plot(closed[:, 0], closed[:, 1], lw=1.6, label=text, **look)
        ax.fill(points[:, 0], points[:, 1], color=look["color"], alpha=0.12, lw=0)
    _cross(ax, several[0], DATA)
    names = labels or several[0].names
    ax.set(xlabel=str(names[0]), ylabel=str(names[1]))
    legend(ax, is_own)
    return ax


def _cross(ax: Axes, record: Any, colour: str) -> None:
    """Mark the minimum."""
    best = getattr(record, "best", None)
    if best is not None:
        ax.plot(*np.reshape(np.asarray(best, np.float64), (2, 1)), "P", ms=8, mec="none", color=colour, label="minimum")


def _read(record: Any, *names: str) -> list[np.ndarray]:
    """Return attributes as arrays, or say which are missing."""
    missing = [name for name in names if not hasattr(record, name)]
    if missing:
        msg = f"the record must have {', '.join(names)}; a {type(record).__name__} lacks {', '.join(missing)}."
        raise TypeError(msg)
    return [np.asarray(getattr(record, name), np.float64) for name in names]
