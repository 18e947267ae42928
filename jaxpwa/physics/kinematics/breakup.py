r"""Two-body phase space, above the threshold and below it.

Of two particles of masses :math:`m_1` and :math:`m_2`, GeV, and invariant mass squared :math:`s`, GeV². Where
:math:`s` is real it stands for :math:`s + i0`, the upper side of the cut: above the threshold momenta and phase-space
factors are real and positive, below it they are positive imaginary, on the physical sheet.

References
----------
R. L. Workman et al. (Particle Data Group), Review of Particle Physics (2022), section 49, Kinematics.
"""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxpwa.physics._arrays import floating, upper_root


def kallen(x: ArrayLike, y: ArrayLike, z: ArrayLike) -> jax.Array:
    r"""Källén's triangle function.

    .. math:: \lambda(x, y, z) = x^2 + y^2 + z^2 - 2xy - 2yz - 2zx

    Parameters
    ----------
    x, y, z
        Real or complex, of shapes that broadcast; mostly masses squared, GeV².

    Returns
    -------
    Of the common shape.
    """
    x, y, z = floating(x), floating(y), floating(z)
    # (x - y - z)^2 - 4yz loses fewer digits near thresholds than the sum of six terms.
    return (x - y - z) ** 2 - 4 * y * z


def breakup_momentum_squared(s: ArrayLike, m1: ArrayLike, m2: ArrayLike) -> jax.Array:
    r"""Square of the momentum of two particles in their rest frame.

    .. math:: q^2(s) = \frac{\lambda(s, m_1^2, m_2^2)}{4 s} = \frac{(s - (m_1 + m_2)^2)(s - (m_1 - m_2)^2)}{4 s}

    Parameters
    ----------
    s
        Invariant mass squared, GeV², real or complex, not 0.
    m1, m2
        Masses, GeV.

    Returns
    -------
    GeV², of the common shape; real for real ``s``, negative between pseudo-threshold and threshold.
    """
    s, m1, m2 = floating(s), floating(m1), floating(m2)
    return (s - (m1 + m2) ** 2) * (s - (m1 - m2) ** 2) / (4 * s)


def breakup_momentum(mass: ArrayLike, m1: ArrayLike, m2: ArrayLike) -> jax.Array:
    r"""Momentum of two particles in their rest frame, continued below the threshold.

    .. math:: q(m) = \frac{\sqrt{(m^2 - (m_1 + m_2)^2)(m^2 - (m_1 - m_2)^2)}}{2 m}

    Parameters
    ----------
    mass
        Invariant mass, GeV.
    m1, m2
        Masses of the two, GeV.

    Returns
    -------
    Complex, GeV, of the common shape: positive above the threshold, ``i |q|`` below it, and negative below the
    pseudo-threshold ``|m1 - m2|``. The slope at the threshold itself, which is infinite, is given as 0.

    Examples
    --------
    >>> from jaxpwa.physics.kinematics.breakup import breakup_momentum
    >>> breakup_momentum([0.7, 1.2], 0.4, 0.5).round(4)
    Array([0.    +0.2799j, 0.3955+0.j    ], dtype=complex128)
    """
    mass = floating(mass)
    return mass * phase_space_factor(mass**2, m1, m2) / 2


def real_breakup_momentum(mass: ArrayLike, m1: ArrayLike, m2: ArrayLike) -> jax.Array:
    """Momentum of two particles in their rest frame, GeV: `breakup_momentum` as a real number, 0 below the threshold.

    Parameters
    ----------
    mass
        Invariant mass, GeV, real.
    m1, m2
        Masses of the two, GeV.

    Returns
    -------
    Real, of the common shape, with slope 0 where it is 0.
    """
    mass, m1, m2 = floating(mass), floating(m1), floating(m2)
    squared = breakup_momentum_squared(mass**2, m1, m2)
    open_ = (squared > 0) & (mass > m1 + m2)
    return jnp.where(open_, jnp.sqrt(jnp.where(open_, squared, 1.0)), 0.0)


def phase_space_factor(s: ArrayLike, m1: ArrayLike, m2: ArrayLike) -> jax.Array:
    r"""Two-body phase-space factor, 1 far above the threshold.

    .. math:: \rho(s) = \sqrt{\left(1 - \frac{(m_1 + m_2)^2}{s}\right)\left(1 - \frac{(m_1 - m_2)^2}{s}\right)}
              = \frac{2 q(s)}{\sqrt s}

    Parameters
    ----------
    s
        Invariant mass squared, GeV², real or complex, not 0.
    m1, m2
        Masses, GeV.

    Returns
    -------
    Complex, of the common shape: positive above the threshold, positive imaginary between pseudo-threshold and
    threshold, negative between 0 and pseudo-threshold. It diverges at ``s = 0``; `chew_mandelstam` has the same
    imaginary part and does not.
    """
    s, m1, m2 = floating(s), floating(m1), floating(m2)
    if jnp.iscomplexobj(s):
        # The cut from the threshold on is that of the physical sheet, the one on the left that of the principal root.
        below = s - (m1 - m2) ** 2
        zero = below == 0
        left = jnp.where(zero, 0, jnp.sqrt(jnp.where(zero, 1, below)))
        return upper_root(s - (m1 + m2) ** 2) * left / s
    sign = jnp.where((s > 0) & (s < (m1 - m2) ** 2), -1, 1)
    return sign * upper_root(4 * breakup_momentum_squared(s, m1, m2) / s)
