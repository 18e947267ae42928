"""A cost as a function for the user's own JAX code."""

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import jax

from jaxpwa._types import Params
from jaxpwa.engine.devices import event_mesh
from jaxpwa.inference.terms import EventTerm
from jaxpwa.inference.ties import TiedTerm

if TYPE_CHECKING:
    from jaxpwa.inference.cost import Cost


def event_terms(terms: Iterable[Any]) -> Iterator[EventTerm]:
    """Yield the sums over events, those of tied costs too."""
    for term in terms:
        if isinstance(term, TiedTerm):
            yield from event_terms(term.inner._terms)
        elif isinstance(term, EventTerm):
            yield term


def as_function(cost: "Cost") -> tuple[Callable[[Params, Any], jax.Array], tuple]:
    """Return ``function(params, arrays)`` and the arrays, see `Cost.as_function`."""
    cost._need(2, "second derivatives")
    if cost._open:
        msg = "the intensity takes its parameters as a whole: name them first, cost.bind(names).as_function()."
        raise ValueError(msg)
    # JAX compiles for one set of devices, and few events sit on fewer of them than many.
    used = set().union(*(t.total.devices for t in event_terms(cost._terms)))
    return _sum_of(cost._terms, event_mesh(tuple(d for d in jax.devices() if d in used)))


def _sum_of(terms: Iterable[Any], mesh: Any) -> tuple[Callable[[Params, Any], jax.Array], tuple]:
    functions: list[Any] = []
    arrays: tuple = ()
    for term in terms:
        if isinstance(term, EventTerm):
            total = term.total.on(mesh)
            functions.append(term.traceable(total))
            arrays += (total.arrays,)
        elif isinstance(term, TiedTerm):
            inside, own = _sum_of(term.inner._terms, mesh)
            functions.append(term.traceable(inside))
            arrays += (own,)
        else:
            functions.append(term.traceable())
            arrays += ((),)

    def function(params: Params, arrays: tuple) -> jax.Array:
        values = [f(params, a) for f, a in zip(functions, arrays, strict=True)]
        total = values[0]
        for value in values[1:]:
            total = total + value
        return total

    return function, arrays
