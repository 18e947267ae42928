"""The energy test: a goodness of fit from the distances between all pairs of events, with weights of either sign."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from jaxpwa._progress import progress_bar
from jaxpwa._random import key_words
from jaxpwa.engine.devices import Devices
from jaxpwa.quality._pairs import KERNELS, pair_sums
from jaxpwa.quality._samples import Record, Samples, n_effective, samples, scaled_points

_LABEL_BYTES = 256 << 20
_METHODS = ("auto", "permutation", "multiplier")


@dataclass(frozen=True, eq=False)
class EnergyTest(Record):
    """What `energy_test` found.

    Attributes
    ----------
    statistic
        T: 0 on average for a right model, positive for a wrong one.
    p_value
        ``(1 + number of null >= statistic) / (1 + permutations)``.
    null
        The statistic for each relabelling, as if the model were right.
    method
        How labels were drawn: ``"permutation"`` or ``"multiplier"``.
    kernel, width
        Of the distance, and its width in units of the spreads.
    n_data, n_mc
        Effective numbers of events, sum of weights squared over sum of squares.
    spreads
        In which units distances were measured, by column.
    """

    statistic: float
    p_value: float
    null: np.ndarray
    method: str
    kernel: str
    width: float
    n_data: float
    n_mc: float
    spreads: dict[str, float]

    @property
    def p_error(self) -> float:
        """Standard deviation of the p-value from the finite number of relabellings."""
        return float(np.sqrt(self.p_value * (1 - self.p_value) / len(self.null)))

    def to_pandas(self) -> pd.DataFrame:
        """Return the test as one row.

        Returns
        -------
        Columns ``statistic``, ``null_mean``, ``null_sigma``, ``p_value``, ``p_error``, ``method``, ``kernel``,
        ``width``, ``n_data``, ``n_mc``.
        """
        row = {"statistic": self.statistic, "null_mean": self.null.mean(), "null_sigma": self.null.std()}
        names = ("p_value", "p_error", "method", "kernel", "width", "n_data", "n_mc")
        return pd.DataFrame([row | {name: getattr(self, name) for name in names}])

    def _table(self) -> tuple[str, list[str], list[list[str]]]:
        heading = (
            f"energy test in {', '.join(self.spreads)}: {self.n_data:.6g} effective events of data, {self.n_mc:.6g} of "
            f"the model, {self.kernel} kernel of width {self.width:.3g}, {len(self.null)} draws by {self.method}"
        )
        row = [f"{self.statistic:.4g}", f"{self.null.mean():.2g} +- {self.null.std():.2g}"]
        p = f"{self.p_value:.3g} +- {self.p_error:.1g}" if self.p_value > 1 / len(self.null) else f"{self.p_value:.2g}"
        return heading, ["T", "if right", "p"], [[*row, p]]


def energy_test(
    key_or_seed: Any,
    result_or_params: Any,
    model: Any,
    data: Any,
    mc: Any,
    columns: str | Sequence[str],
    *,
    kernel: str = "gaussian",
    width: float | None = None,
    permutations: int = 500,
    method: str = "auto",
    periodic: Mapping[str, float] | None = None,
    scales: Mapping[str, float] | None = None,
    devices: Devices = None,
    progress: bool | None = None,
) -> EnergyTest:
    r"""Test a fit by the distances of all pairs of events, of data and of weighted Monte Carlo.

    .. math::
        T = \frac{\sum_{i \ne j} w_i w_j \psi_{ij}}{2 (W^2 - \sum_i w_i^2)}
        + \frac{\sum_{i \ne j} v_i v_j \psi_{ij}}{2 (V^2 - \sum_j v_j^2)}
        - \frac{\sum_{i, j} w_i v_j \psi_{ij}}{W V}

    with weights :math:`w` of data and :math:`v` of Monte Carlo times the intensity, :math:`W` and :math:`V` their
    sums; without weights the denominators are :math:`2 n (n - 1)`, :math:`2 m (m - 1)` and :math:`n m`.
    :math:`\psi` falls with the distance :math:`d`, each column being measured in units of its spread:
    :math:`\exp(-d^2 / 2 \sigma^2)`, or :math:`-\ln(d + \sigma)`.

    How T is distributed for a right model is found by drawing labels anew:

    ``"permutation"``
        Events with their weights are shared out anew to data and model. Exact where weights have the same distribution
        in both: two samples without weights, or two weighted alike.
    ``"multiplier"``
        Each event keeps its sample and its weight and gets a random sign :math:`\epsilon`:
        :math:`T^* = \frac12 \sum_{i \ne j} c_i c_j \epsilon_i \epsilon_j \tilde\psi_{ij}`, with :math:`c = w / W` or
        :math:`v / V` (up to the correction above) and :math:`\tilde\psi` the kernel less its means over the weighted
        mixture of both samples. Right for many events with any weights, in particular those of a model, where
        permutations would mix weights of different kinds.

    ``"auto"`` permutes if neither sample has weights. The kernel is computed once for all relabellings (more often only
    where labels would take more than 256 MB), and nothing of the size of all pairs is stored. The work is in proportion
    to the square of the number of events: Monte Carlo of some times the number of data is enough.

    Parameters that were fitted to the same data make the model look better than one that is merely right: p-values are
    then somewhat too large. Choose kernel and width before looking at the p-value.

    Parameters
    ----------
    key_or_seed
        A whole number, or a JAX key.
    result_or_params
        A `jaxpwa.FitResult`, or numbers by name.
    model
        ``intensity(params, data) -> (events,)``. None: ``mc`` has the expected distribution already.
    data
        Events, with weights of either sign.
    mc
        Monte Carlo of the fit. Weights, of either sign, multiply the intensity.
    columns
        Names of the columns in which distance is measured.
    kernel
        ``"gaussian"`` or ``"log"``.
    width
        :math:`\sigma`, in units of the spreads. None: :math:`\sqrt{k / 8}` for :math:`k` columns, a quarter of the root
        mean square distance of two events; for ``"log"``, a hundredth of that.
    permutations
        Relabellings; the smallest p-value is one over their number plus one.
    method
        ``"auto"``, ``"permutation"`` or ``"multiplier"``.
    periodic
        Periods by name of the column, such as ``{"phi": 2 * np.pi}``: distances are then those on a circle.
    scales
        What to measure a column by, by name, in place of its spread.
    devices
        None: as many as the pairs keep busy. Else a number or a sequence of JAX devices.
    progress
        As in `jaxpwa.evaluate`.

    Returns
    -------
    EnergyTest
        ``statistic``, ``p_value`` and the statistics under relabelling, ``null``.

    Raises
    ------
    ValueError, TypeError
        If columns or options do not fit, values are not finite, or weights nearly cancel.

    References
    ----------
    G. Zech, Scaling property of the statistical two-sample energy test, arXiv:1804.10599, eq. (1) for T without
    weights; B. Aslan, G. Zech, arXiv:hep-ex/0203010; M. Williams, JINST 5 (2010) P09004; A. Chatterjee,
    B. B. Bhattacharya, arXiv:2302.10687, for multipliers; B. Phipson, G. K. Smyth, Stat. Appl. Genet. Mol. Biol. 9
    (2010) 39, for the 1 in p-values.

    Examples
    --------
    >>> import numpy as np, jaxpwa as jp
    >>> from jaxpwa.quality import energy_test
    >>> rng = np.random.default_rng(1)
    >>> x, flat = rng.random(300) ** 0.5, rng.random(1000)  # data follow 2 x
    >>> model = lambda p, d: d["x"] ** p["b"]
    >>> [energy_test(1, {"b": b}, model, {"x": x}, {"x": flat}, "x").p_value > 0.01 for b in (1.0, 3.0)]
    [True, False]
    """
    _check_options(kernel, width, permutations, method)
    rng = np.random.default_rng(key_words(key_or_seed))
    both = samples(result_or_params, model, data, mc, columns, devices=devices, progress=progress)
    weights = _weights(both)
    is_data = np.arange(len(weights)) < len(both.data)
    raw = np.concatenate([both.data, both.mc])
    points, spreads = scaled_points(raw, weights, both.names, periodic, scales)
    if width is None:
        width = float(np.sqrt(len(both.names) / 8)) * (0.01 if kernel == "log" else 1.0)
    alike = all(np.ptp(w) == 0 for w in (both.data_weights, both.mc_weights))
    chosen = ("permutation" if alike else "multiplier") if method == "auto" else method
    draw = _by_permutation if chosen == "permutation" else _by_multiplier
    batches = _batches(len(weights), permutations)
    null, statistic = [], 0.0
    with progress_bar("energy test", len(weights) * len(batches), "event", progress) as bar:
        for number in batches:

            def sums(w: np.ndarray, labels: np.ndarray, vector: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
                return pair_sums(points, w, labels, vector, kernel, width, devices=devices, on_points=bar.update)

            statistic, drawn = draw(rng, weights, is_data, number, sums)
            null.append(drawn)
    t = np.concatenate(null)[:permutations]
    # A relabelling that gives the same sums in another order counts as equal.
    above = int(np.count_nonzero(~(t < statistic - 1e-10 * np.nanmax(np.abs([statistic, *t])))))
    return EnergyTest(
        statistic=statistic,
        p_value=(1 + above) / (1 + len(t)),
        null=t,
        method=chosen,
        kernel=kernel,
        width=float(width),
        n_data=n_effective(both.data_weights),
        n_mc=n_effective(both.mc_weights),
        spreads=spreads,
    )


def _check_options(kernel: str, width: float | None, permutations: int, method: str) -> None:
    for what, value, allowed in (("kernel", kernel, tuple(KERNELS)), ("method", method, _METHODS)):
        if value not in allowed:
            msg = f"{what} must be one of {', '.join(map(repr, allowed))}, got {value!r}."
            raise ValueError(msg)
    if width is not None and not (isinstance(width, (int, float, np.number)) and 0 < width < np.inf):
        msg = f"width must be a positive number, in units of the spreads, got {width!r}."
        raise ValueError(msg)
    if not isinstance(permutations, (int, np.integer)) or isinstance(permutations, bool) or permutations < 1:
        msg = f"permutations must be a whole number of at least 1, got {permutations!r}."
        raise ValueError(msg)


def _weights(both: Samples) -> np.ndarray:
    """Return the weights of data, then of Monte Carlo, each with a mean of one."""
    parts = []
    for what, w in (("data", both.data_weights), ("mc", both.mc_weights)):
        if n_effective(w) <= 1 + 1e-9:
            msg = f"the weights of {what} must be worth more than one event, got {n_effective(w):.3g}."
            raise ValueError(msg)
        parts.append(w / w.mean())
    return np.concatenate(parts)


def _batches(n_points: int, permutations: int) -> list[int]:
    """Return how many relabellings each pass over the pairs serves, the same number in all: it is compiled in."""
    n_passes = -(-permutations // max(1, _LABEL_BYTES // n_points))
    return [-(-permutations // n_passes)] * n_passes


def _by_permutation(
    rng: np.random.Generator, w: np.ndarray, is_data: np.ndarray, number: int, sums: Any
) -> tuple[float, np.ndarray]:
    """Return the statistic, and the same for labels that are shared out anew."""
    labels = np.empty((number + 1, len(w)), np.int8)
    labels[0] = is_data
    for row in labels[1:]:
        row[:] = rng.permutation(labels[0])
    forms, product = sums(w, labels.T, w)

    def over(values: np.ndarray) -> np.ndarray:
        return np.array([values[row != 0].sum() for row in labels])

    data_all, every = over(w * product), float(w @ product)
    data_mc = data_all - forms
    mc_mc = every - data_all - data_mc
    a, squares = over(w), over(w**2)
    b, mc_squares = w.sum() - a, np.sum(w**2) - squares
    with np.errstate(all="ignore"):  # signed weights may cancel in a sample drawn: such a draw counts as above
        t = 0.5 * forms / (a**2 - squares) + 0.5 * mc_mc / (b**2 - mc_squares) - data_mc / (a * b)
    return float(t[0]), t[1:]


def _by_multiplier(
    rng: np.random.Generator, w: np.ndarray, is_data: np.ndarray, number: int, sums: Any
) -> tuple[float, np.ndarray]:
    """Return the statistic, and the same for events with random signs about the mean of both samples."""
    c, share, cross = np.empty_like(w), np.empty_like(w), 1.0
    for mine in (is_data, ~is_data):
        total, squares = w[mine].sum(), np.sum(w[mine] ** 2)
        c[mine] = w[mine] / np.sqrt(total**2 - squares)
        share[mine] = w[mine] * (total / squares)  # sums to the effective number of events
        cross *= np.sqrt(total**2 - squares) / total
    share /= share.sum()
    labels = np.empty((number + 3, len(w)), np.int8)
    labels[0], labels[1], labels[2] = is_data, ~is_data, 1
    for row in labels[3:]:
        row[:] = 2 * rng.integers(0, 2, len(w), dtype=np.int8) - 1
    forms, product = sums(c, labels.T, share)
    statistic = 0.5 * (forms[0] + forms[1]) - 0.5 * cross * (forms[2] - forms[0] - forms[1])
    mean, square = float(share @ product), float(np.sum(c**2))
    t = np.empty(number)
    for k, signs in enumerate(labels[3:]):
        e = c * signs
        total = e.sum()
        away = total * float(e @ product) - float(c**2 @ product)
        t[k] = 0.5 * (forms[3 + k] - 2 * away + mean * (total**2 - square))
    return float(statistic), t
