"""Parameters two by two: posterior samples, or the errors of a fit."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.patches import Ellipse
from matplotlib.ticker import MaxNLocator

from jaxpwa._checks import known
from jaxpwa._extras import needs
from jaxpwa.plot._canvas import axes_or_new, title_of
from jaxpwa.plot._library import pyplot
from jaxpwa.plot.styles import FIT, PALETTE

# Regions that hold both parameters with these probabilities; radii of the ellipses are sqrt(-2 ln(1 - p)).
_CONTENT = (0.682689, 0.954500)


def corner(
    samples: Any,
    names: Iterable[str] | None = None,
    *,
    truths: Mapping[str, float] | None = None,
    bins: int | None = None,
    color: str = FIT,
    label: str | None = None,
    titles: Mapping[str, str] | None = None,
    ax: Any = None,
) -> np.ndarray:
    """Draw parameters one by one on a diagonal and two by two below it.

    Lines around pairs hold 68.3 % and 95.4 % of the probability. Given the axes of an earlier call, a second set is
    drawn over the first: a fit over its posterior.

    Parameters
    ----------
    samples
        Draws by name, arrays of any shape (``(chains, draws)``); or what has such as ``samples``; or a `FitResult`, of
        which the Gaussians of its covariance are drawn.
    names
        Which, in which order; None: all that vary.
    truths
        Values to mark, by name.
    bins
        Number of bins in each direction; None: by the number of draws, from 8 to 30.
    color
        Of lines and histograms.
    label
        For a legend.
    titles
        How names are written, where they shall be written otherwise.
    ax
        Axes ``(n, n)``; None: new ones.

    Returns
    -------
    Axes, ``(n, n)``; those above the diagonal are off.

    Raises
    ------
    ModuleNotFoundError
        If the package corner is missing and samples are drawn.
    ValueError
        If a name is unknown, numbers of draws differ, a draw is not finite, or ``ax`` has another shape.
    TypeError
        If samples are none of these.
    """
    gaussian = not isinstance(samples, Mapping) and hasattr(samples, "covariance") and not hasattr(samples, "samples")
    source = _Gaussian(samples) if gaussian else _Draws(samples, bins)
    chosen = _chosen(source.names, names)
    unknown = [name for name in truths or () if name not in source.names]
    if unknown:
        msg = f"truths names {known(unknown)}; there are {known(source.names)}."
        raise ValueError(msg)
    axes = _square(len(chosen), ax)
    fresh = not axes[0, 0].has_data()
    limits = [source.limits(name) for name in chosen]
    if not fresh:
        before = [axes[i, i].get_xlim() for i in range(len(chosen))]
        limits = [(min(low, a), max(high, b)) for (low, high), (a, b) in zip(limits, before, strict=True)]
    for i, name in enumerate(chosen):
        x, density = source.alone(name)
        axes[i, i].plot(x, density, color=color, lw=1.5, label=label)
        axes[i, i].set_ylim(0, max(1.15 * density.max(), 0.0 if fresh else axes[i, i].get_ylim()[1]))
        for j, other in enumerate(chosen[:i]):
            source.together(axes[i, j], other, name, color)
    for i, (low, high) in enumerate(limits):
        for place in axes[i:, i]:
            place.set_xlim(low, high)
        for place in axes[i, :i]:
            place.set_ylim(low, high)
    for i, name in enumerate(chosen):
        if truths and name in truths:
            for place in axes[i:, i]:
                place.axvline(truths[name], color=PALETTE[2], lw=1, ls="--", zorder=4)
            for place in axes[i, :i]:
                place.axhline(truths[name], color=PALETTE[2], lw=1, ls="--", zorder=4)
    if fresh:
        _dress(axes, [title_of(name, titles) for name in chosen])
    _legend(axes)
    return axes


def _chosen(every: list[str], names: Iterable[str] | None) -> list[str]:
    chosen = every if names is None else [names] if isinstance(names, str) else list(names)
    unknown = [name for name in chosen if name not in every]
    if unknown or not chosen:
        what = f"there is no parameter {known(unknown)}" if unknown else "there is no parameter to draw"
        msg = f"{what}; those that vary are {known(every)}."
        raise ValueError(msg)
    return chosen


class _Draws:
    """Histograms of draws."""

    def __init__(self, samples: Any, bins: int | None):
        columns = samples if isinstance(samples, Mapping) else getattr(samples, "samples", None)
        if not isinstance(columns, Mapping):
            what = type(samples).__name__
            msg = f"samples must be draws by name, have such as .samples, or be a fit result, got {what}."
            raise TypeError(msg)
        self.values = {str(name): np.ravel(np.asarray(v, np.float64)) for name, v in columns.items()}
        sizes = {name: len(v) for name, v in self.values.items()}
        if len(set(sizes.values())) > 1:
            msg = f"all parameters must have as many draws, got {known(f'{k}: {v}' for k, v in sizes.items())}."
            raise ValueError(msg)
        bad = [name for name, v in self.values.items() if not np.all(np.isfinite(v))]
        if bad:
            msg = f"draws must be finite; those of {known(bad)} are not all."
            raise ValueError(msg)
        self.names = [name for name, v in self.values.items() if len(v) and np.ptp(v) > 0]
        self.bins = bins or int(np.clip(2 * np.cbrt(max(sizes.values(), default=0)), 8, 30))

    def limits(self, name: str) -> tuple[float, float]:
        """Hold all but the last draws of either side."""
        low, high = np.quantile(self.values[name], (0.0005, 0.9995))
        return low - 0.1 * (high - low), high + 0.1 * (high - low)

    def alone(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Return the outline of a normalised histogram."""
        counts, edges = np.histogram(self.values[name], self.bins, self.limits(name), density=True)
        return np.repeat(edges, 2), np.concatenate([[0.0], np.repeat(counts, 2), [0.0]])

    def together(self, ax: Axes, x: str, y: str, color: str) -> None:
        """Draw densities and contours."""
        needs("corner", "plot", "plot.corner").hist2d(
            self.values[x],
            self.values[y],
            self.bins,
            range=[self.limits(x), self.limits(y)],
            levels=_CONTENT,
            ax=ax,
            color=color,
            smooth=1.0,
            plot_density=False,
            fill_contours=True,
            no_fill_contours=True,
            data_kwargs={"ms": 1.5, "alpha": 0.15},
            contour_kwargs={"linewidths": 1.3},
            contourf_kwargs={"colors": [to_rgba(color, alpha) for alpha in (0.0, 0.2, 0.45)]},
            quiet=True,
        )


