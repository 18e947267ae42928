"""Costs as bytes, for other processes: formulas, events on the host and settings, from which a copy is built.

A copy has the same terms over the same events, placed on the devices of the process that it is opened in: on equally
many devices its value, gradient and Hessian are the same to the last bit. What was decided of a sum, such as that it
goes over pseudo-events, holds for the copy too. Functions travel by value where they can't be imported.
"""

import io
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import cloudpickle
import numpy as np

import jax

from jaxpwa._settings import warn_if_32_bit
from jaxpwa.data.dataset import Dataset
from jaxpwa.engine.devices import event_mesh, select_devices
from jaxpwa.engine.fileevents import FileEvents, Totals, opened
from jaxpwa.engine.functions import ParameterFunction
from jaxpwa.engine.integrals import Integrals, make_integrals
from jaxpwa.engine.model import ModelRef
from jaxpwa.engine.prepare import Account, ProvenSum
from jaxpwa.engine.sums import EventSum, SumSpec
from jaxpwa.engine.supplied import SuppliedSum
from jaxpwa.inference.supplied import SuppliedTerm
from jaxpwa.inference.terms import EventTerm
from jaxpwa.inference.ties import TiedTerm

if TYPE_CHECKING:
    from jaxpwa.inference.cost import Cost


def reduced(cost: "Cost") -> tuple[Callable[[bytes], "Cost"], tuple[bytes]]:
    """Return what pickle makes a copy of a cost with: the method ``__reduce__`` of costs.

    Raises
    ------
    TypeError
        If a part can't be pickled: the message names it.
    """
    try:
        return _opened, (_dumps(cost),)
    except Exception as error:
        msg = f"{cost._label} can't be pickled: {_fault(cost)} ({type(error).__name__}: {error})."
        raise TypeError(msg) from error


def _opened(content: bytes) -> "Cost":
    """Return the cost that was written down."""
    return cloudpickle.loads(content)


def _dumps(thing: Any) -> bytes:
    with io.BytesIO() as file:
        _Pickler(file).dump(thing)
        return file.getvalue()


class _Pickler(cloudpickle.Pickler):
    """Write down costs by what they are made from: what is compiled, placed or cached stays behind."""

    def reducer_override(self, obj: Any) -> Any:
        from jaxpwa.inference.cost import Cost  # which imports this module

        # A cost inside of a cost, such as one with ties, is written into the same bytes.
        how = _of_cost if isinstance(obj, Cost) else _REDUCERS.get(type(obj))
        return super().reducer_override(obj) if how is None else how(obj)


def _of_cost(cost: "Cost") -> tuple:
    return _cost, (type(cost), cost.__dict__ | {"_bound": {}})


def _cost(kind: type["Cost"], state: dict[str, Any]) -> "Cost":
    warn_if_32_bit()
    cost = object.__new__(kind)
    cost.__dict__.update(state)
    return cost


def _of_event_term(term: EventTerm) -> tuple:
    spec = term.total.spec
    parts = {
        "intensity": spec.model.function,
        "parameters": spec.parameters,
        "summand": spec.summand,
        "single": spec.single,
        "recipe": replace(term.recipe, devices=None),
        "data": _read_by(term),
    }
    names = ("scale", "offset", "log", "what", "index", "is_open", "held", "likelihood")
    kept = {name: getattr(term, name) for name in names}
    if _is_from_integrals(term):
        return _from_integrals, (parts["intensity"], _integrals_of(term), term.account, kept)
    return _event_term, (parts, _decision(term), kept)


def _event_term(parts: dict[str, Any], decision: Any, kept: dict[str, Any]) -> EventTerm:
    """Place the events, and store and decide what the original had."""
    recipe, data, names = parts["recipe"], parts["data"], parts["parameters"]
    # The mesh and the block are those of the events, once they are placed.
    nowhere = event_mesh(tuple(jax.local_devices()[:1]))
    spec = SumSpec(ModelRef(parts["intensity"]), names, recipe.columns, parts["summand"], parts["single"], nowhere, 1)
    total, account = recipe.first_sum(spec, data, kept["what"]), Account()
    if not kept["is_open"]:
        total, account = recipe.prepare(total, data, dict(kept["held"]))
    if decision is not None and isinstance(total, ProvenSum):
        _decide(total, account, decision)
    return EventTerm(total=total, account=account, recipe=recipe, data=data, **kept)


