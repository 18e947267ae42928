"""Four-vectors: masses, boosts, rotations, Mandelstam's variables, lambda of the omega.

Four-vectors are arrays ``(events, 4)`` in the order ``(E, px, py, pz)``, or a tuple or list of these four columns
(a list is always of columns, never of events). Several of them are of one length, or a single one ``(4,)`` stands for
all events. GeV, metric (+, -, -, -); angles are in rad. Decay angles are in `jaxpwa.physics.kinematics.frames`, what
needs the whole reaction is in `jaxpwa.physics.kinematics.reaction`.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxpwa.physics._arrays import root
from jaxpwa.physics.kinematics._vectors import (
    FourVector,
    ThreeVector,
    columns,
    cross,
    direction,
    four_vectors,
    per_event,
    product,
    three_vector,
)


def four_vector(energy: ArrayLike, px: ArrayLike, py: ArrayLike, pz: ArrayLike) -> jax.Array:
    """Four-vectors out of their columns.

    Parameters
    ----------
    energy, px, py, pz
        ``(events,)`` each, or single numbers, GeV.

    Returns
    -------
    ``(events, 4)``.

    Raises
    ------
    ValueError
        If the columns differ in length.
    """
    return columns("four_vector", energy=energy, px=px, py=py, pz=pz)


def four_vector_from_mass(mass: ArrayLike, px: ArrayLike, py: ArrayLike, pz: ArrayLike) -> jax.Array:
    r"""Four-vectors of particles of a known mass.

    .. math:: E = \sqrt{m^2 + |\vec p|^2}

    Parameters
    ----------
    mass
        ``(events,)`` or one number, GeV.
    px, py, pz
        ``(events,)`` each, or single numbers, GeV.

    Returns
    -------
    ``(events, 4)``. A massless particle at rest has energy 0, with gradient 0.

    Raises
    ------
    ValueError
        If the columns differ in length.

    Examples
    --------
    >>> from jaxpwa.physics.kinematics.fourvectors import four_vector_from_mass
    >>> four_vector_from_mass(4.0, 0.0, 0.0, 3.0)
    Array([5., 0., 0., 3.], dtype=float64)
    """
    p4 = columns("four_vector_from_mass", mass=mass, px=px, py=py, pz=pz)
    energy = root(p4[..., 0] ** 2 + product(p4[..., 1:], p4[..., 1:]))
    return jnp.concatenate([energy[..., None], p4[..., 1:]], axis=-1)


def dot(a: FourVector, b: FourVector) -> jax.Array:
    r"""Minkowski product :math:`E_a E_b - \vec p_a \cdot \vec p_b`.

    Parameters
    ----------
    a, b
        Four-vectors, ``(events, 4)``.

    Returns
    -------
    ``(events,)``, GeV².
    """
    a, b = four_vectors(a=a, b=b)
    return a[..., 0] * b[..., 0] - product(a[..., 1:], b[..., 1:])


def invariant_mass_squared(p4: FourVector) -> jax.Array:
    r"""Invariant mass squared, :math:`E^2 - |\vec p|^2`.

    Parameters
    ----------
    p4
        Four-vectors, ``(events, 4)``, GeV.

    Returns
    -------
    ``(events,)``, GeV²; of either sign.
    """
    return dot(p4, p4)


def invariant_mass(p4: FourVector) -> jax.Array:
    r"""Invariant mass.

    .. math:: m = \sqrt{E^2 - |\vec p|^2}

    Parameters
    ----------
    p4
        Four-vectors, ``(events, 4)``, GeV.

    Returns
    -------
    Mass, ``(events,)``, GeV. Where rounding or measurement make its square negative: minus the root of the absolute
    value, as ROOT does, so that massless particles come out tiny and not NaN. The gradient at exactly 0 is 0.
    """
    squared = dot(p4, p4)
    return jnp.sign(squared) * root(jnp.abs(squared))


def boost(p4: FourVector, velocity: ThreeVector) -> jax.Array:
    r"""Boost four-vectors: what was at rest moves with ``velocity``.

    .. math:: E' = \gamma (E + \vec\beta \cdot \vec p), \quad
              \vec p\,' = \vec p + \left(\frac{\gamma^2}{\gamma + 1} \vec\beta\cdot\vec p + \gamma E\right) \vec\beta

    Parameters
    ----------
    p4
        Four-vectors, ``(events, 4)``.
    velocity
        In units of c, ``(events, 3)``, ``(3,)`` or three columns, of length below 1; from 1 on the result is not
        finite.

    Returns
    -------
    Boosted four-vectors, ``(events, 4)``.

    Raises
    ------
    ValueError
        If the shapes are none of these.
    """
    (p4,), beta = four_vectors(p4=p4), three_vector("velocity", velocity)
    # A velocity is the spatial part of a four-vector of energy 1: so it goes through the same door.
    p4, moving = four_vectors(p4=p4, velocity=jnp.concatenate([jnp.ones_like(beta[..., :1]), beta], axis=-1))
    energy, momentum, beta = p4[..., 0], p4[..., 1:], moving[..., 1:]
    gamma = 1 / jnp.sqrt(1 - product(beta, beta))
    along = product(beta, momentum)
    shift = gamma**2 / (gamma + 1) * along + gamma * energy
    moved = momentum + shift[..., None] * beta
    return jnp.concatenate([(gamma * (energy + along))[..., None], moved], axis=-1)


def in_rest_frame_of(p4: FourVector, system: FourVector) -> jax.Array:
    r"""Four-vectors as seen where a system is at rest, by a boost without rotation.

    .. math:: E' = \frac{E E_s - \vec p \cdot \vec p_s}{m_s}, \quad
              \vec p\,' = \vec p - \frac{E + E'}{E_s + m_s} \vec p_s

    Parameters
    ----------
    p4
        Four-vectors, ``(events, 4)``.
    system
        Four-vectors of what is to be at rest, ``(events, 4)``, time-like. Light-like ones, which have no such frame,
        and space-like ones give values that are not finite.

    Returns
    -------
    ``(events, 4)``.
    """
    p4, system = four_vectors(p4=p4, system=system)
    mass = jnp.sqrt(dot(system, system))
    energy = dot(p4, system) / mass
    fraction = (p4[..., 0] + energy) / (system[..., 0] + mass)
    return jnp.concatenate([energy[..., None], p4[..., 1:] - fraction[..., None] * system[..., 1:]], axis=-1)


def rotate(p4: FourVector, axis: str | ThreeVector, angle: ArrayLike) -> jax.Array:
    r"""Rotate four-vectors about an axis; active, counter-clockwise for who looks against the axis.

    .. math:: \vec p\,' = \vec p + \sin\alpha\, (\hat n \times \vec p)
              + (1 - \cos\alpha)\, \hat n \times (\hat n \times \vec p)

    Parameters
    ----------
    p4
        Four-vectors, ``(events, 4)``.
    axis
        ``"x"``, ``"y"``, ``"z"``, or a vector of any length, ``(3,)`` or ``(events, 3)``. About a vector of length 0,
        which is no axis, nothing rotates.
    angle
        One number or ``(events,)``, rad.

    Returns
    -------
    ``(events, 4)``.

    Raises
    ------
    ValueError
        If the axis is another string or not of this shape.

    Examples
    --------
    >>> from jaxpwa.physics.kinematics.fourvectors import rotate
    >>> rotate([1.0, 0.5, 0.0, 0.2], "z", 3.141592653589793 / 2).round(12)
    Array([1. , 0. , 0.5, 0.2], dtype=float64)
    """
    if isinstance(axis, str):
        if axis not in ("x", "y", "z"):
            msg = f'axis must be "x", "y", "z" or a vector, got {axis!r}.'
            raise ValueError(msg)
        n = three_vector("axis", [1.0 if name == axis else 0.0 for name in "xyz"])
    else:
        n = three_vector("axis", axis)
    p4, along = four_vectors(p4=p4, axis=jnp.concatenate([jnp.zeros_like(n[..., :1]), n], axis=-1))
    n = direction(along[..., 1:], (0.0, 0.0, 0.0))
    # Angles of several events turn one four-vector into several.
    turns = per_event("angle", angle, p4)[..., None]
    p4 = jnp.broadcast_to(p4, (*turns.shape[:-1], 4))
    around = cross(n, p4[..., 1:])
    turned = p4[..., 1:] + jnp.sin(turns) * around + (1 - jnp.cos(turns)) * cross(n, around)
    return jnp.concatenate([p4[..., :1], turned], axis=-1)


class Mandelstam(NamedTuple):
    """Mandelstam's variables of a reaction of two bodies into two.

    Attributes
    ----------
    s, t, u
        ``(events,)`` each, GeV².
    """

    s: jax.Array
    t: jax.Array
    u: jax.Array


def mandelstam(beam: FourVector, target: FourVector, system: FourVector, recoil: FourVector) -> Mandelstam:
    r"""Mandelstam's variables of beam + target -> system + recoil.

    .. math:: s = (p_{beam} + p_{target})^2, \quad t = (p_{beam} - p_{system})^2, \quad
              u = (p_{beam} - p_{recoil})^2

    Parameters
    ----------
    beam, target, system, recoil
        Four-vectors, ``(events, 4)``, GeV; a target at rest is ``(mass, 0, 0, 0)``.

    Returns
    -------
    ``s``, ``t`` and ``u``, ``(events,)`` each, GeV². Where energy and momentum are conserved, their sum is that of the
    four masses squared, and ``t`` is `momentum_transfer` too.
    """
    beam, target, system, recoil = four_vectors(beam=beam, target=target, system=system, recoil=recoil)
    squares = (invariant_mass_squared(v) for v in (beam + target, beam - system, beam - recoil))
    return Mandelstam(*squares)


def momentum_transfer(recoil: FourVector, target: FourVector) -> jax.Array:
    r"""Mandelstam :math:`t = (p_{recoil} - p_{target})^2`, from the side of the target.

    Parameters
    ----------
    recoil, target
        Four-vectors ``(events, 4)``; the target may be ``(4,)``: ``(mass, 0, 0, 0)`` at rest.

    Returns
    -------
    ``(events,)``, GeV², negative in the physical region of most reactions.
    """
    recoil, target = four_vectors(recoil=recoil, target=target)
    return invariant_mass_squared(recoil - target)


def omega_lambda(pi_plus: FourVector, pi_minus: FourVector, pi_zero: FourVector) -> jax.Array:
    r"""Squared amplitude of omega -> pi+ pi- pi0 by the pions' momenta, relative to its maximum.

    .. math:: \lambda = \frac{|\vec p_+ \times \vec p_-|^2}{\lambda_{max}}, \quad
              \lambda_{max} = \frac34 \left(\frac{m_{3\pi}^2 - (m_+ + m_- + m_0)^2}{9}\right)^2
              = Q^2 \left(\frac{Q^2}{108} + \frac{m Q}{9} + \frac{m^2}{3}\right)

    Parameters
    ----------
    pi_plus, pi_minus, pi_zero
        ``(events, 4)``, GeV, all in one frame.

    Returns
    -------
    ``(events,)``: 0 at the border of the Dalitz plot, 1 at its centre, where the pions have equal momenta. Exactly at
    the threshold 0.

    Notes
    -----
    Momenta are those in the rest frame of the three; Q is their kinetic energy there and m the mean of their masses,
    which are those of the four-vectors. The maximum is exact for equal masses; for the masses of pi+, pi- and pi0 the
    highest value is 0.9999 at the mass of the omega.

    References
    ----------
    P. Weidenauer et al. (ASTERIX), Z. Phys. C59 (1993) 387.
    """
    pi_plus, pi_minus, pi_zero = four_vectors(pi_plus=pi_plus, pi_minus=pi_minus, pi_zero=pi_zero)
    omega = pi_plus + pi_minus + pi_zero
    normal = cross(in_rest_frame_of(pi_plus, omega)[..., 1:], in_rest_frame_of(pi_minus, omega)[..., 1:])
    threshold = invariant_mass(pi_plus) + invariant_mass(pi_minus) + invariant_mass(pi_zero)
    excess = (invariant_mass_squared(omega) - threshold**2) / 9
    closed = excess == 0
    return jnp.where(closed, 0.0, product(normal, normal) / (0.75 * jnp.where(closed, 1.0, excess) ** 2))
