r"""Sums of an intensity over Monte Carlo as sums over a handful of pseudo-events.

Where the intensity is a polynomial of second degree in the stored columns :math:`z` of an event, its sum over all
events depends on them by :math:`M = \sum_e w_e\, y_e y_e^T`, :math:`y = (1, z)`, alone. Any other set of weighted
events with the same :math:`M` gives the same sum, value and derivatives: as many as :math:`M` has eigenvalues do. So
the sum over millions of events becomes one over some tens, by the very code that sums over events.

That the degree is two is read from the traced formula; that the sums agree is checked on numbers before it is used.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np

import jax
import jax.numpy as jnp
from jax import lax
from jax.sharding import Mesh

from jaxpwa.engine.blocks import Arrays, PlacedEvents
from jaxpwa.engine.devices import assemble, event_mesh, over_events, own_positions
from jaxpwa.engine.graph import DATA, Node, combined
from jaxpwa.engine.precompute import Plan, cut
from jaxpwa.engine.processes import rows_of
from jaxpwa.engine.sums import EventSum

_LINEAR = {"neg", "real", "imag", "conj", "broadcast_in_dim", "reshape", "squeeze", "transpose", "slice", "copy"}
_LINEAR |= {"reduce_sum", "expand_dims", "concatenate", "complex", "add", "sub", "add_any", "rev", "pad"}
_ROWS = 64
MOST_NUMBERS = 600
"""Most real numbers per event for which moments are taken: their matrix has that many rows."""


class NotQuadratic(Exception):
    """The intensity is no polynomial of second degree in what is stored; the message says why."""


def degrees(plan: Plan) -> tuple[dict[Node, tuple[int, bool]], dict[Node, str]]:
    """Read from the steps behind the cut of which degree values are in what is stored.

    Returns
    -------
    degrees
        Degree of each value, and whether it is the modulus of something of that degree, whose square is a polynomial.
    reasons
        For all other values, why they are no polynomials.
    """
    found: dict[Node, tuple[int, bool]] = dict.fromkeys(plan.stored, (1, False))
    reasons: dict[Node, str] = {}
    for step in plan.late:
        if not step.depends & DATA:
            continue
        reason = next((reasons[node] for node in step.inputs if node in reasons), "")
        degree = 0, False
        if not reason:
            try:
                degree = _degree(step.eqn.primitive.name, step, [found.get(node, (0, False)) for node in step.inputs])
            except NotQuadratic as error:
                reason = str(error)
        for node in step.outputs:
            if reason:
                reasons[node] = reason
            else:
                found[node] = degree
    return found, reasons


def _why_not(node: Node, found: dict[Node, tuple[int, bool]], reasons: dict[Node, str]) -> str:
    """Say why a value is not of second degree, or return an empty string."""
    degree, modulus = found.get(node, (0, False))
    if node in reasons or degree > 2:
        return reasons.get(node, f"the intensity is of degree {degree} in what is stored")
    return "it ends in a modulus" if modulus else ""


def check_degree(plan: Plan) -> None:
    """Read from the steps behind the cut whether the intensity is of second degree in what is stored.

    Raises
    ------
    NotQuadratic
        If it is not, or can't be told.
    """
    reason = _why_not(plan.graph.output, *degrees(plan))
    if reason:
        raise NotQuadratic(reason)


@lru_cache(maxsize=64)
def split(plan: Plan) -> tuple[Plan, Plan] | None:
    """Cut an intensity that is a sum into its terms of second degree and the rest; None where either is empty."""
    known = degrees(plan)
    output = plan.graph.output
    good: list[tuple[bool, Node]] = []
    rest: list[tuple[bool, Node]] = []

    def sort(node: Node, plus: bool) -> None:
        if not _why_not(node, *known):
            good.append((plus, node))
            return
        name = "" if node.step is None else node.step.eqn.primitive.name
        if node.step is not None and name in ("add", "sub", "add_any", "neg"):
            first, *others = node.step.inputs
            sort(first, plus == (name != "neg"))
            for other in others:
                sort(other, plus == (name != "sub"))
        else:
            rest.append((plus, node))

    sort(output, True)
    parts = [_joined(plan, terms) for terms in (good, rest)]
    if any(part is None for part in parts):
        return None
    return parts[0], parts[1]  # pyright: ignore[reportReturnType]


def _joined(plan: Plan, terms: list[tuple[bool, Node]]) -> Plan | None:
    """Return a plan for the sum of some terms of an intensity, or None if none of them is one value per event."""
    output = plan.graph.output
    # Terms that are one number for all events go with one that is not.
    terms = sorted(terms, key=lambda term: term[1].aval.ndim, reverse=True)
    if not terms or terms[0][1].aval.shape != output.aval.shape:
        return None
    steps, total = list(plan.graph.steps), None
    for plus, node in terms:
        if total is None and plus:
            total = node
            continue
        nodes = (node,) if total is None else (total, node)
        total, step = combined("neg" if len(nodes) == 1 else "add" if plus else "sub", nodes, output)
        steps.append(step)
    assert total is not None
    return cut(replace(plan.graph, output=total, steps=steps))


def _degree(name: str, step: Any, inputs: list[tuple[int, bool]]) -> tuple[int, bool]:
    highest = max((d for d, _ in inputs), default=0)
    moduli = any(m for _, m in inputs)
    if highest == 0:
        return 0, False
    if name == "abs":
        return highest, True
    if name in ("integer_pow", "square"):
        power = step.eqn.params.get("y", 2)
        if power >= 1 and (not moduli or power % 2 == 0):
            return power * highest, False
    elif name == "mul" and moduli and step.inputs[0] is step.inputs[1]:
        return 2 * highest, False
    elif name in ("mul", "dot_general") and not moduli:
        return sum(d for d, _ in inputs), False
    elif name in _LINEAR and not moduli or name in ("broadcast_in_dim", "reshape", "squeeze", "copy"):
        return highest, moduli
    elif name == "convert_element_type" and jnp.issubdtype(step.outputs[0].aval.dtype, jnp.inexact):
        return highest, moduli
    elif name == "div" and inputs[1][0] == 0 and not moduli:
        return inputs[0][0], False
    elif name == "select_n" and inputs[0][0] == 0 and not moduli:
        return highest, False
    elif name in ("gather", "dynamic_slice") and all(d == 0 for d, _ in inputs[1:]) and not moduli:
        return highest, False
    msg = f"{name} of what is stored is no polynomial of second degree"
    raise NotQuadratic(msg)


def _as_rows(columns: Any) -> Any:
    """Return ``(events, 1 + numbers)``: one, and what is stored, float64."""
    n = columns[0].shape[0]
    parts = [jnp.ones((n, 1)), *(c.reshape(n, -1).astype(jnp.result_type(float)) for c in columns)]
    return jnp.concatenate(parts, axis=1)


@lru_cache(maxsize=64)
def _compiled_moments(mesh: Mesh, block: int) -> Callable[[Arrays], jax.Array]:
    """Return ``arrays -> (devices, numbers, numbers)``."""

    def local(arrays: Arrays) -> jax.Array:
        columns, _, weights, n_here = arrays
        n = n_here[0]
        size = 1 + sum(prod(c.shape[1:]) for c in columns)

        def body(i: jax.Array, total: jax.Array) -> jax.Array:
            y = _as_rows([lax.dynamic_slice_in_dim(c, i * block, block) for c in columns])
            real = jnp.arange(block) < n - i * block
            w = jnp.where(real, 1.0 if weights is None else lax.dynamic_slice_in_dim(weights, i * block, block), 0.0)
            return total + y.T @ (w[:, None] * y)

        return lax.fori_loop(0, (n + block - 1) // block, body, jnp.zeros((size, size)))[None]

    return over_events(mesh, local, 0, 1, rows=True)


def moments(events: PlacedEvents) -> np.ndarray:
    r"""Return :math:`\sum_e w_e\, y_e y_e^T`, ``(1 + numbers, 1 + numbers)``, float64."""
    parts = rows_of(_compiled_moments(events.mesh, events.block)(events.arrays))
    return np.sum([part[0] for part in parts], axis=0)


def pseudo_events(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    r"""Find few weighted events with given moments.

    Parameters
    ----------
    matrix
        :math:`M`, symmetric, ``(1 + numbers, 1 + numbers)``; its first entry is the sum of weights.

    Returns
    -------
    numbers
        ``(events, numbers)``.
    weights
        ``(events,)``, negative ones where :math:`M` has negative eigenvalues.
    """
    size = np.sqrt(np.abs(np.diag(matrix)))
    size[size == 0] = 1.0
    values, vectors = np.linalg.eigh(matrix / np.outer(size, size))
    tiny = 1e-15 * np.abs(values).max()
    found, weights = [], []
    roots = size[:, None] * vectors * np.sqrt(np.abs(values))
    one = np.zeros((len(size), 1))
    one[0] = size[0]
    for sign in (1.0, -1.0):
        part = roots[:, sign * values > tiny]
        if (values < -tiny).any():
            # What is added to both parts cancels, and gives the first row of each something to divide by.
            part = np.hstack([part, one])
        if part.shape[1]:
            numbers, weight = _with_equal_first_row(part)
            found.append(numbers)
            weights.append(np.full(len(numbers), sign * weight))
    return np.concatenate(found), np.concatenate(weights)


def _with_equal_first_row(part: np.ndarray) -> tuple[np.ndarray, float]:
    """Rotate ``part`` so that its first row has equal entries; part @ part.T stays."""
    b, n = part[0], part.shape[1]
    norm = np.linalg.norm(b)
    target = np.full(n, norm / np.sqrt(n))
    # The Householder reflection from b to the target, by the sign that does not cancel.
    if b @ target > 0:
        target = -target
    v = b - target
    rotated = part - np.outer(part @ v, v) * (2 / (v @ v))
    return (rotated[1:] / rotated[0]).T, float(target[0] ** 2)


def pseudo_sum(total: EventSum, plan: Plan, plan_at: Callable[[int], Plan]) -> EventSum:
    """Return a sum over pseudo-events that equals a sum over events.

    Parameters
    ----------
    total
        The sum over events, of the intensity itself.
    plan
        Its plan.
    plan_at
        Makes the plan for another length of a block, in double precision.

    Raises
    ------
    NotQuadratic
        If there is none.
    """
    check_degree(plan)
    check_size(total.events)
    return few_events(total, plan, moments(total.events), plan_at)


def check_size(events: PlacedEvents) -> None:
    """Refuse to take moments of too many numbers per event."""
    n_numbers = sum(prod(c.shape[1:]) for c in events.arrays[0])
    if n_numbers > MOST_NUMBERS:
        msg = f"{n_numbers} numbers per event are stored, above {MOST_NUMBERS}"
        raise NotQuadratic(msg)


def few_events(total: EventSum, plan: Plan, matrix: np.ndarray, plan_at: Callable[[int], Plan]) -> EventSum:
    """Return the sum over pseudo-events with these moments; of ``total`` everything but its events matters."""
    spec = total.spec
    if not np.isfinite(matrix).all():
        msg = "the moments of what is stored are not finite"
        raise NotQuadratic(msg)
    numbers, weights = pseudo_events(matrix)
    columns, start = [], 0
    for shape in (c.shape[1:] for c in total.events.arrays[0]):
        columns.append(numbers[:, start : start + prod(shape)].reshape(-1, *shape))
        start += prod(shape)
    events = place_pseudo_events(columns, weights, spec.mesh.devices.flat[own_positions(spec.mesh)[-1]])
    small = plan_at(events.block)
    if [n.aval.shape[1:] for n in small.stored] != [n.aval.shape[1:] for n in plan.stored]:
        msg = "the formula depends on the number of events"
        raise NotQuadratic(msg)
    spec = replace(spec, single=False, plan=small, mesh=events.mesh, block=events.block)
    return EventSum(spec, events)


def place_pseudo_events(columns: Sequence[np.ndarray], weights: np.ndarray, device: Any = None) -> PlacedEvents:
    """Copy pseudo-events to a device: what is stored of each, ``(events, ...)``, and their weights."""
    mesh = event_mesh((jax.local_devices()[0] if device is None else device,))
    n = len(weights)
    length = _ROWS * -(-n // _ROWS)

    def padded(values: np.ndarray, pad: Any) -> jax.Array:
        out = np.empty((length, *values.shape[1:]), values.dtype)
        out[:n], out[n:] = values, pad
        return assemble([out], mesh)

    placed = tuple(padded(values, values[0]) for values in columns)
    count = assemble([np.array([n], np.int32)], mesh)
    return PlacedEvents((placed, (), padded(weights, 0.0), count), mesh, length, np.array([0, n]))
