"""A cost of many samples drawn from its own: events count as often as a Poisson number of mean 1 says."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from jaxpwa.engine.fileevents import FileEvents
from jaxpwa.engine.resampled import place_counts, resampled_sums
from jaxpwa.inference.cost import Cost
from jaxpwa.inference.penalties import GaussianTerm, PenaltyTerm
from jaxpwa.inference.summands import log_intensity, plain_intensity
from jaxpwa.inference.terms import EventTerm
from jaxpwa.inference.ties import TiedTerm


def refuse_what_has_no_events(cost: Cost) -> None:
    """Refuse costs whose data are no events that could be drawn again."""
    n_data = 0
    for term in _flat(cost._terms):
        n_data += isinstance(term, EventTerm) and term.is_data
        if isinstance(term, EventTerm) and isinstance(term.data, FileEvents) and term.is_data:
            msg = f"the bootstrap draws events anew, which {term.what} in files are not there for: read() them."
            raise ValueError(msg)
        is_sum = isinstance(term, EventTerm) and term.total.spec.summand in (log_intensity, plain_intensity)
        if not is_sum and not isinstance(term, (GaussianTerm, PenaltyTerm)):
            what = f"bins or points ({term.what})" if isinstance(term, EventTerm) else "intensities from outside of JAX"
            msg = f"the bootstrap draws events anew, {cost._label} has {what}: fit simulated samples instead."
            raise ValueError(msg)
    if not n_data:
        msg = f"the bootstrap draws events anew, and {cost._label} has none."
        raise ValueError(msg)


def _flat(terms: Iterable[Any]) -> Iterable[Any]:
    for term in terms:
        if isinstance(term, TiedTerm):
            yield from _flat(term.inner._terms)
        else:
            yield term


@dataclass(frozen=True, eq=False)
class Replicas:
    """So many samples drawn from that of a cost.

    Attributes
    ----------
    cost
        Bound to the parameters.
    n
        How many samples.
    counts
        How often each event that is placed counts, ``(events, n)``, in the order of the terms with data.
    placed
        The same on the devices.
    shifts
        By how much the means of Gaussian constraints scatter, ``(n, names)``, in the order of these terms.
    """

    cost: Cost
    n: int
    counts: list[np.ndarray] = field(repr=False)
    placed: list[Any] = field(repr=False)
    shifts: list[np.ndarray] = field(repr=False)

    @classmethod
    def draw(cls, cost: Cost, n: int, rng: np.random.Generator) -> "Replicas":
        """Draw ``n`` samples."""
        counts, placed, shifts = [], [], []
        for term in _flat(cost._terms):
            if isinstance(term, EventTerm) and term.is_data:
                total = term.placed
                drawn = np.minimum(rng.poisson(1.0, (n, total.n_events)), 255).astype(np.uint8).T
                counts.append(drawn)
                placed.append(place_counts(total, drawn))
            elif isinstance(term, GaussianTerm):
                matrix = np.linalg.inv(term.precision)
                shifts.append(rng.multivariate_normal(np.zeros(len(matrix)), matrix, size=n))
        return cls(cost, n, counts, placed, shifts)

    def values_and_gradients(self, thetas: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the cost ``(n,)`` and its gradient ``(n, parameters)`` of each sample at its own parameters."""
        return self._sum(self.cost._terms, thetas, iter(range(len(self.counts))), iter(self.shifts))

    def _sum(self, terms: Iterable[Any], thetas: np.ndarray, data: Any, shifts: Any) -> tuple[np.ndarray, np.ndarray]:
        out = [np.zeros(self.n), np.zeros(thetas.shape)]
        ratio: dict[int, np.ndarray] = {}
        for term in terms:
            if isinstance(term, TiedTerm):
                full, jacobians = zip(*(term.expand(theta)[:2] for theta in thetas), strict=True)
                values, gradients = self._sum(term.inner._terms, np.stack(full), data, shifts)
                out[0] += term.scale * values
                out[1] += term.scale * np.einsum("kj,kji->ki", gradients, np.stack(jacobians))
            elif isinstance(term, EventTerm) and term.is_data:
                number = next(data)
                values, gradients = resampled_sums(term.placed, thetas[:, term.index], self.placed[number])
                out[0] += term.scale * values + term.offset
                out[1][:, term.index] += term.scale * gradients
                w = term.table.weights[term.table.weights != 0]
                ratio[id(term.likelihood)] = (w @ self.counts[number]) / w.sum()
            elif isinstance(term, EventTerm) and term.log and id(term.likelihood) in ratio:
                part = [np.zeros(self.n), np.zeros(thetas.shape)]
                term.collect(term.launch(thetas, 1, self.n), 1, part)
                out[0] += ratio[id(term.likelihood)] * part[0]
                out[1] += ratio[id(term.likelihood)][:, None] * part[1]
            else:
                term.collect(term.launch(thetas, 1, self.n), 1, out)
                if isinstance(term, GaussianTerm):
                    # The distance to the shifted mean, less that to the mean itself, which is in there.
                    shift, away = next(shifts), thetas[:, term.index] - term.mean
                    out[0] += term.scale * np.sum((0.5 * shift - away) @ term.precision * shift, axis=1)
                    out[1][:, term.index] -= term.scale * shift @ term.precision
        return out[0], out[1]

    def single(self, number: int) -> Cost:
        """Return the cost of one of the samples."""
        data, shifts = iter(range(len(self.counts))), iter(self.shifts)
        terms = self._single(self.cost._terms, number, data, shifts)
        return Cost(terms, self.cost.errordef, self.cost.ndata, self.cost._label).bind(self.cost._known)

    def _single(self, terms: Iterable[Any], number: int, data: Any, shifts: Any) -> list[Any]:
        out: list[Any] = []
        ratio: dict[int, float] = {}
        for term in terms:
            if isinstance(term, TiedTerm):
                inside = self._single(term.inner._terms, number, data, shifts)
                inner = Cost(inside, term.inner.errordef, term.inner.ndata, term.inner._label).bind(term.inner._known)
                out.append(replace(term, inner=inner))
            elif isinstance(term, EventTerm) and term.is_data:
                counts = self.counts[next(data)][:, number]
                w = np.zeros(term.table.n_events)
                counted = np.flatnonzero(term.table.weights)
                w[counted] = term.table.weights[counted] * counts
                ratio[id(term.likelihood)] = float(w.sum() / term.table.weights.sum())
                drawn = term.table.with_weights(w)
                first = term.recipe.first_sum(replace(term.total.spec, plan=None), drawn, term.what)
                total, account = term.recipe.prepare(first, drawn)
                out.append(replace(term, total=total, account=account, data=drawn))
            elif isinstance(term, EventTerm) and term.log and id(term.likelihood) in ratio:
                out.append(term.times(ratio[id(term.likelihood)]))
            elif isinstance(term, GaussianTerm):
                out.append(replace(term, mean=term.mean + next(shifts)[number]))
            else:
                out.append(term)
        return out
