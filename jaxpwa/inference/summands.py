"""What is summed over events, ``g(I)``: module-level functions, whose identity is a key of compiled code."""

import jax
import jax.numpy as jnp


def log_intensity(intensity: jax.Array, extras: tuple, real: jax.Array) -> jax.Array:
    """``ln I``; one select only, which gives padding an exact 0 and a finite derivative."""
    return jnp.log(jnp.where(real, intensity, 1.0))


def plain_intensity(intensity: jax.Array, extras: tuple, real: jax.Array) -> jax.Array:
    """``I``."""
    return jnp.where(real, intensity, 0.0)


def poisson_deviance(intensity: jax.Array, extras: tuple, real: jax.Array) -> jax.Array:
    """``mu - n + n ln(n / mu)`` with ``mu = I``; ``mu`` for an empty bin, NaN for a negative ``mu``."""
    (counts,) = extras
    filled = real & (counts > 0)
    # Both selects are needed: an empty bin with mu = 0 would have the derivative 0 * inf.
    logs = jnp.log(jnp.where(filled, counts, 1.0)) - jnp.log(jnp.where(filled, intensity, 1.0))
    terms = intensity - counts + counts * logs
    return jnp.where(real, jnp.where(intensity < 0, jnp.nan, terms), 0.0)


def squared_pull(intensity: jax.Array, extras: tuple, real: jax.Array) -> jax.Array:
    """``((I - y) / sigma)**2``."""
    observed, sigma = extras
    return jnp.where(real, ((intensity - observed) / sigma) ** 2, 0.0)


SUMMANDS = {"log": log_intensity, "intensity": plain_intensity, "pull": squared_pull}
"""Those that intensities from outside can be summed with."""

NEUTRAL = {"log": 1.0, "intensity": 0.0, "pull": 0.0}
"""Intensities that add nothing to these sums: what padding holds."""
