"""Pictures in a plane: Argand diagrams, Dalitz plots, towers over two columns."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.patches import Ellipse

from jaxpwa._checks import first_bad
from jaxpwa.physics import dalitz_boundary
from jaxpwa.plot._canvas import axes_or_new, colour_bar
from jaxpwa.plot.styles import DATA, FIT, MUTED


def argand(
    values: Any,
    *,
    masses: Any = None,
    errors: Any = None,
    marks: Sequence[float] = (),
    unitarity: bool = False,
    label: str = "mass [GeV]",
    colorbar: bool = True,
    ax: Any = None,
) -> Axes:
    r"""Draw the way of a complex amplitude through its plane.

    Parameters
    ----------
    values
        Amplitude, complex, ``(n,)``, in the order of its way.
    masses
        ``(n,)``, rising: the colour of the line.
    errors
        Complex ``(n,)`` with one standard deviation of real and of imaginary part, drawn as bars; or covariances
        ``(n, 2, 2)`` of both, drawn as ellipses that reach one standard deviation in either direction.
    marks
        Masses to mark and write beside the line; needs ``masses``.
    unitarity
        Whether to draw :math:`|T - i/2| = 1/2`, on which elastic amplitudes lie.
    label
        Of the scale of colours.
    colorbar
        Whether to draw that scale.
    ax
        Axes; None: new ones.

    Returns
    -------
    The axes, of equal scales.

    Raises
    ------
    ValueError
        If lengths differ, masses do not rise, or marks are outside of them.
    """
    values = np.asarray(values, np.complex128)
    if values.ndim != 1 or not len(values):
        msg = f"values must be complex numbers (n,), got shape {values.shape}."
        raise ValueError(msg)
    line = _masses(masses, len(values), marks)
    ax = axes_or_new(ax)
    if unitarity:
        turn = np.linspace(0, 2 * np.pi, 181)
        ax.plot(0.5 * np.cos(turn), 0.5 + 0.5 * np.sin(turn), color=MUTED, lw=1, ls="--", zorder=1)
    ax.axhline(0, color=MUTED, lw=0.6, zorder=1)
    ax.axvline(0, color=MUTED, lw=0.6, zorder=1)
    lw = 1.2 if errors is not None else 2.2
    if line is None:
        ax.plot(values.real, values.imag, color=FIT, lw=lw, zorder=2)
        _arrow(ax, values)
    else:
        ends = np.stack([values.real, values.imag], axis=-1)
        lines = LineCollection(list(np.stack([ends[:-1], ends[1:]], axis=1)), cmap="viridis", lw=lw, capstyle="round")
        lines.set_array((line[1:] + line[:-1]) / 2)
        lines.set_clim(line[0], line[-1])
        ax.add_collection(lines)
        ax.update_datalim(ends)
        ax.autoscale_view()
        if colorbar:
            colour_bar(lines, ax, label)
    if errors is not None:
        _error_marks(ax, values, errors)
    for mark in marks:
        z = np.interp(mark, np.asarray(line), values)
        _mark(ax, z, f"{mark:g}", np.mean(values))
    ax.set(xlabel="Re", ylabel="Im")
    ax.set_aspect("equal", adjustable="datalim" if ax.get_shared_x_axes().get_siblings(ax) == [ax] else "box")
    ax.margins(0.12)
    return ax


def _masses(masses: Any, n: int, marks: Sequence[float]) -> np.ndarray | None:
    """Return masses that fit the values."""
    if masses is None:
        if len(marks):
            msg = "marks are masses along the line: give masses, one per value."
            raise ValueError(msg)
        return None
    masses = np.asarray(masses, np.float64)
    if masses.shape != (n,) or not np.all(np.diff(masses) > 0):
        msg = f"masses must be {n} rising numbers, one per value, got shape {masses.shape}."
        raise ValueError(msg)
    outside = [mark for mark in marks if not masses[0] <= mark <= masses[-1]]
    if outside:
        msg = f"marks must be between {masses[0]:g} and {masses[-1]:g}, got {outside}."
        raise ValueError(msg)
    return masses


def _error_marks(ax: Axes, values: Any, errors: Any) -> None:
    """Draw points with bars, or with ellipses."""
    errors = np.asarray(errors)
    if errors.shape == values.shape:
        ax.errorbar(
            values.real,
            values.imag,
            np.imag(errors) if np.iscomplexobj(errors) else errors,
            np.real(errors),
            fmt="o",
            ms=4,
            color=DATA,
            lw=1,
            zorder=3,
        )
    elif errors.shape == (len(values), 2, 2):
        ax.plot(values.real, values.imag, "o", ms=3, color=DATA, zorder=3)
        for z, covariance in zip(values, errors.real, strict=True):
            squares, axes = np.linalg.eigh(covariance)
            minor, major = 2 * np.sqrt(np.maximum(squares, 0))
            angle = np.degrees(np.arctan2(axes[1, 1], axes[0, 1]))
            place = (z.real, z.imag)
            ax.add_patch(Ellipse(place, major, minor, angle=angle, fc="0.5", ec=DATA, lw=0.7, alpha=0.35, zorder=2.5))
    else:
        msg = f"errors must have shape ({len(values)},) or ({len(values)}, 2, 2), got {errors.shape}."
        raise ValueError(msg)


def _arrow(ax: Axes, values: np.ndarray) -> None:
    """Show which way the line goes, at the middle of its length."""
    steps = np.abs(np.diff(values))
    if not steps.sum() > 0:
        return
    i = int(np.searchsorted(np.cumsum(steps), steps.sum() / 2))
    start, end = values[i], values[i] + 0.6 * (values[i + 1] - values[i])
    ax.annotate(
        "",
        (end.real, end.imag),
        (start.real, start.imag),
        arrowprops={"arrowstyle": "-|>", "color": FIT, "lw": 0, "mutation_scale": 18},
    )


def _mark(ax: Axes, z: complex, text: str, middle: complex) -> None:
    """Mark a point of the line, its text on the outer side."""
    out = (z - middle) / max(abs(z - middle), 1e-300)
    ax.plot(z.real, z.imag, "o", ms=5, mfc="white", mec=DATA, zorder=3)
    ax.annotate(
        text,
        (z.real, z.imag),
        xytext=(14 * out.real, 12 * out.imag),
        textcoords="offset points",
        ha="center",
        va="center",
        fontsize=9,
        bbox={"fc": "white", "ec": "none", "alpha": 0.7, "pad": 0.5},
    )


def _pair(x: Any, y: Any, weights: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Return two columns and weights, of equal length and finite."""
    columns = [np.asarray(v) for v in (x, y)] + ([] if weights is None else [np.asarray(weights)])
    shapes = [v.shape for v in columns]
    if any(v.ndim != 1 or v.dtype.kind not in "fiub" for v in columns) or len(set(shapes)) > 1:
        msg = f"both columns and weights must be real numbers (events,) of equal length, got shapes {shapes}."
        raise ValueError(msg)
    if not len(columns[0]):
        msg = "there must be at least one event, got none."
        raise ValueError(msg)
    bad = ~np.all(np.isfinite(np.stack(columns)), axis=0)
    if bad.any():
        msg = f"{int(bad.sum())} of {len(bad)} events are not finite (first: event {first_bad(bad)}). Mask them out."
        raise ValueError(msg)
    return columns[0], columns[1], columns[2].astype(np.float64) if len(columns) > 2 else None


