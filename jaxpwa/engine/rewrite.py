"""The user's formula, traced and evaluated again with cheaper operations.

Division by a number that is the same for all events, such as a width, becomes multiplication by its reciprocal: the
value changes in the last bit at most, while reverse mode no longer divides once more per event for each such
division (W1 at 10^7 events: gradient 40 -> 33 ms, Hessian 248 -> 166 ms).
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend import core as jex_core


def with_reciprocals(function: Callable[..., jax.Array], *arguments: Any) -> jax.Array:
    """Call a function of pytrees of arrays with divisions by scalars replaced.

    Parameters
    ----------
    function
        Returns one array.
    arguments
        Tuples of arrays; tracers, when called inside a transformation.
    """
    closed = jax.make_jaxpr(function)(*arguments)
    (result,) = _evaluate(closed.jaxpr, closed.consts, jax.tree.leaves(arguments))
    return result


def _evaluate(jaxpr: Any, constants: Sequence[Any], arguments: Sequence[Any]) -> list[Any]:
    """Evaluate a jaxpr, nested calls of jitted functions included."""
    values: dict[Any, Any] = {}

    def read(atom: Any) -> Any:
        return atom.val if isinstance(atom, jex_core.Literal) else values[atom]

    values.update(zip(jaxpr.constvars, constants, strict=True))
    values.update(zip(jaxpr.invars, arguments, strict=True))
    for eqn in jaxpr.eqns:
        inputs = [read(atom) for atom in eqn.invars]
        inner = eqn.params.get("jaxpr")
        if eqn.primitive.name in ("jit", "pjit") and isinstance(inner, jex_core.ClosedJaxpr):
            outputs = _evaluate(inner.jaxpr, inner.consts, inputs)
        elif is_division_by_scalar(eqn):
            outputs = [inputs[0] * (1 / inputs[1])]
        else:
            outputs = bind(eqn, inputs)
        values.update(zip(eqn.outvars, outputs, strict=True))
    return [read(atom) for atom in jaxpr.outvars]


def is_division_by_scalar(eqn: Any) -> bool:
    """Tell whether an equation divides an array by a number."""
    if eqn.primitive.name != "div" or isinstance(eqn.invars[1], jex_core.Literal):
        return False
    above, below = (atom.aval for atom in eqn.invars)
    return below.ndim == 0 and above.ndim > 0 and jnp.issubdtype(below.dtype, jnp.floating)


def bind(eqn: Any, inputs: list[Any]) -> list[Any]:
    """Apply an equation's primitive as it is."""
    bound = eqn.primitive.get_bind_params(eqn.params)
    # JAX before 0.10 gives the functions of custom derivatives apart from the other parameters.
    functions, params = bound if isinstance(bound, tuple) else ([], bound)
    outputs = eqn.primitive.bind(*functions, *inputs, **params)
    return list(outputs) if eqn.primitive.multiple_results else [outputs]