def _read_by(term: EventTerm) -> Any:
    """Return the events with the columns that the intensity reads only."""
    data = term.data
    if not isinstance(data, Dataset):  # events in files: see `_of_files`
        return data
    names = [name for name in data if name in term.recipe.columns] or [next(iter(data))]
    return Dataset({name: np.asarray(data[name]) for name in names}, data._weights, dtype=data.dtype)


def _decision(term: EventTerm) -> tuple[bool, Any, Account] | None:
    """Return whether a sum goes over pseudo-events and what proved it, or None where that is not decided."""
    total = term.total
    if not isinstance(total, ProvenSum) or not total.is_decided:
        return None
    return total._direct is None, total._proof, term.account


def _decide(total: ProvenSum, account: Account, decision: tuple[bool, Any, Account]) -> None:
    """Take over a decision."""
    over_pseudo_events, proof, original = decision
    account.path, account.why_direct = original.path, original.why_direct
    total._proof = proof
    if over_pseudo_events:
        total._direct = None
    else:
        total._pseudo = None


def _is_from_integrals(term: EventTerm) -> bool:
    """Tell whether there are integrals in place of the Monte Carlo: stored columns, where nothing was to be stored."""
    return isinstance(term.total, EventSum) and not term.recipe.settings.precompute and term.total.spec.plan is not None


def _integrals_of(term: EventTerm) -> Integrals:
    """Return the integrals that a term was made with, as far as a sum over them needs."""
    assert isinstance(term.total, EventSum)
    sample = {name: np.asarray(term.table[name]) for name in term.table}
    nowhere = np.zeros((0, len(term.total.spec.parameters)))
    return make_integrals(term.total, term.table.dtype == "float32", sample, (0, 0.0, ""), nowhere, np.zeros(0))


def _from_integrals(intensity: Any, integrals: Integrals, account: Account, kept: dict[str, Any]) -> EventTerm:
    common = {"parameters": integrals.parameters, "scale": kept["scale"]}
    term = EventTerm.from_integrals(intensity, integrals, kept["what"], **common)
    return replace(term, account=account, **kept)


def _of_files(events: FileEvents) -> tuple:
    if not events.is_streamed:
        return opened, (events.files, events.names, events.what, None)
    return _file_events, (events.files, events.names, events.what, events.budget, events.totals)


def _file_events(files: Any, names: tuple[str, ...], what: str, budget: int, totals: Totals) -> FileEvents:
    """Return events that are read at every call, by this process alone; they need not be looked through again."""
    devices = select_devices(totals.n_events, None, local=True)
    return FileEvents(files, names, what, devices, budget, True, totals, np.array([totals.n_used]))


def _of_sum(total: SuppliedSum) -> tuple:
    return SuppliedSum, (total.summand, total.sizes, total.extras, total.weights)


def _of_function(function: ParameterFunction) -> tuple:
    return ParameterFunction, (function.function, "the function")


_REDUCERS: dict[type, Callable[[Any], tuple]] = {
    EventTerm: _of_event_term,
    FileEvents: _of_files,
    SuppliedSum: _of_sum,
    ParameterFunction: _of_function,
}


def _fault(cost: "Cost") -> str:
    """Say which part of a cost can't be pickled."""
    for what, part in _parts(cost._terms):
        try:
            _dumps(part)
        except Exception:  # whatever an object says that can't be pickled
            return f"{what} refers to what can't be"
    return "it holds what can't be"


def _parts(terms: Iterable[Any]) -> Iterator[tuple[str, Any]]:
    """Yield what a cost has from the user, and what messages call it."""
    for term in terms:
        if isinstance(term, TiedTerm):
            yield from _parts(term.inner._terms)
            yield from ((f"the tie of {name!r}", function) for name, function in term.ties.functions)
        elif isinstance(term, EventTerm):
            yield f"the intensity {term.total.spec.model.name}", term.total.spec.model.function
        elif isinstance(term, SuppliedTerm):
            yield f"{type(term.source).__name__}, where the intensities of {term.what} come from,", term.source
        else:
            yield f"the penalty on {', '.join(term.parameters)}", term
