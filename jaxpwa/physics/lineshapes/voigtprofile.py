r"""Voigt's profile: a non-relativistic resonance seen with a Gaussian resolution.

References
----------
M. Al Azah, S. N. Chandler-Wilde, SIAM J. Numer. Anal. 59 (2021) 2346: the integral by trapezia, and what the poles of
the integrand add.
"""

from math import pi, sqrt

import numpy as np

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxpwa.physics._arrays import floating

# Twelve pairs of nodes, right to about 1e-15 everywhere; more pairs would be right to more digits than there are.
_PAIRS = 12
_STEP = sqrt(pi / _PAIRS)


def voigt(mass: ArrayLike, mass0: ArrayLike, width: ArrayLike, sigma: ArrayLike) -> jax.Array:
    r"""Voigt's profile, the convolution of a Lorentzian with a Gaussian; an intensity, with the integral 1.

    .. math:: V(m) = \int \frac{1}{\pi} \frac{\Gamma / 2}{(m - m_0 - u)^2 + \Gamma^2 / 4}\,
              \frac{e^{-u^2 / 2\sigma^2}}{\sqrt{2\pi}\, \sigma}\, du
              = \frac{\mathrm{Re}\, w(z)}{\sqrt{2\pi}\, \sigma}, \quad
              z = \frac{m - m_0 + i \Gamma / 2}{\sqrt 2\, \sigma}

    Parameters
    ----------
    mass
        Measured mass, GeV.
    mass0
        Mass of the resonance, GeV.
    width
        Its full width at half maximum :math:`\Gamma`, GeV, not negative.
    sigma
        Standard deviation of the resolution, GeV, not negative, and not 0 with a width of 0.

    Returns
    -------
    Real, the shape of ``mass``, GeV⁻¹, right to 1e-13 of itself in tails, too. The Lorentzian for ``sigma = 0``, the
    Gaussian for ``width = 0``. Its root is an amplitude of the same shape.

    Examples
    --------
    >>> from jaxpwa.physics.lineshapes.voigtprofile import voigt
    >>> voigt([1.019, 1.03], 1.019461, 0.00425, 0.002).round(4)
    Array([99.8122,  6.5408], dtype=float64)
    """
    away, half, spread = floating(mass) - floating(mass0), floating(width) / 2, sqrt(2) * floating(sigma)
    wide = spread > 0
    x, y = away / jnp.where(wide, spread, 1), half / jnp.where(wide, spread, 1)
    # Nodes at multiples of the step, or in the middle between them, whichever are farther from x.
    place = x / _STEP - jnp.floor(x / _STEP)
    near = wide & (y < pi / _STEP)
    multiples = near & (place > 0.25) & (place < 0.75)
    # A last axis of nodes: one sum that compiles quickly.
    first = (np.arange(-_PAIRS, _PAIRS) * _STEP).reshape((1,) * multiples.ndim + (-1,))
    kinds = (first, first + _STEP / 2, np.exp(-(first**2)), np.exp(-((first + _STEP / 2) ** 2)))
    node, other, weight, other_weight = (jnp.asarray(a, x.dtype) for a in kinds)
    node = jnp.where(multiples[..., None], node, other)
    weight = jnp.where(multiples[..., None], weight, other_weight)
    shape = multiples.shape
    away, halves, spreads = (jnp.broadcast_to(a, shape)[..., None] for a in (away, half, spread))
    total = jnp.sum(weight * halves / ((away - spreads * node) ** 2 + halves**2), axis=-1)
    # What the poles of the integrand add; nothing far from the axis and in the tails.
    near &= jnp.abs(x) < 40
    z = jnp.where(near, x, 0) + 1j * jnp.where(near, y, 0)
    turn = jnp.exp(-2j * pi / _STEP * z)
    poles = 2 * (jnp.exp(-z * z) / (1 + jnp.where(multiples, -turn, turn))).real
    return _STEP / pi**1.5 * total + jnp.where(near, poles / (sqrt(pi) * jnp.where(wide, spread, 1)), 0)
