"""Waves in bins of mass: intensities and phases with the curves of a model."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from jaxpwa._checks import known
from jaxpwa.plot._canvas import figure_of, grid, headroom, legend, per_bin, title_of
from jaxpwa.plot.styles import DATA, MUTED, PALETTE, line_look

Curve = tuple[Any, Any]

_DASHES = ("-", "--", ":")


def _as_table(table: Any) -> pd.DataFrame:
    """Return a DataFrame with bins as rows."""
    if hasattr(table, "to_pandas"):
        table = table.to_pandas()
    if not isinstance(table, pd.DataFrame):
        msg = f"table must be a DataFrame, or have to_pandas(), got {type(table).__name__}."
        raise TypeError(msg)
    missing = [name for name in ("low", "high", "centre") if name not in table]
    if missing:
        msg = f"the table must have the columns low, high and centre of its bins; {known(missing)} are missing."
        raise ValueError(msg)
    return table


def _column(table: pd.DataFrame, name: str, kind: str) -> np.ndarray:
    """Return numbers of a column, or say which there are."""
    if name not in table:
        found = [str(c)[len(kind) + 1 :] for c in table if str(c).startswith(kind + " ") and not _is_error(c)]
        msg = f"the table has no column {name!r}; its {kind}s are of: {known(found, 30)}."
        raise ValueError(msg)
    return table[name].to_numpy(np.float64, na_value=np.nan)


def _is_error(name: Any) -> bool:
    return str(name).endswith(" error")


def _valid(table: pd.DataFrame) -> np.ndarray:
    """Return which bins have a valid fit: all, where the table does not say."""
    return table["valid"].to_numpy(bool) if "valid" in table else np.ones(len(table), bool)


def _points(ax: Axes, table: pd.DataFrame, y: np.ndarray, error: np.ndarray, **look: Any) -> None:
    """Draw a point for each bin, hollow where the fit is not valid or the error is not known."""
    x, half = (table[name].to_numpy(np.float64) for name in ("centre", "low"))
    half = np.stack([x - half, table["high"].to_numpy(np.float64) - x])
    valid, label = _valid(table) & np.isfinite(error), look.pop("label", None)
    look = {"fmt": "o", "ms": 4, "lw": 1.0, "zorder": 3} | look
    for rows, own in ((valid, {"label": label}), (~valid, {"mfc": "white", "mew": 1.0, "alpha": 0.7})):
        if rows.any():
            length = np.where(np.isfinite(error[rows]), error[rows], 0.0)
            width = None if look["fmt"] == "none" else half[:, rows]
            ax.errorbar(x[rows], y[rows], length, width, **look, **own)


def _curves_of(curves: Any, name: Any) -> dict[str, Curve]:
    """Return the curves of one panel by label."""
    if curves is None or name not in curves:
        return {}
    found = curves[name]
    return dict(found) if isinstance(found, Mapping) else {"model": found}


def _check_curves(curves: Any, names: Sequence[Any], table: pd.DataFrame) -> None:
    """Refuse a curve of something that is neither drawn nor in the table."""
    for key in curves or ():
        pair = key if isinstance(key, tuple) and len(key) == 2 else None
        there = (f"phase {pair[0]} - {pair[1]}", f"phase {pair[1]} - {pair[0]}") if pair else (f"yield {key}",)
        if key not in names and not any(name in table for name in there):
            msg = f"there is a curve for {key!r}, which is not in the table; drawn: {known(map(str, names))}."
            raise ValueError(msg)


def intensities(
    table: Any,
    names: str | Iterable[str] | None = None,
    *,
    curves: Mapping[str, Any] | None = None,
    titles: Mapping[str, str] | None = None,
    label: str = "mass",
    points: str = "bins",
    columns: int = 3,
    ax: Any = None,
) -> np.ndarray:
    """Draw yields of waves in bins of mass.

    Parameters
    ----------
    table
        One row per bin, as a DataFrame or with ``to_pandas()``: ``low``, ``high``, ``centre``, ``yield <name>``,
        ``yield <name> error``; bins whose ``valid`` is False, or whose error is not known, are drawn hollow.
    names
        Of waves or groups, one panel each; one name; None: all of the table.
    curves
        By name ``(x, y)``, or several by label: ``{"D2+": {"fit": (x, y), "put in": (x, z)}}``. With one more x than y
        they are steps between edges.
    titles
        How names are written, where they shall be written otherwise: ``{"D2+": "$D_2^+$"}``.
    label
        Of the x axis, with the unit at its end: ``"m [GeV]"``.
    points
        What the legend calls the points.
    columns
        Most panels in a row.
    ax
        One axes for all names, which a legend then tells apart, or one for each. None: new ones.

    Returns
    -------
    Axes, one for each name, ``(names,)``.

    Raises
    ------
    ValueError
        If the table lacks a column, naming those it has; if a curve belongs to nothing in it.
    TypeError
        If the table is none, or a curve is not (x, y).
    """
    table = _as_table(table)
    names = _names(table, names)
    _check_curves(curves, names, table)
    together = isinstance(ax, Axes) and len(names) > 1
    is_own, axes = ax is None, grid(len(names), ax, columns, sharex=True)
    edges = np.append(table["low"].to_numpy(np.float64), table["high"].to_numpy(np.float64)[-1:])
    tops: dict[Axes, float] = {}
    for i, (name, place) in enumerate(zip(names, axes, strict=True)):
        y, error = _column(table, f"yield {name}", "yield"), _column(table, f"yield {name} error", "yield")
        title = title_of(name, titles)
        look = {"color": line_look(i)["color"], "label": title} if together else {"color": DATA, "label": points}
        _points(place, table, y, error, **look)
        highest = y + np.nan_to_num(error)
        for k, (text, curve) in enumerate(_curves_of(curves, name).items()):
            own = {"color": look["color"]} if together else {"color": PALETTE[2 * k % 10], "label": text}
            highest = np.append(highest, _line(place, curve, ls=_DASHES[k % 3], **own))
        tops[place] = max(tops.get(place, 0.0), float(np.nanmax(highest, initial=0.0)))
        if not together:
            place.set_title(title)
    if together:
        _name_dashes(axes[0], [text for name in names for text in _curves_of(curves, name)])
    for place, top in tops.items():
        place.axhline(0, color=MUTED, lw=0.6, zorder=1)
        headroom(place, top, 0.12)
    _dress(axes, label, per_bin(edges, label), is_own, columns)
    legend(axes[0], is_own)
    return axes


def _names(table: pd.DataFrame, names: str | Iterable[str] | None) -> list[str]:
    """Return the names of what is drawn."""
    if isinstance(names, str):
        return [names]
    every = [str(c)[len("yield ") :] for c in table if str(c).startswith("yield ") and not _is_error(c)]
    found = every if names is None else list(names)
    if not found:
        msg = "names must have at least one name" + ("." if names is not None else ": the table has no 'yield ...'.")
        raise ValueError(msg)
    return found


def _name_dashes(ax: Axes, texts: list[str]) -> None:
    """Say in the legend of several names what dashes mean."""
    for k, text in enumerate(dict.fromkeys(texts)):
        ax.plot([], [], color=MUTED, ls=_DASHES[k % 3], lw=1.5, label=text)


def _line(ax: Axes, curve: Curve, **look: Any) -> np.ndarray:
    """Draw a curve, or steps where there are edges; return its values."""
    try:
        x, y = (np.asarray(v, np.float64) for v in curve)
    except (TypeError, ValueError):
        msg = f"a curve must be (x, y) with numbers of equal length, got {type(curve).__name__}."
        raise TypeError(msg) from None
    if x.ndim == y.ndim == 1 and len(x) == len(y) + 1:
        ax.stairs(y, x, baseline=None, lw=1.5, **look)
    elif x.ndim == 1 and x.shape == y.shape:
        ax.plot(x, y, lw=1.5, **look)
    else:
        msg = f"a curve must be (x, y) of equal length (or one more x: edges), got shapes {x.shape} and {y.shape}."
        raise ValueError(msg)
    return y


def _dress(axes: np.ndarray, xlabel: str, ylabel: str, is_own: bool, columns: int) -> None:
    """Label the axes: all of them where they are the user's, the outer ones of our own grid."""
    for i, place in enumerate(axes):
        if not is_own or i + columns >= len(axes):
            place.set_xlabel(xlabel)
        if not is_own or i % columns == 0:
            place.set_ylabel(ylabel)
    if is_own:
        figure_of(axes).align_ylabels()


