r"""Angles of decays into three particles: of the pairs, between the frames of the chains, of the decay plane.

Numbers, order and arguments are those of `threebody`, beside this. Each chain 0 -> (i, j) k has a frame of its own:
the pair flies along z, the spectator k along -z, and i has a positive x component. The frames of the three chains
share the y axis, along :math:`\vec p_2 \times \vec p_1`, and differ by rotations about it.

The helicity of a particle is its spin along its flight as a chain gets to it, and that of the decaying particle,
n = 0, its spin along the flight of the pair. Chain k and a reference chain r disagree about it by a rotation about y,
by the angle :math:`\zeta^n_{k(r)}`:

.. math:: A^{\nu}_{\lambda_1 \lambda_2 \lambda_3} = \sum_k \sum_{\nu' \lambda'} d^J_{\nu\nu'}(\zeta^0_{k(r)})\,
          A^{(k)\,\nu'}_{\lambda'_1 \lambda'_2 \lambda'_3}
          \prod_{n=1}^{3} d^{j_n}_{\lambda'_n \lambda_n}(\zeta^n_{k(r)})

Sines and cosines share their denominator, so that nothing is divided by 0. Outside of the Dalitz plot, where measured
events may lie, angles are 0 or pi; on its very edge sines have an infinite slope, which is given as 0.

References
----------
JPAC, M. Mikhasenko et al., Phys. Rev. D 101 (2020) 034033, arXiv:1910.04566.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxpwa.physics._arrays import root
from jaxpwa.physics.kinematics._threebody import Plane, axis, checked_number
from jaxpwa.physics.kinematics._vectors import FourVector, arctan2, cross, four_vectors
from jaxpwa.physics.kinematics.breakup import kallen
from jaxpwa.physics.kinematics.frames import rest_frame
from jaxpwa.physics.kinematics.threebody import pair


def _cosine(numerator: jax.Array, squared: jax.Array) -> jax.Array:
    """Return a cosine of its numerator and the square of its denominator, 0 where that is not positive."""
    good = squared > 0
    return jnp.where(good, jnp.clip(numerator / jnp.sqrt(jnp.where(good, squared, 1.0)), -1, 1), 0.0)


def cos_theta(sigma: Sequence[ArrayLike], masses: Sequence[ArrayLike], spectator: int) -> jax.Array:
    r"""Cosine of the decay angle of a pair.

    .. math:: \cos\theta_{ij} = \frac{2\sigma_k (\sigma_j - m_k^2 - m_i^2) - (\sigma_k + m_i^2 - m_j^2)
              (m_0^2 - \sigma_k - m_k^2)}{\sqrt{\lambda(m_0^2, m_k^2, \sigma_k)\, \lambda(\sigma_k, m_i^2, m_j^2)}}

    Parameters
    ----------
    sigma
        The three invariants, GeV².
    masses
        Of the three particles, GeV.
    spectator
        k, which names the pair (i, j).

    Returns
    -------
    In [-1, 1], of the common shape: of the angle in the rest frame of the pair between particle i and the flight of the
    pair, opposite to k. 0 where the pair or the decay is exactly at its threshold.

    Raises
    ------
    ValueError
        If there are not three of them, or no such spectator.

    Examples
    --------
    >>> from jaxpwa.physics.kinematics.threebody import invariants_of_angle
    >>> from jaxpwa.physics.kinematics.threebody_angles import cos_theta
    >>> sigma = invariants_of_angle(3.0, (0.5, 0.2, 0.1), 3, 4.0, -0.7)
    >>> round(float(cos_theta(sigma, (0.5, 0.2, 0.1), 3)), 12)
    -0.7
    """
    i, j = pair(spectator)
    plane = Plane(sigma, masses)
    s, m = plane.s, plane.m
    below = kallen(m[0], m[spectator], s[spectator]) * kallen(s[spectator], m[i], m[j])
    return _cosine(plane.theta_numerator(spectator), below)


def theta(sigma: Sequence[ArrayLike], masses: Sequence[ArrayLike], spectator: int) -> jax.Array:
    r"""Decay angle of a pair, of which `cos_theta` is the cosine.

    .. math:: \sin\theta_{ij} = \frac{2 \sqrt{\sigma_k \Phi}}
              {\sqrt{\lambda(m_0^2, m_k^2, \sigma_k)\, \lambda(\sigma_k, m_i^2, m_j^2)}}

    Parameters
    ----------
    sigma, masses, spectator
        As for `cos_theta`; :math:`\Phi` is `kibble`.

    Returns
    -------
    In [0, pi] rad, of the common shape.

    Raises
    ------
    ValueError
        As `cos_theta`.
    """
    return Plane(sigma, masses).theta(checked_number("spectator", spectator))


def _zeta_numbers(particle: int, chain: int, reference: int) -> tuple[int, int, int]:
    return (
        checked_number("particle", particle, 0),
        checked_number("chain", chain),
        checked_number("reference", reference),
    )


def cos_zeta(
    sigma: Sequence[ArrayLike], masses: Sequence[ArrayLike], particle: int, chain: int, reference: int
) -> jax.Array:
    r"""Cosine of a Wigner rotation angle.

    .. math:: \cos\zeta^n_{k(r)} = \frac{(2 p_n \cdot p_b)(2 p_n \cdot p_c) - 2 m_n^2\, (2 p_b \cdot p_c)}
              {\sqrt{\lambda_b\, \lambda_c}}, \quad \lambda_x = (2 p_n \cdot p_x)^2 - 4 m_n^2 m_x^2

    Parameters
    ----------
    sigma
        The three invariants, GeV².
    masses
        Of the three particles, GeV.
    particle
        n, whose spin is meant: 1, 2, 3, or 0 for the decaying one.
    chain, reference
        k and r, spectators of the two chains that are compared.

    Returns
    -------
    In [-1, 1], of the common shape.

    Raises
    ------
    ValueError
        If there are not three of them, or no such particle.

    Notes
    -----
    In the rest frame of particle n the two chains count its spin against the momenta of b and c: each is n's partner in
    the pair, the decaying particle if n is the spectator, or the spectator if n is 0.
    """
    n, k, r = _zeta_numbers(particle, chain, reference)
    plane = Plane(sigma, masses)
    if k == r:
        return jnp.ones_like(plane.m[0])
    b, c = axis(n, k), axis(n, r)
    below = [plane.product(n, x) ** 2 - 4 * plane.m[n] * plane.m[x] for x in (b, c)]
    return _cosine(plane.zeta_numerator(n, k, r), below[0] * below[1])


def zeta(
    sigma: Sequence[ArrayLike], masses: Sequence[ArrayLike], particle: int, chain: int, reference: int
) -> jax.Array:
    r"""Wigner rotation angle with its sign.

    .. math:: |\sin\zeta^n_{k(r)}| = \frac{2 m_n \sqrt{\Phi}}{\sqrt{\lambda_b\, \lambda_c}}, \qquad
              \zeta^n_{k(l)} + \zeta^n_{l(r)} = \zeta^n_{k(r)}

    Parameters
    ----------
    sigma, masses, particle, chain, reference
        As for `cos_zeta`; :math:`\Phi` is `kibble`.

    Returns
    -------
    rad, of the common shape; 0 for a massless particle and for ``chain == reference``.

    Raises
    ------
    ValueError
        As `cos_zeta`.

    Notes
    -----
    Angles of one particle add up exactly, as written above, so that an intensity does not depend on the reference. The
    angles between the three momenta, which ThreeBodyDecays.jl and AmpForm-DPD take for particle 0, add up to 2 pi, and
    with a half-integer J that turns the sign of one chain where the reference is 2 or 3. Here 2 pi is taken off their
    :math:`\zeta^0_{2(3)}`; all other angles, and so all that there are for reference 1, are the same.
    """
    return Plane(sigma, masses).zeta(*_zeta_numbers(particle, chain, reference))


def orientation(p1: FourVector, p2: FourVector, p3: FourVector, reference: int = 1) -> tuple[jax.Array, ...]:
    r"""Euler angles of the frame of a chain in the rest frame of the decaying particle.

    .. math:: R_z(\phi)\, R_y(\theta)\, R_z(\chi) = (\hat x, \hat y, \hat z), \qquad
              \hat z \parallel \vec p_i + \vec p_j, \quad \hat y \parallel \vec p_2 \times \vec p_1

    Parameters
    ----------
    p1, p2, p3
        Four-vectors ``(events, 4)``, GeV, in one frame, from whose axes the angles are counted; a boost without
        rotation leads to the rest frame.
    reference
        Spectator of the chain.

    Returns
    -------
    phi, theta, chi
        ``(events,)`` each, rad: phi and chi in (-pi, pi], theta in [0, pi]. Along the z axis, where only their sum or
        difference is defined, phi is 0.

    Raises
    ------
    ValueError
        If shapes do not go together, or there is no such chain.

    Notes
    -----
    :math:`\sum_\nu D^{J*}_{M\nu}(\phi, \theta, \chi) A^\nu` is the amplitude for spin projection M along the z axis.
    """
    i, j = pair(reference)
    momenta = four_vectors(p1=p1, p2=p2, p3=p3)
    frame = rest_frame(
        momenta[0] + momenta[1] + momenta[2],
        z=lambda see: see(momenta[i - 1]) + see(momenta[j - 1]),
        y=lambda see: cross(see(momenta[1]), see(momenta[0])),
    )
    x, y, z = frame.x, frame.y, frame.z
    across = root(z[..., 0] ** 2 + z[..., 1] ** 2)
    # Along the z axis the third angle is that of x about it.
    up = across == 0
    chi = arctan2(jnp.where(up, x[..., 1], y[..., 2]), jnp.where(up, z[..., 2] * x[..., 0], -x[..., 2]))
    return arctan2(z[..., 1], z[..., 0]), arctan2(across, z[..., 2]), chi
