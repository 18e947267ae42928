"""Errors of what is computed from fitted parameters."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from jaxpwa._checks import known


@dataclass(frozen=True, eq=False)
class Estimate:
    """What was computed from fitted parameters, with its errors.

    Attributes
    ----------
    value
        A number, an array, or a dict (list, record) of such, as the function returned it.
    error
        One standard deviation of each number, of the same form.
    covariance
        ``(n, n)`` of all numbers, in the order of `jax.tree.leaves`: dicts by sorted name, arrays row by row.
    """

    value: Any
    error: Any
    covariance: np.ndarray

    def __repr__(self) -> str:
        if np.ndim(self.error) == 0 and not isinstance(self.error, Mapping):
            return f"{float(self.value):.6g} +- {float(self.error):.2g}"
        return f"Estimate(value={self.value!r}, error={self.error!r})"


def propagate(
    function: Callable[[dict[str, Any]], Any], values: Mapping[str, float], covariance: np.ndarray
) -> Estimate:
    r"""Errors of a function of parameters, by its exact Jacobian.

    .. math:: V_f = J V J^T, \quad J_{ik} = \partial f_i / \partial p_k

    Parameters
    ----------
    function
        ``function(params)``, written with `jax.numpy`: returns real numbers or arrays, or dicts, lists or records of
        such.
    values
        Parameters by name.
    covariance
        ``(n, n)`` in the order of ``values``.

    Returns
    -------
    `Estimate`, of the first order in the errors.

    Raises
    ------
    TypeError
        If the function returns something else than real numbers, or can't be traced.
    """
    names = list(values)
    at = jnp.asarray([float(values[name]) for name in names])
    form: dict[str, Any] = {}

    def flat(vector: jax.Array) -> jax.Array:
        out = function(dict(zip(names, vector, strict=True)))
        for leaf in jax.tree.leaves(out):
            kind = jnp.result_type(leaf) if isinstance(leaf, (jax.Array, np.ndarray, float, int)) else None
            if kind is None or jnp.issubdtype(kind, jnp.complexfloating):
                msg = (
                    f"the function must return real numbers, got {leaf if kind is None else 'complex ones'}. "
                    "Of a complex number take .real and .imag, or its size and phase: jnp.abs(z), jnp.angle(z)."
                )
                raise TypeError(msg)
        vector, form["back"] = ravel_pytree(jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.result_type(float)), out))
        return vector

    try:
        value = flat(at)
        jacobian = np.asarray(jax.jacfwd(flat)(at))
    except (jax.errors.ConcretizationTypeError, jax.errors.TracerArrayConversionError) as error:
        line = str(error).split("\n", 1)[0]
        msg = f"the function can't be differentiated: write it with jax.numpy, without float() or if on values. {line}"
        raise TypeError(msg) from None
    if not value.size:
        msg = f"the function must return at least one number of the parameters {known(names)}, got none."
        raise TypeError(msg)
    v = jacobian @ np.asarray(covariance) @ jacobian.T
    errors = jnp.sqrt(jnp.maximum(jnp.diagonal(jnp.asarray(v)), 0.0))
    value, error = (jax.tree.map(_host, form["back"](x)) for x in (value, errors))
    return Estimate(value, error, v)


def _host(x: jax.Array) -> Any:
    return float(x) if x.ndim == 0 else np.asarray(x)
