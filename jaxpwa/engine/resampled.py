"""A sum over events at many points, each with numbers of its own for how often every event counts: the bootstrap."""

from functools import lru_cache
from typing import Any

import numpy as np

import jax
import jax.numpy as jnp
from jax import lax

from jaxpwa.engine.blocks import Arrays
from jaxpwa.engine.devices import assemble, over_events
from jaxpwa.engine.processes import rows_of
from jaxpwa.engine.sums import EventSum, SumSpec, derivatives_of


@lru_cache(maxsize=32)
def _compiled(spec: SumSpec) -> Any:
    """Return ``(thetas, arrays, counts) -> (devices, points, 1 + n)``; ``counts`` is ``(rows, points)``."""
    function = derivatives_of(spec, 1)

    def local(thetas: jax.Array, arrays: Arrays, counts: jax.Array) -> jax.Array:
        columns, extras, weights, n_here = arrays
        n, block = n_here[0], spec.block
        row = jnp.arange(block, dtype=jnp.int32)

        def body(i: jax.Array, total: jax.Array) -> jax.Array:
            some = jax.tree.map(
                lambda a: lax.dynamic_slice_in_dim(a, i * block, block), (columns, extras, weights, counts)
            )
            own = some[3].astype(jnp.result_type(float))

            def at(k: jax.Array, total: jax.Array) -> jax.Array:
                w = own[:, k] if some[2] is None else own[:, k] * some[2]
                value, gradient = function(thetas[k], (some[0], some[1], w), row < n - i * block)
                return total.at[k].add(jnp.concatenate([value[None], gradient]))

            return lax.fori_loop(0, len(thetas), at, total)

        zeros = jnp.zeros((len(thetas), 1 + thetas.shape[1]))
        return lax.fori_loop(0, (n + block - 1) // block, body, zeros)[None]

    return over_events(spec.mesh, local, 1, 2, rows=True)


def _rows(total: EventSum) -> int:
    """Return how many rows each device needs for the blocks that hold events."""
    block = total.spec.block
    return block * max(1, -(-int(np.diff(total.events.cuts).max()) // block))


def place_counts(total: EventSum, counts: np.ndarray) -> jax.Array:
    """Copy how often each event counts, ``(events, points)`` whole numbers up to 255, to the devices of a sum."""
    cuts, rows = total.events.cuts, _rows(total)
    # Data grow by blocks: the same ladder of lengths as for events would keep code compiled, at twice the memory.
    shards = []
    for start, stop in zip(cuts[:-1], cuts[1:], strict=True):
        shard = np.zeros((rows, counts.shape[1]), np.uint8)
        shard[: stop - start] = counts[start:stop]
        shards.append(shard)
    return assemble(shards, total.spec.mesh)


def resampled_sums(total: EventSum, thetas: np.ndarray, counts: jax.Array) -> tuple[np.ndarray, np.ndarray]:
    """Return values ``(points,)`` and gradients ``(points, n)``, each point with its own counts of the events."""
    packed = np.sum([rows[0] for rows in rows_of(_compiled(total.spec)(thetas, total.events.arrays, counts))], axis=0)
    return packed[:, 0], packed[:, 1:]
