"""What the formulas of three-body decays share: numbers of particles, squares, angles in the decay plane."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxpwa.physics._arrays import floating, root
from jaxpwa.physics.kinematics._vectors import arctan2


def checked_number(what: str, number: Any, least: int = 1) -> int:
    """Return the number of a particle or of the chain that it is the spectator of."""
    if isinstance(number, bool) or number not in range(least, 4):
        msg = f"{what} must be one of {', '.join(map(str, range(least, 4)))}, got {number!r}."
        raise ValueError(msg)
    return int(number)


def squares_by_number(sigma: Sequence[ArrayLike], masses: Sequence[ArrayLike]) -> tuple[dict[int, Any], dict[int, Any]]:
    """Return invariants by spectator and masses squared by particle, that of the decaying one as number 0."""
    for name, values in (("sigma", sigma), ("masses", masses)):
        if len(values) != 3:
            msg = f"{name} must have three entries, one per particle, got {len(values)}."
            raise ValueError(msg)
    s = {n + 1: floating(value) for n, value in enumerate(sigma)}
    squared = {n + 1: floating(value) ** 2 for n, value in enumerate(masses)}
    squared[0] = s[1] + s[2] + s[3] - squared[1] - squared[2] - squared[3]
    return s, squared


def kibble_of_squares(s: dict[int, Any], m: dict[int, Any]) -> jax.Array:
    """Kibble's function of what `squares_by_number` returns."""
    x1, x2, x3 = s[1] - m[2] - m[3], s[2] - m[3] - m[1], s[3] - m[1] - m[2]
    return x1 * x2 * x3 + 4 * m[1] * m[2] * m[3] - m[1] * x1**2 - m[2] * x2**2 - m[3] * x3**2


class Plane:
    """Invariants and masses squared, and their angles, which share the root of Kibble's function."""

    def __init__(self, sigma: Sequence[ArrayLike], masses: Sequence[ArrayLike]):
        self.s, self.m = squares_by_number(sigma, masses)

    @cached_property
    def area(self) -> jax.Array:
        """Root of Kibble's function, 0 outside of the Dalitz plot."""
        return root(kibble_of_squares(self.s, self.m))

    def theta_numerator(self, k: int) -> jax.Array:
        """Numerator of the cosine of the decay angle of a pair."""
        s, m, (i, j) = self.s, self.m, pair_of(k)
        return 2 * s[k] * (s[j] - m[k] - m[i]) - (s[k] + m[i] - m[j]) * (m[0] - s[k] - m[k])

    def theta(self, k: int) -> jax.Array:
        """Decay angle of a pair."""
        return arctan2(*jnp.broadcast_arrays(2 * root(self.s[k]) * self.area, self.theta_numerator(k)))

    def product(self, a: int, b: int) -> jax.Array:
        """Twice the product of two four-momenta."""
        if 0 in (a, b):
            return self.m[0] + self.m[a + b] - self.s[a + b]
        return self.s[6 - a - b] - self.m[a] - self.m[b]

    def zeta_numerator(self, n: int, k: int, r: int) -> jax.Array:
        """Numerator of the cosine of a Wigner rotation angle."""
        b, c = axis(n, k), axis(n, r)
        return self.product(n, b) * self.product(n, c) - 2 * self.m[n] * self.product(b, c)

    def zeta(self, n: int, k: int, r: int) -> jax.Array:
        """Wigner rotation angle with its sign."""
        if k == r:
            return jnp.zeros_like(self.m[0])
        angle = arctan2(*jnp.broadcast_arrays(2 * root(self.m[n]) * self.area, self.zeta_numerator(n, k, r)))
        if n == 0 and {k, r} == {2, 3}:
            angle = angle - 2 * np.pi
        cyclic = (r - k) % 3 == 1
        return angle if cyclic == (n not in (k, r)) else -angle


def pair_of(k: int) -> tuple[int, int]:
    """Particles of the pair whose spectator is k, in cyclic order."""
    return k % 3 + 1, (k + 1) % 3 + 1


def axis(n: int, k: int) -> int:
    """Particle against whose momentum, where particle n is at rest, chain k counts the spin of n."""
    if n == 0:
        return k
    return 0 if n == k else 6 - n - k
