r"""Sums over intensities that other code has computed, part by part.

The array of a part is reduced where it is: host memory by the CPU backend, without a copy where it is contiguous
and aligned to 64 bytes; a JAX array (from DLPack, for instance) on its own device. What derivatives of such a sum
need is :math:`\partial S / \partial I_e`, one number per event, which goes back to the code that computed
:math:`I`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np

import jax
import jax.numpy as jnp

from jaxpwa.engine.blocks import CPU_BLOCK
from jaxpwa.engine.devices import home_of, move, on_device
from jaxpwa.engine.sums import Summand


def padded_length(n_events: int) -> int:
    """Return a length worth allocating for this many events: those of similar lengths then share compiled code.

    Whole blocks, eight lengths per octave.
    """
    n_blocks = max(1, -(-n_events // CPU_BLOCK))
    step = 1 << max(0, (n_blocks - 1).bit_length() - 4)
    return CPU_BLOCK * step * -(-n_blocks // step)


@lru_cache(maxsize=64)
def _compiled(summand: Summand, slopes: bool, cpu: bool) -> Callable[..., jax.Array]:
    """Return ``(intensity, extras, weights or None) -> sum``, or its slopes ``(rows,)``."""

    def total(intensity: jax.Array, extras: tuple, weights: jax.Array | None) -> jax.Array:
        # No select on the number of rows: it costs as much as the logarithm. Padding holds neutral values.
        real = jnp.ones((), bool) if weights is None else weights != 0
        terms = summand(intensity, extras, real)
        return jnp.sum(terms if weights is None else weights * terms)

    def in_double(intensity: jax.Array, *rest: Any) -> jax.Array:
        return total(intensity.astype(jnp.result_type(float)), *rest)

    def slope(intensity: jax.Array, *rest: Any) -> jax.Array:
        wide = intensity.astype(jnp.result_type(float))
        return jax.grad(total)(wide, *rest).astype(intensity.dtype)

    options = {"xla_cpu_prefer_vector_width": 512} if cpu else None
    return jax.jit(slope if slopes else in_double, compiler_options=options)


@dataclass(frozen=True, eq=False)
class SuppliedSum:
    r"""``sum_e w_e g(I_e)`` over intensities given as arrays.

    Attributes
    ----------
    summand
        ``g``.
    sizes
        Events in each part, in the order of the events.
    extras
        Columns besides the intensity that the summand reads, each ``(events,)``.
    weights
        ``(events,)``, or None for ones.
    """

    summand: Summand
    sizes: tuple[int, ...]
    extras: tuple[np.ndarray, ...] = ()
    weights: np.ndarray | None = None
    _placed: dict[Any, tuple] = field(default_factory=dict)

    def _columns(self, part: int, n_rows: int, device: Any) -> tuple:
        """Return the extras and weights of a part, padded and placed once."""
        key = part, n_rows, device
        if key not in self._placed:
            start, n_here = sum(self.sizes[:part]), self.sizes[part]

            def placed(values: np.ndarray, pad: float) -> jax.Array:
                padded = np.full(n_rows, pad)
                padded[:n_here] = values[start : start + n_here]
                return move(padded, device)

            # Padding of a pull: (0 - 0) / 1.
            pads = (0.0, 1.0)
            extras = tuple(placed(e, pad) for e, pad in zip(self.extras, pads, strict=False))
            self._placed[key] = extras, None if self.weights is None else placed(self.weights, 0.0)
        return self._placed[key]

    def _run(self, arrays: Sequence[Any], slopes: bool) -> list[jax.Array]:
        out = []
        for part, array in enumerate(arrays):
            device = home_of(array)
            function = _compiled(self.summand, slopes, device.platform == "cpu")
            out.append(function(on_device(array, device), *self._columns(part, len(array), device)))
        return out

    def launch(self, arrays: Sequence[Any]) -> list[jax.Array]:
        """Start the sums of the parts and return at once.

        Parameters
        ----------
        arrays
            One real array per part, as long as the part, or longer and filled with the neutral value of the sum.
        """
        return self._run(arrays, False)

    def collect(self, running: Sequence[jax.Array]) -> float:
        """Wait for the sums and add them."""
        return float(sum(float(part) for part in running))

    def slopes(self, arrays: Sequence[Any]) -> list[jax.Array]:
        """Return the derivatives of the sum with respect to each intensity, in the type and place of ``arrays``."""
        return self._run(arrays, True)
