r"""Weights that project out one species of events, from a fit of yields in a discriminating variable.

With densities :math:`f_j(m)` of the species, normalised, and yields :math:`N_j`:

.. math:: u_j(m) = \frac{f_j(m)}{\sum_k N_k f_k(m)}, \quad (V^{-1})_{jk} = \sum_e u_j(m_e)\, u_k(m_e), \quad
          w_j(m) = \sum_k V_{jk}\, u_k(m)

References
----------
M. Pivk and F. R. Le Diberder, Nucl. Instrum. Meth. A 555 (2005) 356, arXiv:physics/0402083: the weights.
H. Dembinski, M. Kenzie, C. Langenbruch, M. Schmelling, Nucl. Instrum. Meth. A 1040 (2022) 167270, arXiv:2112.04574:
why they work, and custom orthogonal weights.
C. Langenbruch, Eur. Phys. J. C 82 (2022) 393, arXiv:1911.01303: errors of fits with such weights.
"""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from jaxpwa._checks import JaxpwaWarning, check_length, first_bad, known
from jaxpwa.inference.report import Tabular, rounded

_NOTICEABLE = 0.1
_MOST_STEPS = 200


def _as_table(densities: Any) -> tuple[tuple[str, ...], np.ndarray]:
    """Return the names of the species and their densities, ``(events, species)``."""
    if isinstance(densities, Mapping):
        names = tuple(str(name) for name in densities)
        columns = [np.asarray(values) for values in densities.values()]
        if len({c.shape for c in columns}) != 1 or columns[0].ndim != 1:
            shapes = known(f"{n}: {c.shape}" for n, c in zip(names, columns, strict=True))
            msg = f"densities must have one value per event and species, all of shape (events,), got {shapes}."
            raise ValueError(msg)
        table = np.stack(columns, axis=1)
    else:
        table = np.asarray(densities)
        names = tuple(map(str, range(table.shape[-1]))) if table.ndim == 2 else ()
    if table.ndim != 2 or table.dtype.kind not in "fiub" or 0 in table.shape:
        msg = f"densities must be real, of shape (events, species), got {table.dtype} of shape {table.shape}."
        raise ValueError(msg)
    table = table.astype(np.float64)
    bad = ~np.asarray(np.isfinite(table).all(1) & (table >= 0).all(1) & (table > 0).any(1))
    if bad.any():
        msg = (
            f"densities must be finite, not negative, and positive for one species at least: {int(bad.sum())} of "
            f"{len(bad)} events have others (first: event {first_bad(bad)}, {table[first_bad(bad)].tolist()})."
        )
        raise ValueError(msg)
    return names, table


def _maximum_likelihood(table: np.ndarray) -> np.ndarray:
    """Maximise ``sum_e ln(sum_j N_j f_j) - sum_j N_j``, a concave function, by Newton's steps."""
    n_events, n_species = table.shape

    def value(yields: np.ndarray) -> float:
        total = table @ yields
        return float(np.log(total).sum() - yields.sum()) if (total > 0).all() else -np.inf

    yields = np.full(n_species, n_events / n_species)
    for _ in range(10):  # expectation-maximisation goes into the neighbourhood, and stays positive
        yields = yields * (table / (table @ yields)[:, None]).sum(0)
    here = value(yields)
    for _ in range(_MOST_STEPS):
        u = table / (table @ yields)[:, None]
        slope = u.sum(0) - 1
        step = np.linalg.solve(u.T @ u, slope)
        if slope @ step < 1e-20 * n_events:
            return yields
        length = 1.0
        while (there := value(yields + length * step)) < here and length > 1e-6:
            length /= 2
        if length <= 1e-6:
            # Rounding of the value hides the last digits; the step itself has them.
            return yields + step if slope @ step < 1e-6 else yields
        yields, here = yields + length * step, there
    return yields


def _checked_rank(names: tuple[str, ...], table: np.ndarray) -> None:
    """Refuse species whose densities can't be told apart on these events."""
    scaled = table / np.where(table.max(0) > 0, table.max(0), 1.0)
    if np.linalg.matrix_rank(scaled.T @ scaled, hermitian=True) < len(names):
        msg = f"the densities of {known(names)} must be linearly independent on these events: merge some species."
        raise ValueError(msg)