def dalitz(
    m2_ab: Any,
    m2_bc: Any,
    weights: Any = None,
    *,
    masses: Sequence[float] | None = None,
    bins: Any = 100,
    labels: tuple[str, str] = (r"$m^2_{ab}$ [GeV$^2$]", r"$m^2_{bc}$ [GeV$^2$]"),
    colorbar: bool = True,
    ax: Any = None,
) -> Axes:
    r"""Draw a Dalitz plot: events in cells of two invariant masses squared.

    With masses the edge is drawn, and what is outside of it stays white (but for cells with events) while cells inside
    without events have the colour of 0. Without, all cells without events stay white. On the edge all momenta are
    along one line, see `jaxpwa.physics.dalitz_boundary`, and the PDG's review of kinematics.

    Parameters
    ----------
    m2_ab, m2_bc
        ``(events,)`` each, GeV².
    weights
        ``(events,)``; None: ones.
    masses
        Of the decaying particle and of a, b and c, GeV.
    bins
        Number of cells in each direction, a pair of numbers, or a pair of edges. With masses, numbers cut the range
        that kinematics allows.
    labels
        Of x and y axis.
    colorbar
        Whether to draw the scale of colours.
    ax
        Axes; None: new ones.

    Returns
    -------
    The axes.

    Raises
    ------
    ValueError
        If columns and weights do not fit each other, are empty or not finite, or masses allow no decay.
    """
    x, y, weights = _pair(m2_ab, m2_bc, weights)
    edge, limits = None, None
    if masses is not None:
        if len(masses) != 4:
            msg = f"masses must be those of the decaying particle and of a, b and c, got {len(masses)} numbers."
            raise ValueError(msg)
        edge = [np.asarray(v) for v in dalitz_boundary(masses[0], tuple(masses[1:]), axes=(3, 1))]
        limits = [(v.min(), v.max()) for v in edge]
    counts, x_edges, y_edges = np.histogram2d(x, y, bins, limits, weights=weights)
    seen = np.histogram2d(x, y, [x_edges, y_edges])[0] > 0
    inside = seen if edge is None else _touches(x_edges, y_edges, masses)
    ax = axes_or_new(ax)
    cells = np.ma.masked_where(~(seen | inside), counts).T
    mesh = ax.pcolormesh(x_edges, y_edges, cells, cmap="viridis", rasterized=True)
    if colorbar:
        colour_bar(mesh, ax, "events" if weights is None else "sum of weights")
    if edge is not None:
        (line,) = ax.plot(*edge, color=DATA, lw=1)
        if not np.any(seen & ~inside):
            mesh.set_clip_path(line.get_path(), ax.transData)
        for set_limits, (low, high) in zip((ax.set_xlim, ax.set_ylim), limits or (), strict=True):
            set_limits(low - 0.03 * (high - low), high + 0.03 * (high - low))
    ax.set(xlabel=labels[0], ylabel=labels[1])
    return ax


