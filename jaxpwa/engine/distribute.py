"""Factors that depend on events alone are drawn onto what is linear in the parameters.

``(p * d1) * d2`` becomes ``p * (d1 * d2)``, ``(p1 * d1 + p2 * d2) * d3`` becomes ``p1 * (d1 * d3) + p2 * (d2 * d3)``,
``(p * d1) * z``, with z complex and the rest real, becomes ``p * (d1 * z)``, ``d * abs(z)**2`` becomes the real part of
``(d * z) * conj(z)``, division by what depends on events alone is multiplication by its inverse, and a choice by event,
``where(mask, a, b)``, is ``mask * a + (1 - mask) * b``. The products of data are then computed once, and an intensity
has the lowest degree in what is stored.
"""

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import jax.numpy as jnp
from jax import lax

_MOST_TERMS = 400
_SUMS = {"add", "sub", "add_any"}


@dataclass(frozen=True, eq=False)
class Result:
    """What an operation makes."""

    aval: Any


@dataclass(frozen=True, eq=False)
class Operation:
    """An operation that no line of the user's wrote; it has what is asked of JAX's equations.

    It runs by ``function``: the parameters of primitives differ between versions of JAX.
    """

    primitive: Any
    params: dict[str, Any]
    function: Callable[..., Any]
    invars: tuple[Any, ...]
    outvars: tuple[Any, ...]
    source_info: Any
    effects: tuple = ()


FUNCTIONS: dict[Any, Callable[..., Any]] = {
    lax.mul_p: operator.mul,
    lax.div_p: operator.truediv,
    lax.add_p: operator.add,
    lax.sub_p: operator.sub,
    lax.neg_p: operator.neg,
    lax.conj_p: jnp.conj,
    lax.real_p: jnp.real,
}


class TooManyTerms(Exception):
    """The sum over which a factor would be distributed is too long."""


def distributed(
    eqn: Any, inputs: tuple[Any, ...], make: Callable[[Any, tuple[Any, ...]], Any], data: int, squares: bool
) -> Any:
    """Return the node of a product, quotient or choice with its data factor drawn in, or None where it stays as it is.

    Parameters
    ----------
    eqn, inputs
        The operation, and the nodes that it reads.
    make
        ``make(operation, nodes) -> node``.
    data
        What the nodes that depend on events alone say that they depend on.
    squares
        Whether to draw factors into squares, and to multiply choices out: of lower degree, and more work per event.
    """
    name = eqn.primitive.name
    both = data | 2
    source = eqn.source_info
    is_choice = squares and name == "select_n" and len(inputs) == 3 and _is_choice_by_event(inputs, data)
    if not is_choice and (name not in ("mul", "div") or len(inputs) != 2):
        return None

    def apply(primitive: Any, nodes: tuple[Any, ...], aval: Any = None, **params: Any) -> Any:
        aval = max((node.aval for node in nodes), key=lambda a: a.ndim) if aval is None else aval
        function = FUNCTIONS.get(primitive, lambda x: x.astype(aval.dtype))
        return make(Operation(primitive, params, function, nodes, (Result(aval),), source), nodes)

    def one(node: Any) -> Any:
        return type(node)(node.aval, 0, np.ones(node.aval.shape, node.aval.dtype))

    def inverse(node: Any) -> Any:
        return apply(lax.div_p, (one(node), node))

    count = [0]

    def as_type(node: Any, dtype: Any) -> Any:
        if node.aval.dtype == dtype:
            return node
        aval = node.aval.update(dtype=np.dtype(dtype))
        return apply(lax.convert_element_type_p, (node,), aval, new_dtype=np.dtype(dtype))

    def as_complex(node: Any, dtype: Any) -> Any:
        """Return a real sum or product as one of complex numbers, or None where it is something else."""
        step = node.step
        if step is None or (kind := step.eqn.primitive.name) not in {*_SUMS, "neg", "mul"}:
            return None
        primitive = {"mul": lax.mul_p, "neg": lax.neg_p, "sub": lax.sub_p}.get(kind, lax.add_p)
        return apply(primitive, tuple(as_type(n, dtype) for n in step.inputs))

    def times(node: Any, factor: Any) -> Any:
        count[0] += 1
        if count[0] > _MOST_TERMS:
            raise TooManyTerms
        step = node.step
        if node.depends == both and step is not None:
            kind = step.eqn.primitive.name
            if kind in _SUMS:
                a, b = (times(n, factor) for n in step.inputs)
                return apply(lax.sub_p if kind == "sub" else lax.add_p, (a, b))
            if kind == "neg":
                return apply(lax.neg_p, (times(step.inputs[0], factor),))
            if _is_made_complex(step) and (inner := as_complex(step.inputs[0], node.aval.dtype)) is not None:
                return times(inner, factor)
            if squares and (z := _squared(step)) is not None and _is_linear(z, data, squares):
                drawn = times(z, as_type(factor, z.aval.dtype))
                if not jnp.issubdtype(z.aval.dtype, jnp.complexfloating):
                    return apply(lax.mul_p, (drawn, z))
                conjugate = apply(lax.conj_p, (z,))
                return apply(lax.real_p, (apply(lax.mul_p, (drawn, conjugate)),), node.aval)
            if kind == "mul":
                a, b = step.inputs
                if a.depends & data and not b.depends & data:
                    a, b = b, a
                if not a.depends & data and b.aval.shape == node.aval.shape:
                    return apply(lax.mul_p, (a, times(b, factor)))
        return apply(lax.mul_p, (node, factor))

    try:
        if is_choice:
            where, *cases = inputs
            yes = as_type(where, cases[1].aval.dtype)
            no = apply(lax.sub_p, (one(yes), yes))
            return apply(lax.add_p, (times(cases[0], no), times(cases[1], yes)))
        x, factor = inputs[0], inputs[1]
        if name == "mul" and x.depends == data:
            x, factor = factor, x
        if name == "div" and x.depends == 2 and factor.depends == data and _is_inexact(factor):
            return apply(lax.mul_p, (x, inverse(factor)))
        if x.depends != both or factor.depends != data or factor.aval.shape != x.aval.shape:
            return None
        if not _is_inexact(x) or x.aval.dtype != factor.aval.dtype or not _is_linear(x, data, squares):
            return None
        return times(x, inverse(factor) if name == "div" else factor)
    except TooManyTerms:
        return None


