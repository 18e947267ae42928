"""Four-vectors: masses, boosts and the angles of two-body decays.

Four-vectors are arrays ``(events, 4)`` in the order ``(E, px, py, pz)``, GeV, metric (+, -, -, -); angles are in rad.
"""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike


def dot(a: ArrayLike, b: ArrayLike) -> jax.Array:
    """Minkowski product of two four-vectors, ``(events,)``, GeV²."""
    a, b = jnp.asarray(a), jnp.asarray(b)
    return a[..., 0] * b[..., 0] - jnp.sum(a[..., 1:] * b[..., 1:], axis=-1)


def invariant_mass(p4: ArrayLike) -> jax.Array:
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
    # The root's slope at 0 is infinite: it is taken of 1 there.
    root = jnp.sqrt(jnp.where(squared == 0, 1.0, jnp.abs(squared)))
    return jnp.where(squared == 0, 0.0, jnp.sign(squared) * root)


def boost(p4: ArrayLike, velocity: ArrayLike) -> jax.Array:
    r"""Boost four-vectors: what was at rest moves with ``velocity``.

    .. math:: E' = \gamma (E + \vec\beta \cdot \vec p), \quad
              \vec p\,' = \vec p + \left(\frac{\gamma^2}{\gamma + 1} \vec\beta\cdot\vec p + \gamma E\right) \vec\beta

    Parameters
    ----------
    p4
        Four-vectors, ``(events, 4)``.
    velocity
        In units of c, ``(events, 3)`` or ``(3,)``, of length below 1.

    Returns
    -------
    Boosted four-vectors, ``(events, 4)``.
    """
    p4, beta = jnp.asarray(p4), jnp.asarray(velocity)
    beta = jnp.broadcast_to(beta, (*p4.shape[:-1], 3))
    energy, momentum = p4[..., 0], p4[..., 1:]
    gamma = 1 / jnp.sqrt(1 - jnp.sum(beta**2, axis=-1))
    along = jnp.sum(beta * momentum, axis=-1)
    shift = gamma**2 / (gamma + 1) * along + gamma * energy
    moved = momentum + shift[..., None] * beta
    return jnp.concatenate([(gamma * (energy + along))[..., None], moved], axis=-1)


def in_rest_frame_of(p4: ArrayLike, system: ArrayLike) -> jax.Array:
    """Four-vectors as seen where ``system`` is at rest, ``(events, 4)``, by a boost without rotation."""
    system = jnp.asarray(system)
    return boost(p4, -system[..., 1:] / system[..., :1])


def _unit(vector: jax.Array) -> jax.Array:
    return vector / jnp.linalg.norm(vector, axis=-1, keepdims=True)


def _angles(daughter: jax.Array, z: jax.Array, y: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return cos(theta) and phi of a direction in the frame of the axes z and y."""
    x = jnp.cross(y, z)
    direction = _unit(daughter[..., 1:])
    costheta = jnp.sum(direction * z, axis=-1)
    return costheta, jnp.arctan2(jnp.sum(direction * y, axis=-1), jnp.sum(direction * x, axis=-1))


def _production_normal(beam: ArrayLike, recoil: ArrayLike, system: ArrayLike) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Return beam and recoil directions in the rest frame of the system, and the normal beam x (-recoil)."""
    b = in_rest_frame_of(beam, system)[..., 1:]
    r = in_rest_frame_of(recoil, system)[..., 1:]
    return _unit(b), _unit(r), _unit(jnp.cross(b, -r))


def helicity_angles(
    daughter: ArrayLike, system: ArrayLike, recoil: ArrayLike, beam: ArrayLike
) -> tuple[jax.Array, jax.Array]:
    """Angles of a daughter in the helicity frame of the system that it comes from.

    Parameters
    ----------
    daughter, system, recoil, beam
        Four-vectors ``(events, 4)``, GeV, all in one frame (laboratory or centre of mass of the reaction).

    Returns
    -------
    costheta, phi
        ``(events,)`` each; phi in (-pi, pi].

    Notes
    -----
    In the rest frame of the system: z against the recoil, y along beam x (-recoil), x = y x z. In the
    Gottfried-Jackson frame z is along the beam instead.
    """
    _, r, y = _production_normal(beam, recoil, system)
    return _angles(in_rest_frame_of(daughter, system), -r, y)


def gottfried_jackson_angles(
    daughter: ArrayLike, system: ArrayLike, recoil: ArrayLike, beam: ArrayLike
) -> tuple[jax.Array, jax.Array]:
    """Angles of a daughter in the Gottfried-Jackson frame: as `helicity_angles`, but z along the beam."""
    b, _, y = _production_normal(beam, recoil, system)
    return _angles(in_rest_frame_of(daughter, system), b, y)


def momentum_transfer(recoil: ArrayLike, target: ArrayLike) -> jax.Array:
    r"""Mandelstam :math:`t = (p_{recoil} - p_{target})^2`, ``(events,)``, GeV², negative in the physical region.

    Parameters
    ----------
    recoil, target
        Four-vectors ``(events, 4)``; the target may be ``(4,)``: ``(mass, 0, 0, 0)`` at rest.
    """
    recoil = jnp.asarray(recoil)
    difference = recoil - jnp.broadcast_to(jnp.asarray(target), recoil.shape)
    return dot(difference, difference)
