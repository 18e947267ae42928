"""What is summed over events, ``g(I)``: module-level functions, whose identity is a key of compiled code."""

import numpy as np

import jax
import jax.numpy as jnp

from jaxpwa._checks import first_bad


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


FORMULAS = {
    "log_intensity": "ln I",
    "plain_intensity": "I",
    "poisson_deviance": "(I - n + n ln(n / I))",
    "squared_pull": "((I - y) / sigma)**2",
}
"""What results say of them."""

SUMMANDS = {"log": log_intensity, "intensity": plain_intensity, "pull": squared_pull}
"""Those that intensities from outside can be summed with."""

NEUTRAL = {"log": 1.0, "intensity": 0.0, "pull": 0.0}
"""Intensities that add nothing to these sums: what padding holds."""


def faults_of(
    values: np.ndarray, counted: np.ndarray, needs_log: bool, what: str, first: int = 0
) -> list[tuple[str, str]]:
    """Say what is wrong with intensities, as (kind, sentence): kinds 'nan', 'negative', 'zero'.

    Parameters
    ----------
    values
        The intensities, ``(events,)``.
    counted
        Which events take part.
    needs_log
        Whether they must be positive.
    what
        What the events are called.
    first
        Index of the first of them in the whole, where they are a piece of it.
    """
    kinds = [("nan", ~np.isfinite(values), "NaN or infinite")]
    if needs_log:
        kinds += [("negative", values < 0, "negative"), ("zero", values == 0, "0")]
    found = []
    for kind, mask, word in kinds:
        bad = mask & counted
        if bad.any():
            text = f"intensity is {word} for {int(bad.sum())} of {len(values)} {what} events"
            text += f" from event {first} on" if first else ""
            found.append((kind, f"{text} (first: event {first + first_bad(bad)})"))
    return found
