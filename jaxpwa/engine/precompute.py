r"""What of an intensity depends on the events alone is computed once, and its results stored as columns.

The traced intensity is cut where parameters come in: steps before the cut run once per dataset, those after it at every
call. Cheap changes of form (broadcasts, conversions, signs) stay behind the cut where storing their result would take
more memory than storing what they start from.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import Any

import jax
import jax.numpy as jnp

from jaxpwa.engine.graph import DATA, Graph, Node, Step, run, trace
from jaxpwa.engine.model import ColumnSpecs, ModelRef
from jaxpwa.engine.pairs import Pair, join

_FORMS = {"broadcast_in_dim", "reshape", "squeeze", "convert_element_type", "neg", "conj", "copy", "expand_dims"}
# What an operation costs per number that it makes, in units of a multiplication.
_COSTS = {"div": 3.0, "sqrt": 3.0, "rsqrt": 3.0, "select_n": 1.0, "dot_general": 8.0}
_SLOW = {"scan", "while", "cond", "custom_jvp_call", "custom_vjp_call", "pow", "atan2", "erf", "lgamma", "digamma"}
_SLOW |= {"exp", "exp2", "log", "log1p", "expm1", "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh"}
_SLOW |= {"cbrt", "logistic", "erf_inv", "erfc", "bessel_i0e", "bessel_i1e", "igamma"}
_SLOW_COST = 12.0
# A stored number costs about as much to read at every call as this many multiplications.
_READ = 2.0


def bytes_per_event(node: Node) -> int:
    """Return the bytes that a value of the graph takes per event."""
    return node.aval.dtype.itemsize * prod(node.aval.shape[1:])


@dataclass(frozen=True, eq=False)
class Plan:
    """A model cut into what runs once per dataset and what runs at every call.

    Attributes
    ----------
    graph
        The model at one length of events.
    stored
        Values that the second part reads from the first: columns or results.
    early, late
        The steps of the two parts.
    """

    graph: Graph
    stored: tuple[Node, ...]
    early: tuple[Step, ...]
    late: tuple[Step, ...]

    @property
    def is_trivial(self) -> bool:
        """Whether nothing is computed beforehand."""
        return not self.early

    @property
    def bytes_stored(self) -> int:
        """Bytes per event of what is stored."""
        return sum(bytes_per_event(n) for n in self.stored)

    @property
    def bytes_read(self) -> int:
        """Bytes per event of the columns that the model reads."""
        return sum(bytes_per_event(n) for n in self.graph.columns)

    @property
    def cost_saved(self) -> float:
        """What the first part costs per event, in multiplications."""
        return sum(_cost(step) for step in self.early)

    @property
    def cost_per_call(self) -> float:
        """What the second part costs per event, in multiplications, what it reads included."""
        return sum(_cost(step) for step in self.late) + _READ * self.bytes_stored / 8

    @property
    def full_layout(self) -> str:
        """The layout in which nothing is left out."""
        return "".join("c" if jnp.issubdtype(n.aval.dtype, jnp.complexfloating) else "x" for n in self.stored)

    def compute(self, numbers: Sequence[Any], columns: Sequence[Any]) -> list[Any]:
        """Return the stored values of a block in the full layout; of ``numbers`` only those held fixed are used."""
        known = dict(zip((*self.graph.parameters, *self.graph.columns), (*numbers, *columns), strict=True))
        values = run(self.early, known)
        out = []
        for node in self.stored:
            value = join(values[node])
            out += [value.real, value.imag] if jnp.iscomplexobj(value) else [value]
        return out

    def intensity(self, numbers: Sequence[Any], stored: Sequence[Any], layout: str) -> Any:
        """Return the intensity of a block from what is stored.

        Parameters
        ----------
        numbers
            The parameters.
        stored
            Real columns.
        layout
            For each stored value: ``x`` for a real one, ``c`` for real and imaginary part, ``r`` or ``i`` for one of
            them where the other is zero.
        """
        columns, values = iter(stored), []
        for node, kind in zip(self.stored, layout, strict=True):
            first = next(columns)
            if kind == "x":
                values.append(first)
            else:
                im = next(columns) if kind == "c" else first if kind == "i" else None
                values.append(Pair(None if kind == "i" else first, im, node.aval.dtype))
        known = dict(zip((*self.graph.parameters, *self.stored), (*numbers, *values), strict=True))
        values = run(self.late, known)
        output = self.graph.output
        return join(values.get(output, output.value))


def simplified(function: Callable[..., Any], numbers: Sequence[Any], columns: Sequence[Any]) -> Any:
    """Call ``function(numbers, columns)`` with cheaper operations, all of it at every call."""
    graph = trace(function, numbers, columns, ())
    known = dict(zip((*graph.parameters, *graph.columns), (*numbers, *columns), strict=True))
    values = run(graph.steps, known)
    return join(values.get(graph.output, graph.output.value))


def _cost(step: Step) -> float:
    name = step.eqn.primitive.name
    if name in _FORMS:
        return 0.0
    each = _SLOW_COST if name in _SLOW else _COSTS.get(name, 1.0)
    return each * max(prod(node.aval.shape[1:]) for node in step.outputs)


@lru_cache(maxsize=256)
def make_plan(
    model: ModelRef,
    names: tuple[str, ...],
    columns: ColumnSpecs,
    single: bool,
    length: int,
    held: tuple[str, ...] = (),
    squares: bool = False,
) -> Plan:
    """Cut a model where its parameters come in.

    Parameters
    ----------
    model, names
        The model and its parameters.
    columns
        The columns that it reads.
    single
        Whether parameters are float32.
    length
        Events in a block.
    held
        Parameters that don't change: what depends on them and on events alone is computed once, too.
    squares
        Draw factors that depend on events alone into squares: for sums of the intensity, which only need a low degree.
    """
    number = jax.ShapeDtypeStruct((), jnp.float32 if single else jnp.result_type(float))
    structs = [jax.ShapeDtypeStruct((length, *shape), dtype) for _, shape, dtype in columns]
    column_names = [name for name, *_ in columns]

    def function(numbers: tuple, arrays: tuple) -> Any:
        return model.function(dict(zip(names, numbers, strict=True)), dict(zip(column_names, arrays, strict=True)))

    graph = trace(function, [number] * len(names), structs, [names.index(n) for n in held], squares)
    return cut(graph)


def cut(graph: Graph) -> Plan:
    """Cut a graph: late is what parameters reach, stored what it reads from the rest."""
    late: set[Step] = set()
    stored: dict[Node, None] = {}

    needed = [graph.output]
    while needed:
        node = needed.pop()
        step = node.step
        if node.depends == DATA and not (step is not None and _is_form(step)):
            stored[node] = None
        elif step is not None and step not in late:
            late.add(step)
            needed.extend(step.inputs)
    early: set[Step] = set()
    open_nodes = list(stored)
    while open_nodes:
        step = open_nodes.pop().step
        if step is not None and step not in early:
            early.add(step)
            open_nodes.extend(step.inputs)
    made = {node: i for i, step in enumerate(graph.steps) for node in step.outputs}
    return Plan(
        graph,
        tuple(sorted(stored, key=lambda node: made.get(node, -1))),
        tuple(s for s in graph.steps if s in early),
        tuple(s for s in graph.steps if s in late),
    )


def _is_form(step: Step) -> bool:
    """Tell whether a step only changes the form of one value of the events, to one that takes no less memory."""
    if step.eqn.primitive.name not in _FORMS or step.depends != DATA or len(step.inputs) != 1:
        return False
    source, result = step.inputs[0], step.outputs[0]
    has_events = source.aval.ndim > 0 and source.aval.shape[0] == result.aval.shape[0]
    return has_events and bytes_per_event(source) <= bytes_per_event(result)


def is_worth_it(plan: Plan, budget: int, n_events: int) -> tuple[bool, str]:
    """Decide whether to store, and say why.

    Parameters
    ----------
    plan
        The cut.
    budget
        Most bytes that may be stored.
    n_events
        Number of events.
    """
    if plan.is_trivial:
        return False, "every operation depends on a parameter"
    total = plan.bytes_stored * n_events
    if any(node.aval.ndim == 0 or node.aval.shape[0] != _length(plan) for node in plan.stored):
        return False, "a result that is not one value per event would have to be stored"
    if total > budget:
        return False, f"it would take {total / 1e6:.1f} MB, above the memory_budget of {budget / 1e6:.1f} MB"
    extra = (plan.bytes_stored - plan.bytes_read) / 8
    if plan.cost_saved <= _READ * extra:
        return False, f"reading {extra:.0f} more numbers per event costs more than computing them again"
    return True, ""


def _length(plan: Plan) -> int:
    return plan.graph.columns[0].aval.shape[0]