def _is_inexact(node: Any) -> bool:
    return jnp.issubdtype(node.aval.dtype, jnp.inexact)


def _is_choice_by_event(inputs: tuple[Any, ...], data: int) -> bool:
    """Tell whether the events alone choose between two values of which one depends on parameters."""
    where, *cases = inputs
    return (
        where.depends == data
        and where.aval.dtype == bool
        and any(case.depends & 2 for case in cases)
        and all(_is_inexact(case) and case.aval.shape == where.aval.shape for case in cases)
    )


def _squared(step: Any) -> Any:
    """Return the node of which a step takes the square, or the squared modulus, if it does."""
    name = step.eqn.primitive.name
    if name != "square" and not (name == "integer_pow" and step.eqn.params["y"] == 2):
        return None
    node = step.inputs[0]
    if node.step is not None and node.step.eqn.primitive.name == "abs":
        return node.step.inputs[0]
    return node


def _is_made_complex(step: Any) -> bool:
    """Tell whether a step makes real numbers complex, of the same precision, and does nothing else."""
    if step.eqn.primitive.name != "convert_element_type":
        return False
    before, after = step.inputs[0].aval.dtype, step.eqn.outvars[0].aval.dtype
    return jnp.issubdtype(before, jnp.floating) and after == jnp.result_type(before, jnp.complex64)


def _is_linear(node: Any, data: int, squares: bool) -> bool:
    """Tell whether there is something to draw a factor onto: a product with data, or a sum of such."""
    step = node.step
    if step is None or node.depends != data | 2:
        return False
    kind = step.eqn.primitive.name
    if kind == "mul":
        a, b = step.inputs
        return any(
            not p.depends & data and (d.depends == data or _is_linear(d, data, squares)) for p, d in ((a, b), (b, a))
        )
    if squares and (z := _squared(step)) is not None:
        return _is_linear(z, data, squares)
    if kind in _SUMS or kind == "neg":
        return any(_is_linear(n, data, squares) for n in step.inputs)
    if _is_made_complex(step):
        inner = step.inputs[0]
        return inner.step is not None and _squared(inner.step) is None and _is_linear(inner, data, squares)
    return False
