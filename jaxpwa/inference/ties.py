"""Parameters that are functions of others."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

import jax
import jax.numpy as jnp

from jaxpwa._checks import known
from jaxpwa._types import Params
from jaxpwa.engine.functions import ParameterFunction

if TYPE_CHECKING:
    from jaxpwa.inference.cost import Cost


@dataclass(frozen=True)
class Ties:
    """Parameters computed from others.

    Attributes
    ----------
    names
        Parameters that are free, in order.
    functions
        ``(name, function(params))`` of each tied parameter; a function may read those before it.
    """

    names: tuple[str, ...]
    functions: tuple[tuple[str, ParameterFunction], ...]

    @property
    def tied(self) -> tuple[str, ...]:
        """Names of the tied parameters."""
        return tuple(name for name, _ in self.functions)

    def values(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return all parameters by name, free ones first; works on tracers."""
        every = {name: params[name] for name in self.names}
        for name, function in self.functions:
            every[name] = function.function(every)
        return every


@lru_cache(maxsize=64)
def _compiled(ties: Ties, order: int) -> Callable[[np.ndarray], tuple]:
    """Return the compiled values of the tied parameters, with derivatives up to ``order``."""

    def tied(theta: jax.Array) -> jax.Array:
        values = ties.values(dict(zip(ties.names, theta, strict=True)))
        return jnp.stack([jnp.asarray(values[name], jnp.result_type(float)) for name in ties.tied])

    first, second = jax.jacfwd(tied), jax.jacfwd(jax.jacrev(tied))
    functions = [tied, first, second][: order + 1]
    return jax.jit(lambda theta: tuple(f(theta) for f in functions))


