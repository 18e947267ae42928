"""The one door for four-vectors and three-vectors, and products of three-vectors that stay finite at 0."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxpwa.physics._arrays import floating

FourVector: TypeAlias = ArrayLike | Sequence[ArrayLike]
"""Four-vectors: an array ``(events, 4)``, or a tuple or list of the four columns ``E, px, py, pz``."""

ThreeVector: TypeAlias = ArrayLike | Sequence[ArrayLike]
"""Three-vectors: an array ``(events, 3)``, or a tuple or list of the three columns ``x, y, z``."""

Axis: TypeAlias = ThreeVector | Callable[[Callable[[FourVector], jax.Array]], ArrayLike]
"""A direction, or a function that makes one out of the momenta that it asks for."""


def _real(name: str, value: Any) -> jax.Array:
    """Return an array of real floating-point numbers."""
    if not isinstance(value, (jax.Array, np.ndarray, int, float)):
        value = np.asarray(value)
    dtype = getattr(value, "dtype", np.dtype(float))
    if not jnp.issubdtype(dtype, jnp.number) or jnp.issubdtype(dtype, jnp.complexfloating):
        msg = f"{name} must be of real numbers, got dtype {dtype}."
        raise TypeError(msg)
    return floating(value)


def columns(name: str, **named: ArrayLike) -> jax.Array:
    """Return columns as one array whose last axis has them."""
    arrays = {part: _real(f"{part} of {name}", column) for part, column in named.items()}
    return jnp.stack(_of_one_shape(arrays, f"columns of {name}"), axis=-1)


def _stacked(name: str, value: Any, labels: tuple[str, ...]) -> jax.Array:
    """Return one array whose last axis has the parts of these names."""
    n, wanted = len(labels), f"({', '.join(labels)})"
    if isinstance(value, (tuple, list)):
        if len(value) != n or any(isinstance(column, (tuple, list)) for column in value):
            kinds = ", ".join(type(column).__name__ for column in value[:6])
            msg = (
                f"{name}, as a {type(value).__name__}, must have the {n} columns {wanted}: got {len(value)} "
                f"({kinds}). Rows of events go into an array of shape (events, {n})."
            )
            raise ValueError(msg)
        return columns(name, **dict(zip(labels, value, strict=True)))
    array = _real(name, value)
    if array.ndim == 0 or array.shape[-1] != n:
        msg = f"{name} must be an array of shape (events, {n}) or {n} columns {wanted}, got shape {array.shape}."
        raise ValueError(msg)
    return array


def _of_one_shape(arrays: dict[str, jax.Array], what: str) -> list[jax.Array]:
    """Broadcast arrays, or say which of them do not go together."""
    try:
        shape = np.broadcast_shapes(*(a.shape for a in arrays.values()))
    except ValueError:
        shapes = ", ".join(f"{name} {a.shape}" for name, a in arrays.items())
        msg = f"{what} must have one entry per event each: got {shapes}."
        raise ValueError(msg) from None
    return [jnp.broadcast_to(a, shape) for a in arrays.values()]


def four_vectors(**named: FourVector) -> list[jax.Array]:
    """Return four-vectors as arrays of one shape ``(..., 4)`` and one precision."""
    arrays = {name: _stacked(name, value, ("E", "px", "py", "pz")) for name, value in named.items()}
    dtype = jnp.result_type(*arrays.values())
    return [array.astype(dtype) for array in _of_one_shape(arrays, "four-vectors")]


def three_vector(name: str, value: ThreeVector) -> jax.Array:
    """Return a three-vector as an array ``(..., 3)``."""
    return _stacked(name, value, ("x", "y", "z"))


def per_event(name: str, value: ArrayLike, p4: jax.Array) -> jax.Array:
    """Return one number per four-vector."""
    number, _ = _of_one_shape({name: _real(name, value), "four-vectors": p4[..., 0]}, f"{name} and four-vectors")
    return number


def product(a: jax.Array, b: jax.Array) -> jax.Array:
    """Scalar product of three-vectors."""
    a, b = jnp.broadcast_arrays(a, b)
    return jnp.sum(a * b, axis=-1)


def cross(a: jax.Array, b: jax.Array) -> jax.Array:
    """Vector product of three-vectors."""
    a, b = jnp.broadcast_arrays(a, b)
    return jnp.cross(a, b)


def arctan2(y: jax.Array, x: jax.Array) -> jax.Array:
    """Angle of (x, y), 0 with slope 0 where both are 0."""
    undefined = (x == 0) & (y == 0)
    return jnp.arctan2(jnp.where(undefined, 0.0, y), jnp.where(undefined, 1.0, x))


def direction(vector: jax.Array, instead: ThreeVector = (0.0, 0.0, 1.0)) -> jax.Array:
    """Return unit vectors; where a vector is 0 another unit vector, by default that along z."""
    squared = product(vector, vector)[..., None]
    zero = squared == 0
    other = jnp.broadcast_to(jnp.asarray(instead, vector.dtype), vector.shape)
    return jnp.where(zero, other, vector / jnp.sqrt(jnp.where(zero, 1.0, squared)))
