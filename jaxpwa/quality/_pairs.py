r"""Sums over all pairs of points, on all devices, for many labellings at once.

The kernel's matrix is never stored: the points are cut into an odd number of blocks in a ring, and block
:math:`I` meets the blocks :math:`I, I + 1, \dots, I + (B - 1)/2` of the ring, so that each pair of blocks is met once
and every block has the same work. What a block of the matrix costs most, its exponentials, serves all labellings.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

import jax
import jax.numpy as jnp
from jax import lax
from jax.sharding import Mesh

from jaxpwa._memory import aligned
from jaxpwa.engine.devices import Devices, assemble, event_mesh, over_events, select_devices, shards_of

_LARGEST_BLOCK = {"cpu": 512}
_SMALLEST_BLOCK = 64
_CALLS = 50


def gaussian(square: jax.Array, width: jax.Array) -> jax.Array:
    """Return exp(-d^2 / (2 width^2)) of squared distances."""
    return jnp.exp(-square / (2 * width**2))


def logarithmic(square: jax.Array, width: jax.Array) -> jax.Array:
    """Return -ln(d + width) of squared distances."""
    return -jnp.log(jnp.sqrt(square) + width)


KERNELS = {"gaussian": gaussian, "log": logarithmic}


def _block_size(n_points: int, platform: str) -> int:
    """Return rows of a block: about a sixteenth of the points, a power of two."""
    largest = _LARGEST_BLOCK.get(platform, 2048)
    return int(np.clip(1 << max(0, (n_points // 16)).bit_length(), _SMALLEST_BLOCK, largest))


@lru_cache(maxsize=16)
def compiled_pair_sums(mesh: Mesh, kernel: Callable[..., jax.Array], block: int) -> Callable[..., Any]:
    """Return the compiled sums over some rows of blocks.

    ``(width, start, stop, first, points, weights, labels, vector)``, the last five per device, ->
    quadratic forms ``(devices, labellings)`` and the product with the vector ``(devices, points)``.
    """
    n_devices = mesh.devices.size

    def local(width: Any, start: Any, stop: Any, first: Any, points: Any, weights: Any, labels: Any, vector: Any):
        n_blocks = points.shape[0] // block
        own = jnp.eye(block, dtype=bool)

        def part(array: jax.Array, i: jax.Array) -> jax.Array:
            return lax.dynamic_slice_in_dim(array, i * block, block)

        def right(j: jax.Array) -> jax.Array:
            signed = part(labels, j).astype(points.dtype) * part(weights, j)[:, None]
            return jnp.concatenate([signed, part(vector, j)[:, None]], axis=1)

        def row(k: jax.Array, state: tuple) -> tuple:
            i = first[0] + k * n_devices
            x, own_right = part(points, i), right(i)

            def met(offset: jax.Array, state: tuple) -> tuple:
                total, product = state
                j = (i + offset) % n_blocks
                y = part(points, j)
                differences = [x[:, c][:, None] - y[:, c][None, :] for c in range(points.shape[1])]
                values = kernel(sum(d * d for d in differences), width)
                diagonal = offset == 0
                values = jnp.where(diagonal & own, 0.0, values)
                # Off the diagonal a block stands for its mirror image as well.
                found = jnp.matmul(values, right(j), precision=lax.Precision.HIGHEST)
                total = total + jnp.where(diagonal, 1.0, 2.0) * found[:, :-1]
                product = lax.dynamic_update_slice_in_dim(product, part(product, i) + found[:, -1], i * block, 0)
                mirror = jnp.matmul(own_right[:, -1], values, precision=lax.Precision.HIGHEST)
                mirror = part(product, j) + jnp.where(diagonal, 0.0, mirror)
                return total, lax.dynamic_update_slice_in_dim(product, mirror, j * block, 0)

            sums, product = state
            nothing = jnp.zeros((block, labels.shape[1]), points.dtype)
            total, product = lax.fori_loop(0, (n_blocks + 1) // 2, met, (nothing, product))
            return sums + jnp.sum(own_right[:, :-1] * total, axis=0), product

        zero = jnp.zeros(labels.shape[1], points.dtype), jnp.zeros(points.shape[0], points.dtype)
        rows = jnp.maximum((n_blocks - first[0] + n_devices - 1) // n_devices, 0)
        sums, product = lax.fori_loop(start, jnp.minimum(stop, rows), row, zero)
        return sums[None], product[None]

    return over_events(mesh, local, 3, 5)


def pair_sums(
    points: np.ndarray,
    weights: np.ndarray,
    labels: np.ndarray,
    vector: np.ndarray,
    kernel: str,
    width: float,
    *,
    devices: Devices,
    on_points: Callable[[int], Any],
) -> tuple[np.ndarray, np.ndarray]:
    r"""Sum a kernel over all pairs of different points.

    Parameters
    ----------
    points
        ``(points, coordinates)``.
    weights
        One number per point.
    labels
        Whole numbers of 8 bits, ``(points, labellings)``, that multiply the weights.
    vector
        One number per point.
    kernel, width
        Name of the kernel, and its width.
    devices
        As in `select_devices`, for the number of pairs.
    on_points
        Called with the number of points that are done with.

    Returns
    -------
    forms : numpy.ndarray
        :math:`\sum_{i \ne j} s_i \psi_{ij} s_j`, with :math:`s` the weights times the labels, one per labelling.
    product : numpy.ndarray
        :math:`\sum_{j \ne i} \psi_{ij} v_j`, one per point.
    """
    n = len(points)
    chosen = select_devices(n * n, devices, local=True)
    block = _block_size(n, chosen[0].platform)
    n_blocks = -(-n // block) | 1
    chosen = chosen[:n_blocks]
    mesh, size = event_mesh(chosen), (n_blocks * block)
    real = jax.dtypes.canonicalize_dtype(np.float64)

    def on_all(array: np.ndarray, dtype: Any) -> jax.Array:
        # Padding has weight 0; where it lies does not matter.
        padded = aligned((size, *array.shape[1:]), dtype)
        padded[:n], padded[n:] = array, 0
        return assemble([padded] * len(chosen), mesh)

    first = assemble([np.array([i], np.int32) for i in range(len(chosen))], mesh)
    arrays = (first, on_all(points, real), on_all(weights, real), on_all(labels, np.int8), on_all(vector, real))
    run = compiled_pair_sums(mesh, KERNELS[kernel], block)
    forms, product = np.zeros(labels.shape[1]), np.zeros(size)
    rows = -(-n_blocks // len(chosen))
    step, seen = -(-rows // _CALLS), 0
    for start in range(0, rows, step):
        sums = run(np.asarray(width, real), np.int32(start), np.int32(start + step), *arrays)
        for total, parts in zip((forms, product), sums, strict=True):
            for part in shards_of(parts):
                total += part[0]
        done = min(n, (start + step) * len(chosen) * block)
        on_points(done - seen)
        seen = done
    return forms, product[:n]
