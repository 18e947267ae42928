"""Seeds and JAX keys, read alike wherever something random is asked for."""

from typing import Any

import numpy as np

import jax
import jax.numpy as jnp


def key_words(key_or_seed: Any) -> np.ndarray:
    """Return two random words, ``(2,)`` uint32, from a seed or a JAX key of any kind."""
    if isinstance(key_or_seed, (bool, float, str)) or key_or_seed is None:
        msg = f"the first argument must be a whole number (seed) or a JAX key, got {key_or_seed!r}."
        raise TypeError(msg)
    if isinstance(key_or_seed, (int, np.integer)):
        if not 0 <= int(key_or_seed) < 2**64:
            msg = f"a seed must be between 0 and 2**64 - 1, got {key_or_seed}."
            raise ValueError(msg)
        # Both halves enter, and with them every bit of the seed.
        high, low = divmod(int(key_or_seed), 2**32)
        key = jax.random.fold_in(jax.random.key(low), high)
    else:
        key = key_or_seed
        if not (isinstance(key, jax.Array) and jnp.issubdtype(key.dtype, jax.dtypes.prng_key)):
            key = jnp.asarray(key)
            if key.dtype != jnp.uint32 or key.ndim != 1:
                msg = f"a JAX key must come from jax.random.key(seed), got an array {key.dtype}{list(key.shape)}."
                raise TypeError(msg)
            key = jax.random.wrap_key_data(key)
    if key.ndim:
        msg = f"one JAX key is needed, got an array of keys of shape {key.shape}."
        raise ValueError(msg)
    return np.asarray(jax.random.bits(key, (2,), jnp.uint32))