def phases(
    table: Any,
    pairs: Any,
    *,
    curves: Mapping[Any, Any] | None = None,
    unwrap: bool = False,
    degrees: bool = True,
    titles: Mapping[str, str] | None = None,
    label: str = "mass",
    points: str = "bins",
    columns: int = 3,
    ax: Any = None,
) -> np.ndarray:
    """Draw phase differences of waves in bins of mass.

    Wrapped, phases lie between -180 and 180 degrees; a bar that leaves at one edge comes in at the other, and a curve
    is cut where it jumps. Unwrapped, each point and then the curve move by whole turns to where they continue best.

    Parameters
    ----------
    table
        As in `intensities`, with ``phase <a> - <b>`` and ``phase <a> - <b> error`` in rad.
    pairs
        ``(a, b)`` for the phase of a minus that of b, or several of such. What the table has the other way round
        is turned.
    curves
        By pair ``(x, phase in rad)``, or several by label, as in `intensities`.
    unwrap
        Whether to follow phases over several turns.
    degrees
        False: draw rad.
    titles, label, points, columns, ax
        As in `intensities`; titles by name of the wave.

    Returns
    -------
    Axes, one for each pair, ``(pairs,)``.

    Raises
    ------
    ValueError
        If the table lacks a phase; if pairs are none; if a curve belongs to nothing in the table.
    TypeError
        If the table is none.
    """
    table = _as_table(table)
    pairs = _pairs(pairs)
    _check_curves(curves, pairs, table)
    together = isinstance(ax, Axes) and len(pairs) > 1
    is_own, axes = ax is None, grid(len(pairs), ax, columns, sharex=True)
    turn = 360.0 if degrees else 2 * np.pi
    for i, (pair, place) in enumerate(zip(pairs, axes, strict=True)):
        y, error = _phase(table, *pair)
        y, error = _follow(y, _valid(table)) if unwrap else _wrapped(y), error * turn / (2 * np.pi)
        title = " \u2212 ".join(title_of(name, titles) for name in pair)
        look = {"color": line_look(i)["color"], "label": title} if together else {"color": DATA, "label": points}
        shown = y * turn / (2 * np.pi)
        _points(place, table, shown, error, **look)
        if not unwrap:
            for shift in (-turn, turn):
                over = _valid(table) & (np.abs(shown + shift) - error < turn / 2)
                again = np.where(over, shown + shift, np.nan)
                _points(place, table, again, error, **(look | {"fmt": "none", "label": None}))
        for k, (text, (x, phase)) in enumerate(_curves_of(curves, pair).items()):
            x, phase = _ready(x, phase, unwrap, table["centre"].to_numpy(np.float64), y)
            own = {"color": look["color"]} if together else {"color": PALETTE[2 * k % 10], "label": text}
            _line(place, (x, phase * turn / (2 * np.pi)), ls=_DASHES[k % 3], **own)
        if not together:
            place.set_title(title)
    if together:
        _name_dashes(axes[0], [text for pair in pairs for text in _curves_of(curves, pair)])
    for place in dict.fromkeys(axes):
        if not unwrap:
            place.set_ylim(-0.53 * turn, 0.53 * turn)
            for edge in (-turn / 2, turn / 2):
                place.axhline(edge, color=MUTED, lw=0.6, zorder=1)
        if degrees:
            place.yaxis.set_major_locator(_quarters(place))
    _dress(axes, label, "phase [degrees]" if degrees else "phase [rad]", is_own, columns)
    legend(axes[0], is_own)
    return axes


