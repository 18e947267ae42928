r"""Covariances of fits whose events have weights.

The Hessian :math:`H` of a weighted negative log-likelihood says how sharp its minimum is, not how far the minimum
scatters: with weights all 1/2 it takes the sample for half as large. The score :math:`U = \partial(-\ln L)/\partial p`
scatters by :math:`D`, and estimates by :math:`V = H^{-1} D H^{-1}`, with

.. math:: D = \sum_e w_e^2\, g_e g_e^T \quad\text{("asymptotic")}, \qquad
   D = -\sum_e w_e^2\, \partial_p \partial_p^T \ln f(x_e) \quad\text{("sumw2")}

where :math:`g_e = \partial \ln f(p, x_e) / \partial p`. In an extended likelihood :math:`f` is the intensity itself,
since the number of events scatters too; in one that is normalised, :math:`f = I / \int I`.

References
----------
C. Langenbruch, Eur. Phys. J. C 82 (2022) 393, arXiv:1911.01303: the asymptotic formula, and where the second fails.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from jaxpwa._checks import known
from jaxpwa.data.dataset import Dataset
from jaxpwa.engine.scores import scores, squared_scores
from jaxpwa.engine.streamed import StreamedSum
from jaxpwa.inference.cost import Cost, Term
from jaxpwa.inference.supplied import SuppliedTerm
from jaxpwa.inference.terms import EventTerm
from jaxpwa.inference.ties import TiedTerm
from jaxpwa.inference.traceable import event_terms

KINDS = ("auto", "hessian", "asymptotic", "sumw2")


def data_terms(terms: Iterable[Any]) -> Iterator[EventTerm]:
    """Yield the sums of ln I over data, inside of ties too."""
    return (term for term in event_terms(terms) if term.is_data)


def _has_weights(term: EventTerm) -> bool:
    return term.data.is_weighted and term.totals.has_weights


def unscaled(cost: Cost) -> bool:
    """Tell whether data have weights, and no factor gives the cost the curvature of a likelihood, sum w = sum w**2."""
    for term in data_terms(cost._terms):
        totals, scale = term.totals, abs(term.scale)
        linear, squares = scale * totals.sum_of_weights, scale**2 * totals.sum_of_squares
        if totals.has_weights and not np.isclose(linear, squares, rtol=1e-3):
            return True
    return False


def chosen_kind(cost: Cost, kind: str, influence: Any) -> str:
    """Return the kind of covariance that a fit of this cost gives.

    Raises
    ------
    ValueError
        If there is no such kind, or ``influence`` has nothing to act on.
    """
    if kind not in KINDS:
        msg = f"covariance must be one of {known(map(repr, KINDS), len(KINDS))}, got {kind!r}."
        raise ValueError(msg)
    every = list(data_terms(cost._terms))
    weighted = [term for term in every if _has_weights(term)]
    if influence is not None:
        if kind in ("hessian", "sumw2"):
            msg = f"influence belongs to the asymptotic covariance, got covariance={kind!r}."
            raise ValueError(msg)
        if len(every) != 1:
            msg = f"influence needs a cost with one sample of data, of which it moves the weights; got {len(every)}."
            raise ValueError(msg)
        if not isinstance(every[0].data, Dataset):
            msg = "influence moves the weights of single events, for which data in files are not there: read() them."
            raise ValueError(msg)
        if not callable(getattr(influence, "influence_on", influence)):
            msg = (
                f"influence must have a method influence_on(scores), or be a function, got {type(influence).__name__}."
            )
            raise TypeError(msg)
        return "asymptotic"
    if kind == "auto":
        return "asymptotic" if weighted and cost.derivatives == 2 else "hessian"
    if kind != "hessian" and not every:
        msg = f"covariance={kind!r} is for unbinned likelihoods of events; {cost._label} has none: leave it out."
        raise ValueError(msg)
    return kind


def is_uncorrected(cost: Cost, kind: str) -> bool:
    """Tell whether data have weights that this kind of covariance takes for a number of events."""
    supplied = (t for t in cost._terms if isinstance(t, SuppliedTerm))
    foreign = any(t.total.weights is not None and not np.isin(t.total.weights, (0.0, 1.0)).all() for t in supplied)
    return foreign or (kind == "hessian" and any(map(_has_weights, data_terms(cost._terms))))


def corrected(cost: Cost, theta: np.ndarray, inverse: np.ndarray, kind: str, influence: Any = None) -> np.ndarray:
    r"""Return the covariance of estimates.

    Parameters
    ----------
    cost
        Bound to the parameters of ``theta``, with ``errordef`` 0.5.
    theta
        The minimum, ``(n,)``.
    inverse
        Inverse of the Hessian, ``(n, n)``; zero for parameters that can't move.
    kind
        ``"asymptotic"`` or ``"sumw2"``.
    influence
        How weights depend on the sample: its method ``influence_on(g)``, or itself, maps scores ``(events, n)`` to
        :math:`\sum_i (\partial w_i / \partial a_l)\, g_i`, ``(events, n)``, with :math:`a_l` the number of times
        that event ``l`` is in the sample.
    """
    moved = inverse @ _scatter(cost._terms, theta, kind, influence) @ inverse
    return 0.5 * (moved + moved.T)


def _hessian(term: Term, theta: np.ndarray) -> np.ndarray:
    n = len(theta)
    out: list[Any] = [0.0, np.zeros(n), np.zeros((n, n))]
    term.collect(term.launch(theta, 2), 2, out)
    return out[2]


def _scatter(terms: Iterable[Any], theta: np.ndarray, kind: str, influence: Any) -> np.ndarray:
    """Return by how much the gradient of the cost scatters from sample to sample, ``(n, n)``."""
    terms = list(terms)
    matrix = np.zeros((len(theta), len(theta)))
    likelihoods = {id(term.likelihood) for term in terms if isinstance(term, EventTerm) and term.is_data}
    for term in terms:
        if isinstance(term, TiedTerm):
            full, jacobian, _ = term.expand(theta)
            matrix += jacobian.T @ _scatter(term.scaled_terms(), full, kind, influence) @ jacobian
        elif isinstance(term, EventTerm) and term.is_data:
            partner = _partner(term, terms)
            if kind == "sumw2":
                matrix += _of_squared_weights(term, partner, theta)
            elif influence is None:
                matrix += _of_events(term, partner, theta)
            else:
                matrix += _of_dependent_weights(term, partner, theta, influence)
        elif getattr(term, "likelihood", None) is None or id(term.likelihood) not in likelihoods:
            # Measurements of another kind scatter as their own second derivatives say.
            matrix += _hessian(term, theta)
    return matrix


def _partner(term: EventTerm, terms: list[Any]) -> EventTerm | None:
    """Return the Monte Carlo that is in one likelihood with data."""
    for other in terms:
        same = isinstance(other, EventTerm) and other.likelihood is term.likelihood is not None
        if same and not other.is_data:
            return other
    return None


def _slope_of_norm(partner: EventTerm | None, theta: np.ndarray) -> np.ndarray:
    """Return the gradient of the logarithm of the integral by which an intensity is normalised; 0 if it is not."""
    slope = np.zeros(len(theta))
    if partner is not None and partner.log:
        over_mc: Any = partner.total
        total, gradient = over_mc.collect(over_mc.launch(theta[partner.index], 1), 1)
        slope[partner.index] = gradient / total
    return slope


def _of_events(term: EventTerm, partner: EventTerm | None, theta: np.ndarray) -> np.ndarray:
    """Return ``sum w**2 g g^T``."""
    total, mine = term.total, theta[term.index]
    squares = total.squared_scores(mine) if isinstance(total, StreamedSum) else squared_scores(term.placed, mine)
    outer, linear = np.zeros((len(theta), len(theta))), np.zeros(len(theta))
    outer[np.ix_(term.index, term.index)] = squares.outer
    linear[term.index] = squares.linear
    norm = _slope_of_norm(partner, theta)
    crossed = np.outer(linear, norm)
    return term.scale**2 * (outer - crossed - crossed.T + squares.weights * np.outer(norm, norm))


def _of_squared_weights(term: EventTerm, partner: EventTerm | None, theta: np.ndarray) -> np.ndarray:
    """Return the Hessian of the likelihood in which each event has the square of its weight."""
    squared = replace(term.with_squared_weights(), scale=term.scale * abs(term.scale))
    matrix = _hessian(squared, theta)
    if partner is not None:
        totals = term.totals
        matrix += abs(term.scale) * totals.sum_of_squares / totals.sum_of_weights * _hessian(partner, theta)
    return matrix


def _of_dependent_weights(term: EventTerm, partner: EventTerm | None, theta: np.ndarray, influence: Any) -> np.ndarray:
    """Return ``sum z z^T``, where ``z`` is what an event adds itself and by moving the weights of others."""
    w = term.table.weights
    g = np.zeros((len(w), len(theta)))
    counted = np.flatnonzero(w)
    g[np.ix_(counted, term.index)] = scores(term.placed, theta[term.index])
    g[counted] -= _slope_of_norm(partner, theta)
    moves: Callable[[np.ndarray], Any] = getattr(influence, "influence_on", influence)
    by_others = np.asarray(moves(g), np.float64)
    if by_others.shape != g.shape:
        msg = f"influence must return one row per event and one column per parameter, {g.shape}, got {by_others.shape}."
        raise ValueError(msg)
    z = w[:, None] * g + by_others
    return term.scale**2 * z.T @ z
