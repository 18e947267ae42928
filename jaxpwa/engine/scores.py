r"""What single events contribute to a gradient, and the sum of its squares.

The score of an event is :math:`g_e = \partial\, t_e / \partial p`, with :math:`t_e` what the event adds to a sum, its
weight left out. Errors of weighted fits need :math:`\sum_e w_e^2 g_e g_e^T`: one pass over the blocks, nothing of event
length is stored.
"""

from dataclasses import replace
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

import jax
import jax.numpy as jnp
from jax import lax

from jaxpwa.engine.blocks import Arrays, PlacedEvents, gather
from jaxpwa.engine.devices import is_shared, over_events, own_positions
from jaxpwa.engine.processes import exchange, rows_of
from jaxpwa.engine.sums import EventSum, SumSpec, block_terms


class SquaredScores(NamedTuple):
    """Sums over events: ``w**2 g g^T`` ``(n, n)``, ``w**2 g`` ``(n,)`` and ``w**2``."""

    outer: np.ndarray
    linear: np.ndarray
    weights: float


def _scores_of_block(spec: SumSpec, theta: jax.Array, columns: tuple, extras: tuple, real: jax.Array) -> jax.Array:
    """Return the scores of a block's rows, ``(block, n)``, zero for padding."""
    # One forward pass per parameter over all rows at once; reverse mode would need one per row.
    return jax.jacfwd(lambda t: block_terms(spec, t, columns, extras, real))(theta)


def _slices(spec: SumSpec, arrays: Arrays, i: jax.Array) -> tuple[Any, jax.Array]:
    """Return the columns, extras and weights of a block, and which of its rows are events."""
    *some, n_here = arrays
    rows = jax.tree.map(lambda a: lax.dynamic_slice_in_dim(a, i * spec.block, spec.block), tuple(some))
    return rows, jnp.arange(spec.block, dtype=jnp.int32) < n_here[0] - i * spec.block


@lru_cache(maxsize=64)
def _compiled_squares(spec: SumSpec) -> Any:
    """Return ``(theta, arrays) -> (devices, n * n + n + 1)``."""
    n = len(spec.parameters)

    def local(theta: jax.Array, arrays: Arrays) -> jax.Array:
        def body(i: jax.Array, total: tuple) -> tuple:
            (columns, extras, weights), real = _slices(spec, arrays, i)
            w = real.astype(jnp.result_type(float)) if weights is None else jnp.where(real, weights, 0.0)
            weighted = w[:, None] * _scores_of_block(spec, theta, columns, extras, real)
            return jax.tree.map(jnp.add, total, (weighted.T @ weighted, w @ weighted, w @ w))

        zeros = (jnp.zeros((n, n)), jnp.zeros(n), jnp.zeros(()))
        n_blocks = (arrays[3][0] + spec.block - 1) // spec.block
        return jnp.concatenate([p.ravel() for p in lax.fori_loop(0, n_blocks, body, zeros)])[None]

    return over_events(spec.mesh, local, 1, 1, rows=True)


@lru_cache(maxsize=16)
def _compiled_scores(spec: SumSpec, length: int) -> Any:
    """Return ``(theta, arrays) -> (rows, n)``, so many rows on each device."""

    def local(theta: jax.Array, arrays: Arrays) -> jax.Array:
        def body(i: jax.Array, out: jax.Array) -> jax.Array:
            (columns, extras, _), real = _slices(spec, arrays, i)
            block = _scores_of_block(spec, theta, columns, extras, real)
            return lax.dynamic_update_slice_in_dim(out, block, i * spec.block, 0)

        n_blocks = (arrays[3][0] + spec.block - 1) // spec.block
        return lax.fori_loop(0, n_blocks, body, jnp.zeros((length, len(spec.parameters))))

    return over_events(spec.mesh, local, 1, 1)


def squared_row(spec: SumSpec, theta: np.ndarray, arrays: Arrays) -> jax.Array:
    """Start the sum of squares over placed events: a row per device, ``(n * n + n + 1,)`` each."""
    return _compiled_squares(spec)(theta, arrays)


def squared_scores_of(packed: np.ndarray, n: int) -> SquaredScores:
    """Take a row apart."""
    return SquaredScores(packed[: n * n].reshape(n, n), packed[n * n : -1], float(packed[-1]))


def squared_scores(total: EventSum, theta: np.ndarray) -> SquaredScores:
    """Sum squares of weighted scores.

    Parameters
    ----------
    total
        A sum over events that are placed.
    theta
        Parameters, ``(n,)``.
    """
    rows = rows_of(squared_row(total.spec, theta, total.events.arrays))
    return squared_scores_of(np.sum([row[0] for row in rows], axis=0), len(theta))


def scores(total: EventSum, theta: np.ndarray) -> np.ndarray:
    """Return the score of every event that is placed, ``(events, n)``: those whose weight is not 0."""
    spec, events = total.spec, total.events
    if is_shared(spec.mesh):
        return _of_all_processes(total, theta)
    length = spec.block * -(-int(np.diff(events.cuts).max()) // spec.block)
    return gather(_compiled_scores(spec, length)(theta, events.arrays), events.cuts)


def _of_all_processes(total: EventSum, theta: np.ndarray) -> np.ndarray:
    """Return the scores of events that several processes hold, in all of them."""
    spec, events = total.spec, total.events
    length = spec.block * -(-int(np.diff(events.cuts).max()) // spec.block)
    own = own_positions(spec.mesh)
    mine = gather(_compiled_scores(spec, length)(theta, events.arrays), events.cuts)
    bounds = exchange(np.array([events.cuts[own[0]], events.cuts[own[-1] + 1]], np.int64))
    padded = np.zeros((int(np.diff(bounds).max()), mine.shape[1]))
    padded[: len(mine)] = mine
    out = np.empty((events.n_events, mine.shape[1]))
    for (start, stop), part in zip(bounds, exchange(padded), strict=True):
        out[start:stop] = part[: stop - start]
    return out


def squared(events: PlacedEvents) -> PlacedEvents:
    """Return the same events with the squares of their weights."""
    columns, extras, weights, n_here = events.arrays
    return events if weights is None else replace(events, arrays=(columns, extras, weights**2, n_here))


def with_squared_weights(total: EventSum) -> EventSum:
    """Return the sum in which each event counts with the square of its weight."""
    return replace(total, events=squared(total.events))