def _quarters(ax: Axes) -> Any:
    """Return ticks at right angles, further apart where a phase makes many turns."""
    from matplotlib.ticker import MultipleLocator

    low, high = ax.get_ylim()
    return MultipleLocator(next((s for s in (30, 45, 90, 180) if (high - low) / s <= 6), 360))


def _pairs(pairs: Any) -> list[tuple[str, str]]:
    """Return pairs of names, from one or several."""
    given = list(pairs)
    if len(given) == 2 and all(isinstance(name, str) for name in given):
        given = [tuple(given)]
    for pair in given:
        if isinstance(pair, str) or len(pair) != 2 or not all(isinstance(name, str) for name in pair):
            msg = f"pairs must be ('a', 'b') for the phase of a minus that of b, or several of such, got {pair!r}."
            raise ValueError(msg)
    if not given:
        msg = "pairs must have at least one pair, got none."
        raise ValueError(msg)
    return [(a, b) for a, b in given]


def _phase(table: pd.DataFrame, a: str, b: str) -> tuple[np.ndarray, np.ndarray]:
    """Return a phase difference and its error, turned round where the table has it so."""
    name, other = f"phase {a} - {b}", f"phase {b} - {a}"
    sign = -1.0 if name not in table and other in table else 1.0
    name = other if sign < 0 else name
    return sign * _column(table, name, "phase"), _column(table, f"{name} error", "phase")