@dataclass(frozen=True, eq=False)
class TiedTerm:
    """The terms of a cost, as a function of the parameters that are left free.

    Attributes
    ----------
    inner
        The cost, bound to the free parameters, then the tied ones.
    ties
        What they are tied by.
    index
        Where the free parameters stand among the cost's that this is a term of.
    scale
        Factor.
    """

    inner: "Cost"
    ties: Ties
    index: np.ndarray
    scale: float = 1.0

    @classmethod
    def make(cls, cost: "Cost", functions: Mapping[str, Callable[[Params], Any]]) -> "TiedTerm":
        """Tie parameters of a cost to functions of others.

        Raises
        ------
        ValueError, TypeError
            If a name is unknown, all are tied, or a function can't be used.
        """
        own = cost.parameters
        if own is None:
            msg = "the intensity takes its parameters as a whole: name them first, cost.bind(names).tied(...)."
            raise ValueError(msg)
        unknown = [name for name in functions if name not in own]
        if unknown or not functions:
            what = f"tied names unknown parameter {known(unknown)}" if unknown else "tied needs at least one name"
            msg = f"{what}; this cost depends on: {known(own)}."
            raise ValueError(msg)
        free = dict.fromkeys(name for name in own if name not in functions)
        refs = tuple(
            (name, ParameterFunction(function, f"the tie of {name!r}")) for name, function in functions.items()
        )
        for number, (name, function) in enumerate(refs):
            late = [n for n, _ in refs[number:] if n in function.reads]
            if late:
                msg = f"the tie of {name!r} reads {known(late)}, tied itself and not before it."
                raise ValueError(msg)
            free.update(dict.fromkeys(n for n in function.reads if n not in functions))
        if not free:
            msg = "ties leave no parameter free."
            raise ValueError(msg)
        ties = Ties(tuple(free), refs)
        every = (*ties.names, *ties.tied)
        # A free parameter that only ties read is none of the cost's own.
        inner = cost.bind(tuple(n for n in every if n in own))
        return cls(inner, ties, np.arange(len(free)))

    parameters = property(lambda self: self.ties.names, doc="Names of the free parameters.")
    derivatives = property(lambda self: self.inner.derivatives, doc="How many exact derivatives there are.")

    def bind(self, names: tuple[str, ...]) -> "TiedTerm":
        """Find the free parameters among ``names``."""
        return replace(self, index=np.array([names.index(n) for n in self.ties.names], np.intp))

    def times(self, factor: float) -> "TiedTerm":
        """Return this term multiplied by a number."""
        return replace(self, scale=self.scale * factor)

    def holding(self, values: Mapping[str, float]) -> "TiedTerm":
        """Return this term with parameters held fixed, and with them the tied ones that depend on no others."""
        held = {name: value for name, value in values.items() if name in self.ties.names}
        known_values = dict(held)
        for name, function in self.ties.functions:
            if all(n in known_values for n in function.reads):
                known_values[name] = float(function.function(known_values))
        inner = self.inner.holding({n: v for n, v in known_values.items() if n in (self.inner.parameters or ())})
        return self if inner is self.inner else replace(self, inner=inner)

    def scaled_terms(self) -> list[Any]:
        """Return the cost's terms, with the factor of this one."""
        return [term.times(self.scale) if self.scale != 1 else term for term in self.inner._terms]

    def expand(self, theta: np.ndarray, order: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Return the inner parameters, their Jacobian ``(inner, n)`` and second derivatives ``(tied, free, free)``."""
        own = theta[self.index]
        parts = [np.asarray(part) for part in _compiled(self.ties, order)(own)]
        every = (*self.ties.names, *self.ties.tied)
        rows = [every.index(name) for name in self.inner._known]
        full = np.concatenate([own, parts[0]])[rows]
        jacobian = np.zeros((len(every), len(theta)))
        jacobian[np.arange(len(own)), self.index] = 1.0
        if order > 0:
            jacobian[len(own) :, self.index] = parts[1]
        return full, jacobian[rows], parts[2] if order > 1 else None

    def launch(self, theta: np.ndarray, order: int, n_points: int | None = None) -> Any:
        """Start all terms; many points one after the other."""
        points = [theta] if n_points is None else list(theta[:n_points])
        started = []
        for point in points:
            full, jacobian, curved = self.expand(point, order)
            started.append((full, jacobian, curved, [term.launch(full, order) for term in self.inner._terms]))
        return started if n_points is not None else started[0]

    def collect(self, raw: Any, order: int, out: list[Any]) -> None:
        """Wait for the terms and add them, with derivatives by the chain rule, to ``out``."""
        if isinstance(raw, list):
            for k, one in enumerate(raw):
                part: list[Any] = [0.0, np.zeros(out[1].shape[1])]
                self.collect(one, 1, part)
                out[0][k] += part[0]
                out[1][k] += part[1]
            return
        full, jacobian, curved, running = raw
        n = len(full)
        inner: list[Any] = [0.0, np.zeros(n), np.zeros((n, n))][: order + 1]
        for term, started in zip(self.inner._terms, running, strict=True):
            term.collect(started, order, inner)
        out[0] += self.scale * inner[0]
        if order > 0:
            out[1] += self.scale * jacobian.T @ inner[1]
        if order > 1 and curved is not None:
            by_name = dict(zip(self.inner._known, inner[1], strict=True))
            slopes = np.array([by_name.get(name, 0.0) for name in self.ties.tied])
            out[2] += self.scale * jacobian.T @ inner[2] @ jacobian
            out[2][np.ix_(self.index, self.index)] += self.scale * np.tensordot(slopes, curved, 1)

    def traceable(self, function: Callable[[Params, Any], jax.Array]) -> Callable[[Params, Any], jax.Array]:
        """Return the term as a function of parameters by name, given that of the inner cost."""
        return lambda params, arrays: self.scale * function(self.ties.values(params), arrays)

    @property
    def formula(self) -> str:
        """The terms as text."""
        inside = " + ".join(term.formula for term in self.inner._terms)
        tied = ", ".join(f"{name}({', '.join(function.reads)})" for name, function in self.ties.functions)
        return f"{self.scale!r} * ({inside}) with {tied}"

    def explain(self) -> str:
        """Say what is tied, and how the sums are taken."""
        reads = [f"{name} to {known(function.reads) or 'a number'}" for name, function in self.ties.functions]
        return "\n".join([f"tied: {'; '.join(reads)}", *(term.explain() for term in self.inner._terms)])

    def faults(self, theta: np.ndarray) -> list[tuple[str, str]]:
        """Return what is wrong with the intensities, as (kind, sentence)."""
        full = self.expand(theta, 0)[0]
        return [fault for term in self.inner._terms for fault in term.faults(full)]


def tied_names(terms: Iterable[Any], free: Collection[str]) -> tuple[str, ...]:
    """Return the names that are tied in the terms of a cost.

    Raises
    ------
    ValueError
        If a name is tied in one term, and free or tied otherwise in another.
    """
    functions: dict[str, ParameterFunction] = {}
    for term in terms:
        if not isinstance(term, TiedTerm):
            continue
        for name, function in term.ties.functions:
            if functions.setdefault(name, function) != function:
                msg = f"{name!r} is tied in two ways in costs that are added: add first, then tie the sum."
                raise ValueError(msg)
    both = [name for name in functions if name in free]
    if both:
        msg = f"{known(both)} is tied in one of the costs that are added, and free in another: add first, then tie."
        raise ValueError(msg)
    return tuple(functions)


def with_tied(terms: Iterable[Any], theta: np.ndarray, covariance: np.ndarray) -> tuple[dict[str, float], np.ndarray]:
    """Return the tied parameters of a cost at ``theta``, and the covariance of all, the tied ones last."""
    rows: dict[str, tuple[float, np.ndarray]] = {}
    for term in terms:
        if isinstance(term, TiedTerm):
            values, slopes = (np.asarray(part) for part in _compiled(term.ties, 1)(theta[term.index]))
            for name, value, slope in zip(term.ties.tied, values, slopes, strict=True):
                row = np.zeros(len(theta))
                row[term.index] = slope
                rows.setdefault(name, (float(value), row))
    jacobian = np.vstack([np.eye(len(theta)), *(row for _, row in rows.values())])
    return {name: value for name, (value, _) in rows.items()}, jacobian @ covariance @ jacobian.T
