"""Lego plots."""

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.colors import Colormap
    from mpl_toolkits.mplot3d import Axes3D


def _sample(name: str, values: Any) -> np.ndarray:
    array = np.asarray(values)
    if array.ndim != 1 or array.dtype.kind not in "fiub":
        msg = f"{name} must be real numbers of shape (events,), got shape {array.shape} of dtype {array.dtype}."
        raise ValueError(msg)
    bad = ~np.isfinite(array)
    if bad.any():
        where = int(np.argmax(bad))
        msg = (
            f"{name} must be finite: {int(bad.sum())} of {len(array)} events are not "
            f"(first: event {where}, {array[where]}). Mask them out."
        )
        raise ValueError(msg)
    return array


def make_lego(
    x: Any,
    y: Any,
    bins: Any = None,
    cmap: "str | Colormap" = "jet",
    ax: "Axes3D | None" = None,
    elev: float = 10,
    azim: float = 215,
) -> "Axes3D":
    r"""Draw a two-dimensional histogram as bars in three dimensions.

    Parameters
    ----------
    x, y
        Values, ``(events,)`` each, paired by position.
    bins
        Number of bins per axis, or what else `numpy.histogram2d` takes: a pair of numbers, edges for both axes, or a
        pair of edges. None: Sturges' rule for n events, :math:`\lceil \log_2 n \rceil + 1` per axis.
    cmap
        Name of a colour map, or the map itself: the lowest colour for empty cells, the highest for the fullest.
    ax
        Three-dimensional axes to draw on. None: new axes in a new figure.
    elev, azim
        Direction of view, in degrees.

    Returns
    -------
    The axes. The bar of a cell stands on it, between its edges in x and in y, and is as high as its count.

    Raises
    ------
    ModuleNotFoundError
        If matplotlib is missing.
    ValueError
        If x and y are empty, of different length, not of shape ``(events,)`` or not finite, or a number of bins is
        no whole number above 0.
    TypeError
        If ``ax`` is not three-dimensional.
    """
    try:
        from matplotlib import colormaps, pyplot
        from mpl_toolkits.mplot3d import Axes3D
    except ModuleNotFoundError:
        msg = "make_lego needs matplotlib: pip install 'jaxpwa[plot]'."
        raise ModuleNotFoundError(msg) from None

    x, y = _sample("x", x), _sample("y", y)
    if len(x) != len(y):
        msg = f"x and y must have equal lengths, got {len(x)} and {len(y)} events."
        raise ValueError(msg)
    if not len(x):
        msg = "x and y must have at least one event, got none."
        raise ValueError(msg)
    if bins is None:
        bins = math.ceil(math.log2(len(x))) + 1
    if np.isscalar(bins) and (not isinstance(bins, (int, np.integer)) or bins < 1):
        msg = f"bins must be a whole number above 0, or edges, got {bins!r}."
        raise ValueError(msg)
    colours = colormaps.get_cmap(cmap)
    if ax is None:
        ax = pyplot.figure().add_subplot(projection="3d")
    if not isinstance(ax, Axes3D):
        msg = f"ax must be three-dimensional, got {type(ax).__name__}: figure.add_subplot(projection='3d') makes such."
        raise TypeError(msg)

    counts, x_edges, y_edges = np.histogram2d(x, y, bins)
    # histogram2d has x along the first axis, so that "ij" and not meshgrid's default keeps cells and counts together.
    left, front = np.meshgrid(x_edges[:-1], y_edges[:-1], indexing="ij")
    width, depth = np.meshgrid(np.diff(x_edges), np.diff(y_edges), indexing="ij")
    height = counts.ravel()
    ax.bar3d(
        left.ravel(),
        front.ravel(),
        np.zeros_like(height),
        width.ravel(),
        depth.ravel(),
        height,
        color=colours(height / max(height.max(), 1)),
    )
    ax.view_init(elev=elev, azim=azim)
    return ax
