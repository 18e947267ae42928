"""What the formulas of this room share about arrays."""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike


def floating(x: ArrayLike) -> jax.Array:
    """Return an array of real or complex floating-point numbers; Python's numbers stay of weak type."""
    x = jnp.asarray(x)
    return x if jnp.issubdtype(x.dtype, jnp.inexact) else x * 1.0


def upper_root(x: jax.Array) -> jax.Array:
    """Complex square root whose imaginary part is not negative; at 0 its slope is given as 0."""
    zero = x == 0
    safe = jnp.where(zero, 1, x)
    if jnp.iscomplexobj(x):
        # i sqrt(-x) has its cut where x is positive; real numbers lie on the upper side of it.
        root = jnp.where((safe.imag == 0) & (safe.real > 0), jnp.sqrt(safe), 1j * jnp.sqrt(-safe))
    else:
        size = jnp.sqrt(jnp.abs(safe))
        root = jnp.where(safe > 0, size + 0j, 1j * size)
    return jnp.where(zero, 0, root)


def root(x: jax.Array) -> jax.Array:
    """Square root, 0 with slope 0 where its argument is 0 or negative."""
    good = x > 0
    return jnp.where(good, jnp.sqrt(jnp.where(good, x, 1.0)), 0.0)