def fit_yields(densities: Any) -> dict[str, float]:
    r"""Fit the yields of species with known densities, by extended maximum likelihood.

    .. math:: \max_N \; \sum_e \ln \Big[\sum_j N_j f_j(m_e)\Big] - \sum_j N_j

    which has one maximum: :math:`\sum_e u_j(m_e) = 1` for each species. Yields may be negative where the sum of all
    stays positive at the events.

    Parameters
    ----------
    densities
        Values of the normalised densities at the events: ``(events, species)``, or ``(events,)`` by name of species.

    Returns
    -------
    Yields by name; species of an array are called ``"0"``, ``"1"``, ...

    Raises
    ------
    ValueError
        If densities are not of this form, negative, or not linearly independent.

    Examples
    --------
    >>> from jaxpwa.weights import fit_yields
    >>> yields = fit_yields({"left": [2.0, 2.0, 2.0, 0.0], "right": [0.0, 0.0, 0.0, 2.0]})
    >>> {name: round(n, 9) for name, n in yields.items()}
    {'left': 3.0, 'right': 1.0}
    """
    names, table = _as_table(densities)
    _checked_rank(names, table)
    return dict(zip(names, _maximum_likelihood(table).tolist(), strict=True))


@dataclass(frozen=True, eq=False)
class SpeciesWeights:
    """Weights of one species, for `jaxpwa.Dataset` and, with their influence, for `jaxpwa.fit`.

    Attributes
    ----------
    weights
        ``(events,)``.
    """

    weights: np.ndarray
    _ratios: np.ndarray = field(repr=False)
    _all_weights: np.ndarray = field(repr=False)

    def influence_on(self, scores: Any) -> np.ndarray:
        r"""Return how each event moves a weighted sum of scores by way of the weights of all events.

        .. math:: \sum_i \frac{d w_n(m_i)}{d \omega_l}\, g_i

        with :math:`\omega_l` the number of times that event *l* counts in the fit of the yields and in :math:`V`:

        .. math:: \frac{d w_n(m_i)}{d \omega_l} = - w_n(m_i)\, u_i \cdot w_l - w_n(m_l)\, u_l \cdot w_i
                  + 2 \sum_e w_n(m_e)\, (w_i \cdot u_e)\, (u_e \cdot w_l)

        which never is written down: it takes sums over events only.

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
        check_length("scores", len(g), "event", len(self.weights))
        u, w, own = self._ratios, self._all_weights, self.weights
        together = w.T @ g
        of_yields = w @ (2 * (u.T @ (own[:, None] * u)) @ together - u.T @ (own[:, None] * g))
        return of_yields - own[:, None] * (u @ together)


@dataclass(frozen=True, eq=False)
class SWeights(Tabular):
    """Weights of all species; ``sw["signal"]`` are those of one.

    Attributes
    ----------
    yields
        By name of species.
    covariance
        Of the yields, with the densities held fixed: :math:`V`, ``(species, species)``.
    weights
        ``(events, species)``. Columns sum to the yields, and rows to 1 at the maximum of the likelihood.
    distance
        Of the yields from the maximum of the likelihood, in standard deviations.
    ratios
        :math:`u_j(m_e)`, ``(events, species)``.
    """

    yields: dict[str, float]
    covariance: np.ndarray
    weights: np.ndarray
    distance: float
    ratios: np.ndarray = field(repr=False)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the species, in order."""
        return tuple(self.yields)

    def __getitem__(self, name: str | int) -> SpeciesWeights:
        if str(name) not in self.yields:
            msg = f"unknown species {name!r}; there are: {known(self.names)}."
            raise ValueError(msg)
        return SpeciesWeights(self.weights[:, self.names.index(str(name))], self.ratios, self.weights)

    def to_pandas(self) -> pd.DataFrame:
        """Return the weights, one row per event and one column per species."""
        return pd.DataFrame(self.weights, columns=list(self.names))

    def _table(self) -> tuple[str, list[str], list[list[str]]]:
        """Return a heading, the header and the rows of the table."""
        errors = np.sqrt(np.diag(self.covariance))
        shown = [(name, *rounded(n, e)) for (name, n), e in zip(self.yields.items(), errors, strict=True)]
        effective = self.weights.sum(0) ** 2 / (self.weights**2).sum(0)
        rows = [[*cells, f"{n:.1f}"] for cells, n in zip(shown, effective, strict=True)]
        return f"sWeights of {len(self.weights)} events", ["species", "yield", "error", "effective events"], rows


