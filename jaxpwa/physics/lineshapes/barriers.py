r"""Centrifugal barriers of Blatt and Weisskopf.

References
----------
J. M. Blatt, V. F. Weisskopf, Theoretical Nuclear Physics (1952), p. 361.
F. von Hippel, C. Quigg, Phys. Rev. D 5 (1972) 624.
"""

from math import factorial, sqrt
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxpwa.physics._arrays import floating

ONE_FERMI = 0.1973
"""Momentum that belongs to a radius of 1 fm, GeV, as in most tables of resonances."""

HIGHEST = 8


def checked_momentum(l: Any) -> int:
    """Return an orbital angular momentum that has a barrier, or say which have."""
    if isinstance(l, bool) or not isinstance(l, int) or not 0 <= l <= HIGHEST:
        msg = f"l must be a whole number from 0 to {HIGHEST}, got {l!r}."
        raise ValueError(msg)
    return l


def denominator(l: int) -> list[int]:
    """Return the coefficients of |x h_l(x)|^2 x^(2l) as a polynomial in x^2, highest power first."""
    # Sums of squares of spherical Bessel functions: NIST Digital Library of Mathematical Functions, section 10.49.
    return [
        factorial(2 * l - k) * factorial(2 * l - 2 * k) // (factorial(k) * factorial(l - k) ** 2) >> 2 * (l - k)
        for k in range(l, -1, -1)
    ]


def denominator_at(l: int, z: jax.Array) -> jax.Array:
    """Evaluate the denominator of a barrier, by Horner's rule with Python's numbers, which keep the precision of z."""
    first, *others = denominator(l)
    total = z * 0 + first
    for coefficient in others:
        total = total * z + coefficient
    return total


def blatt_weisskopf_squared(l: int, z: ArrayLike) -> jax.Array:
    r"""Square of Blatt and Weisskopf's barrier factor, 1 at :math:`z = 1`.

    .. math:: F_1^2 = \frac{2z}{z + 1}, \quad F_2^2 = \frac{13 z^2}{z^2 + 3z + 9}, \quad
              F_3^2 = \frac{277 z^3}{z^3 + 6z^2 + 45z + 225}, \ \ldots

    Parameters
    ----------
    l
        Orbital angular momentum, 0 to 8.
    z
        :math:`(q / q_R)^2`, real or complex; negative below a threshold.

    Returns
    -------
    The shape of ``z``; for real ``z`` real. The formula is continued as it stands: it has poles at negative ``z`` for
    every ``l`` above 0, the first at ``z = -1`` for ``l = 1``.

    Raises
    ------
    ValueError
        If ``l`` is not one of 0 to 8.
    """
    z = floating(z)
    return sum(denominator(checked_momentum(l))) * z**l / denominator_at(l, z)


def blatt_weisskopf(l: int, q: ArrayLike, q_scale: ArrayLike = ONE_FERMI) -> jax.Array:
    r"""Blatt and Weisskopf's barrier factor, 1 at :math:`q = q_R`, proportional to :math:`q^l` near the threshold.

    .. math:: F_l(q) = \left(\frac{q}{q_R}\right)^l \sqrt{\frac{D_l(1)}{D_l\big((q / q_R)^2\big)}}, \quad
              D_1 = z + 1, \; D_2 = z^2 + 3z + 9, \; D_3 = z^3 + 6z^2 + 45z + 225, \ \ldots

    Parameters
    ----------
    l
        Orbital angular momentum, 0 to 8.
    q
        Break-up momentum, GeV, real or complex.
    q_scale
        :math:`q_R`, GeV: the inverse of the radius; 0.1973 is 1 fm.

    Returns
    -------
    The shape of ``q``; real for real ``q``, complex for complex. Smooth at ``q = 0``.

    Raises
    ------
    ValueError
        If ``l`` is not one of 0 to 8.

    Examples
    --------
    >>> from jaxpwa.physics.lineshapes.barriers import blatt_weisskopf
    >>> round(float(blatt_weisskopf(2, 0.3954823004889093)), 6)
    2.375286
    """
    x = floating(q) / q_scale
    return sqrt(sum(denominator(checked_momentum(l)))) * x**l / jnp.sqrt(denominator_at(l, x * x))