def _wrapped(phase: np.ndarray) -> np.ndarray:
    """Return phases in (-pi, pi]."""
    return -((-phase + np.pi) % (2 * np.pi) - np.pi)


def _follow(phase: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Move phases by whole turns, each next to the last valid one before it."""
    out, last = phase.copy(), np.nan
    for i, value in enumerate(phase):
        if np.isfinite(value) and np.isfinite(last):
            out[i] = value - 2 * np.pi * np.round((value - last) / (2 * np.pi))
        if valid[i] and np.isfinite(value):
            last = out[i]
    return out


def _ready(x: Any, phase: Any, unwrap: bool, centre: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return a curve cut where it jumps, or continued and moved by whole turns to the points."""
    x, phase = np.asarray(x, np.float64), np.asarray(phase, np.float64)
    if x.ndim != 1 or x.shape != phase.shape:
        msg = f"a curve of phases must be (x, phase) of equal length, got shapes {x.shape} and {phase.shape}."
        raise ValueError(msg)
    if unwrap:
        phase = np.unwrap(phase)
        off = y - np.interp(centre, x, phase, left=np.nan, right=np.nan)
        off = off[np.isfinite(off)]
        return x, phase + (2 * np.pi * np.round(np.median(off) / (2 * np.pi)) if len(off) else 0.0)
    phase = _wrapped(phase)
    jumps = np.flatnonzero(np.abs(np.diff(phase)) > np.pi)
    # To the edge, a cut, and on from the other edge.
    side = np.pi * np.sign(phase[jumps])
    gap = side - phase[jumps]
    step = phase[jumps + 1] + 2 * side - phase[jumps]
    at = x[jumps] + (x[jumps + 1] - x[jumps]) * np.where(step == 0, 0.5, gap / np.where(step == 0, 1.0, step))
    where = np.repeat(jumps + 1, 3)
    cut = np.full(len(jumps), np.nan)
    return (
        np.insert(x, where, np.stack([at, cut, at], axis=1).ravel()),
        np.insert(phase, where, np.stack([side, cut, -side], axis=1).ravel()),
    )
