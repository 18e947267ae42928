r"""Q-factors: the probability that an event is signal, from a fit to its neighbours.

For each event the *k* nearest neighbours in the coordinates (itself among them) are fitted in a discriminating
variable *m*:

.. math:: \max_{f, \eta} \sum_{l} \ln[f\, s(m_l; \eta) + (1 - f)\, b(m_l; \eta)], \quad
          Q_i = \frac{f\, s(m_i)}{f\, s(m_i) + (1 - f)\, b(m_i)}

References
----------
M. Williams, M. Bellis, C. A. Meyer, JINST 4 (2009) P10003, arXiv:0809.2548: the method.
"""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix
from scipy.spatial import KDTree

import jax

from jaxpwa._checks import ConvergenceWarning, check_length, first_bad
from jaxpwa._progress import progress_bar
from jaxpwa._settings import usable_cores
from jaxpwa.data.dataset import as_dataset
from jaxpwa.engine.devices import Devices, event_mesh, select_devices
from jaxpwa.engine.model import ModelRef
from jaxpwa.inference.propagate import Estimate
from jaxpwa.inference.report import Tabular, with_error
from jaxpwa.weights._inputs import checked_range, checked_start, discriminating_values, normalised, scaled_points
from jaxpwa.weights._localfits import LocalFits, ShapeModel, fraction_fits, shape_fits

# Numbers at work at once on a device, 8 bytes each.
_AT_ONCE = {"cpu": 1 << 20}
_AT_ONCE_ELSEWHERE = 1 << 24


@dataclass(frozen=True, eq=False)
class QFactors(Tabular):
    """Q-factors of events, and what their errors depend on.

    Attributes
    ----------
    weights
        Q, ``(events,)``, between 0 and 1.
    errors
        One standard deviation of each Q by the local fit, ``(events,)``; NaN where it has none. Errors of neighbours
        are correlated: `jaxpwa.fit` takes ``influence=q`` instead of them.
    parameters
        ``"fraction"``, and shape parameters by name, of the local fits, ``(events,)`` each.
    neighbours
        Positions of the neighbours, the event itself first, ``(events, k)`` int32.
    influence
        Derivative of the event's Q with respect to the weight of each neighbour in its fit, ``(events, k)``.
    converged, at_bound
        Whether the local fit converged, and whether its fraction is 0 or 1, ``(events,)``: the latter have no
        influence.
    """

    weights: np.ndarray
    errors: np.ndarray
    parameters: dict[str, np.ndarray] = field(repr=False)
    neighbours: np.ndarray = field(repr=False)
    influence: np.ndarray = field(repr=False)
    converged: np.ndarray = field(repr=False)
    at_bound: np.ndarray = field(repr=False)

    def influence_on(self, scores: Any) -> np.ndarray:
        r"""Return how each event moves a weighted sum of scores by way of other events' Q-factors.

        .. math:: \sum_i \frac{d Q_i}{d \omega_l}\, g_i

        Parameters
        ----------
        scores
            :math:`g_i`, ``(events, n)``.

        Returns
        -------
        Array ``(events, n)``.

        Raises
        ------
        ValueError
            If there is not one row per event.
        """
        g = np.asarray(scores, np.float64)
        n, k = self.neighbours.shape
        check_length("scores", len(g), "event", n)
        by_event = csr_matrix((self.influence.ravel(), self.neighbours.ravel(), np.arange(0, n * k + 1, k)), (n, n))
        return by_event.T @ g

    @property
    def signal(self) -> Estimate:
        """Sum of the Q-factors: the number of signal events, with its error including that of counting."""
        influence = self.weights + self.influence_on(np.ones((len(self.weights), 1)))[:, 0]
        variance = float(influence @ influence)
        return Estimate(float(self.weights.sum()), variance**0.5, np.array([[variance]]))

    def to_pandas(self) -> pd.DataFrame:
        """Return one row per event: Q, its error, the parameters of the local fit and whether it converged."""
        columns = {"Q": self.weights, "error": self.errors, **self.parameters}
        return pd.DataFrame({**columns, "converged": self.converged, "at_bound": self.at_bound})

    def _table(self) -> tuple[str, list[str], list[list[str]]]:
        """Return a heading, the header and the rows of the table."""
        n, k = self.neighbours.shape
        signal = self.signal
        rows = [
            ["signal events", with_error(signal.value, signal.error)],
            ["mean error of Q", f"{np.nanmean(self.errors) if np.isfinite(self.errors).any() else np.nan:.3g}"],
            *([f"mean {name}", f"{values.mean():.4g}"] for name, values in self.parameters.items()),
            ["fraction at 0 or 1", f"{int(self.at_bound.sum())} events"],
            ["not converged", f"{int((~self.converged).sum())} events"],
        ]
        return f"Q-factors of {n} events, {k} neighbours each", ["", ""], rows