def _touches(x_edges: np.ndarray, y_edges: np.ndarray, masses: Any) -> np.ndarray:
    """Return which cells have a part inside of the edge, from where it is in the columns of cells."""
    mass, a, b, c = (float(m) for m in masses)
    # In every column of cells, the lowest and highest y at its borders, and between them on a fine grid.
    fine = np.linspace(x_edges[:-1], x_edges[1:], 9, axis=1)
    inside = (fine >= (a + b) ** 2) & (fine <= (mass - c) ** 2)
    s = np.where(inside, fine, (a + b) ** 2)
    root = np.sqrt(s)
    energy_b, energy_c = (s - a**2 + b**2) / (2 * root), (mass**2 - s - c**2) / (2 * root)
    p_b = np.sqrt(np.maximum(energy_b**2 - b**2, 0))
    p_c = np.sqrt(np.maximum(energy_c**2 - c**2, 0))
    total = (energy_b + energy_c) ** 2
    low = np.min(np.where(inside, total - (p_b + p_c) ** 2, np.inf), axis=1)
    high = np.max(np.where(inside, total - (p_b - p_c) ** 2, -np.inf), axis=1)
    return (y_edges[1:][None, :] >= low[:, None]) & (y_edges[:-1][None, :] <= high[:, None])


def lego(
    x: Any,
    y: Any,
    weights: Any = None,
    *,
    bins: Any = 20,
    labels: tuple[str, str] = ("x", "y"),
    elevation: float = 35.0,
    azimuth: float = -125.0,
    ax: Any = None,
) -> Any:
    """Draw a histogram of two columns as towers.

    Parameters
    ----------
    x, y
        ``(events,)`` each.
    weights
        ``(events,)``; None: ones.
    bins
        Number of cells in each direction, a pair of numbers, or a pair of edges.
    labels
        Of x and y axis.
    elevation, azimuth
        Direction of view, degrees.
    ax
        Three-dimensional axes; None: new ones.

    Returns
    -------
    The axes. Cells without events have no tower.

    Raises
    ------
    ValueError
        If columns and weights do not fit each other, are empty or not finite.
    TypeError
        If the axes are flat.
    """
    from matplotlib import colormaps

    x, y, weights = _pair(x, y, weights)
    counts, x_edges, y_edges = np.histogram2d(x, y, bins, weights=weights)
    ax = axes_or_new(ax, projection="3d")
    if ax.name != "3d":
        msg = "ax must be three-dimensional: figure.add_subplot(projection='3d') makes such."
        raise TypeError(msg)
    towers: Any = ax
    i, j = np.nonzero(counts)
    height = counts[i, j]
    colours = colormaps["viridis"](np.clip(height / max(counts.max(), 1e-300), 0, 1))
    size = np.diff(x_edges)[i], np.diff(y_edges)[j]
    towers.bar3d(x_edges[i], y_edges[j], np.zeros_like(height), *size, height, color=colours, edgecolor="0.2", lw=0.15)
    towers.minorticks_off()
    towers.view_init(elev=elevation, azim=azimuth)
    towers.set(xlabel=labels[0], ylabel=labels[1], zlabel="events" if weights is None else "sum of weights")
    return towers
