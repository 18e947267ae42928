"""Goodness of fit from nearest neighbours: how often they come from the same sample."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.spatial import KDTree
from scipy.special import ndtr

import jax
import jax.numpy as jnp

from jaxpwa._progress import progress_bar
from jaxpwa._random import key_words
from jaxpwa._settings import usable_cores
from jaxpwa.engine.devices import Devices
from jaxpwa.quality._samples import Record, Samples, samples, scaled_points
from jaxpwa.simulation.rejection import rejection_sample

_CHUNK = 20_000


@dataclass(frozen=True, eq=False)
class MixedSampleTest(Record):
    """What `mixed_sample_test` found.

    Attributes
    ----------
    statistic
        Fraction of neighbours from the event's own sample, T.
    expected, sigma
        Its mean and standard deviation if both samples come from the same distribution, over all ways to share out
        the labels of these points.
    sigma_limit
        The standard deviation in the limit of many events, neighbours and dimensions.
    n_neighbours, n_data, n_mc
        Neighbours of each event; events of data, and of unweighted Monte Carlo.
    spreads
        In which units distances were measured, by column.
    """

    statistic: float
    expected: float
    sigma: float
    sigma_limit: float
    n_neighbours: int
    n_data: int
    n_mc: int
    spreads: dict[str, float]

    @property
    def pull(self) -> float:
        """Excess of the statistic over its mean, in standard deviations; large where the model is wrong."""
        return (self.statistic - self.expected) / self.sigma

    @property
    def p_value(self) -> float:
        """Probability of a larger statistic for a right model, by the normal distribution."""
        return float(ndtr(-self.pull))

    def to_pandas(self) -> pd.DataFrame:
        """Return the test as one row.

        Returns
        -------
        Columns ``statistic``, ``expected``, ``sigma``, ``sigma_limit``, ``pull``, ``p_value``, ``n_neighbours``,
        ``n_data``, ``n_mc``.
        """
        names = ("statistic", "expected", "sigma", "sigma_limit", "pull", "p_value", "n_neighbours", "n_data", "n_mc")
        return pd.DataFrame([{name: getattr(self, name) for name in names}])

    def _table(self) -> tuple[str, list[str], list[list[str]]]:
        heading = (
            f"mixed samples in {', '.join(self.spreads)}: {self.n_data} events of data, {self.n_mc} of the model, "
            f"{self.n_neighbours} neighbours"
        )
        row = [f"{self.statistic:.6g}", f"{self.expected:.6g}", f"{self.sigma:.2g}"]
        return heading, ["T", "expected", "sigma", "pull", "p"], [[*row, f"{self.pull:.2f}", f"{self.p_value:.3g}"]]


def mixed_sample_test(
    key_or_seed: Any,
    result_or_params: Any,
    model: Any,
    data: Any,
    mc: Any,
    columns: str | Sequence[str],
    *,
    n_neighbours: int = 10,
    n_mc: int | None = None,
    periodic: Mapping[str, float] | None = None,
    scales: Mapping[str, float] | None = None,
    devices: Devices = None,
    progress: bool | None = None,
) -> MixedSampleTest:
    r"""Test a fit by the nearest neighbours in the mixture of data and Monte Carlo.

    .. math:: T = \frac{1}{n_k (n_a + n_b)} \sum_{i=1}^{n_a + n_b} \sum_{k=1}^{n_k} I(i, k)

    where :math:`I(i, k)` is 1 if event :math:`i` and its :math:`k`-th nearest neighbour are from the same sample, else
    0. With the same distribution in both samples, :math:`n = n_a + n_b` events,

    .. math::
        \mu_T = \frac{n_a (n_a - 1) + n_b (n_b - 1)}{n (n - 1)}, \quad
        \sigma_T^2 \to \frac{1}{n\, n_k} \left(\frac{n_a n_b}{n^2} + 4 \frac{n_a^2 n_b^2}{n^4}\right)

    the latter for many events, neighbours and dimensions (``sigma_limit``). The pull takes the exact variance over all
    ways to share out the labels, given who is whose neighbour (``sigma``), which needs no limit.

    Monte Carlo is unweighted by rejection sampling on the fit. Parameters that were fitted to the same data make the
    model look better than one that is merely right: p-values are then somewhat too large.

    Parameters
    ----------
    key_or_seed
        A whole number, or a JAX key.
    result_or_params
        A `jaxpwa.FitResult`, or numbers by name.
    model
        ``intensity(params, data) -> (events,)``. None: ``mc`` has the expected distribution already.
    data
        Events without weights: neighbours can't be counted in fractions. `energy_test` takes weights.
    mc
        Monte Carlo of the fit. Weights, not negative, multiply the intensity.
    columns
        Names of the columns in which distance is measured, each in units of its spread in both samples.
    n_neighbours
        Neighbours of each event that are looked at.
    n_mc
        Most events of unweighted Monte Carlo to take, at random. None: all.
    periodic
        Periods by name of the column, such as ``{"phi": 2 * np.pi}``: distances are then those on a circle.
    scales
        What to measure a column by, by name, in place of its spread.
    devices, progress
        As in `jaxpwa.evaluate`.

    Returns
    -------
    MixedSampleTest
        ``statistic``, ``expected``, ``sigma``, ``pull`` and ``p_value`` (upper tail of the normal distribution).

    Raises
    ------
    ValueError, TypeError
        If data have weights, Monte Carlo has negative ones, there are too few events, or columns do not fit.

    References
    ----------
    M. Williams, How good are your fits? Unbinned multivariate goodness-of-fit tests in high energy physics,
    JINST 5 (2010) P09004, arXiv:1006.3019.

    Examples
    --------
    >>> import numpy as np, jaxpwa as jp
    >>> from jaxpwa.quality import mixed_sample_test
    >>> rng = np.random.default_rng(1)
    >>> x, flat = rng.random(500) ** 0.5, rng.random(5000)  # data follow 2 x
    >>> model = lambda p, d: d["x"] ** p["b"]
    >>> [mixed_sample_test(1, {"b": b}, model, {"x": x}, {"x": flat}, "x").p_value > 0.01 for b in (1.0, 3.0)]
    [True, False]
    """
    for what, value in (("n_neighbours", n_neighbours), ("n_mc", 2 if n_mc is None else n_mc)):
        if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < 1:
            msg = f"{what} must be a whole number of at least 1, got {value!r}."
            raise ValueError(msg)
    words = key_words(key_or_seed)
    both = samples(result_or_params, model, data, mc, columns, devices=devices, progress=progress)
    _refuse_weights(both)
    survivors = _unweighted(words, both, n_mc, devices, progress)
    n_a, n_b = len(both.data), len(survivors)
    n = n_a + n_b
    if n <= n_neighbours or n < 4:
        msg = f"{n_a} events of data and {n_b} of the model are too few for {n_neighbours} neighbours."
        raise ValueError(msg)
    points, spreads = scaled_points(np.concatenate([both.data, survivors]), np.ones(n), both.names, periodic, scales)
    with progress_bar("neighbours", n, "event", progress) as bar:
        neighbours = nearest(points, n_neighbours, bar)
    is_data = np.arange(n) < n_a
    statistic = float(np.mean(is_data[neighbours] == is_data[:, None]))
    share = n_a * n_b / n**2
    return MixedSampleTest(
        statistic=statistic,
        expected=(n_a * (n_a - 1) + n_b * (n_b - 1)) / (n * (n - 1)),
        sigma=float(np.sqrt(label_variance(neighbours, n_a, n_b))),
        sigma_limit=float(np.sqrt((share + 4 * share**2) / (n * n_neighbours))),
        n_neighbours=int(n_neighbours),
        n_data=n_a,
        n_mc=n_b,
        spreads=spreads,
    )


def _refuse_weights(both: Samples) -> None:
    """Refuse what can't be counted."""
    if np.any(both.data_weights != both.data_weights[0]) or both.data_weights[0] < 0:
        msg = (
            f"data must not have weights here, got weights from {both.data_weights.min():.6g} to "
            f"{both.data_weights.max():.6g}: neighbours are counted. Use energy_test, which takes any."
        )
        raise ValueError(msg)
    if np.any(both.mc_weights < 0):
        msg = (
            f"mc must not have negative weights here, got {int(np.sum(both.mc_weights < 0))}: it is unweighted by "
            "rejection. Use energy_test, which takes weights of either sign."
        )
        raise ValueError(msg)