def q_factors(
    data: Any,
    coordinates: Sequence[str],
    discriminating: str,
    signal: Callable[[dict[str, Any], jax.Array], Any],
    background: Callable[[dict[str, Any], jax.Array], Any],
    range: tuple[float, float],
    *,
    k: int = 100,
    start: Mapping[str, float] | None = None,
    periodic: Mapping[str, float] | None = None,
    scales: Mapping[str, float] | None = None,
    devices: Devices = None,
    progress: bool | None = None,
) -> QFactors:
    r"""Compute the probability that each event is signal, from a fit to its neighbours.

    Distances are :math:`d^2_{ij} = \sum_c [(x_{c,i} - x_{c,j}) / r_c]^2`. What is fitted with the weights afterwards
    must depend on these coordinates alone; what it depends on besides is biased. Densities are normalised here, over
    ``range``. All local fits run side by side: of the fraction alone by Newton's method between brackets (the
    likelihood is concave), with shape parameters by damped Newton steps from ``start``.

    The derivative of each Q-factor with respect to the weight of event *l* in its fit,

    .. math:: \frac{d Q_i}{d \omega_l} = \frac{\partial Q_i}{\partial \theta} H_i^{-1} \nabla_\theta \ln p(m_l; \theta),
              \quad H_i = - \sum_l \nabla^2_\theta \ln p(m_l; \theta)

    is kept for each neighbour: with it the errors of a fit with these weights count that they depend on the sample
    and that neighbours share events. Which events are neighbours counts as given.

    Parameters
    ----------
    data
        A `Dataset` or what makes one, without weights.
    coordinates
        Names of the columns that neighbours are near in, ``(events,)`` each.
    discriminating
        Name of the column *m*; all values in ``range``.
    signal, background
        ``function(shapes, m)``, not negative, not normalised, written with `jax.numpy` for ``m`` of any shape; shapes
        by name, those of ``start``.
    range
        ``(low, high)`` of *m*.
    k
        Neighbours, the event itself among them.
    start
        ``"fraction"`` in (0, 1), and shape parameters that each local fit varies. None: a fraction of 0.5, no shapes.
    periodic
        Periods of coordinates that have one, such as ``{"phi": 2 * math.pi}``.
    scales
        :math:`r_c` by name. None, and for those not named: the period, or largest minus smallest value.
    devices, progress
        As in `jaxpwa.evaluate`.

    Returns
    -------
    QFactors
        ``q.weights`` go into a `Dataset`, and ``q`` into `jaxpwa.fit` as its ``influence``.

    Raises
    ------
    ValueError, TypeError
        If names, values or functions do not fit: the message says which, and names the first event.

    Warns
    -----
    ConvergenceWarning
        If local fits did not converge, with their number: their influence is not reliable.

    References
    ----------
    M. Williams, M. Bellis, C. A. Meyer, JINST 4 (2009) P10003.

    Examples
    --------
    >>> import numpy as np, jax.numpy as jnp
    >>> from jaxpwa.weights import q_factors
    >>> rng = np.random.default_rng(1)
    >>> m = np.concatenate([rng.normal(0.78, 0.01, 300), rng.uniform(0.7, 0.86, 300)])
    >>> events = {"m": m, "costheta": rng.uniform(-1, 1, 600)}
    >>> peak = lambda p, m: jnp.exp(-0.5 * ((m - 0.78) / 0.01) ** 2)
    >>> q = q_factors(events, ["costheta"], "m", peak, lambda p, m: 1.0, (0.7, 0.86), k=200)
    >>> abs(q.weights.sum() - 300) < 30
    np.True_
    """
    data = as_dataset(data, "data")
    low, high = checked_range(range)
    shapes, fraction = checked_start(start)
    functions = {
        "signal": ModelRef(signal, "signal", "(shapes, m)"),
        "background": ModelRef(background, "background", "(shapes, m)"),
    }
    m = discriminating_values(data, discriminating, low, high)
    points, periods = scaled_points(data, coordinates, dict(periodic or {}), dict(scales or {}))
    if isinstance(k, bool) or not isinstance(k, (int, np.integer)) or not 2 <= k <= len(m):
        msg = f"k must be a whole number between 2 and the number of events, {len(m)}, got {k!r}."
        raise ValueError(msg)
    values, rule = normalised(functions, shapes, m, (low, high))
    mesh = event_mesh(select_devices(len(m) * int(k), devices, local=True))
    work = k * (1 + len(shapes)) ** 2 + (len(rule.nodes) * (1 + len(shapes)) ** 2 if shapes else 0)
    first = np.array([np.arcsin(np.sqrt(fraction)) if shapes else fraction, *shapes.values()])

    def run(rows: np.ndarray) -> LocalFits:
        if not shapes:
            return fraction_fits(mesh)(first[0], (values[0][rows], values[1][rows]))
        return shape_fits(ShapeModel(functions["signal"], functions["background"], tuple(shapes), mesh))(
            first, rule, m[rows]
        )

    found = _Found.empty(len(m), int(k), 1 + len(shapes))
    tree = KDTree(points, boxsize=periods)
    block = _block(len(m), work, mesh)
    with progress_bar("Q-factors", len(m), "event", progress) as bar:
        # The next group's neighbours are looked for while this one's fits run.
        waiting: list[tuple[slice, np.ndarray, LocalFits]] = []
        for rows, neighbours in _groups(tree, points, int(k), block):
            waiting.append((rows, neighbours, run(neighbours)))
            if len(waiting) > 1:
                bar.update(found.store(*waiting.pop(0)))
        bar.update(found.store(*waiting.pop()))
    return _recorded(found, ("fraction", *shapes))