def sweights(densities: Any, yields: Any = None) -> SWeights:
    r"""Weights that project out each species of events in variables independent of the discriminating one.

    The matrix :math:`V` is summed over the events (the formulas are at the top of `jaxpwa.weights.sweights`): columns
    of weights then sum to the yields exactly, whatever these are, and rows to 1 at the maximum of the likelihood.

    They hold where, within each species, the discriminating variable and what is fitted with the weights are
    independent. Densities count as known. Where their shapes were fitted to the same events, a shape parameter of the
    species itself has no influence on a fit of that species' density, to first order; one of another species has, and
    it is not in the errors.

    Parameters
    ----------
    densities
        Values at the events of densities normalised over the range of the discriminating variable:
        ``(events, species)``, or ``(events,)`` by name of species.
    yields
        Numbers of events by species, by name or in order, from an extended likelihood fit to the same events. None:
        fitted here.

    Returns
    -------
    SWeights
        Weights, yields and their covariance. ``sw["signal"].weights`` go into a `Dataset`, and ``sw["signal"]`` into
        `jaxpwa.fit`, whose errors then count that weights depend on the sample.

    Raises
    ------
    ValueError
        If densities or yields are not of this form, or densities not linearly independent.

    Warns
    -----
    JaxpwaWarning
        If the yields are not those of the maximum of the likelihood, with the distance: rows do not sum to 1.

    References
    ----------
    M. Pivk and F. R. Le Diberder, Nucl. Instrum. Meth. A 555 (2005) 356.

    Examples
    --------
    >>> import numpy as np
    >>> from jaxpwa.weights import sweights
    >>> m = np.linspace(0.005, 0.995, 100)
    >>> sw = sweights({"rising": 2 * m, "flat": np.ones(100)})
    >>> sw.weights.sum(1).round(6).min(), round(sw.yields["flat"])
    (np.float64(1.0), 100)
    """
    names, table = _as_table(densities)
    _checked_rank(names, table)
    if yields is None:
        n = _maximum_likelihood(table)
    else:
        n = _given_yields(yields, names)
    total = table @ n
    if not (total > 0).all():
        msg = f"the sum of yields times densities must be positive: event {first_bad(total <= 0)} has not."
        raise ValueError(msg)
    u = table / total[:, None]
    covariance = np.linalg.inv(u.T @ u)
    slope = u.sum(0) - 1
    distance = float(np.sqrt(slope @ covariance @ slope))
    if distance > _NOTICEABLE:
        best = _maximum_likelihood(table)
        msg = (
            f"the yields are {distance:.2g} standard deviations away from the maximum of the likelihood, which is at "
            f"{known(f'{name}={value:.6g}' for name, value in zip(names, best, strict=True))}: the weights of an event "
            "do not sum to 1. Fit the yields to these events with these densities, or leave yields out."
        )
        warnings.warn(msg, JaxpwaWarning, stacklevel=2)
    return SWeights(dict(zip(names, n.tolist(), strict=True)), covariance, u @ covariance, distance, u)


def _given_yields(yields: Any, names: tuple[str, ...]) -> np.ndarray:
    """Return the yields in the order of the species."""
    if isinstance(yields, Mapping):
        if set(map(str, yields)) != set(names):
            msg = f"yields must name the species {known(names)}, got {known(yields)}."
            raise ValueError(msg)
        by_name = {str(name): value for name, value in yields.items()}
        yields = [by_name[name] for name in names]
    values = np.asarray(yields, np.float64)
    if values.shape != (len(names),) or not np.isfinite(values).all():
        msg = f"yields must be one finite number per species, {known(names)}, got shape {values.shape}."
        raise ValueError(msg)
    return values