def _weight(params: Any, columns: Any) -> Any:
    return columns["weight"]


def _unweighted(
    words: np.ndarray, both: Samples, most: int | None, devices: Devices, progress: bool | None
) -> np.ndarray:
    """Return the points of Monte Carlo that rejection sampling keeps."""
    key = jax.random.wrap_key_data(jnp.asarray(words))
    mask, _ = rejection_sample(key, _weight, {}, {"weight": both.mc_weights}, devices=devices, progress=progress)
    points = both.mc[mask]
    if most is not None and most < len(points):
        points = points[np.sort(np.random.default_rng(words).choice(len(points), most, replace=False))]
    return points


def nearest(points: np.ndarray, n_neighbours: int, bar: Any) -> np.ndarray:
    """Return each point's nearest neighbours, ``(points, n_neighbours)``, itself left out."""
    tree: Any = KDTree(points)
    n = len(points)
    out = np.empty((n, n_neighbours), np.intp)
    for start in range(0, n, _CHUNK):
        stop = min(n, start + _CHUNK)
        _, found = tree.query(points[start:stop], n_neighbours + 1, workers=usable_cores())
        other = found != np.arange(start, stop)[:, None]
        other[other.all(axis=1), -1] = False  # among many equal points an event may not meet itself
        out[start:stop] = found[other].reshape(-1, n_neighbours)
        bar.update(stop - start)
    return out


def label_variance(neighbours: np.ndarray, n_a: int, n_b: int) -> float:
    """Variance of T over all ways to share out the labels among points whose neighbours are known.

    Pairs of neighbours have the same label with probabilities that depend only on whether they share two points,
    one or none.

    Parameters
    ----------
    neighbours
        Indices of each point's neighbours, ``(n_a + n_b, n_neighbours)``.
    n_a, n_b
        Sizes of the two samples.

    Returns
    -------
    The variance of the fraction of neighbours with the point's own label.
    """
    n, k = neighbours.shape
    m = n * k
    start, end = np.repeat(np.arange(n), k), neighbours.ravel()
    mutual = int(np.count_nonzero(np.isin(end * n + start, start * n + end)))
    degrees = k + np.bincount(end, minlength=n)
    two = m + mutual
    one = int(np.sum(degrees.astype(np.float64) ** 2)) - 2 * two
    none = m**2 - two - one

    def falling(x: int, length: int) -> float:
        return float(np.prod([float(x - i) for i in range(length)]))

    same_two = (falling(n_a, 2) + falling(n_b, 2)) / falling(n, 2)
    same_three = (falling(n_a, 3) + falling(n_b, 3)) / falling(n, 3)
    both_pairs = falling(n_a, 4) + falling(n_b, 4) + 2 * falling(n_a, 2) * falling(n_b, 2)
    mean_square = two * same_two + one * same_three + none * both_pairs / falling(n, 4)
    return mean_square / m**2 - same_two**2