@dataclass(frozen=True, eq=False)
class _Found:
    """Arrays that are filled group by group."""

    quality: np.ndarray
    error: np.ndarray
    neighbours: np.ndarray
    influence: np.ndarray
    parameters: np.ndarray
    converged: np.ndarray
    at_bound: np.ndarray

    @classmethod
    def empty(cls, n: int, k: int, n_parameters: int) -> "_Found":
        flags = np.empty(n, bool), np.empty(n, bool)
        return cls(
            np.empty(n), np.empty(n), np.empty((n, k), np.int32), np.empty((n, k)), np.empty((n, n_parameters)), *flags
        )

    def store(self, rows: slice, neighbours: np.ndarray, fits: LocalFits) -> int:
        """Wait for fits, keep them and return their number."""
        n = rows.stop - rows.start
        self.neighbours[rows] = neighbours[:n]
        for name, values in fits._asdict().items():
            getattr(self, name)[rows] = np.asarray(values)[:n]
        return n


def _recorded(found: _Found, names: tuple[str, ...]) -> QFactors:
    """Return the record, with a warning where fits failed."""
    parameters = {name: found.parameters[:, i] for i, name in enumerate(names)}
    lost = ~found.converged
    if lost.any():
        msg = (
            f"{int(lost.sum())} of {len(lost)} local fits did not converge (first: event {first_bad(lost)}): their "
            "Q-factors are those of the last step. More neighbours (k), better start values or fewer shapes help."
        )
        warnings.warn(msg, ConvergenceWarning, stacklevel=3)
    return QFactors(
        found.quality, found.error, parameters, found.neighbours, found.influence, found.converged, found.at_bound
    )


def _block(n: int, work: int, mesh: Any) -> int:
    """Return how many groups are fitted at once: a power of two per device."""
    most = _AT_ONCE.get(mesh.devices.flat[0].platform, _AT_ONCE_ELSEWHERE) // work
    per_device = max(1, min(most, -(-n // mesh.devices.size)))
    return mesh.devices.size << (per_device - 1).bit_length()


def _groups(tree: KDTree, points: np.ndarray, k: int, block: int) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield rows of events, and their neighbours padded to ``(block, k)``, each event the first of its own."""
    for begin in np.arange(0, len(points), block):
        rows = slice(int(begin), min(int(begin) + block, len(points)))
        own = np.arange(rows.start, rows.stop)
        found = np.asarray(tree.query(points[rows], k, workers=usable_cores())[1])
        # Events at one place are in any order, and more than k of them may hide the event itself.
        here = found == own[:, None]
        place = np.where(here.any(1), here.argmax(1), k - 1)
        index = np.arange(len(own))
        found[index, place] = found[:, 0]
        found[:, 0] = own
        neighbours = np.zeros((block, k), np.intp)
        neighbours[: len(own)] = found
        yield rows, neighbours