class _Gaussian:
    """The normal distribution that values and covariance of a fit stand for."""

    def __init__(self, result: Any):
        self.mean, self.every = dict(result.values), list(result.values)
        self.covariance = np.asarray(result.covariance, np.float64)
        variance = np.diag(self.covariance)
        self.names = [name for name, v in zip(self.every, variance, strict=True) if v > 0]

    def _at(self, *names: str) -> np.ndarray:
        rows = [self.every.index(name) for name in names]
        return self.covariance[np.ix_(rows, rows)]

    def limits(self, name: str) -> tuple[float, float]:
        """Hold three and a half standard deviations."""
        reach = 3.5 * np.sqrt(self._at(name)[0, 0])
        return self.mean[name] - reach, self.mean[name] + reach

    def alone(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Return a normal density."""
        sigma, x = np.sqrt(self._at(name)[0, 0]), np.linspace(*self.limits(name), 201)
        return x, np.exp(-0.5 * ((x - self.mean[name]) / sigma) ** 2) / (sigma * np.sqrt(2 * np.pi))

    def together(self, ax: Axes, x: str, y: str, color: str) -> None:
        """Draw ellipses."""
        squares, axes = np.linalg.eigh(self._at(x, y))
        angle = np.degrees(np.arctan2(axes[1, 1], axes[0, 1]))
        for content, dashes in zip(_CONTENT, ("-", "--"), strict=True):
            minor, major = 2 * np.sqrt(-2 * np.log(1 - content) * np.maximum(squares, 0))
            place = (self.mean[x], self.mean[y])
            ax.add_patch(Ellipse(place, major, minor, angle=angle, fill=False, ec=color, lw=1.3, ls=dashes, zorder=3))


def _square(n: int, ax: Any) -> np.ndarray:
    """Return (n, n) axes."""
    if ax is None:
        side = max(3.2, min(1.9 * n, 16.0))
        return pyplot.subplots(n, n, figsize=(side, side), squeeze=False, layout="constrained")[1]
    axes = np.atleast_2d(np.array(ax, object))
    if axes.shape != (n, n):
        msg = f"ax must be axes of shape ({n}, {n}), one per pair of parameters, got {axes.shape}."
        raise ValueError(msg)
    for one in axes.flat:
        axes_or_new(one)
    return axes


def _dress(axes: np.ndarray, texts: list[str]) -> None:
    """Take off what is above the diagonal, and label the outer axes."""
    n = len(texts)
    for i, j in np.ndindex(n, n):
        place: Any = axes[i, j]
        if j > i:
            place.axis("off")
            continue
        place.xaxis.set_major_locator(MaxNLocator(3, prune="both"))
        place.yaxis.set_major_locator(MaxNLocator(3, prune="both"))
        place.minorticks_off()
        place.tick_params(labelsize=8, labelbottom=i == n - 1, labelleft=j == 0 and i > 0, top=False, right=False)
        if i == j:
            place.set_yticks([])
        if i == n - 1:
            place.set_xlabel(texts[j])
            place.tick_params(axis="x", rotation=40)
        if j == 0 and i > 0:
            place.set_ylabel(texts[i])
    figure = axes[0, 0].figure
    figure.align_labels()


def _legend(axes: np.ndarray) -> None:
    """Put a legend where nothing is drawn."""
    handles, texts = axes[0, 0].get_legend_handles_labels()
    if handles and len(axes) > 1:
        axes[0, 1].legend(handles, texts, loc="center left", frameon=False)
    elif handles:
        axes[0, 0].legend(handles, texts, frameon=False)
